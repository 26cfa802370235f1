"""Sentences of held-out text, and the same sentences with non-words in place of their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from toposheet.errors import UserError
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.vocabulary import known_words, word_counts

WORDS_IN_SENTENCE = range(10, 15)
PER_CONDITION = 100  # texts, unless another number is asked for
CountTokens = Callable[[str], int]


def no_tokens(text: str) -> int:
    """Return 0: how many tokens a text has where there is no tokenizer to count them."""
    return 0


def sentences_and_nonwords(
    held_out: Sequence[str], train: Sequence[str], n: int, rng: np.random.Generator, count_tokens: CountTokens
) -> tuple[list[str], list[str]]:
    """Return held-out sentences and, for each, the list of pronounceable non-words in its place.

    Args:
        held_out: Documents that were not trained on.
        train: Training documents: what stands in them is a word.
        n: How many sentences.
        rng: Decides which.
        count_tokens: See `as_nonwords`.

    Raises:
        UserError: the text holds too few sentences.
    """
    sentences = unseen_sentences(held_out, train, n, rng)[:n]
    known = known_words(train)
    maker = NonwordMaker(word_counts(train), is_word=lambda word: word in known)
    return sentences, [as_nonwords(sentence, maker, rng, count_tokens) for sentence in sentences]


def unseen_sentences(
    held_out: Sequence[str], train: Sequence[str], at_least: int, rng: np.random.Generator
) -> list[str]:
    """Return all sentences of the held-out text that do not stand in the training text as well, in random order.

    Raises:
        UserError: there are fewer than `at_least`.
    """
    whole = re.compile(r"(?:(?<=[.!?] )|^)[A-Z][A-Za-z ,;:'\-]*\.(?= |$)")
    known = {sentence for text in train for sentence in whole.findall(text)}
    usable = {s for text in held_out for s in whole.findall(text) if len(s.split()) in WORDS_IN_SENTENCE} - known
    if len(usable) < at_least:
        raise UserError(
            f"the held-out text has {len(usable)} sentences of {WORDS_IN_SENTENCE[0]} to "
            f"{WORDS_IN_SENTENCE[-1]} words, "
            f"{at_least} are needed: hold out more text or ask for fewer stimuli"
        )
    return [str(s) for s in rng.permutation(sorted(usable))]


def as_nonwords(
    text: str,
    maker: NonwordMaker,
    rng: np.random.Generator,
    count_tokens: CountTokens,
    word: str = "[A-Za-z]+(?:'[a-z]+)?",
) -> str:
    """Return a text with a non-word of the same length in place of every word, case and punctuation kept.

    Non-words are chosen such that the text, up to each of them, has as nearly as possible the tokens that it had: a
    long word makes up for what the short ones before it have too many.

    Args:
        text: Whose words are replaced.
        maker: Of the non-words.
        rng: Decides which.
        count_tokens: Returns how many tokens a model makes of a text.
        word: Pattern of what is replaced.
    """
    surplus = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal surplus
        replaced = match.group()
        cased = str.capitalize if replaced[0].isupper() else str
        before = f"a{text[match.start() - 1]}" if match.start() else ""  # after a space a word has other tokens
        allowed = count_tokens(before + replaced) - surplus
        nonword = cased(
            maker.make(len(replaced), rng, lambda nonword: abs(count_tokens(before + cased(nonword)) - allowed))
        )
        surplus = count_tokens(before + nonword) - allowed
        return nonword

    return re.sub(word, replace, text)
