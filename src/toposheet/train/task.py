"""The task: to predict the next token of blocks of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from toposheet.architectures import architecture_of
from toposheet.architectures.attention import attention, block_attention

_LOGITS = 2**27  # half a gigabyte in float32: more are not held at once; fewer are quicker at once
_LOOKED_AT = 32  # tokens that tell whether a loss is the model's own


class NextToken(nn.Module):
    """A language model with its task: next-token cross-entropy of whole blocks of text.

    Where they are many, the logits of all tokens are never held in float32: output layer and loss go through them in
    chunks. What else the family of the model makes of its logits (a soft cap, a scale) is part of the loss.

    Args:
        model: The language model.
        precision: `"fp32"`, or `"bf16"` for autocast, with weights in float32.
    """

    def __init__(self, model: PreTrainedModel, precision: str) -> None:
        super().__init__()
        self.model = model
        self.bf16 = precision == "bf16"
        family = architecture_of(model)
        self._head = family.head
        self._changed = family.logits(model.config)

    def forward(self, blocks: Int[Tensor, "batch time_and_next"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy (nats a token) of predicting each token of the blocks from those before."""
        device = blocks.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.bf16):
            hidden = self.model.base_model(input_ids=blocks[:, :-1], use_cache=False).last_hidden_state
        head: Any = self._head(self.model)
        weight, bias = head.weight, getattr(head, "bias", None)
        hidden, target = hidden.flatten(0, 1), blocks[:, 1:].flatten()
        if self.bf16:
            hidden, weight = hidden.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        with torch.autocast(device, enabled=False):
            return _cross_entropies(hidden, weight, bias, target, self._changed).float().mean()


def _cross_entropies(
    hidden: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocab width"],
    bias: Float[Tensor, " vocab"] | None,
    target: Int[Tensor, " tokens"],
    changed: Callable[[Tensor], Tensor] | None,
) -> Float[Tensor, " tokens"]:
    """Return -log p(target) of each token; each for itself, as a mean in bfloat16 would be rounded to three digits."""

    def losses(hidden: Tensor, target: Tensor) -> Tensor:
        logits = functional.linear(hidden, weight, bias).float()
        return functional.cross_entropy(logits if changed is None else changed(logits), target, reduction="none")

    if len(hidden) * len(weight) <= _LOGITS:
        return losses(hidden, target)
    if changed is None and hasattr(functional, "linear_cross_entropy"):  # torch has it from 2.13 on
        options = nn.LinearCrossEntropyOptions()
        return functional.linear_cross_entropy(
            hidden, weight, target, linear_bias=bias, reduction="none", options=options
        )
    size = max(1, _LOGITS // len(weight))
    parts = zip(hidden.split(size), target.split(size), strict=True)
    return torch.cat([checkpoint(losses, *part, use_reentrant=False) for part in parts])


@torch.no_grad()
def differs_from_its_own(model: PreTrainedModel, context: int) -> float:
    """Return how far the loss of `NextToken` is from that of the logits that a model puts out, relative to it.

    A family that puts into its logits what is not known here, or attends otherwise, shows here.

    Args:
        model: The language model; it is left in the mode it was in.
        context: Tokens of a block of text; no more than 32 are looked at.
    """
    device, training = next(model.parameters()).device, model.training
    n_tokens = min(context, _LOOKED_AT)
    blocks = torch.randint(model.config.get_text_config().vocab_size, (1, n_tokens + 1),
                           generator=torch.Generator().manual_seed(0)).to(device)  # fmt: skip
    model.eval()
    try:
        logits = model(input_ids=blocks[:, :-1], use_cache=False).logits.float()
        model_loss = functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())
        with attention(model, block_attention(model, context)):
            task_loss = NextToken(model, "fp32")(blocks)
    finally:
        model.train(training)
    return abs(task_loss.item() / model_loss.item() - 1)
