"""Sentences and lists of non-words: a language localizer."""

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
    """Return sentences and, for each, a list of pronounceable non-words: a language localizer.

    As in Fedorenko et al. 2010 (doi:10.1152/jn.00032.2010): conditions `sentence` and `nonword`. The sentences have 10
    to 14 words; a non-word has as many letters as the word it stands for (3 or more), a list as nearly as possible as
    many tokens as its sentence (`sentences.as_nonwords`); case and punctuation are kept in both conditions.

    Args:
        held_out: Documents that the model was not trained on.
        train: Training documents: what stands in them is a word.
        per_condition: How many texts each condition has.
        seed: Decides which.
        count_tokens: Returns how many tokens a model makes of a text. Few short non-words are one token, as short words
            are, so lists may still have more (`measures.matching` says how many). None leaves tokens out.
        progress: Told how many sentences have their non-words.

    Returns:
        Columns `text`, `condition`, `item` (a non-word list has the item of its sentence) and `synthetic` (True).

    Raises:
        UserError: the text holds too few sentences; the message says how many.
        NotFound: a package is not installed.
    """
    rng = np.random.default_rng(seed)
    sentences = unseen_sentences(held_out, train, per_condition, rng)[:per_condition]
    maker = NonwordMaker(lexicon_words(train), seen_as_word([*train, *held_out]))
    count = count_tokens or no_tokens
    nonwords = []
    for sentence in sentences:
        progress("making non-words for sentence", len(nonwords), len(sentences))
        nonwords.append(as_nonwords(sentence, maker, rng, count))
    return item_table({"sentence": sentences, "nonword": nonwords})


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    train, held_out = reader.documents()
    n = PER_CONDITION if per_condition is None else per_condition
    return language(held_out, train, n, seed, reader.count_tokens, reader.progress)


SET = StimulusSet(
    description="sentences and lists of pronounceable non-words, as alike in letters and tokens as can be",
    source="text held out from training; non-words from its letter clusters",
    licence="as the text that it is made from: built-in text is CC BY-SA 4.0 and public domain",
    conditions=("sentence", "nonword"),
    contrasts=(Contrast("sentence", "nonword"),),
    columns=("item",),
    make=_make,
)
