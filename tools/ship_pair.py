"""Put two finished runs into the package, as the shipped models `small` and `small-control`.

    toposheet train small --data TEXT --out RUNS/small
    toposheet train small --alpha 0 --name small_control --data TEXT --out RUNS/small-control
    python tools/ship_pair.py FOLDER TEXT RUNS

FOLDER is the folder that `tools/small_corpus.py` writes. TEXT is the folder that `toposheet data prepare builtin
FOLDER` writes.

The weights are converted to bf16, and the losses are measured again with the converted weights. Each model is then a
model folder in `src/toposheet/shipped/NAME`. Compared with the folder of a run, it has no checkpoints, no figures, and
the metrics of only a few updates. It also has a file of stimuli, which `toposheet report NAME` uses. The stimuli are
made from text in the public domain, so that they may be redistributed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator
from shipping import keep_some_metrics

from toposheet.architectures.attention import attention, block_attention
from toposheet.files import write_file
from toposheet.model_folders import SHIPPED
from toposheet.recipes import RECIPE_FILE, Recipe, read_recipe, write_recipe
from toposheet.recipes.result import RESULT
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.table import STIMULI_FILE
from toposheet.subject import Subject, load, save, token_counter
from toposheet.text.corpora import BUILTIN
from toposheet.text.shards import read_manifest
from toposheet.text.split import split_documents
from toposheet.train.batches import RunText, read_text
from toposheet.train.card import write_card
from toposheet.train.snapshots import SNAPSHOTS, Snapshots, read_snapshots, snapshot_stimuli
from toposheet.train.task import NextToken
from toposheet.train.validation import validate

NAMES = ("small", "small-control")
MOST_BYTES = 12e6
PUBLIC_DOMAIN_PROSE = ("addresses", "bible", "moby_dick", "world_english_bible")


def public_domain_stimuli(packages: Path, recipe: Recipe, count_tokens: Callable[[str], int]) -> pd.DataFrame:
    """Return stimuli. Their sentences are held-out prose in the public domain."""
    corpora = {corpus.name: list(corpus.read()) for corpus in BUILTIN}
    for path in sorted(packages.glob("*.jsonl")):
        corpora[path.stem] = [json.loads(line)["text"] for line in path.read_text().splitlines()]
    fraction = recipe.bookkeeping.validation_fraction
    split = {name: split_documents(texts, fraction, recipe.seed) for name, texts in corpora.items()}
    train = [text for training, _ in split.values() for text in training]
    held_out = [text for name in PUBLIC_DOMAIN_PROSE for text in split[name][1]]
    return build_stimuli(held_out, train, seed=recipe.seed, count_tokens=count_tokens)


def ship(run: Path, text: RunText, box: Path, stimuli: pd.DataFrame) -> None:
    """Write the shipped model folder of a run.

    Args:
        run: The model folder of the run.
        text: The text of the run.
        box: The folder to write. An existing folder is replaced.
        stimuli: The stimuli to store in the folder.

    Raises:
        ValueError: The weights are too large for the package.
    """
    recipe, result = read_recipe(run / RECIPE_FILE), json.loads((run / RESULT).read_text())
    trained = load(run)
    weights = 2 * sum(parameter.numel() for parameter in trained.model.parameters())
    if weights > MOST_BYTES:
        raise ValueError(
            f"the weights of {box.name} have {weights:,} bytes, but the package takes at most {MOST_BYTES:,.0f}"
        )
    if box.exists():
        shutil.rmtree(box)
    save(box, Subject(trained.model.to(torch.bfloat16), trained.topography, trained.tokenizer))
    stored = load(box)
    blocks = block_attention(stored.model, recipe.model.context)
    with stored.record() as activations, attention(stored.model, blocks):
        task = NextToken(stored.model, recipe.optimisation.precision)
        held_out, here = text.held_out, Accelerator(cpu=True)
        validation = validate(task, stored.topography, activations, held_out, recipe, here)
    before = result["validation_task_loss"]
    result |= validation.as_row()
    print(f"{box.name}: {weights:,} bytes, task loss {validation.task_loss:.4f} ({before:.4f} in float32)")

    done = result["updates"]
    shutil.copy(run / SNAPSHOTS.file, box / SNAPSHOTS.file)
    snapshot_texts = snapshot_stimuli(text, recipe)
    Snapshots(box, done - 1, stored, snapshot_texts, recipe, write=True).take(done)
    shutil.rmtree(box / "snapshots")
    write_recipe(box / RECIPE_FILE, recipe)
    keep_some_metrics(run, box)
    write_file(box / STIMULI_FILE, stimuli.to_csv(index=False))
    write_card(box, recipe, result, read_snapshots(box), shipped_as=box.name)
    write_file(box / RESULT, json.dumps(result, indent=2) + "\n")


def main(packages: Path, text: Path, runs: Path) -> None:
    """Ship both models.

    Raises:
        ValueError: The two runs did not end at the same update.
    """
    ended = {name: json.loads((runs / name / RESULT).read_text())["updates"] for name in NAMES}
    if len(set(ended.values())) > 1:
        raise ValueError(f"the runs did not end at the same update: {ended}")
    recipe = read_recipe(runs / NAMES[0] / RECIPE_FILE)
    run_text = read_text(text, read_manifest(text), recipe)
    stimuli = public_domain_stimuli(packages, recipe, token_counter(run_text.tokenizer))
    for name in NAMES:
        ship(runs / name, run_text, SHIPPED / name, stimuli)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
