"""What is compared with what in a stimulus set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

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

    def masks(self, stimuli: pd.DataFrame) -> tuple[Bool[np.ndarray, " stimuli"], Bool[np.ndarray, " stimuli"]]:
        """Return which stimuli are in condition `a` and which in `b`.

        Args:
            stimuli: A table with the columns of this contrast.

        Raises:
            UserError: a column or condition is not there (lists those there are), or a condition has fewer than 3
                texts; names the file that the table was read from.
        """
        source = _name(stimuli)
        for column in (self.column, *(self.where or ())[:1]):
            if column not in stimuli:
                raise UserError(f"{source} has no column {column!r}; it has: {', '.join(map(str, stimuli.columns))}")
        if self.where is not None:
            names = list(dict.fromkeys(map(str, stimuli[self.where[0]].astype(str))))
            if self.where[1] not in names:
                raise UserError(f"{source} has no {self.where[0]} {self.where[1]!r}; there are: {', '.join(names)}")
        conditions, counted = stimuli[self.column].astype(str).to_numpy(), self._counted(stimuli)
        names = list(dict.fromkeys(map(str, conditions[counted].tolist())))
        masks = [counted & (conditions == name) for name in (self.a, self.b)]
        for name, mask in zip((self.a, self.b), masks, strict=True):
            if name not in names:
                raise UserError(f"{source} has no condition {name!r}; the conditions are: {', '.join(names)}")
            within = f" where {self.where[0]} is {self.where[1]!r}" if self.where else ""
            check_number(int(mask.sum()), f"{name!r}{within}", source)
        if self.a == self.b:
            raise UserError(f"the contrast compares {self.a!r} with itself")
        return masks[0], masks[1]

    def check(self, stimuli: pd.DataFrame) -> None:
        """Refuse stimuli that do not fit, before a model reads them.

        Raises:
            UserError: see `masks`; or a text is in both conditions (names its rows).
        """
        in_a, in_b = self.masks(stimuli)
        rows = stimuli.index + 2 if pd.api.types.is_integer_dtype(stimuli.index) else stimuli.index
        texts = stimuli["text"].astype(str).str.split().str.join(" ")
        row_of: dict[str, object] = {}
        for text, row in zip(texts[in_a], rows[in_a], strict=True):
            row_of.setdefault(text, row)
        for text, row in zip(texts[in_b], rows[in_b], strict=True):
            if text in row_of:
                raise UserError(
                    f"{_name(stimuli)}, rows {row_of[text]} and {row}: the text {text[:60]!r} is in both conditions, "
                    f"{self.a!r} and {self.b!r}: a text belongs to one"
                )

    def of(self, stimuli: pd.DataFrame) -> pd.DataFrame:
        """Return the stimuli that count, with this contrast's column as `condition`."""
        kept = stimuli[self._counted(stimuli)]
        return kept.assign(condition=kept[self.column].astype(str))

    def _counted(self, stimuli: pd.DataFrame) -> Bool[np.ndarray, " stimuli"]:
        if self.where is None:
            return np.ones(len(stimuli), dtype=bool)
        return stimuli[self.where[0]].astype(str).to_numpy() == self.where[1]


def check_number(n_texts: int, condition: str, source: str) -> None:
    """Refuse a condition with too few texts.

    Args:
        n_texts: How many it has.
        condition: What it is called, quoted.
        source: The stimuli, in words.

    Raises:
        UserError: it has fewer than 3.
    """
    if n_texts < MIN_TEXTS:
        texts = "1 text" if n_texts == 1 else f"{n_texts} texts"
        raise UserError(f"{source} has {texts} of the condition {condition}: a contrast needs at least {MIN_TEXTS}")


def _name(stimuli: pd.DataFrame) -> str:
    """Return the file of stimuli, for messages."""
    return stimuli.attrs.get("source", "the stimulus set")


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
