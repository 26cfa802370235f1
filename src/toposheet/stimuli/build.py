"""The stimuli that come with a model: sentences, non-words, nouns and verbs. They are made from text and a lexicon."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from toposheet.progress import SILENT, Progress
from toposheet.stimuli.lexicon import lemmas, zipf
from toposheet.stimuli.making.items import item_table
from toposheet.stimuli.making.matched import Cell, matched
from toposheet.stimuli.making.vocabulary import word_counts
from toposheet.stimuli.measures import group_means, p_of_difference
from toposheet.stimuli.sets.language import language

WORDS_IN_LIST = 3

# Function words. The lexicon lists them as nouns or verbs.
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
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = 100,
    seed: int = 0,
    count_tokens: Callable[[str], int] | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return a stimulus set with conditions `sentence`, `nonword`, `noun` and `verb`.

    The sentences and the non-words are made as in the set `language`. A noun text is a list of three nouns, and a verb
    text is a list of three verbs. Each word occurs in one list only. A word must occur at least 10 times in the
    training text, and the lexicon (lemminflect, NIH SPECIALIST) must list it only as a noun, or only as a verb. Nouns
    and verbs are matched in their count in the training text, in Zipf frequency (wordfreq), and in the numbers of
    letters and tokens.

    Args:
        held_out: Documents on which the model was not trained.
        train: The training documents. The words are counted in them.
        per_condition: Number of texts in each condition.
        seed: Seed of the random choice of sentences, non-words and words.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not matched.
        progress: A function that is called with the number of non-word lists made so far.

    Returns:
        A table with the columns `text`, `condition`, `item` (0, 1, ...), `pair` and `synthetic` (True). A non-word list
        has the item and the pair of its sentence. A list of verbs has the item and the pair of the list of nouns that
        it is matched with.

    Raises:
        UserError: The text holds too few sentences or words (the message says how many), or no choice of words is
            matched (the message says the p-values).
        NotFound: A package is not installed.
    """
    sentences = language(held_out, train, per_condition, seed, count_tokens, progress)
    lists = _noun_and_verb_lists(word_counts(train), per_condition, np.random.default_rng(seed), count_tokens)
    return pd.concat([sentences, item_table(lists, paired=("noun", "verb"))], ignore_index=True)


def _noun_and_verb_lists(
    counts: Counter[str], n: int, rng: np.random.Generator, count_tokens: Callable[[str], int] | None
) -> dict[str, list[str]]:
    """Return lists of nouns and lists of verbs that are matched in every measure, both as words and as lists."""
    rows = []
    for word, count in sorted(counts.items()):
        if count < 10 or not 3 <= len(word) <= 10 or word in _CLOSED_CLASS or word.endswith("ing"):
            continue
        classes = set(lemmas(word))
        if classes in ({"NOUN"}, {"VERB"}):
            row = {"word": word, "class": classes.pop().lower(), "count": np.log(count), "zipf": zipf(word)}
            rows.append(
                row | {"letters": len(word)} | ({"tokens": count_tokens(f"{word} {word}") / 2} if count_tokens else {})
            )
    measured = pd.DataFrame(rows, columns=[*_MEASURES, *(["tokens"] if count_tokens else [])])
    measures = measured.columns[2:].tolist()
    pools = {(part, "lists"): measured[measured["class"] == part] for part in ("noun", "verb")}

    def p_values(chosen: dict[Cell, pd.DataFrame]) -> dict[str, float]:
        p = {name: p_of_difference([words[name] for words in chosen.values()]) for name in measures}
        lists = [pd.DataFrame({"text": _lists(words), "condition": part}) for (part, _), words in chosen.items()]
        list_means = group_means(pd.concat(lists), count_tokens)
        return p | dict(zip(list_means["measure"] + " of lists", list_means["p"], strict=True))

    chosen = matched(pools, measures, n * WORDS_IN_LIST, rng, p_values)
    return {part: _lists(words) for (part, _), words in chosen.items()}


_MEASURES = ("word", "class", "count", "zipf", "letters")


def _lists(words: pd.DataFrame) -> list[str]:
    """Return texts of three words each."""
    return [
        " ".join(words_in_list) for words_in_list in np.reshape(words["word"].to_numpy(), (-1, WORDS_IN_LIST)).tolist()
    ]
