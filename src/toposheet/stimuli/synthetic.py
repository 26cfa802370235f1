"""Stimulus sets that anyone can make again from packages and a seed; here those made from text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from toposheet.errors import UserError
from toposheet.stimuli.lexicon import FUNCTION_WORDS, base_and_ending, is_word, lemmas, with_ending
from toposheet.stimuli.nonwords import NonwordMaker
from toposheet.stimuli.norms import pairs, words
from toposheet.stimuli.sentences import (
    WORDS_IN_SENTENCE,
    NTokens,
    as_nonwords,
    known_words,
    unseen_sentences,
    word_counts,
)

__all__ = ["language", "pairs", "swjn", "words"]

PER_CONDITION, MIN_PER_CONDITION = 100, 20


def language(
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = PER_CONDITION,
    seed: int = 0,
    n_tokens: NTokens | None = None,
) -> pd.DataFrame:
    """Return sentences and, for each, a list of pronounceable non-words: a language localizer.

    As in Fedorenko et al. 2010 (doi:10.1152/jn.00032.2010): conditions `sentence` and `nonword`. The sentences have 10
    to 14 words; a non-word has as many letters as the word it stands for (3 or more), a list as nearly as possible as
    many tokens as its sentence (`sentences.as_nonwords`); case and punctuation are kept in both conditions.

    Args:
        held_out: Documents that the model was not trained on.
        train: Training documents: what stands in them is a word.
        per_condition: How many texts each condition has.
        seed: Decides which.
        n_tokens: How many tokens a model makes of a text. Few short non-words are one token, as short words are, so
            lists may still have more (`measures.matching` says how many). None leaves tokens out.

    Returns:
        Columns `text`, `condition`, `item` (a non-word list has the item of its sentence) and `synthetic` (True).

    Raises:
        UserError: the text holds too few sentences; the message says how many.
        NotFound: a package is not installed.
    """
    rng = np.random.default_rng(seed)
    sentences = unseen_sentences(held_out, train, per_condition, rng)[:per_condition]
    maker = NonwordMaker(_lexicon_words(train), _english([*train, *held_out]))
    count = _counter(n_tokens)
    nonwords = [as_nonwords(sentence, maker, rng, count) for sentence in sentences]
    return _table({"sentence": sentences, "nonword": nonwords})


def swjn(
    held_out: Sequence[str],
    train: Sequence[str],
    per_condition: int = PER_CONDITION,
    seed: int = 0,
    skip: Collection[str] | None = None,
    at_least: int | None = None,
    n_tokens: NTokens | None = None,
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
        n_tokens: How many tokens a model makes of a text, in which J and N come as near as they can to S (see
            `language`). None leaves tokens out.

    Returns:
        Columns `text`, `condition`, `item` (S, W and J of an item have the same number of words, S and J the same
        function words) and `synthetic` (True).

    Raises:
        UserError: the text holds too few sentences; the message says how many.
        NotFound: a package is not installed.
    """
    rng = np.random.default_rng(seed)
    least = per_condition if at_least is None else at_least
    found = unseen_sentences(held_out, train, 2 * least, rng)  # in the order in which `language` takes them
    taken = set(found[: max(per_condition, PER_CONDITION)] if skip is None else skip)
    left = [sentence for sentence in found if sentence not in taken]
    plain = [sentence for sentence in left if not re.search("['-]", sentence)]
    n = max(least, min(per_condition, len(left) // 2, len(plain)))
    if len(left) < 2 * n or len(plain) < n:
        raise UserError(
            f"the held-out text has {len(found)} sentences of {WORDS_IN_SENTENCE[0]} to {WORDS_IN_SENTENCE[-1]} words, "
            f"{len(left)} of them in no other set, {len(plain)} of these without hyphens and apostrophes; "
            f"{2 * n} and {n} are needed: hold out more text or ask for fewer stimuli"
        )
    fewest_names = set(sorted(plain, key=_unknown_words)[:n])
    chosen = [_words_of(sentence) for sentence in left if sentence in fewest_names]
    count = _counter(n_tokens)
    others = _of_like_length(chosen, [_words_of(sentence) for sentence in left if sentence not in fewest_names], count)
    english = _english([*train, *held_out])
    counts = _lexicon_words(train)
    whole = NonwordMaker(counts, english)
    stems = NonwordMaker({word: n for word, n in counts.items() if base_and_ending(word) == (word, "")}, english)
    texts = {
        "S": [" ".join(sentence) for sentence in chosen],
        "W": [" ".join(words) for words in scrambled(chosen, rng)],
        "J": [" ".join(jabberwocky(sentence, stems, english, rng, count)) for sentence in chosen],
        "N": [as_nonwords(" ".join(sentence), whole, rng, count, word=r"\S+") for sentence in others],
    }
    return _table(texts)


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
    n_tokens: NTokens,
) -> list[str]:
    """Return the words of a sentence with an inflected non-word in place of each that is not a function word.

    Articles stay right: what follows `a` begins with a consonant, what follows `an` with a vowel. Tokens are as
    in `as_nonwords`.

    Args:
        sentence: Its words, in small letters.
        stems: Makes non-words that look like base forms.
        english: Whether a string is a word: no inflected non-word is.
        rng: Decides which.
        n_tokens: How many tokens a model makes of a text.

    Raises:
        UserError: a word finds no non-word that fits.
    """
    articles = {word: article for article, word in pairwise(sentence) if article in ("a", "an")}
    stem_of: dict[str, str] = {}
    made: dict[str, str] = {}
    surplus = 0  # tokens that the text has too many, up to a word

    def in_place_of(word: str, before: str) -> str:
        nonlocal surplus
        allowed = n_tokens(before + word) - surplus
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
                    len(base), rng, lambda stem: abs(n_tokens(before + with_ending(stem, ending)) - allowed), fits
                )
            made[word] = with_ending(stem_of[base], ending)
        surplus = n_tokens(before + made[word]) - allowed
        return made[word]

    return [
        word if word in FUNCTION_WORDS else in_place_of(word, "a " if position else "")  # tokens differ after a space
        for position, word in enumerate(sentence)
    ]


