"""Make the figures that the README shows, from a finished (or now run) demo: `make docs`."""

from __future__ import annotations

import shutil
from pathlib import Path

from toposheet import demo, recipes

HERE = Path(__file__).parent
SHOWN = ("losses.png", "map-sentence-nonword-raw.png", "map-random-labels-raw.png", "clustering.png")


def main() -> None:
    out = HERE.parent / "runs" / "demo"
    demo.run(recipes.demo(), out, say=print)
    (HERE / "figures").mkdir(exist_ok=True)
    for name in SHOWN:
        shutil.copy(out / "figures" / name, HERE / "figures" / name)


if __name__ == "__main__":
    main()
