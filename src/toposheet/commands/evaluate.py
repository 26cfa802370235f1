"""`toposheet evaluate`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import Model, check_model_and_control, opening
from toposheet.errors import UserError
from toposheet.settings import check_count


@deferred
def evaluate(
    model: Model,
    out: Path,
    tasks: tuple[str, ...] = ("blimp",),
    control: str | None = None,
    path: Path | None = None,
    bos: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> None:
    """Test what a model knows: in pairs of sentences and in suites of sentences, by their probabilities.

    An interrupted evaluation continues: the log-probabilities of finished paradigms are kept in the cache folder.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for accuracy.csv, the items of each task (items_TASK.csv) and figures; with a control also
            accuracy_difference.csv.
        tasks: Names of tasks: blimp (67 paradigms of pairs of sentences) or syntaxgym (31 suites).
        control: A model that answers the same items, for a paired comparison: a model folder, a hub id, or the name of
            a shipped model.
        path: The file or folder of the items. None: blimp is read from the folder blimp in TOPOSHEET_DATA, or
            from the hub; syntaxgym from an installed brainscore-language.
        bos: The token that stands before every text. none: no token. None: the token that the tokenizer puts there, or
            else its beginning-of-text token, or else its end-of-text token.
        limit: Use only so many items of each paradigm or suite: the first ones. None: use all.
        seed: Seed of the random draws of the comparison with the control.
    """
    if not tasks:
        raise UserError("--tasks names no task: give at least one, such as --tasks blimp")
    if path is not None and len(tasks) > 1:
        raise UserError("--path is the place of the items of one task: give one task, or leave --path out")
    if limit is not None:
        check_count("limit", limit, 1)
    check_out(out)
    check_model_and_control(model, control)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        from toposheet.cache import cache_folder
        from toposheet.evaluation.answers import answers
        from toposheet.evaluation.evaluate import read_items

        for task in tasks:
            read_items(task, path, limit)  # missing files are named before a model is opened
        stages = Stages(progress, [Stage("preparing", 10.0), Stage("evaluating", 200.0)])
        preparing = stages.begin("preparing")
        subjects = [opening(name, preparing)() for name in (model, control) if name is not None]
        answered = answers(subjects, tuple(dict.fromkeys(tasks)), path=path, limit=limit, bos=bos, seed=seed,
                           cache=cache_folder(), progress=stages.begin("evaluating"))  # fmt: skip
        answered.write(out)
        stages.end("evaluating")
    print(answered)
    files = ["accuracy.csv", *(f"items_{task}.csv" for task in answered.items)]
    files += ["accuracy_difference.csv"] * (control is not None)
    print(f"\nThe evaluation: {out.resolve()} ({', '.join(files)}, figures)")


COMMAND = Command(position=65, parser=evaluate, goes_on=True)
