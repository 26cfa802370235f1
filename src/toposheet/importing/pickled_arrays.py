"""Arrays and tensors in pickle files, built again from their bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from torch.storage import TypedStorage

from toposheet.importing.pickles import Made, Name
from toposheet.importing.torch_files import read_torch_bytes
from toposheet.importing.unreadable import Unreadable, shown

_TENSOR, _STORAGE = "torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes"
_ENCODED = "_codecs.encode"  # protocol 2 has no bytes, but texts
_DTYPE, _ARRAY = "numpy.dtype", "numpy.ndarray"
_CORES = ("numpy.core", "numpy._core")  # NumPy 1 and NumPy 2
_WITH_STATE = tuple(f"{core}.multiarray._reconstruct" for core in _CORES)
_FROM_BUFFER = tuple(f"{core}.numeric._frombuffer" for core in _CORES)
_SCALAR = tuple(f"{core}.multiarray.scalar" for core in _CORES)

_MOST_AXES = 64  # as in NumPy

NAMES = frozenset(
    {_TENSOR, _STORAGE, _ENCODED, "collections.OrderedDict", _DTYPE, _ARRAY, *_WITH_STATE, *_FROM_BUFFER, *_SCALAR}
)
"""The names in pickles of arrays, of numbers of NumPy, and of tensors."""


def array_of(value: Any) -> Num[np.ndarray, ...]:
    """Return the array or tensor that a pickle would make.

    Args:
        value: A value from `read_pickle`.

    Returns:
        An array of truth values, of 64-bit integers, or of 64-bit floating-point numbers.

    Raises:
        Unreadable: The value is no array of numbers, or its bytes do not fit its shape. The message begins with a verb.
    """
    try:
        if isinstance(value, Made) and value.maker == _TENSOR:
            return _tensor(*value.arguments[:4])
        array = _numpy_array(value)
    except Unreadable:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError):
        raise Unreadable("holds a damaged array") from None
    if array is None:
        raise Unreadable(f"holds {_in_words(value)} where an array of numbers must be")
    kinds = {"b": np.bool_, "f": np.float64}
    return array.astype(kinds.get(array.dtype.kind, np.int64))


def _in_words(value: Any) -> str:
    return value.maker if isinstance(value, Made) else value.name if isinstance(value, Name) else type(value).__name__


def _numpy_array(value: Any) -> np.ndarray | None:
    """Return the array of NumPy that a pickle would make. None: the value is no array."""
    if not isinstance(value, Made):
        return None
    if value.maker in _WITH_STATE:
        _, shape, dtype, columns_first, data = value.state
        return _from_bytes(data, dtype, shape, "F" if columns_first is True else "C")
    if value.maker in _FROM_BUFFER:
        data, dtype, shape, order = value.arguments
        return _from_bytes(data, dtype, shape, "F" if order == "F" else "C")
    return None


def _from_bytes(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Return an array from its bytes, with a shape that they fill exactly."""
    kind, data = _dtype(dtype), _bytes(data)
    n = math.prod(_whole_numbers(shape))
    if not isinstance(data, bytes | bytearray) or n * kind.itemsize != len(data):
        raise Unreadable("holds an array whose bytes do not fill its shape: it is damaged")
    return np.frombuffer(bytes(data), kind).reshape(shape, order=order)


def _bytes(value: Any) -> Any:
    """Return the bytes that a pickle would make from a text. Any other value is returned as it is."""
    if isinstance(value, Made) and value.maker == _ENCODED and len(value.arguments) == 2:
        text, encoding = value.arguments
        if isinstance(text, str) and encoding == "latin1":
            return text.encode("latin1")
    return value


def _dtype(value: Any) -> np.dtype:
    """Return the data type of an array of numbers. Arrays of objects and of records are refused."""
    code, order = None, "="
    if isinstance(value, Made) and value.maker == _DTYPE:
        code = value.arguments[0]
        order = value.state[1] if value.state is not None else "="
    if not isinstance(code, str) or not re.fullmatch(r"b1|[iu][1248]|f[248]", code) or order not in tuple("<>|="):
        raise Unreadable(f"holds an array of {shown(code)}, which are no numbers")
    return np.dtype(code).newbyteorder(order)


def _tensor(made: Any, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """Return a tensor as an array.

    Args:
        made: What would load the storage from bytes: a file of torch within the pickle.
        offset: Position of the first number in the storage.
        size: The shape.
        stride: Steps in the storage from one number to the next, for each dimension.
    """
    size, stride = _whole_numbers(size), _whole_numbers(stride)
    data = _bytes(made.arguments[0]) if isinstance(made, Made) and made.maker == _STORAGE else None
    if not isinstance(data, bytes):
        raise Unreadable("holds a tensor without its numbers")
    storage = read_torch_bytes(data)
    if not isinstance(storage, TypedStorage):
        raise Unreadable("holds a tensor whose numbers are no storage of torch")
    try:
        flat = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)  # without its warning
    except RuntimeError:
        raise Unreadable(f"holds a tensor of {storage.dtype}, which are no numbers") from None
    (offset,) = _whole_numbers((offset,))
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > len(flat) or last >= len(flat) or flat.is_complex():
        raise Unreadable("holds a tensor whose numbers do not fill its shape: it is damaged")
    tensor = flat.as_strided(size, stride, offset)
    if tensor.is_floating_point():
        return tensor.double().numpy()
    return (tensor if tensor.dtype == torch.bool else tensor.long()).numpy().copy()


def _whole_numbers(values: Any) -> Sequence[int]:
    """Return a short tuple of whole numbers of at least 0.

    Raises:
        Unreadable: It is no such tuple.
    """
    if not isinstance(values, tuple) or len(values) > _MOST_AXES or not all(map(_is_size, values)):
        raise Unreadable("holds an array whose shape is damaged")
    return values


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
