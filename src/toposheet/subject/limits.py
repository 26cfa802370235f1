"""What a subject can read: how many tokens, and which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toposheet.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What a model can read. Whoever shows it tokens asks here: responses, checks of stimuli, training, logits.

    Args:
        context: How many tokens at most, special tokens counted; None where that is not bounded.
        vocabulary: How many tokens there are: their ids are 0 to one less.
    """

    context: int | None
    vocabulary: int

    def check(self, ids: Sequence[int], where: str, text: str, tokenizer: Any) -> None:
        """Refuse the tokens of a text.

        Args:
            ids: The tokens, special tokens included.
            where: What the message begins with: `stimulus 3`.
            text: The text.
            tokenizer: What made the tokens; the message names one by it.

        Raises:
            UserError: they are too many, or the model has no embedding for one of them.
        """
        if self.context is not None and len(ids) > self.context:
            raise UserError(
                f"{where} has {len(ids)} tokens, the model reads at most {self.context}: shorten {text[:60]!r}"
            )
        if (strange := max(ids, default=0)) >= self.vocabulary:
            token = tokenizer.convert_ids_to_tokens(strange)
            raise UserError(
                f"{where} has the token {token!r} (id {strange}), the model has embeddings for ids up to "
                f"{self.vocabulary - 1}: give it the tokenizer that it was trained with; the text is {text[:60]!r}"
            )

    def check_ids(self, input_ids: Any) -> None:
        """Refuse what is no batch of token ids, or one that the model cannot read.

        Raises:
            UserError: it is no tensor (batch, time) of whole numbers, or one that is too long or has a strange id.
        """
        if not isinstance(input_ids, Tensor):
            raise UserError(
                f"the subject reads token ids, not a {type(input_ids).__name__}: give it "
                'subject.tokenizer(text, return_tensors="pt").input_ids, or texts to toposheet.respond'
            )
        if input_ids.ndim != 2 or input_ids.dtype not in (torch.int64, torch.int32):
            raise UserError(
                f"input_ids is a tensor of {input_ids.dtype} and shape {tuple(input_ids.shape)}: it must be whole "
                "numbers (torch.long) of shape (batch, time)"
            )
        if not input_ids.numel():
            raise UserError(f"input_ids has the shape {tuple(input_ids.shape)}: there is nothing to read")
        if self.context is not None and input_ids.shape[1] > self.context:
            raise UserError(
                f"input_ids has {input_ids.shape[1]} tokens in a row, the model reads at most {self.context}: "
                "give it fewer"
            )
        if torch.compiler.is_compiling() or input_ids.is_meta:
            return
        least, most = (int(bound) for bound in torch.aminmax(input_ids))
        if least < 0 or most >= self.vocabulary:
            raise UserError(
                f"input_ids has the id {least if least < 0 else most}, the model has embeddings for ids from 0 to "
                f"{self.vocabulary - 1}: make them with the tokenizer that it was trained with"
            )
