"""Compare the recipes `fast` and `paper` at 4.2 M parameters: does `fast` reach the loss of `paper` with fewer tokens?

    toposheet data prepare builtin FOLDER --tokenizer train --vocabulary 4096 --validation-fraction 0.02 --out TEXT
    python tools/compare_recipes.py TEXT OUT

FOLDER is the folder that `tools/small_corpus.py` writes. There are seven runs:

- `paper` with its published learning rate, 6e-4, and with two higher learning rates. Small models often need a higher
  learning rate.
- `fast` with alpha 8 and with the published alpha, 2.5. Its learning rates are the best of seven settings that were
tried
  with 0.4 M tokens each.
- Both recipes with a second seed.

The runs take about 90 minutes on one core. If the command is stopped, run it again to continue.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from toposheet.figures.style import DPI, MUTED, STYLE, WIDTH, colour
from toposheet.recipes import Recipe, named
from toposheet.train.log import read_metrics
from toposheet.train.loop import train

DOCS = Path(__file__).parents[1] / "docs"


def at_this_size(recipe: Recipe, updates: int, batch: int, **changes: object) -> Recipe:
    """Return a recipe, changed to a model of 4.2 M parameters and to blocks of 128 tokens."""
    return recipe.changed(
        layers=4, heads=4, width=256, context=128, vocabulary=4096, compile=False, patience=None,
        snapshot_every=None, validation_blocks=256, updates=updates, batch=batch, micro_batch=None,
        warmup_updates=updates // 50, validate_every=updates // 20, checkpoint_every=updates // 20, **changes,
    )  # fmt: skip


PAPER = at_this_size(named("paper"), 3000, 16)
FAST = at_this_size(
    named("fast"), 1950, 8, mlp_width=688, decay_updates=780, learning_rate=5e-3, muon_learning_rate=2.5e-3
)
RUNS = {
    "paper": PAPER,
    "fast": FAST,
    "paper, learning rate 1.2e-3": PAPER.changed(learning_rate=1.2e-3, final_learning_rate=1.2e-4),
    "paper, learning rate 3e-3": PAPER.changed(learning_rate=3e-3, final_learning_rate=3e-4),
    "fast, alpha 2.5": FAST.changed(alpha=2.5),
    "paper, seed 1": PAPER.changed(seed=1),
    "fast, seed 1": FAST.changed(seed=1),
}


def main(text: Path, out: Path) -> None:
    """Train all runs that are not finished, and write `docs/recipes.json` and `docs/figures/recipes.png`."""
    curves = {}
    for name, recipe in RUNS.items():
        folder = out / name.replace(", ", "-").replace(" ", "-")
        train(recipe, text, folder)
        table = read_metrics(folder / "metrics.jsonl").dropna(subset=["validation_task_loss"])
        curves[name] = {
            "tokens": (table["update"] * recipe.optimisation.batch * recipe.model.context).tolist(),
            "task_loss": table["validation_task_loss"].round(4).tolist(),
            "spatial_loss": table["validation_spatial_loss"].round(5).tolist(),
        }
    (DOCS / "recipes.json").write_text(json.dumps(curves, indent=1) + "\n")
    draw(curves).savefig(DOCS / "figures" / "recipes.png", dpi=DPI)
    for name, curve in curves.items():
        tokens, task, spatial = (values[-1] for values in curve.values())
        print(f"{name}: {tokens:,} tokens, task loss {task}, spatial loss {spatial}")


def draw(curves: dict[str, dict[str, list[float]]]) -> Figure:
    """Return a figure of both losses against tokens. Colours show the recipes, and line styles show the variants."""
    colours = {"fast": colour(0), "paper": colour(1)}
    dashes = {"": "-", "seed 1": "--", "alpha 2.5": ":", "learning rate 3e-3": ":", "learning rate 1.2e-3": "-."}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        task, spatial = figure.subplots(1, 2)
        for name, curve in sorted(curves.items()):
            recipe, _, varied = name.partition(", ")
            millions = [tokens / 1e6 for tokens in curve["tokens"]]
            look = {"color": colours[recipe], "ls": dashes[varied], "lw": 1.4, "label": name}
            task.plot(millions, curve["task_loss"], **look)
            spatial.plot(millions, curve["spatial_loss"], **look)
        for axes, loss in ((task, "task_loss"), (spatial, "spatial_loss")):
            axes.axhline(curves["paper"][loss][-1], color=MUTED, lw=0.8, zorder=0, label="where paper ends")
        task.set(title="Task loss on held-out text", xlabel="tokens (millions)", ylabel="cross-entropy (nats a token)")
        spatial.set(title="Spatial loss, mean over taps", xlabel="tokens (millions)", yscale="log")
        figure.legend(*task.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
