"""What a model is, in 64 letters: two models with the same weights and places have the same."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from transformers import PreTrainedModel

from toposheet.topography.topography import Topography


def fingerprint(model: PreTrainedModel, topo: Topography) -> str:
    """Return the SHA-256 of a model's configuration, weights and topography, as hexadecimal digits.

    Args:
        model: Where it is and in which mode does not matter; in which precision does.
        topo: Its topography.
    """
    digest = hashlib.sha256(type(model).__name__.encode())
    config = model.config.to_dict()
    for changes_nothing in ("_name_or_path", "transformers_version", "torch_dtype", "dtype"):
        config.pop(changes_nothing, None)
    digest.update(repr(sorted(config.items(), key=lambda item: item[0])).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    for name, sheet in topo.sheets.items():
        digest.update(f"{name} {sheet.shape} {sheet.spacing_mm}".encode())
        for tap, places in sheet.places.items():
            digest.update(tap.encode() + np.ascontiguousarray(places, dtype=np.int64).tobytes())
    return digest.hexdigest()
