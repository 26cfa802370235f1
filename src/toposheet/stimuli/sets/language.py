"""A language localizer: sentences and lists of non-words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toposheet.progress import SILENT, Progress
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.making.items import item_table
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.sentences import PER_CONDITION, CountTokens, as_nonwords, no_tokens, unseen_sentences
from toposheet.stimuli.making.vocabulary import lexicon_words, seen_as_word
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.stimulus_set import StimulusSet


def language(
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = PER_CONDITION,
    seed: int = 0,
    count_tokens: CountTokens | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return a language localizer: sentences, and for each sentence a list of pronounceable non-words.

    The design is that of Fedorenko et al. 2010 (doi:10.1152/jn.00032.2010). The conditions are `sentence` and
    `nonword`. The sentences have 10 to 14 words. In a list, each word of the sentence is replaced by a non-word with
    the same number of letters (at least 3). Non-words are chosen by their tokens (`sentences.as_nonwords`), but lists
    still have more tokens than sentences. Capital letters and punctuation stay in both conditions.

    Args:
        held_out: Documents on which the model was not trained.
        train: Training documents. Every string in them counts as a word.
        per_condition: Number of texts in each condition.
        seed: Seed of the random choice of sentences and non-words.
        count_tokens: A function that returns the number of tokens of a text for a model. Most short words are one
            token, but most short non-words are more, so lists can still have more tokens than sentences
            (`measures.matching` shows how many). None: the number of tokens is
            ignored.
        progress: A function that is called with the number of non-word lists made so far.

    Returns:
        A table with the columns `text`, `condition`, `item`, `pair` and `synthetic` (True). A non-word list has the
        item and the pair of its sentence.

    Raises:
        UserError: The held-out text has too few sentences. The message says how many.
        NotFound: A package is not installed.
    """
    rng = np.random.default_rng(seed)
    sentences = unseen_sentences(held_out, train, per_condition, rng)[:per_condition]
    maker = NonwordMaker(lexicon_words(train), seen_as_word([*train, *held_out]))
    count = count_tokens or no_tokens
    nonwords = []
    for sentence in sentences:
        progress("making non-words for sentence", len(nonwords), len(sentences))
        nonwords.append(as_nonwords(sentence, maker, rng, count))
    return item_table({"sentence": sentences, "nonword": nonwords}, paired=("sentence", "nonword"))


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    train, held_out = reader.documents()
    n = PER_CONDITION if per_condition is None else per_condition
    return language(held_out, train, n, seed, reader.count_tokens, reader.progress)


SET = StimulusSet(
    description="sentences and lists of pronounceable non-words with as many words; lists have more tokens",
    source="text that is held out from training; the non-words are made from letter clusters of the training text",
    licence="the licence of the text; the built-in text is CC BY-SA 4.0 and public domain",
    conditions=("sentence", "nonword"),
    contrasts=(Contrast("sentence", "nonword"),),
    columns=("item", "pair"),
    make=_make,
)
