"""Opening files, compressed or not."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager

from toposheet.errors import first_line
from toposheet.text.documents import SourceError

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


@contextmanager
def open_file(path: str) -> Generator[io.BufferedReader, None, None]:
    """Open a file for reading; .gz and .zst are decompressed on the way.

    Raises:
        SourceError: while it is read, a compressed file turns out to be damaged or cut off; the message names it.
    """
    import pyarrow as pa

    compression = next((kind for ending, kind in _COMPRESSIONS.items() if path.lower().endswith(ending)), None)
    try:
        with io.BufferedReader(pa.input_stream(path, compression=compression)) as stream:  # pyright: ignore
            yield stream
    except OSError as error:
        if error.filename is not None or error.errno is not None:  # the system refuses the file
            raise
        raise SourceError(f"{path}: damaged or cut off ({first_line(error)}): make or copy the file again") from None
