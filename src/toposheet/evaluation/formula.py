"""The predictions of SyntaxGym: comparisons of sums of surprisals, `((6;%a%) + (7;%a%)) < (6;%b%) & ...`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toposheet.errors import UserError

Region = tuple[str, int]  # the condition, and the number of the region, from 1
_Value = Callable[[Mapping[Region, Any]], Any]
_TOKEN = re.compile(r"\s*(?:\(\s*(\d+|\*)\s*;\s*%\s*([\w-]+)\s*%\s*\)|(\d+(?:\.\d*)?)|([-+<>=&|()]))")


def _alike(one: Any, other: Any) -> Any:
    """Return whether two surprisals are equal, as precisely as SyntaxGym asks."""
    return np.isclose(one, other, rtol=1e-5, atol=1e-3)


_LEVELS: tuple[dict[str, Callable[[Any, Any], Any]], ...] = (
    {"&": np.logical_and, "|": np.logical_or},
    {"<": operator.lt, ">": operator.gt, "=": _alike},
    {"+": operator.add, "-": operator.sub},
)
"""The operators, from those that bind least. Operators of one level are applied from left to right."""


@dataclass(frozen=True, eq=False)
class Formula:
    """A prediction about the surprisals of regions in conditions.

    Args:
        text: The formula as it is written.
        regions: The regions that it names. A region with the number 0 stands for all regions of its condition (`*`).
        holds: A function of the surprisal of each region, {(condition, number): surprisal}. It returns whether the
            prediction holds. If the surprisals are arrays, it returns an array.
    """

    text: str
    regions: frozenset[Region]
    holds: _Value


def parsed(text: str) -> Formula:
    """Return the formula that a text writes.

    Raises:
        UserError: The text is no formula. The message shows where.
    """
    tokens, position = [], 0
    while text[position:].strip():
        if not (match := _TOKEN.match(text, position)):
            raise _error(text, text[position:].strip())
        tokens.append(match)
        position = match.end()
    reader = _Reader(text, tokens)
    value = reader.level(0)
    if reader.tokens or not reader.compares:
        raise _error(text, reader.tokens[0][0].strip() if reader.tokens else "")
    return Formula(text, frozenset(reader.regions), value)


class _Reader:
    """Reads the tokens of a formula from left to right: each method takes what it reads from the list."""

    def __init__(self, text: str, tokens: list[re.Match[str]]) -> None:
        self.text, self.tokens = text, tokens
        self.regions: set[Region] = set()
        self.compares = False

    def level(self, number: int) -> _Value:
        """Read operands of the next level that are joined by operators of a level."""
        if number == len(_LEVELS):
            return self.operand()
        value = self.level(number + 1)
        while self.tokens and (sign := self.tokens[0][4]) in _LEVELS[number]:
            self.tokens.pop(0)
            self.compares |= number == 1
            value = _joined(_LEVELS[number][sign], value, self.level(number + 1))
        return value

    def operand(self) -> _Value:
        """Read a region, a number, or a formula in parentheses."""
        if not self.tokens:
            raise _error(self.text, "")
        region, condition, number, sign = self.tokens.pop(0).groups()
        if region is not None:
            key = (condition, 0 if region == "*" else int(region))
            self.regions.add(key)
            return lambda surprisals: _surprisal(surprisals, key)
        if number is not None:
            return lambda _surprisals: float(number)
        if sign == "-":
            value = self.operand()
            return lambda surprisals: -value(surprisals)
        if sign == "(":
            value = self.level(0)
            if self.tokens and self.tokens.pop(0)[4] == ")":
                return value
        raise _error(self.text, sign)


def _joined(function: Callable[[Any, Any], Any], one: _Value, other: _Value) -> _Value:
    return lambda surprisals: function(one(surprisals), other(surprisals))


def _surprisal(surprisals: Mapping[Region, Any], key: Region) -> Any:
    condition, number = key
    if number:
        return surprisals[key]
    return sum(value for (named, _), value in surprisals.items() if named == condition)


def _error(text: str, at: str) -> UserError:
    where = f"at {at[:20]!r}" if at else "at its end"
    return UserError(f"the formula {text!r} cannot be read {where}: write comparisons of sums, (6;%a%) + (7;%a%) < 3")
