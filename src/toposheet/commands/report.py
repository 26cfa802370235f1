"""`toposheet report`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Analysis, Command, check_out, deferred, with_published_defaults
from toposheet.commands._stimuli import (
    AS_USUAL,
    Contrasts,
    Model,
    Options,
    check_model_and_control,
    opening,
    read_battery,
)
from toposheet.settings import DEFAULT


@deferred
def report(
    model: Model,
    control: str | None = None,
    stimuli: str = "synthetic",
    contrast: Contrasts = (),
    pairs: Path | None = None,
    out: Path = Path("runs/report"),
    options: Options = AS_USUAL,
    as_published: bool = False,
    settings: Analysis = DEFAULT,
) -> None:
    """Write a report with all analyses of a model and its control, as one HTML file.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        control: A model that was trained without topography. None: the control of MODEL, if MODEL is a
            shipped model; for other models, no control.
        stimuli: synthetic (made from packages and from text that was held out from the training of MODEL), published
            (read from your files), a CSV file, or the name of a set.
        contrast: Contrasts in a CSV file or a set, each written as A:B (or A-B).
        pairs: File of noun pairs and verb pairs, in the format of Elli et al. (columns run, block, class, category,
            pair). Only for published stimuli. None: elli_stimuli.csv, if the folder of the stimuli has it.
        out: Folder for report.html, tables, maps.nc and figures (PNG and PDF).
        options: How stimuli are read.
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
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("computing", 80.0), Stage("drawing", 20.0)])
        preparing = stages.begin("preparing")
        subject = opening(model, preparing, settings.reading)
        battery = read_battery(stimuli, subject, contrast, options, settings.confounds, pairs, preparing)
        from toposheet.commands._report import analysed, print_summary
        from toposheet.report import with_control, write_report

        analysis = analysed(with_control(subject(), control), battery, settings, stages.begin("computing"))
        with analysis.results.written_together(out) as aside:
            page = write_report(analysis, aside, stages.begin("drawing"))
    print_summary(analysis.results)
    print(f"\nThe report: {(out / page.name).resolve()}")


COMMAND = Command(position=75, parser=report, parser_for=with_published_defaults(report))
