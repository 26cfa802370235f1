"""Limits of what a model can read: the number of tokens, and the token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toposheet.errors import UserError


@dataclass(frozen=True)
class Limits:
    """The largest number of tokens that a model can read, and the token ids that it can read.

    Responses, checks of stimuli, training and logits all use these limits.

    Args:
        context: Largest number of tokens of a text, with special tokens. None: no limit.
        vocabulary: Number of token ids. The model can read the ids from 0 to `vocabulary` - 1.
    """

    context: int | None
    vocabulary: int

    def check(self, ids: Sequence[int], where: str, text: str, tokenizer: Any) -> None:
        """Refuse a text that the model cannot read.

        Args:
            ids: The token ids of the text, with special tokens.
            where: Name of the text, with which the error message begins, for example `stimulus 3`.
            text: The text.
            tokenizer: The tokenizer that made the ids. The error message uses it to show a token.

        Raises:
            UserError: The text has too many tokens, or the model has no embedding for a token.
        """
        if self.context is not None and len(ids) > self.context:
            raise UserError(
                f"{where} has {len(ids)} tokens, but the model reads at most {self.context}: "
                f"shorten the text {text[:60]!r}"
            )
        if (largest_id := max(ids, default=0)) >= self.vocabulary:
            token = tokenizer.convert_ids_to_tokens(largest_id)
            raise UserError(
                f"{where} has the token {token!r} (id {largest_id}), but the model has embeddings only for ids up to "
                f"{self.vocabulary - 1}: use the tokenizer that the model was trained with; the text is {text[:60]!r}"
            )

    def check_block(self, context: int) -> None:
        """Refuse blocks of text that are longer than the model can read.

        Args:
            context: Number of tokens of a block.

        Raises:
            UserError: The blocks are too long. Set a smaller context.
        """
        if self.context is not None and context > self.context:
            raise UserError(
                f"the recipe has blocks of {context} tokens, but the model reads at most {self.context}: set context "
                f"to {self.context} or less"
            )

    def check_vocabulary(self, tokens: Mapping[str, int]) -> None:
        """Refuse a tokenizer with a token for which the model has no embedding.

        Args:
            tokens: The id of each token of the tokenizer.

        Raises:
            UserError: The message names the token with the largest id.
        """
        token, largest_id = max(tokens.items(), key=lambda item: item[1])
        if largest_id >= self.vocabulary:
            raise UserError(
                f"the text can have the token {token!r} (id {largest_id}), but the model has embeddings only for ids "
                f"up to {self.vocabulary - 1}: prepare the text with another tokenizer, or resize the embeddings first "
                "(model.resize_token_embeddings)"
            )

    def check_ids(self, input_ids: Any) -> None:
        """Refuse a value that is not a batch of token ids, or a batch that the model cannot read.

        Raises:
            UserError: The value is not a tensor of integers with shape (batch, time), it is empty, its rows have too
                many tokens, or the model has no embedding for an id.
        """
        if not isinstance(input_ids, Tensor):
            raise UserError(
                f"input_ids is a {type(input_ids).__name__}: it must be a tensor of token ids, such as "
                'subject.tokenizer(text, return_tensors="pt").input_ids; to give texts, use toposheet.respond'
            )
        if input_ids.ndim != 2 or input_ids.dtype not in (torch.int64, torch.int32):
            raise UserError(
                f"input_ids is a tensor of {input_ids.dtype} and shape {tuple(input_ids.shape)}: it must be whole "
                "numbers (torch.long) of shape (batch, time)"
            )
        if not input_ids.numel():
            raise UserError(f"input_ids has the shape {tuple(input_ids.shape)}: give at least one token")
        if self.context is not None and input_ids.shape[1] > self.context:
            raise UserError(
                f"input_ids has {input_ids.shape[1]} tokens in each row, but the model reads at most {self.context}: "
                "give fewer tokens"
            )
        if torch.compiler.is_compiling() or input_ids.is_meta:
            return
        least, most = (int(bound) for bound in torch.aminmax(input_ids))
        if least < 0 or most >= self.vocabulary:
            raise UserError(
                f"input_ids has the id {least if least < 0 else most}, but the model has embeddings only for ids from "
                f"0 to {self.vocabulary - 1}: use the tokenizer that the model was trained with"
            )
