"""The text of a run: prepare it, read it, and load the batch of the next update while the present one is computed."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from toposheet.errors import UserError
from toposheet.recipes import Recipe
from toposheet.text.blocks import Blocks
from toposheet.text.documents import TRAIN
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation
from toposheet.text.shards import Manifest
from toposheet.text.tokenizer import read_tokenizer
from toposheet.train.validation import whole_batches

TEXT = "text"
"""Name of the folder with the prepared built-in text. It lies inside the model folder of the run that uses the text."""


def prepare_builtin(folder: Path, recipe: Recipe) -> None:
    """Prepare the built-in text for a recipe, and train a tokenizer on this text. See `text.pipeline.prepare`."""
    preparation = Preparation(
        sources=("builtin",),
        tokenizer=TRAIN,
        vocabulary=recipe.model.vocabulary,
        validation_fraction=recipe.bookkeeping.validation_fraction,
        seed=recipe.seed,
    )
    prepare(preparation, folder, Executor(workers=1))


@dataclass(frozen=True)
class RunText:
    """The text on which a run trains and validates.

    Args:
        manifest: The manifest of the prepared text.
        blocks: The blocks of tokens, in the order in which the run reads them.
        held_out: Held-out blocks, shape (blocks, context + 1). Every validation reads these same blocks.
        tokenizer: The tokenizer of the text. Its maximum length is the context of the recipe.
    """

    manifest: Manifest
    blocks: Blocks
    held_out: Tensor
    tokenizer: PreTrainedTokenizerFast


def check_vocabulary(recipe: Recipe, manifest: Manifest, text: Path) -> None:
    """Refuse a recipe whose vocabulary size does not fit the prepared text.

    The vocabulary of the model must have as many tokens as the tokenizer of the text, or that number rounded up to a
    multiple of 128, which makes matrix products faster.

    Raises:
        UserError: The recipe has another size. Change `vocabulary`, or prepare the text again.
    """
    vocabulary = recipe.model.vocabulary
    if vocabulary not in (manifest.vocabulary, -(-manifest.vocabulary // 128) * 128):
        raise UserError(
            f"{text} has a vocabulary of {manifest.vocabulary} tokens, but the recipe has {vocabulary}: "
            f"give --vocabulary {manifest.vocabulary} (in Python: vocabulary={manifest.vocabulary}), or "
            "prepare the text with another tokenizer"
        )


def read_text(folder: Path, manifest: Manifest, recipe: Recipe) -> RunText:
    """Return the text of a run.

    Args:
        folder: The folder of the prepared text.
        manifest: The manifest of this folder.
        recipe: The recipe of the run.

    Raises:
        UserError: The vocabulary size of the text does not fit the recipe, a split is shorter than one block, or the
            tokenizer is damaged.
    """
    if recipe.subject is None:
        check_vocabulary(recipe, manifest, folder)
    blocks = Blocks(folder, context=recipe.model.context, seed=recipe.seed)
    tokenizer = read_tokenizer(folder, manifest)
    tokenizer.model_max_length = recipe.model.context
    held_out = whole_batches(torch.from_numpy(blocks.validation(recipe.bookkeeping.validation_blocks)), recipe)
    return RunText(manifest, blocks, held_out, tokenizer)


@contextmanager
def prefetched(
    blocks: Blocks, recipe: Recipe, accelerator: Accelerator, first: int
) -> Generator[Generator[Tensor, None, None], None, None]:
    """Yield an iterator over updates; each item holds the micro-batches of this process for one update.

    An item has the shape (micro_batches, blocks, context + 1). A thread reads the item of the next update while the
    current update is computed. The processes take the micro-batches of an update in turn: process r takes the
    micro-batches r, r + processes, r + 2 * processes, and so on. The text of an update is therefore the same for any
    number of processes.

    Args:
        blocks: The blocks of the text.
        recipe: The recipe of the run.
        accelerator: The accelerator of this process. It knows the device and the number of processes.
        first: Number of the first update to read, counted from 0.
    """
    optimisation = recipe.optimisation

    def read(update: int) -> Tensor:
        batch = torch.from_numpy(blocks.train(update * optimisation.batch, optimisation.batch))
        micro_batches = batch.view(optimisation.micro_batches, -1, batch.shape[1])
        mine = micro_batches[accelerator.process_index :: accelerator.num_processes].contiguous()
        return mine.pin_memory() if accelerator.device.type == "cuda" else mine

    def batches(reader: ThreadPoolExecutor) -> Generator[Tensor, None, None]:
        ahead = reader.submit(read, first)
        for update in range(first, optimisation.last_update):
            batch = ahead.result()
            ahead = reader.submit(read, update + 1)
            yield batch.to(accelerator.device, non_blocking=True)

    with ThreadPoolExecutor(max_workers=1) as reader:
        yield batches(reader)
