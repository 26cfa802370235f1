"""The terminal: printing works in every encoding, and a pipe whose reader has ended is no error."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from pathlib import Path

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
    """Change stdout and stderr so that printing never fails.

    Characters that the encoding of the terminal lacks are replaced: the plus-minus sign by `+-`, unknown characters by
    `?`. If the reader of a pipe has ended (`toposheet stimuli list | head -1`), the remaining output is dropped, and
    the command continues.
    """
    codecs.register_error("toposheet", _plain)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it, as in `2>&-`
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for name, first in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream is first and not stream.isatty():
            setattr(sys, name, stream := _safe_pipe(stream))
        stream.reconfigure(errors="toposheet")


def drop_output() -> None:
    """Drop the output of streams that cannot be written, so that Python does not fail again when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of characters that an encoding lacks, and the position of the next character."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(map(_plain_sign, signs)), error.end


def _plain_sign(sign: str) -> str:
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return _PLAIN.get(sign) or letters or "?"


class _Pipe(io.FileIO):
    """Stdout of a pipe. When the reader has ended, further output is dropped."""

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # pyright: ignore[reportArgumentType]
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(content).nbytes  # pyright: ignore[reportArgumentType]


def _safe_pipe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream with the same target that raises no error when the reader of the pipe has ended."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
