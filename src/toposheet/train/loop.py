"""The training loop: next-token loss plus alpha times the spatial loss."""

from __future__ import annotations

import json
import platform
import signal
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from transformers import PreTrainedModel

from toposheet.files import write_file
from toposheet.recipes import Recipe
from toposheet.text.bigram import bigram_loss
from toposheet.text.blocks import Blocks
from toposheet.text.shards import read_manifest
from toposheet.text.tokenizer import end_of_text, read_tokenizer
from toposheet.topography import ON_WEIGHTS, NotFiniteError, Topography, save, spatial_losses
from toposheet.train.log import Metrics, progress_bar
from toposheet.train.memory import keep_freed_memory
from toposheet.train.model import build_model
from toposheet.train.optimizer import adamw, learning_rate, strength
from toposheet.train.state import load_state, save_state

STATE = "training_state.pt"
RESULT = "training.json"


def train(recipe: Recipe, text: Path, out: Path) -> None:
    """Train the model of a recipe and save it, with its topography and tokenizer, as a model folder.

    The folder also gets `recipe.json`, `metrics.jsonl` (every update) and, when training is done,
    `training.json`: the final losses and how they came about. A run that was stopped goes on from its last
    state; one that is done is left as it is.

    Args:
        recipe: What to train. Equal recipes on equal text give equal models on one machine.
        text: A folder of prepared text (`toposheet.text.pipeline.prepare`).
        out: The model folder.

    Raises:
        FileNotFoundError: there is no prepared text.
        ValueError: the folder holds a run of another recipe, or recipe and text do not fit.
        KeyboardInterrupt: the run was interrupted; its state is saved.
    """
    claim(out, recipe)
    manifest = read_manifest(text)
    text_checksum = manifest.checksum
    if _is_finished(out, text_checksum):
        return
    if manifest.vocabulary != recipe.vocabulary:
        raise ValueError(f"{text} has a vocabulary of {manifest.vocabulary}, the recipe of {recipe.vocabulary}")
    source = Blocks(text, context=recipe.context, seed=recipe.seed)
    tokenizer = read_tokenizer(text, manifest)
    tokenizer.model_max_length = recipe.context
    unwrapped = build_model(recipe, end_of_text(tokenizer))
    topo = Topography.per_tap(unwrapped, recipe.taps, recipe.sheet_shape, recipe.spacing_mm, recipe.seed)
    spatial_losses(_silence(topo), topo, "all", recipe.radius, recipe.metric, recipe.window)  # fail before training
    if recipe.objective in ON_WEIGHTS:
        topo.weights(unwrapped)

    keep_freed_memory()
    accelerator = Accelerator()
    model, optimizer = accelerator.prepare(unwrapped, adamw(unwrapped, recipe))
    out.mkdir(parents=True, exist_ok=True)
    recipe.save(out / "recipe.json")
    done = load_state(out / STATE, unwrapped, optimizer, text_checksum) if (out / STATE).is_file() else 0
    good_state = f"{out / STATE}, after update {done}" if done else "none was saved yet"
    first, metrics = done, Metrics(out / "metrics.jsonl", done)
    started = time.perf_counter()

    with progress_bar(recipe.name, recipe.updates, done) as bar, _interruptible() as interrupted:
        validation: dict[str, Any] = {}
        for update in range(done, recipe.updates):
            tick = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(update, recipe)
            batch = torch.from_numpy(source.train(update * recipe.batch, recipe.batch)).to(accelerator.device)
            with topo.record(unwrapped) as activations:
                task_loss = _task_loss(model, batch)
            _refuse_divergence(task_loss, "task loss", update, activations, good_state)
            spatial, alpha = None, strength(update, recipe)
            loss = task_loss
            if not recipe.is_control:
                try:
                    spatial = _spatial_losses(unwrapped, activations, topo, recipe, update)
                except NotFiniteError as error:
                    raise _divergence(str(error), update, good_state) from None
                loss = task_loss + alpha * spatial.sum()
                of_sheets = dict(zip(topo.sheets, spatial, strict=True))
                _refuse_divergence(loss, "spatial loss", update, of_sheets, good_state)
            accelerator.backward(loss)
            backwards = reversed(list(unwrapped.named_parameters()))  # as gradients came about
            gradients = {name: p.grad for name, p in backwards if p.grad is not None}
            norm = get_total_norm(list(gradients.values()))
            _refuse_divergence(norm, "gradient", update, gradients, good_state)
            clip_grads_with_norm_(unwrapped.parameters(), recipe.clip, norm)
            optimizer.step()
            optimizer.zero_grad()
            done = update + 1

            row = {"task_loss": task_loss.item(), "gradient_norm": float(norm)}
            if spatial is not None:
                row |= {"spatial_loss": spatial.mean().item(), "alpha": alpha}
            n_tokens = batch[:, 1:].numel()
            now = time.perf_counter()
            metrics.write(
                update=done,
                learning_rate=learning_rate(update, recipe),
                tokens_per_second=round(n_tokens / (now - tick)),
                **row,
            )
            if done % recipe.validate_every == 0 or done == recipe.updates:
                validation = _validate(unwrapped, topo, source, recipe, accelerator.device)
                metrics.write(update=done, **validation)
            mean_speed = n_tokens * (done - first) / (now - started)
            postfix = f"{mean_speed:,.0f} tokens/s, task loss {row['task_loss']:.2f}"
            shown = row.get("spatial_loss", validation.get("validation_spatial_loss"))
            if shown is not None:  # without topography it is known from the first validation on
                postfix += f", spatial loss {shown:.3f}"
            bar.set_postfix_str(postfix, refresh=False)
            bar.update()
            if interrupted.is_set() or (done % recipe.checkpoint_every == 0 and done < recipe.updates):
                save_state(out / STATE, done, unwrapped, optimizer, text_checksum)
                good_state = f"{out / STATE}, after update {done}"
            if interrupted.is_set():
                raise KeyboardInterrupt
    if not validation:  # stopped between the last update and the end
        validation = _validate(unwrapped, topo, source, recipe, accelerator.device)
    save(out, unwrapped, topo, tokenizer)
    result = {
        "recipe": asdict(recipe),
        "text": text_checksum,
        "corpora": manifest.corpora,
        "tokens": recipe.updates * recipe.batch * recipe.context,
        **validation,
        "bigram_loss": bigram_loss(
            source.seen(recipe.updates * recipe.batch), source.validation(recipe.validation_blocks), recipe.vocabulary
        ),
        "seconds_since_start_or_resume": round(time.perf_counter() - started, 1),
        "machine": f"{platform.machine()} {platform.system()}, {accelerator.device.type}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    write_file(out / RESULT, json.dumps(result, indent=2) + "\n")
    (out / STATE).unlink(missing_ok=True)


def _spatial_losses(
    model: PreTrainedModel, activations: dict[str, Tensor], topo: Topography, recipe: Recipe, update: int
) -> Float[Tensor, " sheets"]:
    """Return the spatial loss of each sheet, by the recipe's objective, in windows drawn for this update."""
    losses = spatial_losses(
        topo.weights(model) if recipe.objective in ON_WEIGHTS else activations,
        topo,
        recipe.neighborhoods,
        recipe.radius,
        recipe.metric,
        recipe.window,
        torch.Generator().manual_seed(recipe.seed * 1_000_003 + update),
        objective=recipe.objective,
        max_samples=recipe.max_samples,
    )
    return torch.stack(list(losses.values()))


def _refuse_divergence(value: Tensor, what: str, update: int, parts: Mapping[str, Tensor], good_state: str) -> None:
    """Stop a run in which a value is nan or inf, before it reaches the weights.

    Raises:
        FloatingPointError: the message names the update, the first part that is not finite and the last good state.
    """
    if not value.isfinite():
        first = next((name for name, part in parts.items() if not part.isfinite().all()), "the sum of its parts")
        raise _divergence(f"the {what} is not finite, first in {first}", update, good_state)


def _divergence(what: str, update: int, good_state: str) -> FloatingPointError:
    return FloatingPointError(
        f"update {update + 1}: {what} (last good state: {good_state}); train with a lower learning rate or strength, "
        "into another folder"
    )


def claim(out: Path, recipe: Recipe) -> None:
    """Refuse a folder that holds the run of another recipe.

    Raises:
        ValueError: the message names the fields that differ.
    """
    path = out / "recipe.json"
    if path.is_file():
        differences = Recipe.load(path).differences(recipe)
        if differences:
            raise ValueError(
                f"{out} holds another run ({'; '.join(differences)}; there, asked for): "
                "choose another --out or remove the folder"
            )
    elif (out / "config.json").is_file():
        raise ValueError(f"{out} holds a model that is no run of a recipe: choose another --out")


def _is_finished(out: Path, text_checksum: str) -> bool:
    """Return whether a folder holds a finished run, with its model; refuse one on other text."""
    if not (out / RESULT).is_file():
        return False
    if json.loads((out / RESULT).read_text()).get("text") != text_checksum:
        raise ValueError(f"{out} holds a run on other text: choose another --out or remove the folder")
    parts = ("config.json", "model*.safetensors", "topography.json", "topography.safetensors")
    return all(any(out.glob(part)) for part in parts)


def _silence(topo: Topography) -> dict[str, Tensor]:
    return {tap: torch.zeros(1, 2, width) for tap, width in topo.widths.items()}


def _task_loss(model: torch.nn.Module, batch: Tensor) -> Tensor:
    logits = model(input_ids=batch[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


@torch.no_grad()
def _validate(
    model: PreTrainedModel, topo: Topography, source: Blocks, recipe: Recipe, device: torch.device
) -> dict[str, Any]:
    """Return the task loss on held-out text and TopoLM's spatial loss over all windows, mean and for each sheet.

    The spatial loss is that of `"correlation"` whatever the objective, so that runs can be compared.
    """
    held_out = torch.from_numpy(source.validation(recipe.validation_blocks)).to(device)
    model.eval()
    batches = held_out.split(recipe.batch)
    task_loss, per_sheet = 0.0, dict.fromkeys(topo.sheets, 0.0)
    for batch in batches:
        with topo.record(model) as activations:
            task_loss += _task_loss(model, batch).item() * len(batch) / len(held_out)
        losses = spatial_losses(activations, topo, "all", recipe.radius, recipe.metric, recipe.window)
        for name, value in losses.items():
            per_sheet[name] += value.item() * len(batch) / len(held_out)
    model.train()
    return {
        "validation_task_loss": task_loss,
        "validation_spatial_loss": float(np.mean(list(per_sheet.values()))),
        "validation_spatial_losses": per_sheet,
    }


@contextmanager
def _interruptible() -> Generator[threading.Event, None, None]:
    """Turn the first Ctrl-C into an event, so that an update is never cut in half; a second one interrupts."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def on_signal(_number: int, _frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
