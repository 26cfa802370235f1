"""Contrasts: which texts of a stimulus set are compared with which other texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from toposheet.errors import UserError, did_you_mean, listed
from toposheet.stimuli.labels import check_capitals, plain_label
from toposheet.stimuli.naming import check_column, labels, row_name, source_name

_TRUTH = ("true", "false", "na", "nan", "none", "null")
MIN_TEXTS = 3  # in each condition; with fewer texts the variance cannot be estimated usefully


@dataclass(frozen=True)
class Contrast:
    """A comparison of the texts of condition A with the texts of condition B.

    Before labels are compared, spaces around them and invisible characters are removed (`plain_label`). Numbers and
    truth values are compared as they are printed: 1 equals "1", and True equals "True".

    Args:
        a: The label of condition A. A positive t means that the response to A is larger than the response to B.
        b: The label of condition B.
        column: The column of the stimulus table that holds the labels.
        where: A column and a value. Only texts with this value in this column are compared, e.g.
            `("category", "concrete")`. None: all texts.
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
        """The name of the contrast in tables, such as `noun:verb`.

        If `where` is given, its value stands before the labels: `concrete noun:verb`. If this value is a number or a
        truth value, the name of the column is added: `run 1 noun:verb`.
        """
        if self.where is None:
            return f"{self.a}:{self.b}"
        column, value = self.where
        says_what = any(sign.isalpha() for sign in value) and value.casefold() not in _TRUTH
        return f"{value if says_what else f'{column} {value}'} {self.a}:{self.b}"

    def masks(self, stimuli: pd.DataFrame) -> tuple[Bool[np.ndarray, " stimuli"], Bool[np.ndarray, " stimuli"]]:
        """Return two masks of the stimuli: True where a text is in condition A, and True where a text is in B.

        Args:
            stimuli: A table with the columns of this contrast.

        Raises:
            UserError: The table lacks a column or a condition (the message lists the existing ones), two labels differ
                only in capital letters, or a condition has fewer than 3 texts. The message names the file of the table.
        """
        source = source_name(stimuli)
        check_column(stimuli, self.column)
        conditions, counted = labels(stimuli, self.column), rows_where(stimuli, self.where)
        names = list(dict.fromkeys(conditions[counted].tolist()))
        check_capitals(names, self.column, source, [self.a, self.b])
        masks = [counted & (conditions == name) for name in (self.a, self.b)]
        for name, mask in zip((self.a, self.b), masks, strict=True):
            if name not in names:
                guess = did_you_mean(name, names)
                raise UserError(f"{source} has no condition {name!r}; the conditions are: {listed(names)}.{guess}")
            within = f" where {self.where[0]} is {self.where[1]!r}" if self.where else ""
            check_number(int(mask.sum()), f"{name!r}{within}", source)
        if self.a == self.b:
            raise UserError(f"the contrast compares {self.a!r} with itself")
        return masks[0], masks[1]

    def check(self, stimuli: pd.DataFrame) -> None:
        """Refuse stimuli that do not fit this contrast. No model is needed for this check.

        Raises:
            UserError: `masks` refuses the stimuli, or a text is in both conditions (the message names its rows).
        """
        in_a, in_b = self.masks(stimuli)
        compared = stimuli[in_a | in_b]
        conditions = np.where(in_a, self.a, self.b)[in_a | in_b].tolist()
        for text, positions in texts_in_conditions(compared, conditions).items():
            rows = " and ".join(row_name(compared, positions[condition]) for condition in (self.a, self.b))
            raise UserError(
                f"{source_name(stimuli)}, {rows}: the text {text[:60]!r} is in both conditions, "
                f"{self.a!r} and {self.b!r}: remove it from one of them"
            )

    def of(self, stimuli: pd.DataFrame) -> pd.DataFrame:
        """Return the stimuli that `where` keeps, with the labels of this contrast in the column `condition`."""
        kept = stimuli[rows_where(stimuli, self.where)]
        return kept.assign(condition=labels(kept, self.column))

    def compared(self, stimuli: pd.DataFrame) -> pd.DataFrame:
        """Return the stimuli of the two conditions of this contrast, with its labels in the column `condition`."""
        kept = self.of(stimuli)
        return kept[kept["condition"].isin([self.a, self.b])]


