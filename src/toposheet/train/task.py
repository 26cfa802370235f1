"""The task: predict the next token in blocks of text, and, with distillation, predict it as another model does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from toposheet.architectures import architecture_of
from toposheet.architectures.attention import attention, block_attention
from toposheet.architectures.mode import in_mode

_LOGITS = 2**27  # the most logits in memory at once: half a gigabyte in float32
_COMPARED_TOKENS = 32


class NextToken(nn.Module):
    """A language model with its losses: the next-token cross-entropy of blocks of text, and the KL from an original.

    Logits take much memory. If there are many, the output layer and the loss are computed in chunks of tokens, so that
    the logits of all tokens are never in memory at once. The family of the model may change the logits, with a soft
    cap or a scale. The loss includes this change.

    Args:
        model: The language model.
        precision: `"fp32"`: compute in float32. `"bf16"`: compute in bfloat16 by autocast; the weights stay in float32.
        original: The model from which the language model is distilled. It has the same vocabulary, and its weights are
            frozen. None: no distillation.
    """

    def __init__(self, model: PreTrainedModel, precision: str, original: PreTrainedModel | None = None) -> None:
        super().__init__()
        self.model = model
        self._original = () if original is None else (original,)  # in a tuple, it is no part of what is trained
        self.bf16 = precision == "bf16"
        family = architecture_of(model)
        self._head = family.head
        self._changed = family.logits(model.config)

    def forward(self, blocks: Int[Tensor, "batch time_and_next"]) -> Float[Tensor, " losses"]:
        """Return the mean losses (nats per token) of predicting each token of a block from the tokens before it.

        The first loss is the cross-entropy. With an original, the second loss is the KL divergence of the probabilities
        of the model from those of the original.

        Args:
            blocks: Token ids. Each row is one block of context + 1 tokens.
        """
        device, target = blocks.device.type, blocks[:, 1:].flatten()
        output = self._output(self.model, blocks)
        with torch.no_grad():
            originals = [self._output(original, blocks) for original in self._original]
        with torch.autocast(device, enabled=False):
            if originals:
                return _distilled(output, originals[0], target, self._changed).float().mean(dim=1)
            return _cross_entropies(output, target, self._changed).float().mean()[None]

    def original_to(self, device: torch.device) -> None:
        """Move the original, which is no part of this module, to a device."""
        for original in self._original:
            original.to(device)  # pyright: ignore[reportArgumentType]

    def _output(self, model: PreTrainedModel, blocks: Tensor) -> Output:
        """Return the final hidden states that a model computes from blocks of text, with its output layer."""
        with torch.autocast(blocks.device.type, torch.bfloat16, enabled=self.bf16):
            body = architecture_of(model).body(model)
            hidden = body(input_ids=blocks[:, :-1], use_cache=False).last_hidden_state
        head: Any = self._head(model)
        hidden, weight, bias = hidden.flatten(0, 1), head.weight, getattr(head, "bias", None)
        if self.bf16:
            hidden, weight = hidden.bfloat16(), weight.bfloat16()
            bias = None if bias is None else bias.bfloat16()
        return Output(hidden, weight, bias)


class Output(NamedTuple):
    """The final hidden states of tokens, and the output layer that makes logits of them.

    Args:
        hidden: The final hidden state of each token, which is the input of the output layer: (tokens, width).
        weight: The weights of the output layer: (vocab, width).
        bias: The biases of the output layer. None: it has no biases.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None

    def logits(self, hidden: Tensor, changed: Callable[[Tensor], Tensor] | None) -> Float[Tensor, "tokens vocab"]:
        """Return the logits of some of the hidden states, in float32.

        Args:
            hidden: Hidden states.
            changed: The change that the family makes to the logits. None: no change.
        """
        logits = functional.linear(hidden, self.weight, self.bias).float()
        return logits if changed is None else changed(logits)


