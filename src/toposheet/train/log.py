"""What a run leaves to read: one JSON object a line, the trackers that were asked for, and a bar with the time left."""

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
    """Refuse trackers that there are not, or whose package is not installed.

    Raises:
        UserError: the message says which there are, or what to install.
    """
    for name in names:
        if name not in get_args(Tracker):
            raise UserError(f"there is no tracker {name!r}; there are: {', '.join(get_args(Tracker))}")
        if importlib.util.find_spec(name) is None:
            raise UserError(f"logging to {name} needs its package: pip install {name}")


class Metrics:
    """The file `metrics.jsonl` of a run, one object for each update or validation, and its trackers.

    Args:
        path: The file. Lines of updates that were not saved before a stop are dropped.
        updates_done: How many updates the run goes on from.
        accelerator: Knows the trackers, and which process writes.
    """

    def __init__(self, path: Path, updates_done: int, accelerator: Accelerator) -> None:
        self._path, self._accelerator = path, accelerator
        if accelerator.is_main_process:
            lines = path.read_text().splitlines() if path.exists() and updates_done else []
            kept = [line for line in lines if _update(line) <= updates_done]
            write_file(path, "".join(line + "\n" for line in kept))

    def write(self, update: int, **values: Any) -> None:
        """Append one object."""
        if self._accelerator.is_main_process:
            with self._path.open("a") as file:
                file.write(json.dumps({"update": update, **values}) + "\n")
        self._accelerator.log(_flat(values), step=update)


def _flat(values: dict[str, Any]) -> dict[str, float]:
    """Return values as trackers take them: `spatial_losses/TAP` for the value of a tap."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{part}": number for part, number in value.items()}
        elif value is not None:
            flat[name] = value
    return flat


def _update(line: str) -> int | float:
    """Return which update a line is of, infinity for a damaged one: half a line, of a run that was killed."""
    try:
        return int(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def read_metrics(path: Path) -> pd.DataFrame:
    """Return the metrics of a run, one row for each line; a value that a line lacks is nan.

    Half a line at the end is left out: it is of a run that was killed. Where there is no file there are no rows.

    Raises:
        UserError: another line is damaged; the message names file and line.
    """
    text = path.read_text(errors="replace") if path.is_file() else ""
    lines, rows = text.splitlines(), []
    for number, line in enumerate(lines, 1):
        if _update(line) < float("inf"):
            rows.append(json.loads(line))
        elif number < len(lines) or text.endswith("\n"):
            raise UserError(f"{path}, line {number}: not the metrics of an update: {line[:60]!r}")
    return pd.DataFrame(rows)


def progress_bar(title: str, total: int, done: int, shown: bool) -> tqdm:
    """Return the bar of a training run; where the output is no terminal it is refreshed every ten seconds."""
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
