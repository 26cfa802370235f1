"""Make the figures of README and docs (`make docs`).

The figures show the demo models and the shipped models. The demo is run first, unless it is already finished.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from toposheet import demo, recipes
from toposheet.cache import cache_folder
from toposheet.report import compute, folder, with_control, write_report
from toposheet.stimuli.studies import synthetic_battery
from toposheet.subject import load

HERE = Path(__file__).parent
OF_DEMO = ("losses.png", "map-sentence-nonword.png", "map-sentence-nonword-random-labels.png", "morans-i.png")
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
    analysis = compute(with_control(subject), synthetic_battery(subject.reader), cache=cache_folder())
    folder.write(analysis.results, out)
    write_report(analysis, out)


if __name__ == "__main__":
    main()
