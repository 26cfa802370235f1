"""What a command is: a function whose parameters are its options. It is parsed first and called later."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Union, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from toposheet.errors import UserError
from toposheet.files import path_of
from toposheet.settings import Settings

Parsed = Callable[[], None]
Analysis = Annotated[Settings, tyro.conf.arg(name="")]  # its options are those of the command
NONE_GIVEN = "(default: none)"
REQUIRED = "(required)"


ARGUMENTS = ConstructorRegistry()
"""How arguments become values, where this differs from the usual rules of tyro."""


@ARGUMENTS.primitive_rule
def _text_or_nothing(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read an optional name or path as it is written: `--control None` is a model with the name None."""
    kinds = set(get_args(info.type)) - {NoneType}
    if NoneType not in get_args(info.type) or kinds not in ({str}, {Path}):
        return None
    (kind,) = kinds
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH" if kind is Path else "STR",
        instance_from_str=lambda arguments: kind(arguments[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Args:
        place: Where `toposheet --help` lists it: commands are in the order of this number.
        parser: Takes the options and returns the command, ready to be called; its docstring is the help. From
            `deferred` or `group`.
        goes_on: Whether the same command goes on where an interrupted one stopped.
        parser_for: Returns the parser for given arguments. None: `parser` is for all.
    """

    place: int
    parser: Callable[..., Parsed]
    goes_on: bool = False
    parser_for: Callable[[list[str]], Callable[..., Parsed]] | None = None


def deferred(command: Callable[..., None]) -> Callable[..., Parsed]:
    """Return a function that takes the options of a command now and runs it later, so that parsing is only parsing.

    In a path, `~` is the home folder, also where the shell leaves it (`--out=~/maps`).
    """

    def run(*args: Any, **kwargs: Any) -> None:
        command(*map(_as_meant, args), **{name: _as_meant(value) for name, value in kwargs.items()})

    @functools.wraps(command)
    def parsed(*args: Any, **kwargs: Any) -> Parsed:
        return functools.partial(run, *args, **kwargs)

    return parsed


def _as_meant(value: Any) -> Any:
    return path_of(value) if isinstance(value, Path) else value


def group(description: str, **commands: Callable[..., Parsed]) -> Callable[..., Parsed]:
    """Return a command of commands: `toposheet GROUP COMMAND ...`."""
    parsers = [Annotated[Any, tyro.conf.subcommand(name, constructor=command)] for name, command in commands.items()]

    def parsed(command: Any) -> Parsed:
        return command

    parsed.__doc__ = description
    parsed.__annotations__["command"] = Union[*parsers, Annotated[None, tyro.conf.Suppress]]  # a union takes two
    return parsed


def check_out(out: Path) -> None:
    """Refuse a folder that cannot be written to before any work is done.

    Raises:
        UserError: it, or the nearest folder above it that exists, cannot be written to.
    """
    existing = out.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        Path(tempfile.mkdtemp(dir=existing, prefix=".writing-")).rmdir()
    except OSError as error:
        raise UserError(f"cannot write to {out}: {existing} says {error.strerror or error}") from None
