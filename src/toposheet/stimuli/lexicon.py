"""English words: a list of function words, and look-ups of base forms, inflections and frequencies in packages."""

from __future__ import annotations

import functools
import re

from toposheet.packages import import_package

# Function words: determiners, pronouns, prepositions, conjunctions, auxiliaries, negation. They are listed here
# because the lexicon calls several of them nouns, adjectives or adverbs ("about", "that", "own").
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

# wordfreq lists every string that is written often enough, also misspellings and codes. Most strings with a Zipf
# frequency of 1.5 or more (once in 30 million words) are known to some readers: names, brands, foreign words. But
# almost every string of three letters is an abbreviation (97 % of those that letter clusters make reach 1.5), and so
# are many strings of four letters. For these two lengths the limit is higher, because otherwise no short non-words
# would be left.
_WORD_FROM_ZIPF = {3: 2.75, 4: 2.0}
_WORD_FROM_ZIPF_LONG = 1.5

FOR_STIMULI = ("making these stimuli needs", "toposheet[stimuli]")
"""Two parts of the message about a missing package of words: what needs the package, and how to install it."""

_ENDINGS = {"VERB": ("ing", "ed", "s"), "NOUN": ("s",), "ADJ": ("er", "est"), "ADV": ("er", "est")}


@functools.cache  # without the cache, the lexicon copies its result at every call
def lemmas(word: str) -> dict[str, tuple[str, ...]]:
    """Return the base forms of a word for each of its possible parts of speech. An unknown word gives an empty dict.

    The lexicon is lemminflect (NIH SPECIALIST). The parts of speech are `NOUN, VERB, ADJ, ADV, AUX`. The lexicon counts
    pronouns as nouns.

    Raises:
        NotFound: The package lemminflect is not installed.
    """
    return import_package("lemminflect", *FOR_STIMULI).getAllLemmas(word)


def inflections(word: str) -> dict[str, tuple[str, ...]]:
    """Return the inflected forms of a base form for each Penn tag (`NN, VBD, ...`).

    If the lexicon has no forms of the word, the dict is empty.

    Raises:
        NotFound: The package lemminflect is not installed.
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
    """Return whether readers may know a string of small letters, as an English word, a name or a common string."""
    return bool(
        word in FUNCTION_WORDS or lemmas(word) or zipf(word) >= _WORD_FROM_ZIPF.get(len(word), _WORD_FROM_ZIPF_LONG)
    )


def base_and_ending(word: str) -> tuple[str, str]:
    """Return the base form of a word and its regular ending: `s`, `ed`, `ing`, `er`, `est`, `ly` or "".

    The ending `s` includes the spelling -es. A word that can be a base form or an inflected form ("building") is
    treated as the inflected form. For an irregular form ("men", "wrote") the word itself is returned as the base form,
    with the ending "". An adverb in -ly has the ending `ly` if the lexicon knows the adjective.
    """
    by_class = lemmas(word)
    for part_of_speech, endings in _ENDINGS.items():
        for lemma in by_class.get(part_of_speech, ()):
            for ending in endings:
                # The part before the ending equals the base form, except for spelling: tri(ed), stopp(ed), leav(es).
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
    """Return a stem with an ending, joined by the rules of English spelling.

    Args:
        stem: The stem, in small letters.
        ending: An ending that `base_and_ending` returns.
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
    # The ending begins with a vowel. A silent e is dropped. In words of one syllable, a single consonant after a single
    # vowel is doubled.
    if re.fullmatch("[^aeiouy]*(qu)?[aeiou][^aeiouwxy]", stem):
        return stem + stem[-1] + ending
    if ending == "ing":
        return re.sub("(?<![eoy])e$", "", re.sub("ie$", "y", stem)) + ending
    return stem + ending[1:] if stem.endswith("e") else re.sub("([^aeiou])y$", r"\1i", stem) + ending
