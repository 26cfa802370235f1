"""The words of documents, and what readers would see as a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from toposheet.stimuli.lexicon import is_word, lemmas


def known_words(documents: Sequence[str]) -> set[str]:
    """Return every word of the text in small letters, names too."""
    return {word for text in documents for word in re.findall("[a-z]+", text.lower())}


def word_counts(documents: Sequence[str]) -> Counter[str]:
    """Return how often each word in small letters stands in the text; a sentence's first word may be a name."""
    return Counter(word for text in documents for word in re.findall(r"(?<![.!?] )\b[a-z]+\b", text))


def lexicon_words(documents: Sequence[str]) -> dict[str, int]:
    """Return how often each word of the text stands there that the lexicon knows: names and foreign words are out."""
    return {word: n for word, n in word_counts(documents).items() if lemmas(word)}


def seen_as_word(documents: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of whether a string is a word, or so much of one that readers would see it in it.

    That is: a word of the text (names too), of the lexicon, or commonly written; from 5 letters on also what a word of
    the lexicon begins or ends with ("exchang") and what begins or ends with one of 5 letters or more ("blacketiver").
    """
    known = known_words(documents)
    entries = {word for word in known if len(word) >= 5 and lemmas(word)}
    parts = {part for word in entries for part in _ends(word)}

    def english(word: str) -> bool:
        return word in known or word in parts or any(part in entries for part in _ends(word)) or is_word(word)

    return english


def _ends(word: str) -> Iterator[str]:
    """Yield the beginnings and the ends of a word that have 5 letters or more."""
    for n in range(5, len(word)):
        yield from (word[:n], word[-n:])
