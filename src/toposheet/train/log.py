"""The log of a run: `metrics.jsonl` (one JSON object per line), experiment trackers, and a progress bar."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
from accelerate import Accelerator
from tqdm import tqdm

from toposheet.errors import UserError
from toposheet.files import write_file

METRICS = "metrics.jsonl"
Tracker = Literal["tensorboard", "wandb", "trackio"]


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that toposheet does not know, or whose package is not installed.

    Raises:
        UserError: The message lists the known trackers, or names the package to install.
    """
    for name in names:
        if name not in get_args(Tracker):
            raise UserError(f"there is no tracker {name!r}; choose from: {', '.join(get_args(Tracker))}")
        if importlib.util.find_spec(name) is None:
            raise UserError(f"logging to {name} needs the package {name}: pip install {name}")


class Metrics:
    """The writer of `metrics.jsonl`, which holds one JSON object for each update and each validation of a run.

    It also sends the values to the trackers of the run.

    Args:
        path: The path of `metrics.jsonl`. If the file exists, lines about updates after `updates_done` are removed.
        updates_done: The number of updates that were finished and saved before. 0: the run begins, so the file begins
            empty.
        accelerator: The accelerator of this process. It knows the trackers. Only the main process writes.
    """

    def __init__(self, path: Path, updates_done: int, accelerator: Accelerator) -> None:
        self._path, self._accelerator = path, accelerator
        if accelerator.is_main_process:
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() and updates_done else []
            kept = [line for line in lines if _update_number(line) <= updates_done]
            write_file(path, "".join(line + "\n" for line in kept))

    def write(self, update: int, **values: Any) -> None:
        """Append one JSON object with the number of finished updates and the given values."""
        if self._accelerator.is_main_process:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"update": update, **values}) + "\n")
        self._accelerator.log(_flat(values), step=update)


def _flat(values: dict[str, Any]) -> dict[str, float]:
    """Return the values in the flat form that trackers need. The value of a tap gets the name `spatial_losses/TAP`."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{part}": number for part, number in value.items()}
        elif value is not None:
            flat[name] = value
    return flat


def _update_number(line: str) -> int | float:
    """Return the update number of a line, or infinity for a damaged line. A killed run can leave half a line."""
    try:
        return int(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def read_metrics(path: Path) -> pd.DataFrame:
    """Return the metrics of a run as a table with one row for each line of the file.

    A value that a line does not contain is nan. A killed run can leave half a line at the end of the file; this half
    line is ignored. If the file does not exist, the table is empty.

    Raises:
        UserError: A complete line is damaged. The message names the file and the line.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines, rows = text.splitlines(), []
    for number, line in enumerate(lines, 1):
        if _update_number(line) < float("inf"):
            rows.append(json.loads(line))
        elif number < len(lines) or text.endswith("\n"):
            raise UserError(f"{path}, line {number}: this line does not hold the metrics of an update: {line[:60]!r}")
    return pd.DataFrame(rows)


def progress_bar(title: str, total: int, done: int, shown: bool) -> tqdm:
    """Return the progress bar of a training run. If stderr is not a terminal, the bar is printed every ten seconds."""
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit="update",
        disable=not shown,
        dynamic_ncols=True,
        smoothing=0.05,
        mininterval=0.2 if sys.stderr.isatty() else 10.0,
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} updates, {remaining} left{postfix}",
    )
