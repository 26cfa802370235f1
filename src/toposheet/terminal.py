"""The terminal: whatever is printed can be printed, in any encoding, and whether or not anybody reads it."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

_PLAIN = {
    "±": "+-",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "✓": "+",
    "✗": "x",
    "×": "x",
    "“": '"',
    "”": '"',
    "’": "'",
}


def make_printable() -> None:
    """Let stdout and stderr write what their encoding has no signs for: `+-` for a plus-minus sign, `?` for others.

    Where nobody reads a pipe any more (`toposheet stimuli list | head -1`), the rest is dropped and the work goes on.
    """
    codecs.register_error("toposheet", _plain)
    for name, first in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream is first and not stream.isatty():
            setattr(sys, name, stream := _unread(stream))
        stream.reconfigure(errors="toposheet")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what is written in place of signs that an encoding lacks, and where the writing goes on."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(map(_plain_sign, signs)), error.end


def _plain_sign(sign: str) -> str:
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return _PLAIN.get(sign) or letters or "?"


class _Pipe(io.FileIO):
    """Stdout, which becomes nothing once its reader has gone."""

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # pyright: ignore[reportArgumentType]
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(content).nbytes  # pyright: ignore[reportArgumentType]


def _unread(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream to the same place that does not mind if nobody reads it."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