def rows_where(stimuli: pd.DataFrame, where: tuple[str, str] | None) -> Bool[np.ndarray, " stimuli"]:
    """Return a mask of the stimuli: True where a column has a value.

    Args:
        stimuli: The stimuli.
        where: The column and the value. None: all stimuli.

    Raises:
        UserError: There is no such column or value, or a value differs only in capital letters.
    """
    if where is None:
        return np.ones(len(stimuli), dtype=bool)
    column, value = where
    cells = labels(stimuli, column)
    values = list(dict.fromkeys(cells.tolist()))
    if value not in values:
        guess = did_you_mean(value, values)
        raise UserError(f"{source_name(stimuli)} has no {column} {value!r}; the values are: {listed(values)}.{guess}")
    check_capitals(values, column, source_name(stimuli), [value])
    return cells == value


def texts_in_conditions(stimuli: pd.DataFrame, conditions: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return each text that is in more than one condition: {text: {condition: position of its first stimulus}}.

    A contrast between two of these conditions is refused.

    Args:
        stimuli: A table with the column `text`.
        conditions: The condition of each stimulus.
    """
    first: dict[str, dict[str, int]] = {}
    for position, (text, condition) in enumerate(zip(texts_spaced_once(stimuli), conditions, strict=True)):
        first.setdefault(text, {}).setdefault(condition, position)
    return {text: positions for text, positions in first.items() if len(positions) > 1}


def texts_spaced_once(stimuli: pd.DataFrame) -> list[str]:
    """Return the texts without spaces around them, and with one space between words. Equal results are equal texts."""
    check_column(stimuli, "text")
    return [" ".join(str(text).split()) for text in stimuli["text"].tolist()]


def check_number(n_texts: int, condition: str, source: str) -> None:
    """Refuse a condition with too few texts.

    Args:
        n_texts: Number of texts in the condition.
        condition: Quoted name of the condition, for the message.
        source: Name of the stimuli, for the message.

    Raises:
        UserError: The condition has fewer than 3 texts.
    """
    if n_texts < MIN_TEXTS:
        texts = "1 text" if n_texts == 1 else f"{n_texts} texts"
        raise UserError(
            f"{source} has {texts} of the condition {condition}: a contrast needs at least {MIN_TEXTS}, so add texts"
        )


NOUNS_AND_VERBS = (
    Contrast("noun", "verb"),
    Contrast("noun", "verb", where=("category", "concrete")),
    Contrast("noun", "verb", where=("category", "abstract")),
    Contrast("concrete", "abstract", column="category"),
)
"""The contrasts of the design of Moseley & Pulvermüller 2014: nouns and verbs, each concrete or abstract."""


def factors_of(contrasts: Sequence[Contrast]) -> list[str]:
    """Return the columns that the contrasts use, each once. Without contrasts, return `condition`."""
    columns = [column for c in contrasts for column in (*(c.where or ())[:1], c.column)]
    return list(dict.fromkeys(columns)) or ["condition"]


def parse_contrast(contrast: str, conditions: Sequence[str], where: tuple[str, str] | None = None) -> Contrast:
    """Return the contrast that a user wrote as `A:B` or `A-B`.

    The names of conditions may themselves contain colons and hyphens. The text is split at each colon. If exactly one
    split gives two existing conditions, this split is used. If no split does, the same is tried with hyphens.

    Args:
        contrast: The text that the user wrote. Spaces around the conditions are ignored.
        conditions: The existing conditions.
        where: See `Contrast`.

    Raises:
        UserError: The text does not name two existing conditions (the message lists the conditions), or it can be read
            in more than one way.
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
    """Return the two halves of a text for each position of a sign (`:` or `-`) in it."""
    contrast = plain_label(contrast)
    places = [place for place, written in enumerate(contrast) if written == sign]
    return [(plain_label(contrast[:place]), plain_label(contrast[place + 1 :])) for place in places]


def _fault(contrast: str, conditions: Sequence[str]) -> str:
    """Return why a text does not name two conditions, and suggest conditions with a similar spelling."""
    the_conditions = f"; the conditions are: {listed(conditions)}"
    splits = [*_splits(contrast, ":"), *_splits(contrast, "-")]
    if not any(a and b for a, b in splits):
        return f"does not name two conditions: write it as A-B or A:B{the_conditions}"
    a, b = max(splits, key=lambda halves: sum(half in conditions for half in halves))
    if a == b and a in conditions:
        return f"compares {a!r} with itself: name two different conditions{the_conditions}"
    unknown = [half for half in (a, b) if half not in conditions]
    guesses = " ".join(did_you_mean(half, conditions) for half in unknown)
    are_no_conditions = "which is not a condition" if len(unknown) == 1 else "which are not conditions"
    return f"names {' and '.join(map(repr, unknown))}, {are_no_conditions}{the_conditions}.{guesses}"
