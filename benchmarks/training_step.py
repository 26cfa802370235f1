"""Claims: the training loop takes hardly longer than a plain PyTorch loop, and topography adds little time to it.

The benchmark runs the real training loop (`toposheet train`), update by update. The updates alternate with those of a
plain PyTorch loop over the same model and text, or with those of the same training loop at alpha 0. Logging and checks
are measured. Validations, snapshots and checkpoints are not measured.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.timing import device, paired
from toposheet.architectures import architecture_of
from toposheet.recipes import Recipe, named
from toposheet.subject import Subject
from toposheet.text.blocks import Blocks
from toposheet.text.shards import TOKENIZER, Manifest, Shard
from toposheet.text.tokenizer import tokenizer_hash
from toposheet.train.hardware import keep_freed_memory
from toposheet.train.loop import updates
from toposheet.train.model import build_model, recipe_for
from toposheet.train.optimizer import learning_rate, optimizers
from toposheet.train.speed import peak_flops

_NEVER = 10**9


def random_text(folder: Path, recipe: Recipe, n_blocks: int = 4096) -> Path:
    """Write prepared text with random tokens that fits a recipe, and return its folder."""
    bare = Tokenizer(models.WordLevel({"<|endoftext|>": 0}, unk_token="<|endoftext|>"))
    PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|endoftext|>").save_pretrained(folder / TOKENIZER)
    shards = []
    for split in ("train", "validation"):
        file, n_tokens = f"{split}-00000.bin", n_blocks * recipe.model.context + 1
        content = np.random.default_rng(0).integers(recipe.model.vocabulary, size=n_tokens).astype("<u2").tobytes()
        (folder / file).write_bytes(content)
        shards.append(Shard(split, file, 1, n_tokens, hashlib.sha256(content).hexdigest()))
    Manifest(
        {}, [], 1, 0, 0, tokenizer_hash(folder / TOKENIZER), recipe.model.vocabulary, "uint16", tuple(shards)
    ).save(folder)
    return folder


@contextmanager
def loop_of(recipe: Recipe, text: Path, subject: Subject | None = None) -> Generator[Callable[[], object], None, None]:
    """Yield a function that makes one update of the real training loop: of a new model, or of a subject."""
    recipe = recipe.changed(updates=_NEVER, validation_blocks=1, validate_every=_NEVER, checkpoint_every=_NEVER,
                            snapshot_every=None, patience=None)  # fmt: skip
    recipe = recipe if subject is None else recipe_for(subject, recipe)
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stderr(io.StringIO()):
        run = updates(recipe, text, Path(out), subject=subject)
        yield lambda: next(run)
        run.close()


def bare_loop(recipe: Recipe, text: Path, model: PreTrainedModel | None = None) -> Callable[[], None]:
    """Return a function that makes one update of a plain PyTorch loop, without topography.

    Args:
        recipe: The recipe of the run.
        text: A folder of prepared text.
        model: The model that is trained. None: a new model of the recipe.
    """
    model = (build_model(recipe, end_of_text=0) if model is None else model).to(device())  # pyright: ignore
    (optimizer,), how = optimizers(model, recipe), recipe.optimisation
    source, numbers = Blocks(text, context=recipe.model.context, seed=recipe.seed), iter(range(_NEVER))

    def step() -> None:
        update = next(numbers)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(update, recipe)
        batch = torch.from_numpy(source.train(update * how.batch, how.batch)).to(device())
        for blocks in batch.split(how.micro_batch_size):
            with torch.autocast(device().type, torch.bfloat16, enabled=how.precision == "bf16"):
                logits = model(input_ids=blocks[:, :-1], use_cache=False).logits
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), blocks[:, 1:].flatten())
            (loss / how.micro_batches).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), how.clip)
        optimizer.step()
        optimizer.zero_grad()

    return step


def measure() -> list[dict[str, Any]]:
    """Return one row for each comparison. A CPU runs the recipe `demo`; a GPU runs `paper` and `fast`."""
    keep_freed_memory()
    if device().type == "cpu":
        demo, half = named("demo"), named("demo", name="demo, half of the tokens", max_samples=256)
        comparisons = [
            (demo.control(), "bare PyTorch", 1.05), (demo, "strength 0", 1.10), (half, "strength 0", None)
        ]  # fmt: skip
    else:
        sampled = named("paper", name="paper, 8,192 tokens correlated", max_samples=8192)
        comparisons = [(named("paper"), "strength 0", 1.02), (sampled, "strength 0", None)]
        comparisons += [(named("fast"), "strength 0", None)]
    rows = []
    for recipe, beside, bar in comparisons:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            text = random_text(Path(folder), recipe)
            ours = stack.enter_context(loop_of(recipe, text))
            bare = beside == "bare PyTorch"
            other = bare_loop(recipe, text) if bare else stack.enter_context(loop_of(recipe.control(), text))
            pairs = 200 if device().type == "cpu" else 10
            pair = paired(other, ours, pairs=pairs, warm_up=5)
        rows.append({
            "recipe": recipe.name, "beside": beside, "beside_ms": 1000 * pair.first, "ms": 1000 * pair.second,
            "ratio": pair.ratio, "at_most": bar, "model_flops_utilisation": _utilisation(recipe, pair.second),
        })  # fmt: skip
    return rows


def _utilisation(recipe: Recipe, seconds: float) -> float | None:
    """Return the used fraction of the device's peak arithmetic, or None if the peak is not known."""
    peak = peak_flops(device())
    model, context = build_model(recipe, end_of_text=0, device="meta"), recipe.model.context
    flops = recipe.optimisation.batch * context * architecture_of(model).flops_per_token(model, context)
    return flops / seconds / peak if peak else None
