"""`toposheet report`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Analysis, Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Model, Options, check_model, opening, read_battery
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
    settings: Analysis = DEFAULT,
) -> None:
    """Every analysis of a model, beside its control, in one HTML file.

    Args:
        model: A model folder, hub id, or shipped model.
        control: The same of a model without topography. None: that of a shipped model.
        stimuli: synthetic (made from packages, of text that the recipe of MODEL holds out), published (read from
            files you have), a CSV file, or the name of a set.
        contrast: Conditions of your stimuli to compare, A:B (or A-B).
        pairs: Noun and verb pairs in the format of Elli et al. (run, block, class, category, pair) for the published
            stimuli, which have none.
        out: Folder for report.html, the tables, maps.nc and figures (PNG and PDF).
        options: Where stimuli are, and what they are called there.
        settings: How responses are read and analysed.
    """
    check_out(out)
    if control:
        check_model(control)
    from toposheet.progress import shown

    with shown() as progress:
        subject = opening(model, progress)
        battery = read_battery(stimuli, subject, contrast, options, settings.confounds, pairs, progress)
        from toposheet.commands._report import analysed, print_summary
        from toposheet.report import with_control, write_report

        analysis = analysed(with_control(subject(), control), battery, out, settings, progress)
        page = write_report(analysis, out, progress)
    print_summary(analysis.results)
    print(f"\nThe report: {page.resolve()}")


COMMAND = Command(place=70, parser=report)
