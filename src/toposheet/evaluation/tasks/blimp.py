"""BLiMP: 67 paradigms of pairs of sentences, of which one is grammatical (Warstadt et al. 2020, TACL 8, 377-392)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from toposheet.errors import NotFound, UserError
from toposheet.evaluation.rows import rows
from toposheet.evaluation.task import Item, Task
from toposheet.files import path_of
from toposheet.hub import snapshot
from toposheet.interventions.measure import correct_pairs
from toposheet.subject import Request

HUB = "nyu-mll/blimp"
_FIELDS = ("sentence_good", "sentence_bad", "field", "linguistics_term", "UID")


def _items(path: Path | None) -> list[Item]:
    """Return all pairs of the files in a folder, or of one file.

    Args:
        path: The folder of the files (`.jsonl`, or `.parquet` as on the hub), or one file. None: the folder `blimp` in
            `$TOPOSHEET_DATA`, or else the hub.
    """
    files = _files(_found() if path is None else path)
    return [_item(row, where, number) for file in files for number, (where, row) in enumerate(rows(file))]


def _found() -> Path:
    """Return the folder `blimp` in `$TOPOSHEET_DATA`, or else a download from the hub."""
    if data := os.environ.get("TOPOSHEET_DATA"):
        folder = path_of(data) / "blimp"
        if folder.is_dir():
            return folder
    try:
        return snapshot(HUB, ["*.parquet", "*.jsonl"], dataset=True)
    except NotFound as error:
        raise NotFound(f"{error}; the items of blimp can also be given with --path DIR (in Python path=DIR)") from None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotFound(f"{path} does not exist: give the folder of the .jsonl files of BLiMP, or one of the files")
    files = sorted(path.glob("*.jsonl")) or sorted(path.rglob("*.parquet"))
    if not files:
        raise NotFound(f"{path} holds no .jsonl and no .parquet files: give the folder of the files of BLiMP")
    return files


def _item(row: Any, where: str, number: int) -> Item:
    """Return the item of a row.

    Raises:
        UserError: The row is no object, or lacks a text.
    """
    for name in _FIELDS:
        if not isinstance(row, Mapping) or not isinstance(row.get(name), str):
            raise UserError(f"{where} has no text {name!r}: the file must have the columns of BLiMP")
    return Item(
        groups=(row["field"].replace("/", "_"), row["linguistics_term"], row["UID"]),  # one file has syntax/semantics
        name=str(row.get("pairID", row.get("pair_id", number))),
        requests=tuple(Request(row[name], name=f"{where}, {name}") for name in ("sentence_good", "sentence_bad")),
    )


def _outcome(_item: Item, sums: np.ndarray) -> Mapping[str, float]:
    """Return 1 if the grammatical sentence has the higher log-probability, and 0.5 if both have the same."""
    good, bad = sums
    return {"good": good, "bad": bad, "value": correct_pairs(sums)[0]}


def _margin(_item: Item, sums: np.ndarray) -> float:
    """Return the log-probability of the grammatical sentence minus that of the other one."""
    good, bad = sums
    return float(good - bad)


TASK = Task(
    description="grammatical against ungrammatical sentences, 67 paradigms of 1,000 pairs",
    source="Warstadt et al. 2020, doi:10.1162/tacl_a_00321; CC-BY 4.0",
    groups=("field", "phenomenon", "paradigm"),
    columns={"good": "number", "bad": "number"},
    read=_items,
    outcome=_outcome,
    margin=_margin,
)
