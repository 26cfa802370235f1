"""Claim: a checkpoint of TopoLM's size is imported in less than 20 seconds, also if it holds the state of an optimizer.

The checkpoint has random weights and the sizes of the published model: 12 layers of 784 units, 16 heads, a vocabulary
of 50,304 tokens, and both moments of AdamW, 1.5 GB in all. Its 24 files of positions have units that share cells, and
50 stored windows of 81 units. The command is timed with the start of the program and the writing of the model folder.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import torch

import toposheet as ts
from benchmarks.timing import command, median
from benchmarks.tokenising import tokenizer_of_size_of_gpt2

LAYERS, HEADS, WIDTH, CONTEXT, VOCABULARY, SIDE = 12, 16, 784, 1024, 50_304, 28
N_WINDOWS, IN_WINDOW, SHARED = 50, 81, 75
TAP, AT_MOST = "after-residual", 20.0


def measure(runs: int = 3) -> list[dict[str, Any]]:
    """Return median times over several runs: of the command, of the start of the program, and of the work in Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint, positions = folder / "ckpt.pt", folder / "positions"
        about = {"parameters": write_checkpoint(checkpoint), "file_mb": checkpoint.stat().st_size / 1e6}
        write_positions(positions)
        tokenizer = str(tokenizer_of_size_of_gpt2(folder / "tokenizer"))
        options = ["--positions", str(positions), "--tap", TAP, "--tokenizer", tokenizer]
        whole = sorted(
            command(["import", "topolm", str(checkpoint), *options, "--out", str(folder / f"model-{run}")])
            for run in range(runs)
        )
        seconds, peak = whole[runs // 2]

        def in_python() -> None:
            ts.save(folder / "model", ts.import_topolm(checkpoint, positions, tap=TAP, tokenizer=tokenizer))

        def imports() -> None:
            subprocess.run([sys.executable, "-c", "from toposheet import import_topolm"], check=True)

        return [
            {"what": "command", **about, "seconds": seconds, "at_most": AT_MOST, "peak_mb": peak / 1e6},
            {"what": "imports", "seconds": median(imports, runs=runs, warm_up=0)},
            {"what": "python", **about, "seconds": median(in_python, runs=runs, warm_up=1)},
        ]


def write_checkpoint(path: Path) -> int:
    """Write a checkpoint as TopoLM's training does. Return its number of parameters, without the biases of GPT-2."""
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (VOCABULARY, WIDTH),
        "transformer.wpe.weight": (CONTEXT, WIDTH),
    }
    for layer in range(LAYERS):
        block = f"transformer.h.{layer}"
        shapes |= {
            f"{block}.ln_1.weight": (WIDTH,), f"{block}.attn.c_attn.weight": (3 * WIDTH, WIDTH),
            f"{block}.attn.c_proj.weight": (WIDTH, WIDTH), f"{block}.ln_2.weight": (WIDTH,),
            f"{block}.mlp.c_fc.weight": (4 * WIDTH, WIDTH), f"{block}.mlp.c_proj.weight": (WIDTH, 4 * WIDTH),
        }  # fmt: skip
    shapes["transformer.ln_f.weight"] = (WIDTH,)
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    moments = [{"exp_avg": torch.zeros(shape), "exp_avg_sq": torch.zeros(shape)} for shape in shapes.values()]
    arguments = {
        "n_layer": LAYERS, "n_head": HEADS, "n_embed": WIDTH, "block_size": CONTEXT, "bias": False,
        "vocab_size": VOCABULARY, "dropout": 0.0,
    }  # fmt: skip
    optimizer = {"state": dict(enumerate(moments)), "param_groups": [{"lr": 6e-4, "params": list(range(len(shapes)))}]}
    tied = {"lm_head.weight": weights["transformer.wte.weight"]}
    torch.save({"model": weights | tied, "optimizer": optimizer, "model_args": arguments, "iter_num": 1}, path)
    return sum(weight.numel() for weight in weights.values())


def write_positions(folder: Path) -> None:
    """Write the positions of all taps, as objects of the class `positions.LayerPositions`."""
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    module: Any = types.ModuleType("positions")
    module.LayerPositions = type("LayerPositions", (), {"__module__": "positions"})
    sys.modules["positions"] = module
    try:
        for name in [f"layer.{layer}.{kind}" for layer in range(LAYERS) for kind in ("attn", "mlp")]:
            cells = torch.randperm(WIDTH, generator=generator)
            cells[:SHARED] = cells[SHARED : 2 * SHARED]
            windows = torch.zeros(N_WINDOWS, WIDTH, dtype=torch.int64)
            for mask in windows:
                mask[torch.randperm(WIDTH, generator=generator)[:IN_WINDOW]] = 1
            record = module.LayerPositions()
            vars(record).update(
                name=name,
                coordinates=torch.stack([cells // SIDE, cells % SIDE], dim=1).float(),
                neighborhood_indices=windows,
                neighborhoods_per_batch=5,
            )
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(record))
    finally:
        del sys.modules["positions"]
