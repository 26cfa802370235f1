"""The text of a run, cut into blocks in a random order. Equal seeds give equal orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerFast

from toposheet.errors import UserError
from toposheet.text.shards import SPLITS, Manifest, Tokens
from toposheet.text.tokenizer import end_of_text
from toposheet.wording import counted


class Blocks:
    """Blocks of context + 1 tokens. A model reads all but the last token of a block, and predicts all but the first.

    The training blocks form an endless stream of epochs. Each epoch holds every block once, in a new random order.

    Args:
        text: A folder of prepared text.
        context: Number of tokens that a model reads in one block.
        seed: The seed of the random orders.

    Raises:
        NotFound: The folder holds no finished text.
        UserError: A split has fewer tokens than one block.
    """

    def __init__(self, text: Path, *, context: int, seed: int) -> None:
        manifest = Manifest.load(text)
        self._tokens = {split: Tokens(text, manifest, split) for split in SPLITS}
        self._context, self._seed = context, seed
        self._order: tuple[int, np.ndarray] | None = None
        for split, tokens in self._tokens.items():
            if len(tokens) <= context:
                raise UserError(
                    f"the {split} text in {text} has {counted(len(tokens), 'token')}, but one block needs "
                    f"{context} + 1 tokens: prepare more text, or train with a smaller context"
                )

    @property
    def per_epoch(self) -> int:
        """Number of blocks of the training text."""
        return self._n_blocks("train")

    def train(self, first: int, count: int) -> Int[np.ndarray, "blocks context_and_next"]:
        """Return `count` consecutive blocks of the training stream, from block `first` on, counted from 0."""
        return self._tokens["train"].blocks(self._starts(first, count), self._context)

    def seen(self, count: int) -> Int[np.ndarray, "blocks context_and_next"]:
        """Return the different blocks among the first `count` blocks of the stream, in the order of the text."""
        starts = np.sort(self._starts(0, min(count, self.per_epoch)))  # the first epoch holds every block
        return self._tokens["train"].blocks(starts, self._context)

    def validation(self, count: int) -> Int[np.ndarray, "blocks context_and_next"]:
        """Return `count` held-out blocks, or all held-out blocks if there are fewer.

        The blocks are drawn at random. Equal seeds give equal blocks.
        """
        order = np.random.default_rng([self._seed, 0]).permutation(self._n_blocks("validation"))
        return self._tokens["validation"].blocks(order[:count] * self._context, self._context)

    def documents(self, split: str, n_tokens: int, tokenizer: PreTrainedTokenizerFast) -> list[str]:
        """Return the texts of the documents in the first `n_tokens` tokens of a split. The last document may be cut.

        Args:
            split: `train` or `validation`.
            n_tokens: The number of tokens to read.
            tokenizer: The tokenizer of the text.
        """
        tokens = self._tokens[split].first(n_tokens)
        ends = np.flatnonzero(tokens == end_of_text(tokenizer))
        documents = (str(tokenizer.decode(part, skip_special_tokens=True)) for part in np.split(tokens, ends))
        return [text for text in documents if text]

    def _n_blocks(self, split: str) -> int:
        return (len(self._tokens[split]) - 1) // self._context

    def _starts(self, first: int, count: int) -> Int[np.ndarray, " blocks"]:
        """Return the positions in the training text at which blocks of the stream start, in tokens."""
        parts = []
        while count > 0:
            epoch, position = divmod(first, self.per_epoch)
            parts.append(self._permutation(epoch)[position : position + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts) * self._context

    def _permutation(self, epoch: int) -> Int[np.ndarray, " blocks"]:
        """Return the order of the blocks in an epoch. The most recent order is kept, because drawing it takes long."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self._seed, epoch]).permutation(self.per_epoch)
        return self._order[1]
