"""Which side of the split a document is on: its own text decides, whatever stands around it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

LONGEST = 2**20
"""How many characters of a document decide its side, and about how many are in memory at a time."""


def is_held_out(text: str, fraction: float, seed: int) -> bool:
    """Return whether a document is held out for validation; equal documents are always on the same side.

    Args:
        text: The document, or at least its first `LONGEST` characters.
        fraction: How large a part of the documents is held out, on average.
        seed: Another seed gives another split.
    """
    key = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(text[:LONGEST].encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


def split_documents(documents: Iterable[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Return (training, held-out) documents, each in the order given."""
    sides: tuple[list[str], list[str]] = ([], [])
    for text in documents:
        sides[is_held_out(text, fraction, seed)].append(text)
    return sides
