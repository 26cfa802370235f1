"""Every stimulus set there is: published ones, read from files you have, and synthetic ones, made from packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from toposheet.errors import UserError, check_type
from toposheet.progress import Progress
from toposheet.registry import Registry
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.published import read_published
from toposheet.stimuli.reader import Reader

PUBLISHED, SYNTHETIC = "published", "synthetic"

Make = Callable[[Reader, int, int | None], pd.DataFrame]
"""Makes the table of a set from a reader, a seed and how many texts a condition has (None: as many as usual)."""


@dataclass(frozen=True)
class StimulusSet:
    """A stimulus set: what it is, and the files that it is read from or the function that makes it.

    Args:
        description: What it holds, in a sentence.
        source: Where it was published, or what it is made from.
        licence: What may be done with it.
        conditions: Its conditions.
        contrasts: What it was made to compare.
        columns: Columns of its table besides `text` and `condition`.
        files: Of a published set: the files, relative to where stimuli are kept.
        sha256: Of a published set: the hash of these files, one after another.
        make: Of a synthetic set: makes its table, from packages and a seed. The columns are `text`, `condition`, those
            of `columns`, and `synthetic`, True.
        sizable: Of a synthetic set: whether `make` takes how many texts a condition has. If not, that is fixed.

    Raises:
        UserError: the set has neither files with their hash nor a function, or both.
    """

    description: str
    source: str
    licence: str
    conditions: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    columns: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    sha256: str = ""
    make: Make | None = None
    sizable: bool = True

    def __post_init__(self) -> None:
        if not bool(self.files) == bool(self.sha256) == (self.make is None):
            raise UserError("a stimulus set has either files and their sha256, or a function `make`")

    @property
    def kind(self) -> str:
        """`published` (read from files) or `synthetic` (made from packages, the same again from the same seed)."""
        return PUBLISHED if self.make is None else SYNTHETIC


SETS = Registry[StimulusSet](
    "toposheet.stimuli.sets",
    "SET",
    "stimulus set",
    otherwise="give a CSV file",
    entry=f"{__name__}:StimulusSet",
)


def stimulus_set(
    name: str,
    reader: Reader | None = None,
    *,
    seed: int | None = None,
    per_condition: int | None = None,
    data: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the table of a stimulus set.

    Args:
        name: One of `SETS` (`toposheet stimuli list`).
        reader: The model that a synthetic set is made for (`subject.reader`). None: a model like that of the demo,
            whose tokens are not counted.
        seed: Of everything drawn in a synthetic set. None: the seed of the reader.
        per_condition: Texts a condition of the sets made from text. None: 100, or, of `swjn`, fewer where the text
            that is held out is short, down to 20. Other sets have a number of their own.
        data: Where the files of a published set are, if not in `$TOPOSHEET_DATA` or an installed `brainscore-language`.
        progress: Told how far the making of a synthetic set is. None: nobody is told.

    Returns:
        Columns `text`, `condition` and those of the set.

    Raises:
        UserError: there is no such set, its files or the table that it makes are not what they should be, or
            `per_condition` is under 3 or given for a set whose number of texts is fixed.
        NotFound: files or packages are missing; says where they were looked for.

    Example:
        ts.stimulus_set("swjn", ts.load("small").reader)
    """
    check_type("name", name, str, "the name of a set")
    entry, reader = SETS[name], reader or Reader()
    if per_condition is not None and per_condition < MIN_TEXTS:
        raise UserError(f"per_condition is {per_condition}: a contrast needs at least {MIN_TEXTS} texts of a condition")
    if per_condition is not None and (entry.make is None or not entry.sizable):
        raise UserError(
            f"per_condition is {per_condition}, but the number of texts of the set {name} is fixed: omit it"
        )
    if entry.make is None:
        return read_published(name, entry.files, entry.sha256, data)
    if progress is not None:
        reader = replace(reader, progress=progress)
    table = entry.make(reader, reader.seed if seed is None else seed, per_condition)
    _check_made(name, entry, table)
    table.attrs["source"] = f"the synthetic set {name}"
    reader.progress(f"the stimuli {name} are made", 1, 1)
    return table


def _check_made(name: str, entry: StimulusSet, table: object) -> None:
    """Refuse what the function of a set made, if it is not what the set declares.

    Raises:
        UserError: it is no table, lacks columns, or has other conditions; names them.
    """
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"the function of the set {name} returns {type(table).__name__}: it must return a DataFrame")
    wanted = ("text", "condition", *entry.columns, "synthetic")
    if missing := [column for column in wanted if column not in table]:
        raise UserError(
            f"the function of the set {name} makes no column {', '.join(missing)}; it makes: "
            f"{', '.join(map(str, table.columns)) or 'none'}. Add the column, or do not declare it"
        )
    made = set(table["condition"].astype(str))
    if made != set(entry.conditions):
        raise UserError(
            f"the function of the set {name} makes the conditions {', '.join(sorted(made)) or 'none'}; "
            f"the set declares {', '.join(entry.conditions)}"
        )
