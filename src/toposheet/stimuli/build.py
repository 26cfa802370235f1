"""Stimuli that need no published material: built from held-out text and a word lexicon."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.stimuli.lexicon import lemmas
from toposheet.stimuli.nonwords import NonwordMaker

WORDS_IN_SENTENCE = range(10, 15)
WORDS_IN_LIST = 3

# Words that the lexicon calls nouns or verbs but that are grammar, not content.
_CLOSED_CLASS = frozenset(
    re.findall(
        r"\w+",
        """
        all another any anything both each everyone everything few her hers herself him himself his its
        itself let many mine much myself nobody none nothing one ones other others our ours ourselves put
        said she some someone something such that their theirs them themselves these they this those
        thousand million hundred us what whatever which who whoever whom whose you your yours yourself
        yourselves same own including according except regarding concerning
        """,
    )
)


def build_stimuli(
    held_out: Sequence[str], train: Sequence[str], per_condition: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Return a stimulus set with conditions `sentence`, `nonword`, `noun` and `verb`.

    Sentences are 10 to 14 words long and come from text that no model saw; each non-word list is one of these
    sentences with every word replaced by a pronounceable non-word of the same length (3 letters or more), case
    and punctuation kept. The nouns and verbs are words that a lexicon (lemminflect, NIH SPECIALIST) knows as
    nothing else, in lists of three, each word used once, matched pair by pair in frequency and length.

    Args:
        held_out: Documents that were not trained on.
        train: The training documents: where words are counted.
        per_condition: How many texts each condition has.
        seed: Decides which.

    Returns:
        A table with columns `text`, `condition` and `item` (0, 1, ...; a non-word list has the item of its
        sentence, a verb list that of its matched nouns).

    Raises:
        ValueError: the text holds too few sentences or words; the message says how many.
        FileNotFoundError: the lexicon is not installed.
    """
    rng = np.random.default_rng(seed)
    counts = word_counts(train)
    sentences, nonwords = sentences_and_nonwords(held_out, train, per_condition, rng, lambda word: bool(lemmas(word)))
    nouns, verbs = _noun_and_verb_lists(counts, per_condition, rng)
    columns = {"sentence": sentences, "nonword": nonwords, "noun": nouns, "verb": verbs}
    return pd.DataFrame(
        [(text, condition, item) for condition, texts in columns.items() for item, text in enumerate(texts)],
        columns=["text", "condition", "item"],
    )


def sentences_and_nonwords(
    held_out: Sequence[str],
    train: Sequence[str],
    n: int,
    rng: np.random.Generator,
    in_lexicon: Callable[[str], bool] = lambda word: False,
) -> tuple[list[str], list[str]]:
    """Return held-out sentences and, for each, the list of pronounceable non-words in its place.

    Args:
        held_out: Documents that were not trained on.
        train: Training documents: what stands in them is a word.
        n: How many sentences.
        rng: Decides which.
        in_lexicon: Whether a string is a word though the text does not have it.

    Raises:
        ValueError: the text holds too few sentences.
    """
    sentences = unseen_sentences(held_out, train, n, rng)[:n]
    known = known_words(train)
    maker = NonwordMaker(word_counts(train), is_word=lambda word: word in known or in_lexicon(word))
    return sentences, [as_nonwords(sentence, maker, rng) for sentence in sentences]


def known_words(documents: Sequence[str]) -> set[str]:
    """Return every word of the text in small letters, names too."""
    return {word for text in documents for word in re.findall("[a-z]+", text.lower())}


def word_counts(documents: Sequence[str]) -> Counter[str]:
    """Return how often each word in small letters stands in the text; a sentence's first word may be a name."""
    return Counter(word for text in documents for word in re.findall(r"(?<![.!?] )\b[a-z]+\b", text))


def unseen_sentences(
    held_out: Sequence[str], train: Sequence[str], at_least: int, rng: np.random.Generator
) -> list[str]:
    """Return all sentences of the held-out text that do not stand in the training text as well, in random order.

    Raises:
        ValueError: there are fewer than `at_least`.
    """
    whole = re.compile(r"(?:(?<=[.!?] )|^)[A-Z][A-Za-z ,;:'\-]*\.(?= |$)")
    known = {sentence for text in train for sentence in whole.findall(text)}
    found = {s for text in held_out for s in whole.findall(text) if len(s.split()) in WORDS_IN_SENTENCE} - known
    if len(found) < at_least:
        raise ValueError(
            f"the held-out text has {len(found)} sentences of {WORDS_IN_SENTENCE[0]} to {WORDS_IN_SENTENCE[-1]} words, "
            f"{at_least} are needed: hold out more text or ask for fewer stimuli"
        )
    return [str(s) for s in rng.permutation(sorted(found))]


def as_nonwords(sentence: str, maker: NonwordMaker, rng: np.random.Generator) -> str:
    """Return a sentence with a non-word of the same length in place of every word, case and punctuation kept."""

    def replace(match: re.Match[str]) -> str:
        word = match.group()
        nonword = maker.make(len(word), rng)
        return nonword.capitalize() if word[0].isupper() else nonword

    return re.sub(r"[A-Za-z]+(?:'[a-z]+)?", replace, sentence)


def _noun_and_verb_lists(counts: Counter[str], n: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    nouns, verbs = [], []
    for word, count in sorted(counts.items()):
        if count < 10 or not 3 <= len(word) <= 10 or word in _CLOSED_CLASS or word.endswith("ing"):
            continue
        classes = set(lemmas(word))
        if classes == {"NOUN"}:
            nouns.append(word)
        elif classes == {"VERB"}:
            verbs.append(word)
    needed = n * WORDS_IN_LIST
    if min(len(nouns), len(verbs)) < needed:
        raise ValueError(
            f"the text has {len(nouns)} usable nouns and {len(verbs)} verbs, {needed} of each are needed: "
            "use more text or ask for fewer stimuli"
        )

    def features(words: list[str]) -> np.ndarray:
        return np.array([(np.log(counts[word]), len(word)) for word in words])

    # Verbs are rarer in the lexicon: draw them, and give each the free noun nearest in frequency and length.
    verbs = [str(verb) for verb in rng.permutation(verbs)[:needed]]
    cost = cdist(features(verbs), features(nouns) + rng.normal(0, 1e-6, (len(nouns), 2)))
    matched = [nouns[i] for i in linear_sum_assignment(cost)[1]]

    def lists(words: list[str]) -> list[str]:
        return [" ".join(words[i : i + WORDS_IN_LIST]) for i in range(0, needed, WORDS_IN_LIST)]

    return lists(matched), lists(verbs)
