"""What is compared with what in a stimulus set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from toposheet.errors import UserError, did_you_mean
from toposheet.stimuli.labels import check_capitals, plain_label

_TRUTH = ("true", "false", "na", "nan", "none", "null")
MIN_TEXTS = 3  # of a condition, so that it has a variance worth the name


@dataclass(frozen=True)
class Contrast:
    """Texts of one kind against those of another.

    Labels are compared as people read them (`plain_label`): spaces around a label and signs without width do not count,
    and a number or a truth value is what it looks like in print.

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

    def __post_init__(self) -> None:
        for name in ("a", "b", "column"):
            object.__setattr__(self, name, plain_label(getattr(self, name)))
        if self.where is not None:
            column, value = self.where
            object.__setattr__(self, "where", (plain_label(column), plain_label(value)))

    @property
    def name(self) -> str:
        """What tables call it: `noun:verb`, or with what it compares within.

        `concrete noun:verb` within a category; with the column where the value alone says nothing: `run 1 noun:verb`.
        """
        if self.where is None:
            return f"{self.a}:{self.b}"
        column, value = self.where
        says_what = any(sign.isalpha() for sign in value) and value.casefold() not in _TRUTH
        return f"{value if says_what else f'{column} {value}'} {self.a}:{self.b}"

    def masks(self, stimuli: pd.DataFrame) -> tuple[Bool[np.ndarray, " stimuli"], Bool[np.ndarray, " stimuli"]]:
        """Return which stimuli are in condition `a` and which in `b`.

        Args:
            stimuli: A table with the columns of this contrast.

        Raises:
            UserError: a column or condition is not there (lists those there are), two labels differ only in capitals,
                or a condition has fewer than 3 texts; names the file that the table was read from.
        """
        source = _name(stimuli)
        for column in (self.column, *(self.where or ())[:1]):
            if column not in stimuli:
                guess = did_you_mean(column, map(str, stimuli.columns))
                raise UserError(
                    f"{source} has no column {column!r}; it has: {', '.join(map(str, stimuli.columns))}.{guess}"
                )
        if self.where is not None:
            column, value = self.where
            values = list(dict.fromkeys(_labels(stimuli, column).tolist()))
            if value not in values:
                guess = did_you_mean(value, values)
                raise UserError(f"{source} has no {column} {value!r}; there are: {', '.join(values)}.{guess}")
            check_capitals(values, column, source, [value])
        labels, counted = _labels(stimuli, self.column), self._counted(stimuli)
        names = list(dict.fromkeys(labels[counted].tolist()))
        check_capitals(names, self.column, source, [self.a, self.b])
        masks = [counted & (labels == name) for name in (self.a, self.b)]
        for name, mask in zip((self.a, self.b), masks, strict=True):
            if name not in names:
                guess = did_you_mean(name, names)
                raise UserError(f"{source} has no condition {name!r}; the conditions are: {', '.join(names)}.{guess}")
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
        return kept.assign(condition=_labels(kept, self.column))

    def _counted(self, stimuli: pd.DataFrame) -> Bool[np.ndarray, " stimuli"]:
        if self.where is None:
            return np.ones(len(stimuli), dtype=bool)
        return _labels(stimuli, self.where[0]) == self.where[1]


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


def _labels(stimuli: pd.DataFrame, column: str) -> np.ndarray:
    """Return the labels of a column as people read them."""
    return np.array([plain_label(value) for value in stimuli[column].astype(str).tolist()], dtype=object)


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
        contrast: What the user wrote; spaces around the conditions do not count.
        conditions: Those there are.
        where: See `Contrast`.

    Raises:
        UserError: it names no two conditions that there are (the message lists them), or can be read in several ways.
    """
    for sign, other in (":-", "-:"):
        fitting = [(a, b) for a, b in _splits(contrast, sign) if a in conditions and b in conditions and a != b]
        if len(fitting) == 1:
            return Contrast(*fitting[0], where=where)
        if fitting:
            ways = ", ".join(f"{a!r} against {b!r}" for a, b in fitting)
            raise UserError(
                f"the contrast {contrast!r} can be read in {len(fitting)} ways ({ways}): write it as A{other}B"
            )
    raise UserError(f"the contrast {contrast!r} {_fault(contrast, conditions)}")


def _splits(contrast: str, sign: str) -> list[tuple[str, str]]:
    """Return the two halves at each place where a sign stands."""
    places = [place for place, written in enumerate(contrast) if written == sign]
    return [(plain_label(contrast[:place]), plain_label(contrast[place + 1 :])) for place in places]


def _fault(contrast: str, conditions: Sequence[str]) -> str:
    """Return why a contrast names no two conditions: which half is unknown, and what is near it."""
    the_conditions = f"; the conditions are: {', '.join(conditions)}"
    splits = [*_splits(contrast, ":"), *_splits(contrast, "-")]
    if not any(a and b for a, b in splits):
        return f"does not name two conditions: write it as A-B or A:B{the_conditions}"
    a, b = max(splits, key=lambda halves: sum(half in conditions for half in halves))
    if a == b and a in conditions:
        return f"compares {a!r} with itself: name two different conditions{the_conditions}"
    unknown = [half for half in (a, b) if half not in conditions]
    guesses = " ".join(did_you_mean(half, conditions) for half in unknown)
    return f"names {' and '.join(map(repr, unknown))}, which is no condition{the_conditions}.{guesses}"
