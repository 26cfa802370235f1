"""Opening files. Compressed files are decompressed."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from toposheet.errors import first_line
from toposheet.text.documents import SourceError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_FIRST_BYTES = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}


def not_utf8(error: UnicodeDecodeError) -> str:
    """Return the message for bytes of a file that are not UTF-8, with what to do.

    Args:
        error: The error of the decoder. The start of its bytes says whether the whole file is compressed.
    """
    for ending, first in _FIRST_BYTES.items():
        if error.object.startswith(first):
            return f"not UTF-8: the file is compressed. Add {ending} to its name"
    return f"not UTF-8 ({error.reason}): save the file as UTF-8, or leave it out"


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
