"""The stimuli that come with a model: sentences and non-words, nouns and verbs, made of text and a lexicon."""

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
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = 100,
    seed: int = 0,
    count_tokens: Callable[[str], int] | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return a stimulus set with conditions `sentence`, `nonword`, `noun` and `verb`.

    Sentences and non-words are those of the set `language`. The nouns and verbs are words that stand in the training
    text 10 times or more and that a lexicon (lemminflect, NIH SPECIALIST) knows as nothing else, in lists of three,
    each word used once, matched in how often they stand there, in Zipf frequency (wordfreq), letters and tokens.

    Args:
        held_out: Documents that were not trained on.
        train: The training documents: where words are counted.
        per_condition: How many texts each condition has.
        seed: Decides which.
        count_tokens: Returns how many tokens a model makes of a text; none leaves tokens out of all matching.
        progress: Told how many sentences have their non-words.

    Returns:
        Columns `text`, `condition`, `item` (0, 1, ...; a non-word list has the item of its sentence, a verb list that
        of its matched nouns) and `synthetic` (True).

    Raises:
        UserError: the text holds too few sentences or words, or no choice of words is matched; says how many, or the
            p-values.
        NotFound: a package is not installed.
    """
    sentences = language(held_out, train, per_condition, seed, count_tokens, progress)
    lists = _noun_and_verb_lists(word_counts(train), per_condition, np.random.default_rng(seed), count_tokens)
    return pd.concat([sentences, item_table(lists)], ignore_index=True)


def _noun_and_verb_lists(
    counts: Counter[str], n: int, rng: np.random.Generator, count_tokens: Callable[[str], int] | None
) -> dict[str, list[str]]:
    """Return lists of nouns and lists of verbs that differ in none of their measures, as words and as texts."""
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
    """Return words as texts of three."""
    return [
        " ".join(words_in_list) for words_in_list in np.reshape(words["word"].to_numpy(), (-1, WORDS_IN_LIST)).tolist()
    ]
