"""The task: predict the next token in blocks of text."""

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

_LOGITS = 2**27  # the most logits in memory at once: half a gigabyte in float32
_COMPARED_TOKENS = 32


class NextToken(nn.Module):
    """A language model with its task: the next-token cross-entropy of blocks of text.

    Logits take much memory. If there are many, the output layer and the loss are computed in chunks of tokens, so that
    the logits of all tokens are never in memory at once. The family of the model may change the logits, with a soft
    cap or a scale. The loss includes this change.

    Args:
        model: The language model.
        precision: `"fp32"`: compute in float32. `"bf16"`: compute in bfloat16 by autocast; the weights stay in float32.
    """

    def __init__(self, model: PreTrainedModel, precision: str) -> None:
        super().__init__()
        self.model = model
        self.bf16 = precision == "bf16"
        family = architecture_of(model)
        self._head = family.head
        self._changed = family.logits(model.config)

    def forward(self, blocks: Int[Tensor, "batch time_and_next"]) -> Float[Tensor, ""]:
        """Return the mean cross-entropy (nats per token) of predicting each token of a block from the tokens before it.

        Args:
            blocks: Token ids. Each row is one block of context + 1 tokens.
        """
        device = blocks.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.bf16):
            body = architecture_of(self.model).body(self.model)
            hidden = body(input_ids=blocks[:, :-1], use_cache=False).last_hidden_state
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
    """Return -log p(target) of each token, in nats.

    The mean is not taken here, because a mean in bfloat16 would be rounded to three digits.

    Args:
        hidden: The final hidden state of each token, which is the input of the output layer.
        weight: The weights of the output layer.
        bias: The biases of the output layer. None: it has no biases.
        target: The id of the token that follows.
        changed: The change that the family makes to the logits. None: no change.
    """

    def losses(hidden: Tensor, target: Tensor) -> Tensor:
        logits = functional.linear(hidden, weight, bias).float()
        return functional.cross_entropy(logits if changed is None else changed(logits), target, reduction="none")

    if len(hidden) * len(weight) <= _LOGITS:
        return losses(hidden, target)
    if changed is None and hasattr(functional, "linear_cross_entropy"):  # torch has this function since version 2.13
        options = nn.LinearCrossEntropyOptions()
        return functional.linear_cross_entropy(
            hidden, weight, target, linear_bias=bias, reduction="none", options=options
        )
    size = max(1, _LOGITS // len(weight))
    parts = zip(hidden.split(size), target.split(size), strict=True)
    return torch.cat([checkpoint(losses, *part, use_reentrant=False) for part in parts])


@torch.no_grad()
def relative_loss_difference(model: PreTrainedModel, context: int) -> float:
    """Return the relative difference between the loss of `NextToken` and the loss computed from the model's logits.

    A difference shows that the family changes its logits, or computes its attention, in a way that toposheet does not
    know. The two losses are computed on one block of random tokens.

    Args:
        model: The language model. Its mode (training or evaluation) is the same afterwards.
        context: The number of tokens in a block of text. At most 32 tokens are compared.

    Returns:
        |loss of NextToken / loss of the logits - 1|. 0: the losses are equal.
    """
    device, training = next(model.parameters()).device, model.training
    family, n_tokens = architecture_of(model), min(context, _COMPARED_TOKENS)
    n_ids = min(family.vocabulary(model), len(family.head(model).weight))
    blocks = torch.randint(n_ids, (1, n_tokens + 1),
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
