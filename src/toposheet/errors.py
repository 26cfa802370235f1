"""Errors that are not faults of toposheet. The command line prints one line for them, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can correct (exit code 2).

    The message says what was given, what is wanted, and what to do.
    """


class NotFound(UserError, FileNotFoundError):
    """A file, folder, model or package is missing (exit code 2)."""


class RunError(RuntimeError):
    """The machine or the run failed (exit code 1). Examples: the disk is full, or the training diverged."""


def check_type(name: str, value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Refuse an argument of the wrong type. Public functions call this for the arguments that a user gives.

    Args:
        name: Name of the argument in the message.
        value: The argument.
        kind: The allowed type or types.
        wanted: What the argument must be, in words, and where a user gets it. The message ends with these words.

    Raises:
        UserError: The argument has another type.
    """
    if not isinstance(value, kind):
        raise UserError(f"{name} is a {type(value).__name__}: it must be {wanted}")


def named(error: Exception) -> str:
    """Return the type of an error and the first line of its message. If both are the same, return it once."""
    return ": ".join(dict.fromkeys((type(error).__name__, first_line(error))))


def first_line(error: Exception) -> str:
    """Return the first line of the message of an exception, or its class if it has no message.

    A first line that ends with a colon only announces the message, so the next line is added.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in (lines[:2] if lines[0].rstrip().endswith(":") else lines[:1]))


def listed(names: Iterable[str], at_most: int = 20) -> str:
    """Return names that a user gave as a short list on one line: `a, b, c and 380 others`.

    Args:
        names: The names. Line breaks in a name become spaces, and long names are cut.
        at_most: The largest number of names that are listed.
    """
    short = [" ".join(name.split())[:60] for name in names]
    others = len(short) - at_most
    return ", ".join(short[:at_most]) + (f" and {others:,} other{'s' * (others > 1)}" if others > 0 else "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean ...?` with the existing name whose spelling is nearest. Empty: no name is near.

    Capitals do not count.
    """
    spelled = {known.casefold(): known for known in names}
    nearest = difflib.get_close_matches(name.casefold(), spelled, n=1)
    return f" Did you mean {spelled[nearest[0]]}?" if nearest else ""
