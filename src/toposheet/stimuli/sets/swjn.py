"""Sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N): effects of words and of structure."""

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
    MORE_TEXT,
    PER_CONDITION,
    WORDS_IN_SENTENCE,
    CountTokens,
    as_nonwords,
    no_tokens,
    unseen_sentences,
)
from toposheet.stimuli.making.vocabulary import lexicon_words, seen_as_word
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.sets.language import language
from toposheet.stimuli.stimulus_set import StimulusSet
from toposheet.wording import counted

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
    nonwords: Collection[str] = (),
) -> pd.DataFrame:
    """Return sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N), as in Fedorenko et al. 2011.

    doi:10.1073/pnas.1112937108. S has words and structure, W has only words, J has only structure, and N has neither.
    All texts are in small letters and without punctuation, so that the conditions do not differ in these.

    - S: held-out sentences of 10 to 14 words. Sentences with few names (words that the lexicon does not know) are
      preferred.
    - W: all words of the sentences of S, in another order, as lists. List i is as long as sentence i, and none of its
      words was taken from sentence i. Two words that are neighbours in a sentence are never neighbours in a list.
    - J: the sentences of S, in which every word is replaced by a pronounceable non-word with the same regular ending
      (-s, -ed, -ing, -er, -est, -ly). Function words stay. A word that occurs twice in a text gets the same
      non-word both times.
    - N: other sentences of about the same length, in which every word is replaced by a non-word with the same number of
      letters (at least 3). No non-word occurs twice in a list. The published lists contain function words; these
      lists do not.

    No non-word of J and N is a word of `skip` or `nonwords`. So effects of the localizer's non-words cannot pass to the
    responses to J and N.

    Args:
        held_out: Documents on which the model was not trained.
        train: Training documents. Every string in them counts as a word.
        per_condition: Number of texts in each condition. Twice as many sentences are needed.
        seed: Seed of the random choice of sentences, words and non-words.
        skip: Texts of other sets, e.g. of the localizer of the model. Their sentences are not used again, and their
            words are never used as non-words. None: the texts of the sets that `language` and `build_stimuli` make with
            the same seed, the same tokenizer and up to `per_condition` (or up to 100, if this is more) texts in each
            condition.
        at_least: If the held-out text is too short, make fewer texts in each condition, but at least this number. None:
            make exactly `per_condition` texts.
        count_tokens: A function that returns the number of tokens of a text for a model. J and N are matched with S in
            this number as well as possible (see `language`). None: the number of
            tokens is ignored.
        progress: A function that is called with the number of J and N texts made so far.
        nonwords: More texts whose words are never used as non-words.

    Returns:
        A table with the columns `text`, `condition`, `item`, `pair` and `synthetic` (True). In an item, S, W and J have
        the same number of words, and S and J have the same function words. S and J of an item are a pair; W and N have
        no pair, because their words come from other sentences.

    Raises:
        UserError: The held-out text has too few sentences. The message says how many.
        NotFound: A package is not installed.
    """
    rng = np.random.default_rng(seed)
    least = per_condition if at_least is None else at_least
    usable = unseen_sentences(held_out, train, 2 * least, rng)  # in the same order as in `language`
    if skip is None:
        n = min(len(usable), max(per_condition, PER_CONDITION))  # smaller sets with this seed have a part of the texts
        skip = language(held_out, train, n, seed, count_tokens, progress)["text"].tolist()
    taken = set(skip)
    left = [sentence for sentence in usable if sentence not in taken]
    plain = [sentence for sentence in left if not re.search("['-]", sentence)]
    n = max(least, min(per_condition, len(left) // 2, len(plain)))
    if len(left) < 2 * n or len(plain) < n:
        raise UserError(
            f"the held-out text has {len(usable)} sentences of {WORDS_IN_SENTENCE[0]} to {WORDS_IN_SENTENCE[-1]} "
            f"words; {len(left)} of them are not in other sets (needed: {2 * n}), and {len(plain)} of these have no "
            f"hyphens and apostrophes (needed: {n}): {MORE_TEXT}"
        )
    fewest_names = set(sorted(plain, key=_unknown_words)[:n])
    chosen = [_words_of(sentence) for sentence in left if sentence in fewest_names]
    count = count_tokens or no_tokens
    others = _alike_in_length(chosen, [_words_of(sentence) for sentence in left if sentence not in fewest_names], count)
    known, elsewhere = (
        seen_as_word([*train, *held_out]),
        set(re.findall("[a-z]+", " ".join([*skip, *nonwords]).lower())),
    )

    def used(word: str) -> bool:
        return word in elsewhere or known(word)

    counts = lexicon_words(train)
    whole = NonwordMaker(counts, used)
    stems = NonwordMaker({word: n for word, n in counts.items() if base_and_ending(word) == (word, "")}, used)

    def with_progress(sentences: list[list[str]], before: int) -> Iterator[list[str]]:
        for number, sentence in enumerate(sentences, before):
            progress("making Jabberwocky and non-words, text", number, 2 * n)
            yield sentence

    texts = {
        "S": [" ".join(sentence) for sentence in chosen],
        "W": [" ".join(words) for words in scrambled(chosen, rng)],
        "J": [" ".join(jabberwocky(sentence, stems, used, rng, count)) for sentence in with_progress(chosen, 0)],
        "N": [
            as_nonwords(" ".join(sentence), whole, rng, count, word=r"\S+", repeat=False)
            for sentence in with_progress(others, n)
        ],
    }
    return item_table(texts, paired=("S", "J"))


def scrambled(sentences: Sequence[Sequence[str]], rng: np.random.Generator) -> list[list[str]]:
    """Return all words of the sentences in a new order, as lists with the lengths of the sentences.

    List i is as long as sentence i, but none of its words was taken from sentence i. Two words that are neighbours in a
    sentence are never neighbours in a list. The same word never occurs twice in a row.

    Args:
        sentences: The words of each sentence.
        rng: The random generator of the order.

    Raises:
        UserError: No such order was found, because there are too few sentences.
    """
    together = {pair for sentence in sentences for pair in pairwise(sentence)}
    place = [n for n, sentence in enumerate(sentences) for _ in sentence]  # the number of the list for each position
    pool = [(word, n) for n, sentence in enumerate(sentences) for word in sentence]
    order = [pool[i] for i in rng.permutation(len(pool))]

    def wrong(position: int) -> int:
        """Return the number of rules that the word at a position and its neighbours break."""
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
    raise UserError(
        f"the words of {counted(len(sentences), 'sentence')} cannot be shuffled within all rules: give more sentences"
    )


def jabberwocky(
    sentence: Sequence[str],
    stems: NonwordMaker,
    english: Callable[[str], bool],
    rng: np.random.Generator,
    count_tokens: CountTokens,
) -> list[str]:
    """Return the words of a sentence, in which an inflected non-word replaces each word except function words.

    A non-word after `a` begins with a consonant, and a non-word after `an` begins with a vowel. The number of tokens is
    matched as in `as_nonwords`.

    Args:
        sentence: The words of the sentence, in small letters.
        stems: A maker of non-words that look like base forms.
        english: A function that returns True for a string that readers would recognise as a word. Such a string is
            never used as an inflected non-word.
        rng: The random generator.
        count_tokens: A function that returns the number of tokens of a text for a model.

    Raises:
        UserError: No suitable non-word can be made for a word.
    """
    articles = {word: article for article, word in pairwise(sentence) if article in ("a", "an")}
    stem_of: dict[str, str] = {}
    made: dict[str, str] = {}
    surplus = 0  # number of tokens more than in the sentence, up to the present word

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

            if base not in stem_of or not fits(stem_of[base]):  # walk and walked get the same stem
                stem_of[base] = stems.make(
                    len(base), rng, lambda stem: abs(count_tokens(before + with_ending(stem, ending)) - allowed), fits
                )
            made[word] = with_ending(stem_of[base], ending)
        surplus = count_tokens(before + made[word]) - allowed
        return made[word]

    # A word has other tokens after a space.
    return [
        word if word in FUNCTION_WORDS else in_place_of(word, "a " if position else "")
        for position, word in enumerate(sentence)
    ]


def _alike_in_length(sentences: list[list[str]], others: list[list[str]], count_tokens: CountTokens) -> list[list[str]]:
    """Return another sentence for each sentence. Its list of non-words is about as long as the given sentence."""

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
    shipped = reader.shipped
    nonwords = [] if shipped is None else shipped.loc[shipped["condition"] == "nonword", "text"].tolist()
    return swjn(held_out, train, n, seed, None, least, reader.count_tokens, progress=reader.progress, nonwords=nonwords)


SET = StimulusSet(
    description="sentences (S), word lists (W), Jabberwocky (J), non-word lists (N); J and N have more tokens",
    source="text that is held out from training; the non-words are made as in the set language, with lemminflect",
    licence="the licence of the text; the built-in text is CC BY-SA 4.0 and public domain",
    conditions=("S", "W", "J", "N"),
    contrasts=(Contrast("S", "N"),),
    columns=("item", "pair"),
    make=_make,
)
