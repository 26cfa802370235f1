"""JSON lines: one JSON record in each line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from toposheet.text.documents import Format, Piece, SourceError
from toposheet.text.formats._opening import not_utf8, open_file
from toposheet.text.formats._records import document, no_column


def _read(path: str, column: str) -> Iterator[Piece]:
    with open_file(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            where = f"{path}, line {number}"
            try:
                record = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise SourceError(f"{where}: {not_utf8(error)}") from None
            except json.JSONDecodeError as error:
                raise SourceError(
                    f"{where}: not a JSON record ({error}): write one JSON object in each line, or leave the file out"
                ) from None
            if not isinstance(record, dict):
                kind = type(record).__name__
                raise SourceError(f"{where}: {kind}, not a JSON object: write one object with the text in each line")
            if column not in record:
                raise no_column(where, column, ", ".join(record))
            yield document(record[column], where, column)


FORMAT = Format(endings=(".jsonl", ".jsonl.gz", ".jsonl.zst"), read=_read)
