"""What the units of a model do when it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm import tqdm
from transformers import PreTrainedModel

from toposheet.topography import Topography


def respond(
    model: PreTrainedModel,
    topo: Topography,
    stimuli: pd.DataFrame,
    tokenizer: Any,
    batch_size: int = 32,
    progress: bool = False,
) -> xr.DataArray:
    """Return the response of every unit to every stimulus: its mean activation over the text's own tokens.

    Padding and special tokens are never part of the mean, and the language-model head is not computed.

    Args:
        model: A `transformers` language model; it runs where it is and is left in the mode it was in.
        topo: Its topography.
        stimuli: A table with columns `text` and `condition`; further columns become coordinates as well.
        tokenizer: The model's tokenizer.
        batch_size: How many texts are read at once; texts of like length are read together.
        progress: Show a progress bar.

    Returns:
        Float32 responses with dims ("stimulus", "unit"); units carry `tap`, `sheet`, `y`, `x` (cells) and
        `spacing_mm`, stimuli the columns of the table.

    Raises:
        ValueError: a column is missing, a text has no tokens or more than the model's context, or a response
            is not finite (names the tap).
    """
    for column in ("text", "condition"):
        if column not in stimuli:
            raise ValueError(
                f"the stimuli have no column {column!r}; they have: {', '.join(map(str, stimuli.columns))}"
            )
    coordinates: dict[str, Any] = dict(topo.unit_coordinates())
    if clash := [str(name) for name in stimuli if name in coordinates]:
        raise ValueError(f"the stimuli have a column {clash[0]!r}, which is a coordinate of units: rename the column")
    if len(stimuli) == 0:
        raise ValueError("there are no stimuli: the table is empty")
    token_ids = _tokenised(stimuli["text"].tolist(), tokenizer, getattr(model.config, "max_position_embeddings", None))
    order = np.argsort([len(ids) for ids, _ in token_ids], kind="stable")
    responses = np.empty((len(stimuli), sum(topo.widths.values())), dtype=np.float32)
    network = model.base_model
    training = model.training
    model.eval()
    try:
        for start in tqdm(range(0, len(order), batch_size), desc="responses", disable=not progress, leave=False):
            rows = order[start : start + batch_size]
            ids, attended, own = _padded([token_ids[row] for row in rows], model.device)
            with torch.inference_mode(), topo.record(model) as activations:
                network(input_ids=ids, attention_mask=attended, use_cache=False)
            weights = (own / own.sum(dim=1, keepdim=True))[:, None, :]
            means = [(weights @ activations[tap].float()).squeeze(1) for tap in topo.taps]
            responses[rows] = torch.cat(means, dim=1).cpu().numpy()
    finally:
        model.train(training)
    odd = ~np.isfinite(responses).all(axis=0)
    if odd.any():
        raise ValueError(f"responses of {coordinates['tap'][1][odd.argmax()]} are not finite (nan or inf)")
    coordinates |= {str(name): ("stimulus", column.to_numpy()) for name, column in stimuli.items()}
    return xr.DataArray(responses, dims=("stimulus", "unit"), coords=coordinates, name="response")


def _tokenised(texts: list[str], tokenizer: Any, context: int | None) -> list[tuple[list[int], list[bool]]]:
    """Return for each text its token ids and which of them are its own (not special)."""
    encoded = tokenizer(texts, return_special_tokens_mask=True, return_attention_mask=False, verbose=False)
    tokens = []
    for row, (ids, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        own = [not flag for flag in special]
        if not any(own):
            raise ValueError(f"stimulus {row} has no tokens: {texts[row]!r}")
        if context is not None and len(ids) > context:
            raise ValueError(
                f"stimulus {row} has {len(ids)} tokens, the model reads at most {context}: shorten {texts[row][:60]!r}"
            )
        tokens.append((ids, own))
    return tokens


def _padded(
    batch: list[tuple[list[int], list[bool]]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return ids, attention mask and own-token weights of texts, padded on the right to the longest."""
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    attended, own = torch.zeros_like(ids), torch.zeros((len(batch), longest))
    for row, (tokens, mine) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        attended[row, : len(tokens)] = 1
        own[row, : len(tokens)] = torch.tensor(mine, dtype=torch.float32)
    return ids.to(device), attended.to(device), own.to(device)
