"""A bigram language model. Its loss is the reference for the loss of small models."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from scipy import sparse

DISCOUNT = 0.75


def bigram_loss(
    train: Int[np.ndarray, "blocks length"],
    validation: Int[np.ndarray, "blocks_held_out length_held_out"],
    vocabulary: int,
) -> float:
    """Return the mean cross-entropy (nats per token) of an interpolated bigram model (Ney et al. 1994).

    p(b | a) = max(c(a, b) - D, 0) / c(a) + D n(a) / c(a) * p(b). c(a, b) counts how often token b follows token a, and
    c(a) is the sum of c(a, b) over b. n(a) is the number of different tokens that follow a. D = 0.75 gives probability
    to pairs that were not seen. p(b) is the unigram probability of b, with one added to every count.
    doi:10.1006/csla.1994.1001

    Args:
        train: Token ids of the blocks in which the pairs are counted.
        validation: Token ids of the blocks on which the loss is computed.
        vocabulary: Number of different tokens.

    Returns:
        The loss in nats per token, at least 0. Lower is better.
    """
    first, second = train[:, :-1].ravel(), train[:, 1:].ravel()
    counts = sparse.coo_array((np.ones(len(first)), (first, second)), shape=(vocabulary, vocabulary)).tocsr()
    follows = np.asarray(counts.sum(axis=1)).ravel()
    kinds = np.diff(counts.indptr)
    unigram = np.bincount(second, minlength=vocabulary) + 1.0
    unigram /= unigram.sum()
    a, b = validation[:, :-1].ravel(), validation[:, 1:].ravel()
    seen = np.asarray(counts[a, b]).ravel()
    total = np.maximum(follows[a], 1.0)
    backoff = np.where(follows[a] > 0, DISCOUNT * kinds[a] / total, 1.0)
    probability = np.maximum(seen - DISCOUNT, 0.0) / total + backoff * unigram[b]
    return float(-np.log(probability).mean())