def _english(documents: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of whether a string is a word, or so much of one that readers would see it in it.

    That is: a word of the text (names too), of the lexicon, or commonly written; from 5 letters on also what a word of
    the lexicon begins or ends with ("exchang") and what begins or ends with one of 5 letters or more ("blacketiver").
    """
    known = known_words(documents)
    entries = {word for word in known if len(word) >= 5 and lemmas(word)}
    parts = {part for word in entries for part in _ends(word)}

    def english(word: str) -> bool:
        return word in known or word in parts or any(part in entries for part in _ends(word)) or is_word(word)

    return english


def _ends(word: str) -> Iterator[str]:
    """Yield the beginnings and the ends of a word that have 5 letters or more."""
    for n in range(5, len(word)):
        yield from (word[:n], word[-n:])


def _lexicon_words(documents: Sequence[str]) -> dict[str, int]:
    """Return how often each word of the text stands there that the lexicon knows: names and foreign words are out."""
    return {word: n for word, n in word_counts(documents).items() if lemmas(word)}


def _of_like_length(sentences: list[list[str]], others: list[list[str]], n_tokens: NTokens) -> list[list[str]]:
    """Return for each sentence another one, such that lists of non-words in its place are about as long."""

    def size(words: list[str], shortest: int) -> tuple[int, int, int]:
        return 5 * len(words), sum(max(len(word), shortest) for word in words), n_tokens(" ".join(words))

    cost = cdist([size(words, 1) for words in sentences], [size(words, 3) for words in others], "cityblock")
    return [others[i] for i in linear_sum_assignment(cost)[1]]


def _counter(n_tokens: NTokens | None) -> NTokens:
    """Return a counter of tokens; without a tokenizer no text has any."""
    return n_tokens or (lambda text: 0)


def _words_of(sentence: str) -> list[str]:
    return re.findall("[a-z]+(?:['-][a-z]+)*", sentence.lower())


def _unknown_words(sentence: str) -> int:
    return sum(not (word in FUNCTION_WORDS or lemmas(word)) for word in _words_of(sentence))


def _table(columns: dict[str, list[str]]) -> pd.DataFrame:
    rows = [(text, condition, item) for condition, texts in columns.items() for item, text in enumerate(texts)]
    return pd.DataFrame(rows, columns=["text", "condition", "item"]).assign(synthetic=True)
