"""The errors that are not a fault of toposheet. The command line prints them in one line, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user can mend (exit code 2). The message says what it got, what it wanted, and what to do."""


class NotFound(UserError, FileNotFoundError):
    """A file, folder, model or package is missing (exit code 2)."""


class RunError(RuntimeError):
    """The machine or the run failed: the disk is full, the training diverged (exit code 1)."""


def check_type(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse a value of another type than a function takes, where the user gives it.

    Args:
        name: What the function calls it.
        value: What was given.
        kind: What the function takes.
        wanted: What it must be and where it comes from, for the message.

    Raises:
        UserError: it is of another type.
    """
    if not isinstance(value, kind):
        raise UserError(f"{name} is a {type(value).__name__}: it must be {wanted}")


def first_line(error: Exception) -> str:
    """Return what an error of a client says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean ...?` with the name that is nearest to one that does not exist; nothing where none is near.

    Capitals do not count.
    """
    spelled = {known.casefold(): known for known in names}
    nearest = difflib.get_close_matches(name.casefold(), spelled, n=1)
    return f" Did you mean {spelled[nearest[0]]}?" if nearest else ""
