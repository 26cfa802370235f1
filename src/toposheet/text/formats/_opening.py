"""Opening files, compressed or not."""

from __future__ import annotations

import io


def open_file(path: str) -> io.BufferedReader:
    """Open a file for reading; .gz and .zst are decompressed on the way."""
    import pyarrow as pa

    return io.BufferedReader(pa.input_stream(path, compression="detect"))  # pyright: ignore
