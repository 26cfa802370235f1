"""`toposheet map`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Analysis, Command, check_out, deferred, with_published_defaults
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Model, Options, opening, read_study
from toposheet.settings import DEFAULT


@deferred
def map_contrasts(
    model: Model,
    stimuli: str,
    contrast: Contrasts,
    out: Path,
    options: Options = AS_USUAL,
    as_published: bool = False,
    settings: Analysis = DEFAULT,
) -> None:
    """Map contrasts on the sheets of a model, with statistics and nulls for raw maps and for readouts.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        stimuli: A CSV file with a text and a condition in every row, or the name of a set (toposheet stimuli list).
        contrast: One or several contrasts, each written as A:B (or A-B).
        out: Folder for summary.csv, further tables, maps.nc and figures.
        options: How stimuli are read.
        as_published: Reproduce the steps in which TopoLM's published code differs: --weights row, --raw-fwhm-mm 1,
            --contiguity rook, --pooling padded-mean and --groups none, all together. Each of them can also be given
            alone. Options that contradict them are refused.
        settings: How responses are computed and analysed.
    """
    if as_published:
        settings.check_as_published()
    check_out(out)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("computing", 80.0), Stage("drawing", 20.0)])
        preparing = stages.begin("preparing")
        opened = opening(model, preparing)
        battery = read_study(stimuli, opened, contrast, options, settings.confounds, preparing)
        from toposheet.commands._report import analysed, print_summary
        from toposheet.report import StudiedModel, write_figures

        subject = opened()
        analysis = analysed([StudiedModel(subject.name, subject)], battery, settings, stages.begin("computing"))
        with analysis.results.written_together(out) as aside:
            write_figures(analysis, aside, stages.begin("drawing"))
    print_summary(analysis.results)
    print(f"\nThe maps: {out.resolve()} (summary.csv, statistics.csv, maps.nc, clusters.csv, figures)")


COMMAND = Command(position=50, parser=map_contrasts, parser_for=with_published_defaults(map_contrasts))
