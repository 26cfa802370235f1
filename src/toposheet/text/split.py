"""The split of documents into training text and held-out text. The text of a document decides, by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

LONGEST = 2**20
"""Number of characters at the start of a document that decide its split. Texts are read in parts of this size."""


def is_held_out(text: str, fraction: float, seed: int) -> bool:
    """Return whether a document is held out for validation. Equal documents always get the same answer.

    Args:
        text: The document, or at least its first `LONGEST` characters.
        fraction: The expected fraction of documents that is held out, between 0 and 1.
        seed: The seed of the hash. Another seed gives another split.
    """
    key = seed.to_bytes(8, "little")
    digest = hashlib.blake2b(text[:LONGEST].encode(), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


def split_documents(documents: Iterable[str], fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the training documents and the held-out documents, each list in the given order. See `is_held_out`."""
    sides: tuple[list[str], list[str]] = ([], [])
    for text in documents:
        sides[is_held_out(text, fraction, seed)].append(text)
    return sides
