"""What the commands that report share: models and their control, computing, and the table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toposheet.settings import Settings

if TYPE_CHECKING:
    from toposheet.report import Page
    from toposheet.results import Results
    from toposheet.stimuli.studies import Battery
    from toposheet.subject import Subject


def with_control(model: str, control: str | None) -> dict[str, str]:
    """Return a model and its control model by what tables call them.

    Args:
        model: A folder, hub id or shipped model.
        control: The same. None: that of a shipped model, or none.
    """
    from toposheet.subject import shipped

    if control is None and not Path(model).is_dir() and f"{model}-control" in shipped():
        control = f"{model}-control"
    if control is None:
        return {Path(model).resolve().name or "model": model}
    return {"topographic": model, "control": control}


def computed(models: Mapping[str, str], subject: Subject, battery: Battery, out: Path, settings: Settings) -> Page:
    """Return the page of a battery's results, which are written to a folder.

    Args:
        models: The models by what tables call them.
        subject: The first of them, opened.
        battery: The studies.
        out: The folder.
        settings: How responses are read and analysed.
    """
    from toposheet.cache import cache_folder
    from toposheet.progress import shown
    from toposheet.report import Page, compute, folder
    from toposheet.report.page import check_histories
    from toposheet.subject import local_folder

    folders: dict[str, Path | None] = {name: local_folder(source) for name, source in models.items()}
    check_histories(path for path in folders.values() if path is not None)
    first, *_ = models
    with shown("study") as progress:
        opened = {name: subject if name == first else source for name, source in models.items()}
        results = compute(opened, battery, settings=settings, cache=cache_folder(), progress=progress)
    folder.write(results, out)
    return Page(results, folders)


def print_summary(results: Results) -> None:
    """Print the medians over taps of each contrast, model and readout."""
    from toposheet.figures.numbers import number
    from toposheet.report.sections.contrasts import SUMMARY_OF_MODELS, medians, of_interest

    print("\nMedians over taps:")
    print(f"{'contrast':18} {'fwhm':>4} {'model':12} {'signif.':>7} {'I':>6} {'place-null':>13} {'z':>6} "
          f"{'label-null':>13} {'z':>5} {'cross-half':>10}")  # fmt: skip
    for row in medians(of_interest(results[SUMMARY_OF_MODELS])).to_dict("records"):
        place, label = (f"{number(row[n + '_mean'])} ± {number(row[n + '_sd'])}" for n in ("null", "label_null"))
        print(
            f"{row['contrast']:18} {row['fwhm_mm']:4g} {row['model']:12} {row['significant_fraction']:7.1%} "
            f"{number(row['morans_i']):>6} {place:>13} {number(row['z'], 1):>6} "
            f"{label:>13} {number(row['label_z'], 1):>5} {number(row['cross_half_i']):>10}"
        )
    print_left_out(results)


def print_left_out(results: Results) -> None:
    """Say which negative control is not in what was computed."""
    if note := results.facts["left_out"]:
        print(f"note: {note}")
