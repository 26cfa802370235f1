"""`toposheet ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from toposheet.commands._command import Analysis, Command, check_out, deferred
from toposheet.commands._stimuli import Model, StimulusOptions, check_model, opening, read_battery
from toposheet.settings import DEFAULT


@deferred
def ledger(
    model: Model,
    control: str | None = None,
    stimuli: Literal["synthetic", "published"] = "synthetic",
    pairs: Path | None = None,
    out: Path = Path("runs/ledger"),
    data: Path | None = None,
    settings: Analysis = DEFAULT,
) -> None:
    """The numbers TopoLM published against those of a model, with nulls and a verdict.

    Args:
        model: A model folder, hub id, or shipped model.
        control: A model without topography. None: that of a shipped model.
        stimuli: published (read from files you have), or synthetic: others, so that no value need agree.
        pairs: Noun and verb pairs in the format of Elli et al. (run, block, class, category, pair) for the published
            stimuli, which have none.
        out: Folder for ledger.md and ledger.csv.
        data: Where the files of published sets are. None: TOPOSHEET_DATA.
        settings: How responses are read and analysed.
    """
    check_out(out)
    if control:
        check_model(control)
    from toposheet.progress import shown

    with shown() as progress:
        subject = opening(model, progress)
        options = StimulusOptions(data=data)
        battery = read_battery(stimuli, subject, (), options, settings.confounds, pairs, progress)
        from toposheet.commands._report import analysed, print_left_out
        from toposheet.report import ledger as against_published
        from toposheet.report import with_control

        analysis = analysed(with_control(subject(), control), battery, out, settings, progress)
    ledger = against_published(analysis)
    page = ledger.write(out)
    print(ledger)
    print_left_out(analysis.results)
    print(f"The ledger: {page.resolve()} (and ledger.csv)")


COMMAND = Command(place=80, parser=ledger)