def _cross_entropies(
    output: Output, target: Int[Tensor, " tokens"], changed: Callable[[Tensor], Tensor] | None
) -> Float[Tensor, " tokens"]:
    """Return -log p(target) of each token, in nats.

    The mean is not taken here, because a mean in bfloat16 would be rounded to three digits.

    Args:
        output: The output of the model.
        target: The id of the token that follows.
        changed: The change that the family makes to the logits. None: no change.
    """

    def losses(hidden: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(output.logits(hidden, changed), target, reduction="none")

    hidden, weight, bias = output
    if len(hidden) * len(weight) <= _LOGITS:
        return losses(hidden, target)
    if changed is None and hasattr(functional, "linear_cross_entropy"):  # torch has this function since version 2.13
        options = nn.LinearCrossEntropyOptions()
        return functional.linear_cross_entropy(
            hidden, weight, target, linear_bias=bias, reduction="none", options=options
        )
    return torch.cat(_in_parts(losses, len(weight), hidden, target))


def _distilled(
    output: Output, original: Output, target: Int[Tensor, " tokens"], changed: Callable[[Tensor], Tensor] | None
) -> Float[Tensor, "losses tokens"]:
    """Return -log p(target) of each token, and the KL divergence sum_v q(v) * log(q(v) / p(v)), both in nats.

    p(v) and q(v) are the probabilities of the next token v in the model and in the original.

    Args:
        output: The output of the model.
        original: The output of the original.
        target: The id of the token that follows.
        changed: The change that the family makes to the logits. None: no change.
    """

    def losses(hidden: Tensor, of_original: Tensor, target: Tensor) -> Tensor:
        logits = output.logits(hidden, changed)
        with torch.no_grad():
            log_q = original.logits(of_original, changed).log_softmax(dim=-1)
        entropy = functional.cross_entropy(logits, target, reduction="none")
        return torch.stack([entropy, cast("Tensor", _Divergence.apply(logits, log_q))])

    n_logits = 2 * len(output.weight)
    if len(target) * n_logits <= _LOGITS:
        return losses(output.hidden, original.hidden, target)
    return torch.cat(_in_parts(losses, n_logits, output.hidden, original.hidden, target), dim=1)


class _Divergence(torch.autograd.Function):
    """The KL divergence of the probabilities of logits from log q, for each token. It is not for users.

    Its gradient with respect to the logits is p - q. That is exactly 0 where both models say the same. The gradient
    that PyTorch finds for `kl_div` of `log_softmax` is then p (sum q - 1): rounding, of which Adam makes whole steps.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, log_q: Tensor) -> Tensor:
        log_p = logits.log_softmax(dim=-1)
        ctx.save_for_backward(log_p.exp() - log_q.exp())
        return functional.kl_div(log_p, log_q, log_target=True, reduction="none").sum(dim=-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (difference,) = ctx.saved_tensors
        return difference * gradients[0][:, None], None


def _in_parts(losses: Callable[..., Tensor], n_logits: int, *of_tokens: Tensor) -> list[Tensor]:
    """Return the losses of all tokens, computed for a part of the tokens at a time and again in the backward pass.

    Args:
        losses: A function of parts of `of_tokens`.
        n_logits: Number of logits of a token.
        of_tokens: Arrays with one entry for each token.
    """
    size = max(1, _LOGITS // n_logits)
    parts = zip(*(values.split(size) for values in of_tokens), strict=True)
    return [checkpoint(losses, *part, use_reentrant=False) for part in parts]


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
    device = next(model.parameters()).device
    family, n_tokens = architecture_of(model), min(context, _COMPARED_TOKENS)
    n_ids = min(family.vocabulary(model), len(family.head(model).weight))
    blocks = torch.randint(n_ids, (1, n_tokens + 1),
                           generator=torch.Generator().manual_seed(0)).to(device)  # fmt: skip
    with in_mode(model, training=False):
        logits = model(input_ids=blocks[:, :-1], use_cache=False).logits.float()
        model_loss = functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())
        with attention(model, block_attention(model, context)):
            task_loss = NextToken(model, "fp32")(blocks)[0]
    return abs(task_loss.item() / model_loss.item() - 1)
