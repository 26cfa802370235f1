"""Sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N): what words and what structure contribute."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.lexicon import FUNCTION_WORDS, base_and_ending, lemmas, with_ending
from toposheet.stimuli.making.items import item_table
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.sentences import (
    PER_CONDITION,
    WORDS_IN_SENTENCE,
    CountTokens,
    as_nonwords,
    no_tokens,
    unseen_sentences,
)
from toposheet.stimuli.making.vocabulary import lexicon_words, seen_as_word
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.stimulus_set import StimulusSet

MIN_PER_CONDITION = 20


def swjn(
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = PER_CONDITION,
    seed: int = 0,
    skip: Collection[str] | None = None,
    at_least: int | None = None,
    count_tokens: CountTokens | None = None,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Return sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N), as in Fedorenko et al. 2011.

    doi:10.1073/pnas.1112937108. S has words and structure, W words only, J structure only, N neither. All texts are in
    small letters and without punctuation, so that these are no cue.

    - S: held-out sentences of 10 to 14 words, those with the fewest words that the lexicon does not know (names).
    - W: the words of all these sentences, each as often as there, in lists as long as the sentences. No word is in the
      list of its own sentence, and no two words follow each other that do so in a sentence.
    - J: the sentences with a pronounceable non-word in place of every word but function words, with the same regular
      inflection (-s, -ed, -ing, -er, -est, -ly). A word that comes again in a text is the same non-word again.
    - N: other sentences, of about the same length, with a non-word of as many letters (3 or more) in place of every
      word. (The published lists have function words as well.)

    Args:
        held_out: Documents that the model was not trained on.
        train: Training documents: what stands in them is a word.
        per_condition: How many texts each condition has. Twice as many sentences are needed.
        seed: Decides which.
        skip: Sentences that stand in other sets, e.g. the model's localizer, and must not come again. None: those that
            `language` and `build_stimuli` take with the same seed, and the same `per_condition` or up to 100.
        at_least: Make fewer texts a condition where the text is short, down to this many. None: exactly
            `per_condition`.
        count_tokens: Returns how many tokens a model makes of a text, in which J and N come as near as they can to S
            (see `language`). None leaves tokens out.
        progress: Told how many of the texts that are made of non-words are made.

    Returns:
        Columns `text`, `condition`, `item` (S, W and J of an item have the same number of words, S and J the same
        function words) and `synthetic` (True).

    Raises:
        UserError: the text holds too few sentences; the message says how many.
        NotFound: a package is not installed.
    """
    rng = np.random.default_rng(seed)
    least = per_condition if at_least is None else at_least
    usable = unseen_sentences(held_out, train, 2 * least, rng)  # in the order in which `language` takes them
    taken = set(usable[: max(per_condition, PER_CONDITION)] if skip is None else skip)
    left = [sentence for sentence in usable if sentence not in taken]
    plain = [sentence for sentence in left if not re.search("['-]", sentence)]
    n = max(least, min(per_condition, len(left) // 2, len(plain)))
    if len(left) < 2 * n or len(plain) < n:
        raise UserError(
            f"the held-out text has {len(usable)} sentences of {WORDS_IN_SENTENCE[0]} to "
            f"{WORDS_IN_SENTENCE[-1]} words, "
            f"{len(left)} of them in no other set, {len(plain)} of these without hyphens and apostrophes; "
            f"{2 * n} and {n} are needed: hold out more text or ask for fewer stimuli"
        )
    fewest_names = set(sorted(plain, key=_unknown_words)[:n])
    chosen = [_words_of(sentence) for sentence in left if sentence in fewest_names]
    count = count_tokens or no_tokens
    others = _alike_in_length(chosen, [_words_of(sentence) for sentence in left if sentence not in fewest_names], count)
    english = seen_as_word([*train, *held_out])
    counts = lexicon_words(train)
    whole = NonwordMaker(counts, english)
    stems = NonwordMaker({word: n for word, n in counts.items() if base_and_ending(word) == (word, "")}, english)

    def told(sentences: list[list[str]], before: int) -> Iterator[list[str]]:
        for number, sentence in enumerate(sentences, before):
            progress("making Jabberwocky and non-words, text", number, 2 * n)
            yield sentence

    texts = {
        "S": [" ".join(sentence) for sentence in chosen],
        "W": [" ".join(words) for words in scrambled(chosen, rng)],
        "J": [" ".join(jabberwocky(sentence, stems, english, rng, count)) for sentence in told(chosen, 0)],
        "N": [as_nonwords(" ".join(sentence), whole, rng, count, word=r"\S+") for sentence in told(others, n)],
    }
    return item_table(texts)


def scrambled(sentences: Sequence[Sequence[str]], rng: np.random.Generator) -> list[list[str]]:
    """Return lists of the words of sentences: as long as these, each word as often, nothing left of their order.

    No word is in the list of its own sentence, no two words follow each other that do so in one of the sentences, and
    none follows itself.

    Args:
        sentences: The words of each sentence.
        rng: Decides where they go.

    Raises:
        UserError: no such order was found, as there are too few sentences.
    """
    together = {pair for sentence in sentences for pair in pairwise(sentence)}
    place = [n for n, sentence in enumerate(sentences) for _ in sentence]  # the list that a position belongs to
    pool = [(word, n) for n, sentence in enumerate(sentences) for word in sentence]
    order = [pool[i] for i in rng.permutation(len(pool))]

    def wrong(position: int) -> int:
        """Return how much is wrong with a position and its neighbours."""
        faults = int(order[position][1] == place[position])
        for left in (position - 1, position):
            if left >= 0 and left + 1 < len(order) and place[left] == place[left + 1]:
                pair = order[left][0], order[left + 1][0]
                faults += pair in together or pair[0] == pair[1]
        return faults

    for _ in range(200):
        faulty = [position for position in range(len(order)) if wrong(position)]
        if not faulty:
            words = iter(word for word, _ in order)
            return [[next(words) for _ in sentence] for sentence in sentences]
        for a in faulty:
            b = int(rng.integers(len(order)))
            before = wrong(a) + wrong(b)
            order[a], order[b] = order[b], order[a]
            if wrong(a) + wrong(b) > before:
                order[a], order[b] = order[b], order[a]
    raise UserError(f"the words of {len(sentences)} sentences cannot be mixed well enough: give more sentences")


def jabberwocky(
    sentence: Sequence[str],
    stems: NonwordMaker,
    english: Callable[[str], bool],
    rng: np.random.Generator,
    count_tokens: CountTokens,
) -> list[str]:
    """Return the words of a sentence with an inflected non-word in place of each that is not a function word.

    Articles stay right: what follows `a` begins with a consonant, what follows `an` with a vowel. Tokens are as
    in `as_nonwords`.

    Args:
        sentence: Its words, in small letters.
        stems: Makes non-words that look like base forms.
        english: Whether a string is a word: no inflected non-word is.
        rng: Decides which.
        count_tokens: Returns how many tokens a model makes of a text.

    Raises:
        UserError: a word finds no non-word that fits.
    """
    articles = {word: article for article, word in pairwise(sentence) if article in ("a", "an")}
    stem_of: dict[str, str] = {}
    made: dict[str, str] = {}
    surplus = 0  # tokens that the text has too many, up to a word

    def in_place_of(word: str, before: str) -> str:
        nonlocal surplus
        allowed = count_tokens(before + word) - surplus
        if word not in made:
            base, ending = base_and_ending(word)
            article = articles.get(word)

            def fits(stem: str) -> bool:
                form = with_ending(stem, ending)
                looks_inflected = re.search("([^isu]s|ed|ing|ly|ae)$", stem)
                right = article is None or (article == "an") == (form[0] in "aeiou")
                return right and not looks_inflected and form not in made.values() and not english(form)

            if base not in stem_of or not fits(stem_of[base]):  # walk and walked have the same
                stem_of[base] = stems.make(
                    len(base), rng, lambda stem: abs(count_tokens(before + with_ending(stem, ending)) - allowed), fits
                )
            made[word] = with_ending(stem_of[base], ending)
        surplus = count_tokens(before + made[word]) - allowed
        return made[word]

    return [
        word if word in FUNCTION_WORDS else in_place_of(word, "a " if position else "")  # tokens differ after a space
        for position, word in enumerate(sentence)
    ]


def _alike_in_length(sentences: list[list[str]], others: list[list[str]], count_tokens: CountTokens) -> list[list[str]]:
    """Return for each sentence another one, such that lists of non-words in its place are about as long."""

    def size(words: list[str], shortest: int) -> tuple[int, int, int]:
        return 5 * len(words), sum(max(len(word), shortest) for word in words), count_tokens(" ".join(words))

    cost = cdist([size(words, 1) for words in sentences], [size(words, 3) for words in others], "cityblock")
    return [others[i] for i in linear_sum_assignment(cost)[1]]


def _words_of(sentence: str) -> list[str]:
    return re.findall("[a-z]+(?:['-][a-z]+)*", sentence.lower())


def _unknown_words(sentence: str) -> int:
    return sum(not (word in FUNCTION_WORDS or lemmas(word)) for word in _words_of(sentence))


def _make(reader: Reader, seed: int, per_condition: int | None) -> pd.DataFrame:
    train, held_out = reader.documents()
    n, least = (PER_CONDITION, MIN_PER_CONDITION) if per_condition is None else (per_condition, None)
    return swjn(held_out, train, n, seed, at_least=least, count_tokens=reader.count_tokens, progress=reader.progress)


SET = StimulusSet(
    description="other sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N), as alike as can be",
    source="as language; inflection by lemminflect",
    licence="as the text that it is made from: built-in text is CC BY-SA 4.0 and public domain",
    conditions=("S", "W", "J", "N"),
    contrasts=(Contrast("S", "N"),),
    columns=("item",),
    make=_make,
)
