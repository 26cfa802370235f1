"""The words of documents, and a test of whether readers would recognise a string as a word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from toposheet.stimuli.lexicon import is_word, lemmas


def known_words(documents: Sequence[str]) -> set[str]:
    """Return every word of the documents, written in small letters. Names are included."""
    return {word for text in documents for word in re.findall("[a-z]+", text.lower())}


def word_counts(documents: Sequence[str]) -> Counter[str]:
    """Return the count of each word that is written in small letters. The first word of a sentence is not counted."""
    return Counter(word for text in documents for word in re.findall(r"(?<![.!?] )\b[a-z]+\b", text))


def lexicon_words(documents: Sequence[str]) -> dict[str, int]:
    """Return the counts of the words that the lexicon knows. Names and foreign words are left out."""
    return {word: n for word, n in word_counts(documents).items() if lemmas(word)}


def seen_as_word(documents: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether readers would recognise a string as a word, or as parts of a word.

    The function returns True for four kinds of strings: a word of the documents (names too); a word of the lexicon or a
    common string (`lexicon.is_word`); the first or last 5 or more letters of a known word ("exchang"); a string that
    begins or ends with a known word of 5 or more letters ("blacketiver").
    """
    known = known_words(documents)
    entries = {word for word in known if len(word) >= 5 and lemmas(word)}
    parts = {part for word in entries for part in _ends(word)}

    def english(word: str) -> bool:
        return word in known or word in parts or any(part in entries for part in _ends(word)) or is_word(word)

    return english


def _ends(word: str) -> Iterator[str]:
    """Yield every beginning and every end of a word that has 5 or more letters and is shorter than the word."""
    for n in range(5, len(word)):
        yield from (word[:n], word[-n:])
