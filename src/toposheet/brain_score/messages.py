"""Messages between Brain-Score and the process of a subject: one JSON object a line. Arrays are written exactly."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

PROTOCOL = 1  # increase it when a change of the code changes the messages, so that two versions do not misunderstand

Message = dict[str, Any]


def line_of(message: Message) -> bytes:
    """Return a message as one line. It has no line breaks except at its end."""
    return json.dumps(message, default=_jsonable).encode() + b"\n"


def message_in(line: bytes | bytearray) -> Message:
    """Return the message in a line.

    Raises:
        ValueError: The line is no message.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"a message must be a JSON object, not a {type(message).__name__}")
    return message


def array_in(field: Message) -> np.ndarray:
    """Return the array in a field of a message."""
    values = np.frombuffer(base64.b64decode(field["bytes"]), dtype=field["dtype"])
    return values.reshape(field["shape"]).astype(values.dtype.newbyteorder("="))


def _jsonable(value: object) -> Any:
    """Return an array as its bytes in base64, with the lowest byte of each number first, its type and its shape.

    A single number of numpy becomes a number of Python.
    """
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fi":
        raise TypeError(f"a {type(value).__name__} cannot be in a message")
    values = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    return {
        "dtype": values.dtype.str,
        "shape": list(value.shape),
        "bytes": base64.b64encode(values.tobytes()).decode("ascii"),
    }
