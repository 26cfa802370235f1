"""The simplest language model that looks at context: what a demo model's loss stands beside."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from scipy import sparse


def bigram_loss(
    train: Int[np.ndarray, "blocks length"],
    validation: Int[np.ndarray, "blocks_held_out length_held_out"],
    vocabulary: int,
    discount: float = 0.75,
) -> float:
    """Return the mean cross-entropy (nats a token) of an interpolated bigram model (Ney et al. 1994).

    p(b | a) = max(c(a, b) - D, 0) / c(a) + D n(a) / c(a) * p(b), where n(a) is how many different tokens
    follow a, and p(b) the unigram, with one added to every count. doi:10.1006/csla.1994.1001

    Args:
        train: Blocks of tokens to count, each token predicting the next.
        validation: Blocks to predict.
        vocabulary: Number of different tokens.
        discount: D, what is taken from every count for unseen pairs.
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
    backoff = np.where(follows[a] > 0, discount * kinds[a] / total, 1.0)
    probability = np.maximum(seen - discount, 0.0) / total + backoff * unigram[b]
    return float(-np.log(probability).mean())
