"""`toposheet localize`."""

from __future__ import annotations

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
    reading: Reading = READING,
    options: Options = AS_USUAL,
) -> None:
    """Find the units that prefer one condition, by default sentences: a functional localizer.

    Args:
        model: A model folder, hub id, or shipped model.
        out: Folder for localizer.nc (the mask, with the model's hash), cross_validated.csv and figures.
        stimuli: CSV file, or the name of a set. None: those that come with the model.
        contrast: A:B, where A is preferred. None: sentence:nonword, or S:N.
        percent: The most selective units, this many of a hundred. None: all under q.
        q: Bound of the false discovery rate, instead of percent. None: 0.05.
        min_size: Units of the smallest cluster of selected units that counts.
        contiguity: Neighbours in a cluster share an edge or a corner (queen), or an edge (rook).
        reading: How texts are read.
        options: Where stimuli are, and what they are called there.
    """
    settings = Settings(min_size=min_size, contiguity=contiguity, reading=reading)
    check_selection(percent, q)
    check_out(out)
    from toposheet.progress import shown

    with shown() as progress:
        subject = opening(model, progress)
        table = read_table(stimuli, subject, options, progress)
        (parsed,) = read_contrasts(table, [contrast] if contrast else [], options, or_language=True)
        from toposheet.cache import cache_folder
        from toposheet.report.localizing import localize_subject

        localizer = localize_subject(
            subject(), table, parsed, name=Path(stimuli or "synthetic").name, percent=percent, q=q, settings=settings,
            cache=cache_folder(), progress=progress,
        )  # fmt: skip
    localizer.write(out)
    print(localizer)
    print(f"\nThe localizer: {out.resolve()} (localizer.nc, cross_validated.csv, figures)")


COMMAND = Command(place=60, parser=localize)
