"""`toposheet compare`."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.commands._command import REQUIRED, Analysis, Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Options, check_model, read_battery
from toposheet.files import path_of
from toposheet.settings import DEFAULT

if TYPE_CHECKING:
    from toposheet.subject import Subject


@deferred
def compare(
    models: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[GROUP=]MODEL [...]", help_behavior_hint=REQUIRED)
    ],
    out: Path,
    stimuli: str = "synthetic",
    contrast: Contrasts = (),
    options: Options = AS_USUAL,
    settings: Analysis = DEFAULT,
) -> None:
    """Several models side by side, seeds of one group together, with hierarchical bootstrap intervals.

    Args:
        models: Model folders, hub ids or shipped models; models named GROUP=MODEL belong together (seeds of one
            objective), others are groups of their own.
        out: Folder for compare.csv, the tables and figures.
        stimuli: synthetic, published, a CSV file, or the name of a set.
        contrast: Conditions of your stimuli to compare, A:B (or A-B).
        options: Where stimuli are, and what they are called there.
        settings: How responses are read and analysed.
    """
    check_out(out)
    sources = (text if path_of(text).exists() else text.rpartition("=")[2] for text in models)
    for source in filter(None, sources):
        check_model(source)
    from toposheet.progress import shown

    with shown() as progress:

        @functools.cache
        def subject() -> Subject:
            progress(f"opening the model {''.join(models[:1])}", 0, 1)
            from toposheet.report import grouped

            return grouped(models)[0].open()

        battery = read_battery(stimuli, subject, contrast, options, settings.confounds, progress=progress)
        from toposheet.commands._report import analysed, print_left_out
        from toposheet.report import grouped, side_by_side

        first, *others = grouped(models)
        analysis = analysed([replace(first, source=subject()), *others], battery, out, settings, progress)
        progress("intervals over models and taps", 0, 1)
        comparison = side_by_side(analysis, seed=settings.seed)
        comparison.write(out)
        progress("intervals over models and taps", 1, 1)
    print(comparison)
    print_left_out(analysis.results)
    print(f"The comparison: {out.resolve()} (compare.csv, statistics.csv, figures)")


COMMAND = Command(place=90, parser=compare)
