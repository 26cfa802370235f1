"""A small made-up task in the format of GLUE. `python -m tests.finetuning.made_up DIR` writes its files.

It has the columns of rte. The first sentence says how a thing is, and the second sentence says the same in other words
(label 0, entailment), or says how another thing is (label 1). So the two sentences must be compared.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

THINGS = ["river", "house", "road", "garden", "church", "school", "ship", "field", "hill", "town", "forest", "bridge"]
QUALITIES = ["old", "new", "large", "small", "dark", "white"]


def entailment(n: int, seed: int) -> list[dict]:
    """Return pairs of sentences with their labels."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(n):
        one, other = rng.choice(THINGS, 2, replace=False)
        quality = rng.choice(QUALITIES)
        label = int(rng.integers(2))
        second = other if label else one
        rows.append({"sentence1": f"The {one} was {quality}.", "sentence2": f"A {quality} {second}.", "label": label,
                     "idx": number})  # fmt: skip
    return rows


def write(folder: Path, n_train: int, n_validation: int) -> Path:
    """Write the two files of the task."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, n, seed in (("train", n_train, 0), ("validation", n_validation, 1)):
        lines = [json.dumps(row) + "\n" for row in entailment(n, seed)]
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]), 2000, 400)
