"""Tables and paragraphs for a terminal. Lines have at most 100 columns, also with long names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

COLUMNS = 100
_GAP = 2
_NARROWEST = 6  # smallest width of a column of texts


def text_table(columns: Mapping[str, Sequence[str]], texts: Collection[str]) -> str:
    """Return a table as lines of at most 100 terminal columns.

    Args:
        columns: The cells of each column: {name of the column: cells}.
        texts: Names of the columns with texts. Texts are aligned left, and are broken into lines if the table is too
            wide. The other columns have numbers, which are aligned right.
    """
    widths: dict[str, int] = {}
    for name, cells in columns.items():
        longest_word = max(map(_width, name.split()), default=0)
        head = _width(name) if name in texts else longest_word  # names above numbers are broken at spaces
        widths[name] = max([head, *map(_width, cells)])
    while sum(widths.values()) + _GAP * (len(widths) - 1) > COLUMNS:
        widest = max(texts, key=lambda name: widths[name])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    lines = []
    for row in rows:
        cells = [broken_text(cell, widths[name]) for name, cell in zip(columns, row, strict=True)]
        for n in range(max(map(len, cells))):
            parts = [cell[n] if n < len(cell) else "" for cell in cells]
            line = [_padded(part, widths[name], left=name in texts) for name, part in zip(columns, parts, strict=True)]
            lines.append((" " * _GAP).join(line).rstrip())
    return "\n".join(lines)


def paragraph(text: str, indent: str = "  ") -> str:
    """Return a text as lines of at most 100 terminal columns. All lines after the first one are indented."""
    first, *rest = broken_text(text, COLUMNS) or [""]
    if not rest:
        return first
    return "\n".join(
        [first, *(indent + line for line in broken_text(text[len(first) :].strip(), COLUMNS - len(indent)))]
    )


_PARTS = re.compile(r"\s+|(?:[^\s:/,-]|[,-](?=\d))*(?:[:/]|[,-](?!\d))|(?:[^\s:/,-]|[,-](?=\d))+")


def broken_text(text: str, width: int) -> list[str]:
    """Return the lines of a text, each at most `width` wide, broken at spaces and after `:/-,`; else within a word.

    Numbers such as -1.5 and 1,280 are not broken.
    """
    lines, line = [], ""
    for part in _PARTS.findall(text):
        if line and _width((line + part).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
            part = part.lstrip()
        while _width(part) > width:
            fits = next(n for n in range(len(part), 0, -1) if _width(part[:n]) <= width or n == 1)
            lines.append(part[:fits])
            part = part[fits:]
        line += part
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _width(text: str) -> int:
    """Return the width of a text in terminal columns. A Chinese or Japanese letter is two columns wide."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _padded(text: str, width: int, *, left: bool) -> str:
    spaces = " " * (width - _width(text))
    return text + spaces if left else spaces + text
