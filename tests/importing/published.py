"""Files in the formats of TopoLM and nanoGPT, and what a model in this format computes, written independently."""

import math
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, CONTEXT, VOCABULARY = 2, 3, 36, 48, 320
SIDE = 6


def weights_of(layers=LAYERS, width=WIDTH, context=CONTEXT, vocabulary=VOCABULARY, bias=False, seed=0):
    """Return random weights by the names of nanoGPT; weights of linear layers are (out, in)."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=g) * 0.2

    weights = {"transformer.wte.weight": random(vocabulary, width), "transformer.wpe.weight": random(context, width)}
    for n in range(layers):
        block = f"transformer.h.{n}"
        for norm in ("ln_1", "ln_2"):
            weights[f"{block}.{norm}.weight"] = 1 + random(width)
        weights[f"{block}.attn.c_attn.weight"] = random(3 * width, width)
        weights[f"{block}.attn.c_proj.weight"] = random(width, width)
        weights[f"{block}.mlp.c_fc.weight"] = random(4 * width, width)
        weights[f"{block}.mlp.c_proj.weight"] = random(width, 4 * width)
    weights["transformer.ln_f.weight"] = 1 + random(width)
    if bias:
        for name in [name for name in weights if "wte" not in name and "wpe" not in name]:
            weights[name.replace(".weight", ".bias")] = random(len(weights[name]))
    weights["lm_head.weight"] = weights["transformer.wte.weight"]  # one storage, as after tying
    return weights


def arguments_of(**changes: Any) -> dict[str, Any]:
    """Return `model_args` as TopoLM's code writes them."""
    return {
        "n_layer": LAYERS, "n_head": HEADS, "n_embed": WIDTH, "block_size": CONTEXT, "bias": False,
        "vocab_size": VOCABULARY, "dropout": 0.0, "alpha": 2.5, "position_dir": "gpt2-positions-5-5", "accum": "mean",
        "activation_decay": 0, "head_loss": False, "attn_proj": False,
    } | changes  # fmt: skip


def write_checkpoint(path: Path, weights: Any = None, arguments: Any = None, **more: Any) -> Path:
    """Write a checkpoint as a training of TopoLM does, with the state of an optimizer."""
    weights = weights_of() if weights is None else weights
    parameter = torch.nn.Parameter(torch.randn(4, 4))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    content = {
        "model": weights, "optimizer": optimizer.state_dict(), "model_args": arguments or arguments_of(),
        "iter_num": 500, "best_val_loss": torch.tensor(3.1), "config": {"radius": 5, "dtype": "bfloat16"},
    }  # fmt: skip
    torch.save(content | more, path)
    return path


def endless(levels: int = 6) -> list[Any]:
    """Return a list that takes few bytes in a file, and whose text has more than 10**levels words."""
    value: list[Any] = ["ha"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


def write_program(path: Path, program: bytes) -> Path:
    """Write a file of torch whose pickle is this program."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return path


def forward(weights, ids, heads=HEADS):
    """Return the logits, and the tensors before and after each addition to the residual stream.

    Returns:
        The logits, and {(layer, kind, "before" or "after"): tensor}.
    """

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * weights[f"{name}.weight"] + weights.get(f"{name}.bias", 0.0)

    batch, time = ids.shape
    x = weights["transformer.wte.weight"][ids] + weights["transformer.wpe.weight"][:time]
    future = torch.triu(torch.ones(time, time, dtype=torch.bool), diagonal=1)
    tensors = {}
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("transformer.h."))
    for n in range(layers):
        block = f"transformer.h.{n}"
        parts = linear(norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn").chunk(3, dim=-1)
        q, k, v = (part.view(batch, time, heads, -1).transpose(1, 2) for part in parts)
        scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(future, -math.inf)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, -1)
        tensors[n, "attn", "before"] = linear(mixed, f"{block}.attn.c_proj")
        x = tensors[n, "attn", "after"] = x + tensors[n, "attn", "before"]
        hidden = F.gelu(linear(norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc"))
        tensors[n, "mlp", "before"] = linear(hidden, f"{block}.mlp.c_proj")
        x = tensors[n, "mlp", "after"] = x + tensors[n, "mlp", "before"]
    head = weights.get("lm_head.weight", weights["transformer.wte.weight"])
    return norm(x, "transformer.ln_f") @ head.T, tensors


def coordinates_of(seed: int, shared: bool = True) -> torch.Tensor:
    """Return coordinates as published: floating-point numbers; some units may have the cell of another unit."""
    g = torch.Generator().manual_seed(seed)
    cells = torch.randperm(WIDTH, generator=g)
    if shared:
        cells[:5] = cells[5:10]
    return torch.stack([cells // SIDE, cells % SIDE], dim=1).float()


def windows_of(seed: int, n_windows: int = 4, n_units: int = 9) -> torch.Tensor:
    """Return stored windows as published: for each window a mask over the units, which need not be near each other."""
    g = torch.Generator().manual_seed(1000 + seed)
    masks = torch.zeros(n_windows, WIDTH, dtype=torch.int64)
    for number, mask in enumerate(masks):
        mask[torch.randperm(WIDTH, generator=g)[: n_units - number]] = 1
    return masks


def pickled(name: str, protocol: int | None = None, module: str = "positions", **fields: Any) -> bytes:
    """Return a pickle of a `positions.LayerPositions`. The class exists only while it is pickled."""
    stub: Any = types.ModuleType(module)
    stub.LayerPositions = type("LayerPositions", (), {"__module__": module})
    record = stub.LayerPositions()
    vars(record).update({"name": name} | fields)
    assert module not in sys.modules
    sys.modules[module] = stub
    try:
        return pickle.dumps(record, protocol)
    finally:
        del sys.modules[module]


def fields_of(seed: int, **changes: Any) -> dict[str, Any]:
    """Return the fields of one file of positions, besides its name."""
    return {
        "coordinates": coordinates_of(seed), "neighborhood_indices": windows_of(seed), "neighborhoods_per_batch": 5
    } | changes  # fmt: skip


def write_positions(folder: Path, layers: int = LAYERS, **changes: Any) -> Path:
    """Write a file of positions for attention and MLP of each layer."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(layers):
        for kind, seed in (("attn", 2 * n), ("mlp", 2 * n + 1)):
            name = f"layer.{n}.{kind}"
            (folder / f"{name}.pkl").write_bytes(pickled(name, **fields_of(seed, **changes)))
    (folder / "version.txt").write_text("1\n")
    return folder


def expected_windows(masks: Any) -> list[set[int]]:
    """Return the units of each window of masks."""
    return [set(np.flatnonzero(np.asarray(mask)).tolist()) for mask in masks]
