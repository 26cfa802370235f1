"""What is compared with what in a stimulus set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from toposheet.errors import UserError

MIN_TEXTS = 3  # of a condition, so that it has a variance worth the name


@dataclass(frozen=True)
class Contrast:
    """Texts of one kind against those of another.

    Args:
        a: Value of the column whose texts should get the larger response for t to be positive.
        b: Value it is compared with.
        column: Of the stimulus table, `condition` unless another is named.
        where: A column and the value that the texts compared must have there, e.g. `("category", "concrete")`.
    """

    a: str
    b: str
    column: str = "condition"
    where: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """What tables call it: `noun:verb`, or `concrete noun:verb` within a category."""
        return f"{self.where[1]} {self.a}:{self.b}" if self.where else f"{self.a}:{self.b}"

    def check(self, stimuli: pd.DataFrame) -> None:
        """Refuse stimuli that do not fit.

        Raises:
            UserError: a column or condition is not there (lists those there are), a condition has fewer than 3
                texts, or a text is in both; names the file, and rows, where the table was read from one.
        """
        source = stimuli.attrs.get("source", "the stimuli")
        for column in (self.column, *(self.where or ())[:1]):
            if column not in stimuli:
                raise UserError(f"{source} has no column {column!r}; it has: {', '.join(map(str, stimuli.columns))}")
        if self.where is not None:
            there = list(dict.fromkeys(stimuli[self.where[0]].astype(str)))
            if self.where[1] not in there:
                raise UserError(f"{source} has no {self.where[0]} {self.where[1]!r}; there are: {', '.join(there)}")
        kept = self.of(stimuli)
        there = list(dict.fromkeys(kept["condition"].astype(str)))
        for name in (self.a, self.b):
            if name not in there:
                raise UserError(f"{source} has no condition {name!r}; the conditions are: {', '.join(there)}")
            if (n := int((kept["condition"] == name).sum())) < MIN_TEXTS:
                raise UserError(
                    f"{source} has {n} texts of the condition {name!r}{self._within()}: a contrast needs at least "
                    f"{MIN_TEXTS}"
                )
        if self.a == self.b:
            raise UserError(f"the contrast compares {self.a!r} with itself")
        rows: dict[str, dict[str, object]] = {name: {} for name in (self.a, self.b)}
        of_file = kept.index + 2 if pd.api.types.is_integer_dtype(kept.index) else kept.index
        for row, text, condition in zip(of_file.tolist(), kept["text"], kept["condition"], strict=True):
            rows.get(condition, {}).setdefault(" ".join(str(text).split()), row)
        for text in rows[self.b]:
            if text in rows[self.a]:
                raise UserError(
                    f"{source}, rows {rows[self.a][text]} and {rows[self.b][text]}: the text {text[:60]!r} is in both "
                    f"conditions, {self.a!r} and {self.b!r}: a text belongs to one"
                )

    def of(self, stimuli: pd.DataFrame) -> pd.DataFrame:
        """Return the stimuli that count, with this contrast's column as `condition`."""
        kept = stimuli if self.where is None else stimuli[stimuli[self.where[0]].astype(str) == self.where[1]]
        return kept.assign(condition=kept[self.column].astype(str))

    def _within(self) -> str:
        return f" where {self.where[0]} is {self.where[1]!r}" if self.where else ""


NOUNS_AND_VERBS = (
    Contrast("noun", "verb"),
    Contrast("noun", "verb", where=("category", "concrete")),
    Contrast("noun", "verb", where=("category", "abstract")),
    Contrast("concrete", "abstract", column="category"),
)
"""The design of Moseley & Pulvermüller 2014: two classes of words, each concrete and abstract."""


def factors_of(contrasts: Sequence[Contrast]) -> list[str]:
    """Return the columns that contrasts compare or choose by, `condition` where there is none."""
    columns = [column for c in contrasts for column in (*(c.where or ())[:1], c.column)]
    return list(dict.fromkeys(columns)) or ["condition"]


def parse_contrast(contrast: str, conditions: Sequence[str], where: tuple[str, str] | None = None) -> Contrast:
    """Return the contrast `A:B`, or `A-B`, where exactly one split names two conditions; colons go before hyphens.

    Args:
        contrast: What the user wrote.
        conditions: Those there are.
        where: See `Contrast`.

    Raises:
        UserError: it names no two conditions that there are (the message lists them), or can be read in several ways.
    """
    for sign, other in (":-", "-:"):
        splits = [(contrast[:i], contrast[i + 1 :]) for i, written in enumerate(contrast) if written == sign]
        fitting = [(a, b) for a, b in splits if a in conditions and b in conditions and a != b]
        if len(fitting) == 1:
            return Contrast(*fitting[0], where=where)
        if fitting:
            ways = ", ".join(f"{a!r} against {b!r}" for a, b in fitting)
            raise UserError(
                f"the contrast {contrast!r} can be read in {len(fitting)} ways ({ways}): write it as A{other}B"
            )
    raise UserError(
        f"the contrast {contrast!r} does not name two different conditions as A-B or A:B; the conditions are: "
        f"{', '.join(conditions)}"
    )
