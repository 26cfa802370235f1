"""Plain text: a file is one document, or several documents that lines with `<|endoftext|>` separate."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain

from toposheet.text.documents import END_OF_TEXT, Format, Piece, SourceError
from toposheet.text.formats._opening import not_utf8, open_file
from toposheet.text.split import LONGEST


def _read(path: str, column: str) -> Iterator[Piece]:
    parts: list[str] = []
    length, begun, empty = 0, False, True
    for line in chain(_lines(path), [END_OF_TEXT]):  # the end of the file ends its last document
        if line.strip() == END_OF_TEXT:
            text = "".join(parts).rstrip("\r\n")
            if begun or text.strip():
                empty = False
                yield Piece(text, ends=True)
            parts, length, begun = [], 0, False
            continue
        parts.append(line)
        length += len(line)
        if length >= LONGEST and (text := "".join(parts)).strip():
            piece = text.rstrip("\r\n")  # the line break at the end goes to the next piece, if there is one
            yield Piece(piece, ends=False)
            parts, length, begun = [text[len(piece) :]], 0, True
    if empty:
        yield Piece("", ends=True)  # so that the file is counted among those without text


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a file. A line that is too long for memory is yielded in parts.

    A line ends with a newline, a carriage return, or both.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    number, rest = 1, ""
    with open_file(path) as stream:
        while True:
            part = stream.readline(LONGEST)  # many lines, if they end with carriage returns
            try:
                decoded = decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                number += len(re.findall(rb"\r\n?|\n", error.object[: error.start]))
                raise SourceError(f"{path}, line {number}: {not_utf8(error)}") from None
            number += len(re.findall(r"\r\n?|\n", decoded))
            *lines, rest = re.split(r"(?<=\r)(?=[^\n])", rest + decoded)
            yield from lines
            too_long = len(rest) >= LONGEST and not rest.endswith("\r")  # a newline may follow
            if not part or rest.endswith("\n") or too_long:
                yield rest
                rest = ""
            if not part:
                return


FORMAT = Format(endings=(".txt", ".txt.gz", ".txt.zst"), read=_read)
