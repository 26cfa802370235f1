"""Opening files. Compressed files are decompressed."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from toposheet.errors import first_line
from toposheet.text.documents import SourceError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


@contextmanager
def open_file(path: str) -> Generator[io.BufferedReader, None, None]:
    """Open a file for reading. Files that end in .gz or .zst are decompressed.

    Raises:
        SourceError: A compressed file is damaged or incomplete. This can also happen later, while the file is read. The
            message names the file.
    """
    compression = next((kind for ending, kind in COMPRESSIONS.items() if path.lower().endswith(ending)), None)
    try:
        with Path(path).open("rb") as file:  # pyarrow opens no path whose name is not UTF-8
            if compression is None:
                yield file
                return
            import pyarrow as pa

            with io.BufferedReader(pa.input_stream(file, compression=compression)) as stream:  # pyright: ignore
                yield stream
    except OSError as error:
        if error.filename is not None or error.errno is not None:  # the operating system refused to open the file
            raise
        raise SourceError(f"{path}: damaged or incomplete ({first_line(error)}): make or copy the file again") from None
