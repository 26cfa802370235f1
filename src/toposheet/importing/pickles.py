"""Reading of pickle files without running anything in them.

A pickle is a program for a small machine, which can import any function and call it. `read_pickle` runs this program on
a machine of its own, in which names stay names: nothing is imported, called or built. Where the program would call a
function, the result is a record of the call (`Made`), which the reader of the file may look at.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

from toposheet.importing.unreadable import Unreadable


@dataclass(frozen=True)
class Name:
    """The name of a class or function in a pickle. It is never imported.

    Args:
        name: Its module and its name, such as `numpy.ndarray`.
    """

    name: str


@dataclass(eq=False)
class Made:
    """What a pickle would make by a call. The call is not made.

    Args:
        maker: Name of the class or function that would be called.
        arguments: The arguments of the call.
        state: What the pickle would set on the made object afterwards, such as a dict of its attributes.
    """

    maker: str
    arguments: tuple[Any, ...]
    state: Any = field(default=None)


_PLAIN = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MOST_NESTED, _MOST_IN_NESTED = 50, 2**16
_LONGEST_NAME = 1000
_IN_STORAGES = (str, int, Name, tuple, type(None))


def read_pickle(data: bytes, names: Collection[str]) -> Any:
    """Return what a pickle holds: numbers, texts, bytes, tuples, lists, dicts, and `Made`.

    Pickles of protocol 2 or later are read (Python writes protocol 4 or 5 if nothing else is said).

    Args:
        data: The content of the file.
        names: The names of classes and functions that may be in the file.

    Raises:
        Unreadable: The pickle has another name, or it is damaged. The message begins with a verb.
    """
    return _read(io.BytesIO(data), names)


def check_pickle(file: io.BytesIO) -> Any:
    """Return what a pickle holds, in which all names are allowed. Refuse what torch must not read.

    Dicts, sets and torch itself need hashes of values, and the hash of deeply nested tuples ends the process. Such
    tuples are refused, and so are keys of dicts that are no texts or numbers. Reading stops after the pickle.

    Raises:
        Unreadable: There is such a tuple or key, or the pickle is damaged. The message begins with a verb.
    """
    return _read(file, None)


def _read(file: io.BytesIO, names: Collection[str] | None) -> Any:
    """Return what the next pickle of a file holds. Names: see `read_pickle`; None allows all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the standard library warns of odd escapes in texts
            return _run(file, names)
    except Unreadable:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError):
        # Every one of these is a program that the machine cannot run: the end is missing, or the stack is too short.
        raise Unreadable("is no complete pickle: it is damaged, or it is another kind of file") from None


def _run(file: io.BytesIO, names: Collection[str] | None) -> Any:
    """Run the program of a pickle on a stack of plain values."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    nested: dict[int, tuple[tuple[Any, ...], int, int]] = {}

    def above_mark() -> list[Any]:
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    for opcode, given, _ in pickletools.genops(file):
        operation, argument = opcode.name, cast(Any, given)
        if operation in _PLAIN:
            stack.append(argument)
        elif operation in _CONSTANTS:
            stack.append(_CONSTANTS[operation])
        elif operation in _TUPLES:
            last_first = [stack.pop() for _ in range(_TUPLES[operation])]
            stack.append(_tuple(last_first[::-1], nested))
        elif operation == "TUPLE":
            stack.append(_tuple(above_mark(), nested))
        elif operation in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if operation == "EMPTY_LIST" else {})
        elif operation == "MARK":
            marks.append(len(stack))
        elif operation in ("APPEND", "APPENDS"):
            values = [stack.pop()] if operation == "APPEND" else above_mark()
            _of_type(stack[-1], list).extend(values)
        elif operation in ("SETITEM", "SETITEMS"):
            values = [stack.pop(-2), stack.pop()] if operation == "SETITEM" else above_mark()
            keys = [_of_type(key, (str, int, float)) for key in values[::2]]
            if isinstance(stack[-1], dict):  # else it is Made, such as an OrderedDict of weights
                stack[-1].update(zip(keys, values[1::2], strict=True))
        elif operation == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif operation in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif operation in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif operation in ("GLOBAL", "STACK_GLOBAL"):
            parts = argument.split(" ", 1) if operation == "GLOBAL" else [stack.pop(-2), stack.pop()]
            stack.append(Name(_known(".".join(parts), names)))
        elif operation in ("REDUCE", "NEWOBJ"):
            arguments = _of_type(stack.pop(), tuple)
            maker = _of_type(stack.pop(), Name).name
            if maker.endswith(".bytearray"):  # the call with a number would take any memory
                arguments = tuple(_of_type(argument, (bytes, bytearray, str, Made)) for argument in arguments)
            stack.append(Made(maker, arguments))
        elif operation == "BINPERSID":  # a storage of torch, which is beside the pickle
            parts = _of_type(stack.pop(), tuple)
            stack.append(Made("storage", tuple(_of_type(part, _IN_STORAGES) for part in parts)))
        elif operation == "BUILD":
            state = stack.pop()
            _of_type(stack[-1], Made).state = state
        elif operation == "STOP":
            return stack.pop()
        elif operation not in ("PROTO", "FRAME"):
            raise Unreadable(f"has the pickle instruction {operation}, which such files do not have")
    raise Unreadable("is no complete pickle: its end is missing")


def _tuple(values: list[Any], nested: dict[int, tuple[tuple[Any, ...], int, int]]) -> tuple[Any, ...]:
    """Return values as a tuple.

    Args:
        values: The values.
        nested: The tuples so far that hold tuples, each with its depth and its number of values in all depths, by id.
            If the new tuple holds tuples, it is added.

    Raises:
        Unreadable: The new tuple is nested too deeply, or it has too many values.
    """
    made = tuple(values)
    inner = [nested.get(id(value), (value, 1, len(value))) for value in made if type(value) is tuple]
    if inner:
        depth, n = 1 + max(depth for _, depth, _ in inner), len(made) + sum(n for _, _, n in inner)
        if depth > _MOST_NESTED or n > _MOST_IN_NESTED:
            raise Unreadable("holds tuples that are nested too deeply: it is damaged, or it was made to do harm")
        nested[id(made)] = (made, depth, n)
    return made


def _known(name: str, names: Collection[str] | None) -> str:
    """Return a name that may be in the file.

    Raises:
        Unreadable: The name is another one.
    """
    if (names is not None and name not in names) or len(name) > _LONGEST_NAME:
        raise Unreadable(
            f"refers to {name[:80]!r}, which such files do not hold: it is refused, and nothing of it was run"
        )
    return name


def _of_type(value: Any, kind: type | tuple[type, ...]) -> Any:
    """Return a value that must be of this type.

    Raises:
        TypeError: It has another type, so the pickle is damaged.
    """
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} where a {kind} must be")
    return value
