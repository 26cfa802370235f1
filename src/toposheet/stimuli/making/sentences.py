"""Sentences of held-out text, and the same sentences with every word replaced by a non-word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from toposheet.errors import UserError
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.vocabulary import known_words, word_counts

WORDS_IN_SENTENCE = range(10, 15)
MORE_TEXT = (
    "hold out more text (toposheet data prepare --validation-fraction), or ask for fewer stimuli, where a command has "
    "--per-condition"
)
"""What to do if the held-out text has too few sentences, for messages."""
PER_CONDITION = 100  # default number of texts in each condition
CountTokens = Callable[[str], int]


def no_tokens(text: str) -> int:
    """Return 0 for every text. It replaces a token counter if there is no tokenizer."""
    return 0


def sentences_and_nonwords(
    held_out: Sequence[str], train: Sequence[str], n: int, rng: np.random.Generator, count_tokens: CountTokens
) -> tuple[list[str], list[str]]:
    """Return held-out sentences, and for each sentence a list of pronounceable non-words.

    Args:
        held_out: Documents on which the model was not trained.
        train: Training documents. Every string in them counts as a word.
        n: Number of sentences.
        rng: The random generator of the choice.
        count_tokens: See `as_nonwords`.

    Raises:
        UserError: The held-out text has too few sentences. The message says how many.
    """
    sentences = unseen_sentences(held_out, train, n, rng)[:n]
    known = known_words(train)
    maker = NonwordMaker(word_counts(train), is_word=lambda word: word in known)
    return sentences, [as_nonwords(sentence, maker, rng, count_tokens) for sentence in sentences]


def unseen_sentences(
    held_out: Sequence[str], train: Sequence[str], at_least: int, rng: np.random.Generator
) -> list[str]:
    """Return all sentences of 10 to 14 words in the held-out text that are not in the training text, in random order.

    Raises:
        UserError: There are fewer than `at_least` such sentences.
    """
    whole = re.compile(r"(?:(?<=[.!?] )|^)[A-Z][A-Za-z ,;:'\-]*\.(?= |$)")
    known = {sentence for text in train for sentence in whole.findall(text)}
    usable = {s for text in held_out for s in whole.findall(text) if len(s.split()) in WORDS_IN_SENTENCE} - known
    if len(usable) < at_least:
        raise UserError(
            f"the held-out text has {len(usable)} sentences of {WORDS_IN_SENTENCE[0]} to "
            f"{WORDS_IN_SENTENCE[-1]} words, but {at_least} are needed: {MORE_TEXT}"
        )
    return [str(s) for s in rng.permutation(sorted(usable))]


def as_nonwords(
    text: str,
    maker: NonwordMaker,
    rng: np.random.Generator,
    count_tokens: CountTokens,
    word: str = "[A-Za-z]+(?:'[a-z]+)?",
    repeat: bool = True,
) -> str:
    """Return a text in which every word is replaced by a non-word of the same length.

    A non-word has at least 3 letters. Capital letters and punctuation stay. The non-words are chosen so that the new
    text has about as many tokens as the old text, from the start up to each non-word. If the short non-words have too
    many tokens, a later long non-word has fewer.

    Args:
        text: The text.
        maker: The maker of the non-words.
        rng: The random generator.
        count_tokens: A function that returns the number of tokens of a text for a model.
        word: Regular expression for the words that are replaced.
        repeat: Whether a non-word may occur twice in the text.
    """
    surplus = 0
    made: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        nonlocal surplus
        replaced = match.group()
        cased = str.capitalize if replaced[0].isupper() else str
        before = f"a{text[match.start() - 1]}" if match.start() else ""  # a word has other tokens after a space
        allowed = count_tokens(before + replaced) - surplus
        chosen = maker.make(
            len(replaced),
            rng,
            lambda nonword: abs(count_tokens(before + cased(nonword)) - allowed),
            lambda nonword: repeat or nonword not in made,
        )
        made.add(chosen)
        nonword = cased(chosen)
        surplus = count_tokens(before + nonword) - allowed
        return nonword

    return re.sub(word, replace, text)
