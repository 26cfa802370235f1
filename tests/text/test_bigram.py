from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from toposheet.text.bigram import bigram_loss


def slow_bigram_loss(train, validation, vocabulary, discount):
    pairs = Counter((int(a), int(b)) for row in train for a, b in pairwise(row))
    unigram = Counter(int(b) for row in train for b in row[1:])
    total = sum(unigram.values())
    losses = []
    for row in validation:
        for a, b in pairwise(row):
            p_b = (unigram[int(b)] + 1) / (total + vocabulary)
            after = {k: n for (first, k), n in pairs.items() if first == a}
            n_a = sum(after.values())
            seen = max(after.get(int(b), 0) - discount, 0) / n_a if n_a else 0
            p = seen + (discount * len(after) / n_a if n_a else 1) * p_b
            losses.append(-np.log(p))
    return np.mean(losses)


def test_equals_the_definition(rng):
    train, validation = rng.integers(0, 12, size=(6, 9)), rng.integers(0, 15, size=(4, 9))
    assert bigram_loss(train, validation, 15) == pytest.approx(slow_bigram_loss(train, validation, 15, 0.75))


def test_it_is_a_probability(rng):
    train = rng.integers(0, 8, size=(5, 9))
    for a in range(8):
        losses = [bigram_loss(train, np.array([[a, b]]), 8) for b in range(8)]
        assert np.exp(-np.array(losses)).sum() == pytest.approx(1)


def test_it_learns_what_follows_what(rng):
    chain = np.cumsum(np.ones((20, 30), dtype=int), axis=1) % 10
    assert bigram_loss(chain, chain, 10) < 0.1
