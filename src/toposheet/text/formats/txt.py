"""Plain text: a file is one document, or several documents that lines with `<|endoftext|>` separate."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain

from toposheet.text.documents import END_OF_TEXT, Format, Piece, SourceError
from toposheet.text.formats._opening import open_file
from toposheet.text.split import LONGEST


def _read(path: str, column: str) -> Iterator[Piece]:
    parts: list[str] = []
    length, begun = 0, False
    for line in chain(_lines(path), [END_OF_TEXT]):  # the end of the file ends its last document
        if line.strip() == END_OF_TEXT:
            text = "".join(parts).rstrip("\r\n")
            if begun or text.strip():
                yield Piece(text, ends=True)
            parts, length, begun = [], 0, False
            continue
        parts.append(line)
        length += len(line)
        if length >= LONGEST and (text := "".join(parts)).strip():
            piece = text.rstrip("\r\n")  # the line break at the end goes to the next piece, if there is one
            yield Piece(piece, ends=False)
            parts, length, begun = [text[len(piece) :]], 0, True


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a file. A line that is too long for memory is yielded in parts."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    number = 1
    with open_file(path) as stream:
        while True:
            part = stream.readline(LONGEST)
            try:
                line = decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                raise SourceError(f"{path}, line {number}: not UTF-8 ({error.reason})") from None
            if not part:
                return
            yield line
            number += part.endswith(b"\n")


FORMAT = Format(endings=(".txt", ".txt.gz", ".txt.zst"), read=_read)
