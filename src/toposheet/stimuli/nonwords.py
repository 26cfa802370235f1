"""Pronounceable non-words: chains of letter clusters that follow each other in English words."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

_CLUSTER = re.compile(r"[aeiouy]+|[^aeiouy]+")
_TRIPLE = re.compile(r"(.)\1\1")
_END = "$"
_CANDIDATES, _MOST_DRAWS = 20, 20_000
_LIKELIEST = {3: 100, 4: 400}  # so many short non-words are used where they come evenly: the rest look odd ("utyl")


class NonwordMaker:
    """Makes words that could be English but are not.

    A word is cut into clusters of vowels and of consonants (*str-ea-m*); clusters are chained as they follow
    each other in real words, a Markov chain of order 2, as in Wuggy (Keuleers & Brysbaert 2010,
    doi:10.3758/BRM.42.3.627). Chains that are words, or have a letter three times in a row, are thrown away. Non-words
    of 3 and 4 letters, of which there are few, come again only when all have come.

    Args:
        counts: English words (lower case letters) and how often they occur.
        is_word: Further test of what counts as a word, e.g. a dictionary.
    """

    def __init__(self, counts: Mapping[str, int], is_word: Callable[[str], bool] = lambda word: False) -> None:
        self._words = set(counts)
        self._is_word = is_word
        self._short: dict[int, list[str]] = {}
        self._to_come: dict[int, list[str]] = {}
        follows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for word in counts:
            if 3 <= len(word) <= 14:
                clusters = ["", "", *_CLUSTER.findall(word), _END]
                for first, second, third in zip(clusters, clusters[1:], clusters[2:], strict=False):
                    follows[first, second][third] += 1
        # Clusters met once are often names and foreign words.
        self._chain = {}
        for key, counter in follows.items():
            usual = {cluster: n for cluster, n in counter.items() if n > 1}
            if usual:
                weights = np.array(list(usual.values()), dtype=float)
                self._chain[key] = (list(usual), np.cumsum(weights / weights.sum()).tolist())

    def make(self, length: int, rng: np.random.Generator, distance: Callable[[str], float] | None = None) -> str:
        """Return a non-word of so many letters, at least 3.

        Args:
            length: The number of letters.
            rng: Decides which.
            distance: How far a non-word is from what is wanted: of up to 20, the nearest is returned.

        Raises:
            ValueError: the words given allow no non-word of this length.
        """
        length = max(length, 3)
        candidates: dict[str, float] = {}
        for nonword in itertools.islice(self._nonwords(length, rng), _CANDIDATES):
            candidates[nonword] = distance(nonword) if distance else 0.0
            if candidates[nonword] == 0:
                break
        if not candidates:
            raise ValueError(
                f"no non-word of {length} letters can be made from {len(self._words)} words: give more words"
            )
        nearest = min(candidates, key=candidates.__getitem__)
        if length in _LIKELIEST:
            self._to_come[length].remove(nearest)
        return nearest

    def _nonwords(self, length: int, rng: np.random.Generator) -> Iterator[str]:
        """Yield non-words of so many letters: short ones that have not come yet, long ones as they are drawn."""
        if length not in _LIKELIEST:
            drawn = (self._draw(length, rng) for _ in range(_MOST_DRAWS))
            yield from (word for word in drawn if word and self._is_nonword(word))
            return
        if length not in self._short:
            chains = sorted((-p, chain) for chain, p in self._chains(length) if self._is_nonword(chain))
            self._short[length] = [chain for _, chain in chains[: _LIKELIEST[length]]]
            self._to_come[length] = []
        every, to_come = self._short[length], self._to_come[length]
        if not to_come:
            to_come.extend(every[i] for i in rng.permutation(len(every)))
        yield from reversed(to_come)

    def _is_nonword(self, chain: str) -> bool:
        return chain not in self._words and not _TRIPLE.search(chain) and not self._is_word(chain)

    def _chains(self, length: int) -> Iterator[tuple[str, float]]:
        """Yield every chain of so many letters with its probability."""
        begun = [("", "", "", 1.0)]
        while begun:
            first, second, start, p = begun.pop()
            clusters, cumulative = self._chain.get((first, second), ((), []))
            for cluster, share in zip(clusters, np.diff(cumulative, prepend=0.0).tolist(), strict=True):
                if cluster != _END and len(start + cluster) <= length:
                    begun.append((second, cluster, start + cluster, p * share))
                elif cluster == _END and len(start) == length and re.search("[aeiouy]", start):
                    yield start, p * share

    def _draw(self, length: int, rng: np.random.Generator) -> str | None:
        first, second, word = "", "", ""
        while True:
            choice = self._chain.get((first, second))
            if choice is None:
                return None
            clusters, cumulative = choice
            cluster = clusters[min(bisect.bisect_left(cumulative, rng.random()), len(clusters) - 1)]
            if cluster == _END:
                return word if len(word) == length and re.search("[aeiouy]", word) else None
            word += cluster
            if len(word) > length:
                return None
            first, second = second, cluster
