"""`toposheet localize`."""

from __future__ import annotations

import sys
from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Model, Options, opening, read_contrasts, read_table
from toposheet.settings import DEFAULT, READING, Contiguity, Reading, Settings, check_selection


@deferred
def localize(
    model: Model,
    out: Path,
    stimuli: str | None = None,
    contrast: str | None = None,
    percent: float | None = None,
    q: float | None = None,
    min_size: int = DEFAULT.min_size,
    contiguity: Contiguity = DEFAULT.contiguity,
    groups: str = DEFAULT.groups,
    paired_by: str = DEFAULT.paired_by,
    reading: Reading = READING,
    options: Options = AS_USUAL,
) -> None:
    """Find the units that respond more to one condition than to another: a functional localizer.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for localizer.nc (the mask of selected units, with the reading and the hash of the model),
            cross_validated.csv, sinks.csv and figures.
        stimuli: A CSV file, or the name of a set. None: the stimuli that are saved with the model.
        contrast: A contrast, written as A:B. Selected units respond more to A. None: sentence:nonword, or S:N.
        percent: Select this percentage of all units: those that prefer A most. None: select by q.
        q: Select all units with a false discovery rate below q. Give percent or q, not both. None: 0.05.
        min_size: Number of units of the smallest cluster of selected units that counts.
        contiguity: Which cells are neighbours in a cluster. queen: cells that share an edge or a corner. rook: cells
            that share an edge.
        groups: Name of a column of the stimuli. Texts with equal values form a group, whose mean counts as one value.
            The default is used only if the stimuli have this column.
        paired_by: Name of a column of the stimuli. Two texts with equal values, one of each condition, are a pair, and
            the differences within pairs are tested. Empty: there are no pairs.
        reading: How a model reads a text.
        options: How stimuli are read.
    """
    settings = Settings(min_size=min_size, contiguity=contiguity, groups=groups, paired_by=paired_by, reading=reading)
    check_selection(percent, q)
    check_out(out)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("localizing", 15.0)])
        preparing = stages.begin("preparing")
        subject = opening(model, preparing)
        table = read_table(stimuli, subject, options, preparing)
        (parsed,) = read_contrasts(table, [contrast] if contrast else [], options, or_language=True)
        from toposheet.cache import cache_folder
        from toposheet.report.localizing import localize_subject

        localizer = localize_subject(
            subject(), table, parsed, name=Path(stimuli or "synthetic").name, percent=percent, q=q, settings=settings,
            cache=cache_folder(), progress=stages.begin("localizing"),
        )  # fmt: skip
    localizer.write(out)
    print(localizer)
    for note in localizer.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"\nThe localizer: {out.resolve()} (localizer.nc, cross_validated.csv, sinks.csv, figures)")


COMMAND = Command(position=60, parser=localize)
