"""Commands. A command is a function, and its parameters are the options of the command line."""

from __future__ import annotations

import functools
import inspect
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
# The help lists its fields as options of the command, without a prefix.
Analysis = Annotated[Settings, tyro.conf.arg(name="")]
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
        position: A number. `toposheet --help` lists the commands in the order of their numbers.
        parser: A function that takes the options and returns the command, which can then be called. `deferred` or
            `group` makes this function. Its docstring is the help text.
        goes_on: Whether an interrupted command continues when the user runs it again.
        parser_for: A function that returns the parser for given arguments. None: `parser` is used for all arguments.
    """

    position: int
    parser: Callable[..., Parsed]
    goes_on: bool = False
    parser_for: Callable[[list[str]], Callable[..., Parsed]] | None = None


def deferred(command: Callable[..., None]) -> Callable[..., Parsed]:
    """Return a function that takes the options of a command and returns a function that runs the command.

    Parsing and running are thus separate steps. In a path, `~` means the home folder, even if the shell does not
    replace it (`--out=~/maps`).
    """

    def run(*args: Any, **kwargs: Any) -> None:
        command(*map(_without_tilde, args), **{name: _without_tilde(value) for name, value in kwargs.items()})

    @functools.wraps(command)
    def parsed(*args: Any, **kwargs: Any) -> Parsed:
        return functools.partial(run, *args, **kwargs)

    return parsed


def with_published_defaults(parser: Callable[..., Parsed]) -> Callable[[list[str]], Callable[..., Parsed]]:
    """Return the `parser_for` of a command with the option --as-published.

    With this option, the settings of TopoLM's published code are the defaults of all other options. So an option that
    contradicts them is seen, also if its value is the usual default, and the command can refuse it.

    Args:
        parser: The command. It has the arguments `as_published` and `settings`.
    """

    def parser_for(arguments: list[str]) -> Callable[..., Parsed]:
        if "--as-published" not in [argument.replace("_", "-") for argument in arguments]:
            return parser
        signature = inspect.signature(parser)
        settings = signature.parameters["settings"].replace(default=Settings.published())

        @functools.wraps(parser)
        def as_published(*args: Any, **kwargs: Any) -> Parsed:
            return parser(*args, **kwargs)

        parameters = [settings if name == "settings" else other for name, other in signature.parameters.items()]
        vars(as_published)["__signature__"] = signature.replace(parameters=parameters)
        return as_published

    return parser_for


def _without_tilde(value: Any) -> Any:
    return path_of(value) if isinstance(value, Path) else value


def group(description: str, **commands: Callable[..., Parsed]) -> Callable[..., Parsed]:
    """Return a command that consists of several commands: `toposheet GROUP COMMAND ...`."""
    parsers = [Annotated[Any, tyro.conf.subcommand(name, constructor=command)] for name, command in commands.items()]

    def parsed(command: Any) -> Parsed:
        return command

    parsed.__doc__ = description
    # A union needs at least two members.
    parsed.__annotations__["command"] = Union[*parsers, Annotated[None, tyro.conf.Suppress]]
    return parsed


def check_out(out: Path) -> None:
    """Refuse an output folder to which this user cannot write. Commands call this before any other work.

    Raises:
        UserError: The folder, or its nearest existing parent folder, cannot be written to.
    """
    existing = out.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        Path(tempfile.mkdtemp(dir=existing, prefix=".writing-")).rmdir()
    except OSError as error:
        raise UserError(
            f"cannot write to {out} ({existing}: {error.strerror or error}): choose another folder"
        ) from None
