"""What the commands that report share: computing in sight of the user, and the table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toposheet.progress import Progress
    from toposheet.report import Analysis, StudiedModel
    from toposheet.results import Results
    from toposheet.settings import Settings
    from toposheet.stimuli.studies import Battery


def analysed(
    models: Sequence[StudiedModel], battery: Battery, out: Path, settings: Settings, progress: Progress
) -> Analysis:
    """Return what `report.compute` finds, and write its results to a folder."""
    from toposheet.cache import cache_folder
    from toposheet.report import compute, folder

    analysis = compute(models, battery, settings=settings, cache=cache_folder(), progress=progress)
    folder.write(analysis.results, out)
    return analysis


def print_summary(results: Results) -> None:
    """Print the medians over taps of each contrast, model and readout."""
    from toposheet.cortex.summary import medians, without_negative_controls
    from toposheet.figures.numbers import number
    from toposheet.report.sections.contrasts import SUMMARY_OF_MODELS

    print("\nMedians over taps:")
    print(f"{'contrast':18} {'fwhm':>4} {'model':12} {'signif.':>7} {'I':>6} {'place-null':>13} {'z':>6} "
          f"{'label-null':>13} {'z':>5} {'cross-half':>10}")  # fmt: skip
    for row in medians(without_negative_controls(results[SUMMARY_OF_MODELS])).to_dict("records"):
        place, label = (f"{number(row[n + '_mean'])} ± {number(row[n + '_sd'])}" for n in ("null", "label_null"))
        print(
            f"{row['contrast']:18} {row['fwhm_mm']:4g} {row['model']:12} {row['significant_fraction']:7.1%} "
            f"{number(row['morans_i']):>6} {place:>13} {number(row['z'], 1):>6} "
            f"{label:>13} {number(row['label_z'], 1):>5} {number(row['cross_half_i']):>10}"
        )
    print_left_out(results)


def print_left_out(results: Results) -> None:
    """Say which stimuli and which negative control are not in what was computed."""
    for fact in ("stimuli_left_out", "left_out"):
        if note := results.facts[fact]:
            print(f"note: {note}")
