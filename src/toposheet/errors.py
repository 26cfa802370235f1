"""The errors that are not a fault of toposheet. The command line prints them in one line, without a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """Something that the user can mend (exit code 2). The message says what it got, what it wanted, and what to do."""


class NotFound(UserError, FileNotFoundError):
    """A file, folder, model or package is missing (exit code 2)."""


class RunError(RuntimeError):
    """The machine or the run failed: the disk is full, the training diverged (exit code 1)."""


def first_line(error: Exception) -> str:
    """Return what an error of a client says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
