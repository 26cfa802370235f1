"""`toposheet ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from toposheet.commands._command import Analysis, Command, check_out, deferred, with_published_defaults
from toposheet.commands._stimuli import Model, StimulusOptions, check_model_and_control, opening, read_battery
from toposheet.settings import DEFAULT


@deferred
def ledger(
    model: Model,
    control: str | None = None,
    stimuli: Literal["synthetic", "published"] = "synthetic",
    pairs: Path | None = None,
    out: Path = Path("runs/ledger"),
    data: Path | None = None,
    as_published: bool = False,
    settings: Analysis = DEFAULT,
) -> None:
    """Compare the numbers of a model with the numbers that TopoLM published, with nulls and verdicts.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        control: A model that was trained without topography. None: the control of MODEL, if MODEL is a
            shipped model; for other models, no control.
        stimuli: published: the stimuli of TopoLM, read from your files. synthetic: other stimuli, made from packages,
            so the numbers need not agree with the published ones.
        pairs: File of noun pairs and verb pairs, in the format of Elli et al. (columns run, block, class, category,
            pair). Only for published stimuli. None: elli_stimuli.csv, if the folder of the stimuli has it.
        out: Folder for ledger.md and ledger.csv.
        data: Folder with the files of published sets. None: the folder in the environment variable TOPOSHEET_DATA.
        as_published: Reproduce the steps in which TopoLM's published code differs: --weights row, --raw-fwhm-mm 1,
            --contiguity rook, --pooling padded-mean and --groups none, all together. Each of them can also be given
            alone. Options that contradict them are refused.
        settings: How responses are computed and analysed.
    """
    if as_published:
        settings.check_as_published()
    check_out(out)
    check_model_and_control(model, control)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("computing", 80.0)])
        preparing = stages.begin("preparing")
        subject = opening(model, preparing, settings.reading)
        options = StimulusOptions(data=data)
        battery = read_battery(stimuli, subject, (), options, settings.confounds, pairs, preparing)
        from toposheet.commands._report import analysed, print_notes
        from toposheet.report import ledger as against_published
        from toposheet.report import with_control

        analysis = analysed(with_control(subject(), control), battery, settings, stages.begin("computing"))
    ledger = against_published(analysis)
    with analysis.results.written_together(out) as aside:
        page = ledger.write(aside)
    print(ledger)
    print_notes(analysis.results)
    print(f"The ledger: {(out / page.name).resolve()} (and ledger.csv)")


COMMAND = Command(position=80, parser=ledger, parser_for=with_published_defaults(ledger))
