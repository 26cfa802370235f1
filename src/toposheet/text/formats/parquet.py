"""Parquet tables, on this machine or on the hub. FineWeb-Edu has this format."""

from __future__ import annotations

from collections.abc import Iterator

from toposheet.errors import RunError, first_line
from toposheet.text.documents import Format, Piece, SourceError
from toposheet.text.formats._records import document, no_column


def _read(path: str, column: str) -> Iterator[Piece]:
    import fsspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with fsspec.open(path, "rb") as stream, pq.ParquetFile(stream, buffer_size=2**20) as table:
            if column not in table.schema_arrow.names:
                raise no_column(path, column, ", ".join(table.schema_arrow.names))
            for batch in table.iter_batches(batch_size=256, columns=[column]):
                for value in batch.column(0):
                    number += 1
                    yield document(value.as_py(), f"{path}, row {number}", column)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}, row {number}: not UTF-8 ({error.reason}): write the file again") from None
    except Exception as error:
        # The operating system refused to open the file.
        if isinstance(error, SourceError) or getattr(error, "errno", None) is not None:
            raise
        if "://" in path and not isinstance(error, pa.ArrowInvalid):  # an error of the network
            raise RunError(f"{path}: {first_line(error)}") from None
        if isinstance(error, pa.ArrowException | OSError):
            after = f" after row {number}" if number else ""
            raise SourceError(
                f"{path}: not a Parquet file, or damaged{after} ({first_line(error)}): copy the file "
                "again, or leave it out"
            ) from None
        raise


FORMAT = Format(endings=(".parquet",), read=_read)
