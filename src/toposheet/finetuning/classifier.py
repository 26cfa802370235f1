"""A language model as a classifier: a linear layer reads the last hidden state at the last token of an example."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from toposheet.architectures import architecture_of
from toposheet.finetuning.tokens import PADDING

_SD = 0.02  # of the first weights of the layer, as in TopoLM


def new_layer(model: PreTrainedModel, n_outputs: int, seed: int) -> nn.Linear:
    """Return a linear layer without bias from the last hidden state to the outputs. Equal seeds give equal weights.

    Args:
        model: The model.
        n_outputs: Number of outputs.
        seed: Seed of the first weights.
    """
    width = architecture_of(model).head(model).weight.shape[1]
    layer = nn.Linear(width, n_outputs, bias=False, device="meta").to_empty(device="cpu")
    nn.init.normal_(layer.weight, std=_SD, generator=torch.Generator().manual_seed(seed))
    return layer


class Classifier(nn.Module):
    """A model with a layer on top that classifies examples, and its loss.

    The taps are those of the language model, so the objective acts on them as before. Padding does not reach the
    objective: it is taken out of the recorded activations.

    Args:
        model: The language model. Its language-model head is not used.
        layer: The linear layer.
        labels: The labels of all examples. The first column of what `forward` reads are numbers of examples.
        regression: Whether labels are numbers.
        precision: `"fp32"` or `"bf16"`: the model computes in bfloat16 by autocast, and the layer in float32.
        activations: The recorded activations of the taps, from `topography.record`. None: nothing is recorded.
        skip_first: Whether the objective leaves out the first token of each example.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        layer: nn.Linear,
        labels: Float[Tensor, " examples"],
        regression: bool,
        *,
        precision: str = "fp32",
        activations: dict[str, Tensor] | None = None,
        skip_first: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.layer = layer
        self.labels: Tensor
        self.register_buffer("labels", labels, persistent=False)
        self.regression = regression
        self._bf16 = precision == "bf16"
        self._activations = {} if activations is None else activations
        self._skip_first = skip_first

    def forward(self, rows: Int[Tensor, "batch columns"]) -> Float[Tensor, " losses"]:
        """Return one loss: the mean cross-entropy of the labels (nats), or in a regression the mean squared error.

        Args:
            rows: Examples (`TokenisedExamples.rows`).
        """
        return self.losses(rows, self.outputs(rows)).mean()[None]

    def losses(
        self, rows: Int[Tensor, "batch columns"], outputs: Float[Tensor, "batch outputs"]
    ) -> Float[Tensor, " batch"]:
        """Return the loss of each example.

        Args:
            rows: The examples.
            outputs: Their outputs.
        """
        labels = self.labels[rows[:, 0]]
        if self.regression:
            return functional.mse_loss(outputs[:, 0], labels, reduction="none")
        return functional.cross_entropy(outputs, labels.long(), reduction="none")

    def outputs(self, rows: Int[Tensor, "batch columns"]) -> Float[Tensor, "batch outputs"]:
        """Return the outputs for examples: the logits of the labels, or the number that is predicted.

        Args:
            rows: Examples. Columns that are padding in all of them are not read.
        """
        lengths = (rows[:, 1:] != PADDING).sum(dim=1)
        ids = rows[:, 1 : 1 + int(lengths.max())]
        attended = ids != PADDING
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self._bf16):
            body: Any = architecture_of(self.model).body(self.model)
            states = body(input_ids=ids.clamp(min=0), attention_mask=attended.long(), use_cache=False).last_hidden_state
        self._take_padding_out(attended)
        last = states[torch.arange(len(rows), device=rows.device), lengths - 1]
        with torch.autocast(rows.device.type, enabled=False):
            return self.layer(last.float())

    def _take_padding_out(self, attended: Tensor) -> None:
        """Make the recorded activations of a batch one row with the tokens of all texts: (1, tokens, units).

        With `skip_first`, only the first text keeps its first token, because the objective leaves out the first token
        of each row.
        """
        kept = attended.clone()
        kept[1:, 0] &= not self._skip_first
        for tap, activations in self._activations.items():
            self._activations[tap] = activations[kept][None]
