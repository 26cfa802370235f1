"""The stimulus sets. Published sets are read from files that the user has. Synthetic sets are made from packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from toposheet.errors import UserError, check_type
from toposheet.progress import Progress
from toposheet.registry import Registry
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.naming import name_made
from toposheet.stimuli.published import read_published
from toposheet.stimuli.reader import Reader

PUBLISHED, SYNTHETIC = "published", "synthetic"

Make = Callable[[Reader, int, int | None], pd.DataFrame]
"""A function that makes the table of a set from a reader, a seed and the number of texts in each condition.

If the number is None, the function uses the default number of the set.
"""


@dataclass(frozen=True)
class StimulusSet:
    """The description of a stimulus set. A published set names its files, and a synthetic set has a function.

    Args:
        description: The content of the set, in one phrase.
        source: The publication of the set, or the material from which it is made.
        licence: The licence of the set.
        conditions: The names of its conditions.
        contrasts: The contrasts for which the set was made.
        columns: The columns of its table besides `text`, `condition` and `synthetic`.
        files: Only for a published set: its files, as paths relative to the folder of the stimuli.
        sha256: Only for a published set: the SHA-256 of the contents of these files, joined in this order.
        make: Only for a synthetic set: a function that makes its table from packages and a seed. The table must have
            the columns `text`, `condition`, those in `columns`, and `synthetic` (always True).
        sizable: Only for a synthetic set: whether the user may choose the number of texts in each condition.

    Raises:
        UserError: The set has both files and a function, or neither, or it has files without their SHA-256.
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
            raise UserError(
                "a stimulus set needs either files and their sha256, or a function `make`: give one of the two"
            )

    @property
    def kind(self) -> str:
        """`published` (read from files) or `synthetic` (made from packages; equal seeds give equal sets)."""
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
        name: The name of a set. `toposheet stimuli list` prints all names.
        reader: The facts about the model for which a synthetic set is made (`subject.reader`). None: the held-out text
            of the demo model is used, and the number of tokens is ignored.
        seed: Seed of all random choices in a synthetic set. None: the seed of the reader.
        per_condition: Number of texts in each condition, at least 3. Only the sets `language` and `swjn` and registered
            sets that allow it can have another number. None: 100 for `language` and `swjn`; if the held-out text is too
            short, `swjn` has fewer texts, but at least 20.
        data: The folder with the files of a published set. None: `$TOPOSHEET_DATA`, or the folder of an installed
            `brainscore-language`.
        progress: A function that is called while a synthetic set is made. None: no calls.

    Returns:
        A table with the columns `text` and `condition` and the further columns of the set.

    Raises:
        UserError: No set has this name. Or a file differs from the published file. Or the function of a registered set
            made a wrong table. Or `per_condition` is below 3, or the set has a fixed number of texts.
        NotFound: A file or a package is missing. The message says where it was searched for, or how to install it.

    Example:
        ts.stimulus_set("swjn", ts.load("small").reader)
    """
    check_type("name", name, str, "the name of a set")
    entry, reader = SETS[name], reader or Reader()
    if per_condition is not None and per_condition < MIN_TEXTS:
        raise UserError(
            f"per_condition is {per_condition}: a contrast needs at least {MIN_TEXTS} texts in each condition"
        )
    if per_condition is not None and (entry.make is None or not entry.sizable):
        raise UserError(
            f"per_condition is {per_condition}, but the set {name} has a fixed number of texts: omit per_condition"
        )
    if entry.make is None:
        return read_published(name, entry.files, entry.sha256, data)
    if progress is not None:
        reader = replace(reader, progress=progress)
    table = entry.make(reader, reader.seed if seed is None else seed, per_condition)
    _check_made(name, entry, table)
    table.attrs["source"] = name_made(name)
    reader.progress(f"the stimuli {name} are made", 1, 1)
    return table


def _check_made(name: str, entry: StimulusSet, table: object) -> None:
    """Refuse the table that the function of a set made, if the table differs from the declaration of the set.

    Raises:
        UserError: The function returned no table, or the table lacks a column, or it has other conditions. The message
            names the difference.
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
            f"the set declares {', '.join(entry.conditions)}. Make both equal"
        )
