"""Make the figures of README and docs, from the demo (finished, or run now) and the shipped pair: `make docs`."""

from __future__ import annotations

import shutil
from pathlib import Path

from toposheet import cli, demo, recipes

HERE = Path(__file__).parent
OF_DEMO = ("losses.png", "map-sentence-nonword.png", "map-sentence-nonword-random-labels.png", "clustering.png")
OF_SMALL = ("map-sentence-nonword.png", "trajectory.png", "network.png", "clustering-mean.png", "correlation.png")


def main() -> None:
    runs = HERE.parent / "runs"
    demo.run(recipes.named("demo"), runs / "demo", say=print)
    cli.report("small", out=runs / "small")()  # a command is called twice: parsed, then run
    (HERE / "figures").mkdir(exist_ok=True)
    for name in OF_DEMO:
        shutil.copy(runs / "demo" / "figures" / name, HERE / "figures" / name)
    for name in OF_SMALL:
        shutil.copy(runs / "small" / "figures" / name, HERE / "figures" / f"small-{name}")


if __name__ == "__main__":
    main()
