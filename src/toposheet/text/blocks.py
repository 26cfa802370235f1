"""Blocks of the text of a run (to be replaced by those of sharded text)."""

from __future__ import annotations

import numpy as np

from toposheet.text.shards import block_order, blocks, read_tokens


class Blocks:
    def __init__(self, text, *, context, seed):
        self._context, self._seed = context, seed
        self._tokens = {split: read_tokens(text, split) for split in ("train", "validation")}
        for split, tokens in self._tokens.items():
            if len(tokens) <= context:
                raise ValueError(f"the {split} text in {text} has {len(tokens)} tokens, less than one context")

    def _starts(self, first, count):
        n_tokens = len(self._tokens["train"])
        epoch_length = (n_tokens - 1) // self._context
        starts = []
        for epoch in range(first // epoch_length, (first + count - 1) // epoch_length + 1):
            order = block_order(n_tokens, self._context, self._seed, epoch)
            low, high = first - epoch * epoch_length, first + count - epoch * epoch_length
            starts.append(order[max(low, 0) : min(high, epoch_length)])
        return np.concatenate(starts)

    def train(self, first, count):
        return blocks(self._tokens["train"], self._starts(first, count), self._context)

    def seen(self, count):
        return blocks(self._tokens["train"], np.unique(self._starts(0, count)), self._context)

    def validation(self, count):
        order = block_order(len(self._tokens["validation"]), self._context, self._seed, 0)
        return blocks(self._tokens["validation"], order[:count], self._context)

    def documents(self, split, n_tokens, tokenizer):
        return [d for d in tokenizer.decode(self._tokens[split][:n_tokens]).split(tokenizer.eos_token) if d]
