"""Pronounceable non-words, made from letter clusters in the order in which they follow each other in English words."""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate, pairwise

import numpy as np

from toposheet.errors import UserError

_CLUSTER = re.compile(r"[aeiouy]+|[^aeiouy]+")
_TRIPLE = re.compile(r"(.)\1\1")
_END = "$"
_LONGEST = 20
_CANDIDATES = 300  # number of unused non-words to choose from, for each new non-word
# Number of non-words of 3 and 4 letters that may be used; less likely ones look odd ("utyl").
_LIKELIEST = {3: 100, 4: 400}
_USE_OF_SHORT, _USE_OF_LONG = 1 / 10, 2.0  # penalty for each earlier use of a non-word, in tokens


class NonwordMaker:
    """Makes words that could be English but are not.

    English words are cut into clusters of vowels and of consonants (*str-ea-m*). A Markov chain of order 2 learns which
    clusters follow each other, and produces new strings, as in Wuggy (Keuleers & Brysbaert 2010,
    doi:10.3758/BRM.42.3.627). A string that is a word, or that has the same letter three times in a row, is rejected.

    Args:
        counts: English words in small letters, with their counts.
        is_word: A further test for words, e.g. a look-up in a dictionary. It returns True for a word.
    """

    def __init__(self, counts: Mapping[str, int], is_word: Callable[[str], bool] = lambda word: False) -> None:
        self._words = set(counts)
        self._is_word = is_word
        self._uses: dict[int, dict[str, int]] = defaultdict(dict)  # length: {candidate: number of times it was used}
        self._made: Counter[int] = Counter()  # length: number of non-words made
        follows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for word in counts:
            if 3 <= len(word) <= 14:
                letter_groups = ["", "", *_CLUSTER.findall(word), _END]
                for first, second, third in zip(letter_groups, letter_groups[1:], letter_groups[2:], strict=False):
                    follows[first, second][third] += 1
        # A cluster that follows only once often belongs to a name or a foreign word.
        self._chain: dict[tuple[str, str], tuple[list[str], list[float]]] = {}
        for key, counter in follows.items():
            usual = {letters: n for letters, n in counter.items() if n > 1}
            if usual:
                total = sum(usual.values())
                self._chain[key] = (list(usual), [n / total for n in accumulate(usual.values())])

    def make(
        self,
        length: int,
        rng: np.random.Generator,
        misfit: Callable[[str], float] = lambda nonword: 0.0,
        fits: Callable[[str], bool] = lambda nonword: True,
    ) -> str:
        """Return a non-word with a small misfit that was used as rarely as possible before.

        Only 100 non-words of 3 letters and 400 of 4 letters are used, the most likely ones. They are used again when
        all were used, or earlier if they have a smaller misfit. Longer non-words are almost never used twice.

        Args:
            length: Number of letters. A length below 3 counts as 3.
            rng: The random generator.
            misfit: A function that returns by how many tokens a non-word is too long or too short.
            fits: A function of a non-word. It returns whether the text may have this non-word in the place of the word.

        Raises:
            UserError: No non-word of this length can be made from the given words, or none is allowed.
        """
        length = max(length, 3)
        uses, cost = self._candidates(length, rng), _USE_OF_SHORT if length in _LIKELIEST else _USE_OF_LONG
        candidates = list(uses)
        bad = [misfit(nonword) + cost * uses[nonword] for nonword in candidates]
        for i in np.lexsort((rng.random(len(bad)), np.array(bad))):
            if fits(candidates[i]):
                uses[candidates[i]] += 1
                self._made[length] += 1
                return candidates[i]
        raise UserError(f"no non-word of {length} letters can be made from {len(self._words)} words: give more words")

    def _candidates(self, length: int, rng: np.random.Generator) -> dict[str, int]:
        """Return non-words of a length and how often each was used. If too few are unused, draw more."""
        uses = self._uses[length]
        if length in _LIKELIEST:
            if not uses:
                chains = sorted((-p, chain) for chain, p in self._chains(length) if self._is_nonword(chain))
                uses.update((chain, 0) for _, chain in chains[: _LIKELIEST[length]])
            return uses
        for _ in range(100 if self._made[length] else 20_000):
            if len(uses) >= _CANDIDATES + self._made[length]:
                break
            chain = self._draw(rng)  # of any length
            alike, enough = self._uses[len(chain)], _CANDIDATES + self._made[len(chain)]
            if len(chain) > max(_LIKELIEST) and len(alike) < enough and self._is_nonword(chain):
                alike.setdefault(chain, 0)
        return uses

    def _is_nonword(self, chain: str) -> bool:
        pronounceable = re.search("[aeiouy]", chain) and not _TRIPLE.search(chain)
        return bool(pronounceable) and chain not in self._words and not self._is_word(chain)

    def _chains(self, length: int) -> Iterator[tuple[str, float]]:
        """Yield every string of a length that the Markov chain can produce, and its probability."""
        begun = [("", "", "", 1.0)]
        while begun:
            first, second, start, p = begun.pop()
            letter_groups, cumulative = self._chain.get((first, second), ([], []))
            for letters, (below, above) in zip(letter_groups, pairwise([0.0, *cumulative]), strict=True):
                if letters != _END and len(start + letters) <= length:
                    begun.append((second, letters, start + letters, p * (above - below)))
                elif letters == _END and len(start) == length:
                    yield start, p * (above - below)

    def _draw(self, rng: np.random.Generator) -> str:
        """Return a string that the Markov chain produces, or an empty string if the string would become too long."""
        first, second, chain = "", "", ""
        while (first, second) in self._chain and len(chain) <= _LONGEST:
            letter_groups, cumulative = self._chain[first, second]
            letters = letter_groups[bisect(cumulative, rng.random(), hi=len(letter_groups) - 1)]
            if letters == _END:
                return chain
            first, second, chain = second, letters, chain + letters
        return ""
