"""Files of torch (`torch.save`), read with the reader of torch that runs nothing in them (`weights_only`)."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from toposheet.errors import NotFound, UserError
from toposheet.importing.pickles import check_pickle
from toposheet.importing.unreadable import Unreadable

_AGAIN = "copy the file again"
_PICKLES = 5
"""Pickles at the beginning of a file in the older format: two numbers, the system, the object, names of storages."""


def read_torch_file(path: Path) -> Any:
    """Return what a file of torch holds. Tensors are on the CPU, and their numbers are read when they are used.

    Args:
        path: The file.

    Raises:
        NotFound: The file does not exist.
        UserError: It is a folder or a pipe, it is no file of torch, it is damaged, or it holds other objects than
            tensors and plain values.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the checkpoint in it, a file that ends in .pt")
    if not path.exists():
        raise NotFound(f"there is no file {path}: give the checkpoint, a file that ends in .pt")
    if not path.is_file():  # a pipe would wait for ever
        raise UserError(f"{path} is no ordinary file: give the checkpoint, a file that ends in .pt")
    try:
        if not zipfile.is_zipfile(path):
            raise Unreadable(
                "is no file that torch.save wrote (version 1.6 or later), or its end is missing: "
                f"{_AGAIN}, or give another one"
            )
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                raise Unreadable(
                    "has compressed parts, which torch does not write: give the file that torch.save wrote"
                )
            for record in records:
                if record.filename.lower().endswith("data.pkl"):  # torch does not tell capitals apart
                    check_pickle(io.BytesIO(archive.read(record)))
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (MemoryError, PermissionError):
        raise
    except Unreadable as error:
        raise UserError(f"{path} {error}") from None
    except Exception as error:  # a damaged file can raise any exception
        raise UserError(f"{path} {_reason(error)}") from None


def read_torch_bytes(data: bytes) -> Any:
    """Return what the bytes of a file of torch hold. Pickles of tensors contain such bytes, in torch's older format.

    Raises:
        Unreadable: They are no file of torch, or they hold other objects. The message begins with a verb.
    """
    if data.startswith(b"PK"):  # an archive, which could be compressed
        raise Unreadable("holds a tensor in a format that pickles of tensors do not have")
    file = io.BytesIO(data)
    try:
        numbers = [check_pickle(file) for _ in range(_PICKLES)][:2]
        if not all(type(n) is int and n.bit_length() < 100 for n in numbers):  # torch would write them in its message
            raise Unreadable("is damaged")
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Unreadable as error:
        raise Unreadable(f"holds a tensor whose file {error}") from None
    except Exception as error:  # a damaged file can raise any exception
        raise Unreadable(f"holds a tensor whose file {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return why torch refuses a file. Its own message would tell the user to load the file with everything it runs."""
    refused = re.search(r"unsupported GLOBAL (\S+)|Unsupported global: GLOBAL (\S+)", str(error))
    if refused is None:
        return f"cannot be read: it is damaged, or it is no checkpoint; {_AGAIN}"
    return (
        f"holds other objects than tensors and plain values ({refused[refused.lastindex or 0][:80]!r}): it is refused, "
        "and nothing of it was run; if you trust who made it, save it again with tensors and plain values only"
    )
