"""Claim: what topography costs in a training step of the demo recipe, objective on against alpha = 0.

Both steps run in turn on the same batches; the figure is the median of the ratios pair by pair, since machines are
noisy and shared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from toposheet import Topography, spatial_loss
from toposheet.recipes import Recipe, demo
from toposheet.train.model import build_model
from toposheet.train.optimizer import adamw

PAIRS, WARM_UP = 40, 3


def step_of(recipe: Recipe) -> Callable[[int], None]:
    """Return a function that makes one update of a freshly built model."""
    model = build_model(recipe, end_of_text=0)
    topo = Topography.per_tap(model, recipe.taps, seed=recipe.seed)
    optimizer = adamw(model, recipe)
    text = torch.randint(recipe.vocabulary, (8, recipe.batch, recipe.context + 1), generator=torch.Generator())

    def step(update: int) -> None:
        batch = text[update % len(text)]
        with topo.record(model) as activations:
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        if recipe.alpha > 0:
            generator = torch.Generator().manual_seed(update)
            loss = loss + recipe.alpha * spatial_loss(
                activations, topo, recipe.neighborhoods, recipe.radius, generator=generator
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    steps = {"objective": step_of(demo()), "alpha 0": step_of(demo().control())}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for update in range(PAIRS + WARM_UP):
        for name, step in steps.items():
            start = time.perf_counter()
            step(update)
            if update >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["objective"], seconds["alpha 0"], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"training step, demo recipe, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, values in seconds.items():
        print(f"  {name:10} {1000 * statistics.median(values):7.1f} ms (median of {PAIRS})")
    print(f"  ratio      {quartiles[1]:7.3f} (quartiles {quartiles[0]:.3f} to {quartiles[2]:.3f})")


if __name__ == "__main__":
    main()
