"""What installed packages know of English words: which are words, which are grammar, how they are inflected."""

from __future__ import annotations

import functools
import re

from toposheet.packages import import_package

# Words that carry grammar: determiners, pronouns, prepositions, conjunctions, auxiliaries, negation. A lexicon has
# several of them as nouns, adjectives or adverbs ("about", "that", "own"), so they are listed.
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that these those some any no every each either neither both all half several many much more most
        few fewer fewest little less least enough such other another same own what which whose one
        i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself
        we us our ours ourselves they them their theirs themselves ones oneself who whom whoever whomever whatever
        whichever someone somebody something anyone anybody anything everyone everybody everything nobody nothing none
        others thou thee thy thine ye
        about above across after against along alongside amid amidst among amongst around as at atop before behind
        below beneath beside besides between beyond by despite down during except for from in inside into like near of
        off on onto out outside over per since than through throughout till to toward towards under underneath unlike
        until up upon via versus with within without
        and but or nor so yet if because although though unless while whilst whereas whether lest when whenever where
        wherever why how whereby wherein
        am is are was were be been being has have had having do does did doing can could may might must shall should
        will would ought cannot not there
        """,
    )
)

# wordfreq lists whatever is written often enough, misspellings and codes too. From Zipf 1.5 on (once in 30 million
# words) most of it is known to somebody: names, brands, foreign words. But three letters are an abbreviation of
# something whatever they are (of those that letter clusters make, 97 % have 1.5), and so are many fours: of these only
# what is commoner counts, or no short non-words would be left.
_WORD_FROM_ZIPF = {3: 2.75, 4: 2.0}
_WORD_FROM_ZIPF_LONG = 1.5

FOR_STIMULI = ("making these stimuli needs", "toposheet[stimuli]")
"""What needs the packages of words, and what installs them: for the message where one is missing."""

_ENDINGS = {"VERB": ("ing", "ed", "s"), "NOUN": ("s",), "ADJ": ("er", "est"), "ADV": ("er", "est")}


@functools.cache  # the lexicon copies what it returns
def lemmas(word: str) -> dict[str, tuple[str, ...]]:
    """Return the base forms of a word for each part of speech that it can be; nothing for an unknown word.

    By the lexicon of lemminflect (NIH SPECIALIST). Parts of speech are `NOUN, VERB, ADJ, ADV, AUX`; pronouns are nouns.

    Raises:
        NotFound: the package is not installed.
    """
    return import_package("lemminflect", *FOR_STIMULI).getAllLemmas(word)


def inflections(word: str) -> dict[str, tuple[str, ...]]:
    """Return the forms of a base form for each Penn tag (`NN, VBD, ...`); nothing where the lexicon has none.

    Raises:
        NotFound: the package is not installed.
    """
    return import_package("lemminflect", *FOR_STIMULI).getAllInflections(word)


def zipf(word: str) -> float:
    """Return the Zipf frequency of a word, 0 if unknown: log10 of its occurrences in a billion words.

    By wordfreq; the scale is that of van Heuven et al. 2014, doi:10.1080/17470218.2013.850521.

    Raises:
        NotFound: the package is not installed.
    """
    return float(import_package("wordfreq", *FOR_STIMULI).zipf_frequency(word, "en"))


def is_word(word: str) -> bool:
    """Return whether a string of small letters is English, a name, or written often enough to be known to somebody."""
    return bool(
        word in FUNCTION_WORDS or lemmas(word) or zipf(word) >= _WORD_FROM_ZIPF.get(len(word), _WORD_FROM_ZIPF_LONG)
    )


def base_and_ending(word: str) -> tuple[str, str]:
    """Return the base form of a word and its regular ending: -s, -ed, -ing, -er, -est, -ly, or none.

    -s stands for -es too, as spelling has it. A word that is a base form and an inflected one ("building") is taken for
    the inflected one; irregular forms ("men", "wrote") have no ending and are their own base. An adverb in -ly has the
    ending where the lexicon knows the adjective.
    """
    by_class = lemmas(word)
    for part_of_speech, endings in _ENDINGS.items():
        for lemma in by_class.get(part_of_speech, ()):
            for ending in endings:
                # What stands before the ending is the base form but for spelling: tri(ed), stopp(ed), leav(es).
                if len(word) > len(lemma) and word.endswith(ending) and word.startswith(lemma[:-2]) and lemma != word:
                    return lemma, ending
    if "ADV" in by_class and word.endswith("ly"):
        stem = word[:-2]
        for adjective in (stem, re.sub("i$", "y", stem), word[:-1] + "e", stem + "e", re.sub("al$", "", stem)):
            if "ADJ" in lemmas(adjective):
                return adjective, "ly"
    return word, ""


@functools.cache
def with_ending(stem: str, ending: str) -> str:
    """Return a stem with an ending put on it by the rules of English spelling.

    Args:
        stem: In small letters.
        ending: As `base_and_ending` names them.
    """
    if ending == "s":
        if re.search("(s|x|z|ch|sh)$", stem):
            return stem + "es"
        return re.sub("y$", "ies", stem) if re.search("[^aeiou]y$", stem) else stem + "s"
    if ending == "ly":
        if re.search("[^aeiou]le$", stem):
            return stem[:-1] + "y"
        return re.sub("ll$", "l", re.sub("ic$", "ical", re.sub("([^aeiou])y$", r"\1i", stem))) + "ly"
    if not ending:
        return stem
    # A vowel follows: a silent e goes, a single consonant after a single vowel is doubled in words of one syllable.
    if re.fullmatch("[^aeiouy]*(qu)?[aeiou][^aeiouwxy]", stem):
        return stem + stem[-1] + ending
    if ending == "ing":
        return re.sub("(?<![eoy])e$", "", re.sub("ie$", "y", stem)) + ending
    return stem + ending[1:] if stem.endswith("e") else re.sub("([^aeiou])y$", r"\1i", stem) + ending
