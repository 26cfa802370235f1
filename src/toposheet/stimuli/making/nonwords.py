"""Pronounceable non-words: chains of letter clusters that follow each other in English words."""

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
_CANDIDATES = 300  # non-words that have not come yet, for each place
_LIKELIEST = {3: 100, 4: 400}  # so many short ones are used at all: the others look odd ("utyl")
_USE_OF_SHORT, _USE_OF_LONG = 1 / 10, 2.0  # one that has come once is as bad as a new one of so many tokens too many


class NonwordMaker:
    """Makes words that could be English but are not.

    A word is cut into clusters of vowels and of consonants (*str-ea-m*); clusters are chained as they follow
    each other in real words, a Markov chain of order 2, as in Wuggy (Keuleers & Brysbaert 2010,
    doi:10.3758/BRM.42.3.627). Chains that are words, or have a letter three times in a row, are thrown away.

    Args:
        counts: English words (lower case letters) and how often they occur.
        is_word: Further test of what counts as a word, e.g. a dictionary.
    """

    def __init__(self, counts: Mapping[str, int], is_word: Callable[[str], bool] = lambda word: False) -> None:
        self._words = set(counts)
        self._is_word = is_word
        self._uses: dict[int, dict[str, int]] = defaultdict(dict)  # of each candidate of a length
        self._made: Counter[int] = Counter()  # of a length
        follows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for word in counts:
            if 3 <= len(word) <= 14:
                letter_groups = ["", "", *_CLUSTER.findall(word), _END]
                for first, second, third in zip(letter_groups, letter_groups[1:], letter_groups[2:], strict=False):
                    follows[first, second][third] += 1
        # Clusters met once are often names and foreign words.
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
        """Return the non-word that fits best, and of those alike one that has come as seldom as possible.

        There are few of 3 and of 4 letters (the likeliest chains are used): they come again when all have come, or
        sooner where they fit better. Longer ones hardly ever come again.

        Args:
            length: How many letters, at least 3.
            rng: Decides which.
            misfit: How many tokens a non-word has too many or too few.
            fits: Whether it can stand there at all.

        Raises:
            UserError: the words given allow no non-word of this length that fits.
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
        """Return non-words of so many letters and how often each has come; draw more where too few have not."""
        uses = self._uses[length]
        if length in _LIKELIEST:
            if not uses:
                chains = sorted((-p, chain) for chain, p in self._chains(length) if self._is_nonword(chain))
                uses.update((chain, 0) for _, chain in chains[: _LIKELIEST[length]])
            return uses
        for _ in range(100 if self._made[length] else 20_000):
            if len(uses) >= _CANDIDATES + self._made[length]:
                break
            chain = self._draw(rng)  # of whatever length
            alike, enough = self._uses[len(chain)], _CANDIDATES + self._made[len(chain)]
            if len(chain) > max(_LIKELIEST) and len(alike) < enough and self._is_nonword(chain):
                alike.setdefault(chain, 0)
        return uses

    def _is_nonword(self, chain: str) -> bool:
        pronounceable = re.search("[aeiouy]", chain) and not _TRIPLE.search(chain)
        return bool(pronounceable) and chain not in self._words and not self._is_word(chain)

    def _chains(self, length: int) -> Iterator[tuple[str, float]]:
        """Yield every chain of so many letters with its probability."""
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
        """Return a chain; an empty one where it does not end or is longer than words are."""
        first, second, chain = "", "", ""
        while (first, second) in self._chain and len(chain) <= _LONGEST:
            letter_groups, cumulative = self._chain[first, second]
            letters = letter_groups[bisect(cumulative, rng.random(), hi=len(letter_groups) - 1)]
            if letters == _END:
                return chain
            first, second, chain = second, letters, chain + letters
        return ""
