"""`toposheet finetune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import Model, check_model_and_control, opening
from toposheet.errors import UserError
from toposheet.recipes.finetuning import Finetuning

AS_PUBLISHED = Finetuning()


@deferred
def finetune(
    model: Model,
    out: Path,
    tasks: tuple[str, ...],
    control: str | None = None,
    path: Path | None = None,
    settings: Annotated[Finetuning, tyro.conf.arg(name="")] = AS_PUBLISHED,
) -> None:
    """Fine-tune a model on tasks of GLUE, with the objective kept on, and score it.

    If the command is stopped, run it again to continue.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for scores.csv, finetunings.csv, the predictions of each task (items_TASK.csv), figures, and the
            model folder of each task (TASK, TASK-control).
        tasks: Names of tasks: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte, wnli.
        control: A control model, which is fine-tuned in the same way with alpha 0: a model folder, a hub id, or the
            name of a shipped model.
        path: The folder of the examples, in the schema of the hub (nyu-mll/glue): files train and validation (.parquet,
            .jsonl, .csv or .tsv), or a folder for each task with these files. None: the folder glue in TOPOSHEET_DATA,
            or else the hub.
        settings: How the model is fine-tuned.
    """
    if not tasks:
        raise UserError("--tasks names no task: give at least one, such as --tasks rte")
    check_out(out)
    check_model_and_control(model, control)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        from toposheet.finetuning import finetune_several, glue_task
        from toposheet.finetuning.examples import check_folders

        for task in tasks:
            glue_task(task)
        check_folders(tasks, path)  # missing files are named before a model is opened
        stages = Stages(progress, [Stage("preparing", 10.0), Stage("fine-tuning", 3000.0)])
        preparing = stages.begin("preparing")
        subject, *controls = [opening(name, preparing)() for name in (model, control) if name is not None]
        finetunings = finetune_several(
            subject, tasks, out, control=controls[0] if controls else None, path=path, settings=settings,
            progress=stages.begin("fine-tuning"),
        )  # fmt: skip
        finetunings.write(out)
        stages.end("fine-tuning")
    print(finetunings)
    folders = ", ".join(sorted(folder.name for folder in finetunings.folders))
    print(f"\nThe fine-tuned models: {out.resolve()} ({folders}; scores.csv, finetunings.csv, figures)")


COMMAND = Command(position=66, parser=finetune, goes_on=True)
