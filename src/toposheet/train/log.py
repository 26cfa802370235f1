"""What a run leaves to read: one JSON object a line, and a bar with the time left."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from toposheet.files import write_file


class Metrics:
    """The file `metrics.jsonl` of a run, one object for each update or validation.

    Args:
        path: The file. Lines of updates that were not saved before a stop are dropped.
        updates_done: How many updates the run goes on from.
    """

    def __init__(self, path: Path, updates_done: int) -> None:
        lines = path.read_text().splitlines() if path.exists() and updates_done else []
        kept = [line for line in lines if _update(line) <= updates_done]
        write_file(path, "".join(line + "\n" for line in kept))
        self._path = path

    def write(self, **values: Any) -> None:
        """Append one object."""
        with self._path.open("a") as file:
            file.write(json.dumps(values) + "\n")


def _update(line: str) -> int | float:
    try:
        return json.loads(line)["update"]
    except (json.JSONDecodeError, KeyError):
        return float("inf")  # half a line, of a run that was killed


def read_metrics(path: Path) -> pd.DataFrame:
    """Return the metrics of a run, one row for each line; a value that a line lacks is nan."""
    return pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])


def progress_bar(title: str, total: int, done: int) -> tqdm:
    """Return the bar of a training run; where the output is no terminal it is refreshed every ten seconds."""
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit="update",
        dynamic_ncols=True,
        smoothing=0.05,
        mininterval=0.2 if sys.stderr.isatty() else 10.0,
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} updates, {remaining} left{postfix}",
    )
