"""The text of a run: prepared for it, read, and given to every update while the one before is computed on."""

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
"""The folder of built-in text, inside the model folder of the run for which it is prepared."""


def prepare_builtin(folder: Path, recipe: Recipe) -> None:
    """Prepare the built-in text for a recipe, with a tokenizer that is learnt from it. See `text.pipeline.prepare`."""
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
    """The text of a run.

    Args:
        manifest: Of the prepared text.
        blocks: Its blocks, in the order of the run.
        held_out: The blocks (blocks, context + 1) that every validation reads.
        tokenizer: That of the text, which knows the context of the model.
    """

    manifest: Manifest
    blocks: Blocks
    held_out: Tensor
    tokenizer: PreTrainedTokenizerFast


def check_vocabulary(recipe: Recipe, manifest: Manifest, text: Path) -> None:
    """Refuse a vocabulary other than the text's, or that padded to a multiple of 128 as matrix products like it."""
    vocabulary = recipe.model.vocabulary
    if vocabulary not in (manifest.vocabulary, -(-manifest.vocabulary // 128) * 128):
        raise UserError(
            f"{text} has a vocabulary of {manifest.vocabulary}, the recipe of {vocabulary}: "
            f"set vocabulary to {manifest.vocabulary} or prepare the text with another tokenizer"
        )


def read_text(folder: Path, manifest: Manifest, recipe: Recipe) -> RunText:
    """Return the text of a run.

    Raises:
        UserError: its vocabulary is not the recipe's, a split is shorter than a block, or the tokenizer is damaged.
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
    """Give the micro-batches of this process, update after update: (micro_batches, batch, context + 1) each.

    The micro-batches of an update go round the processes, so that what they add up to does not depend on their number.

    Args:
        blocks: Of the text.
        recipe: The run.
        accelerator: The processes.
        first: Update to begin with.
    """
    how = recipe.optimisation

    def read(update: int) -> Tensor:
        batch = torch.from_numpy(blocks.train(update * how.batch, how.batch))
        micro_batches = batch.view(how.micro_batches, -1, batch.shape[1])
        mine = micro_batches[accelerator.process_index :: accelerator.num_processes].contiguous()
        return mine.pin_memory() if accelerator.device.type == "cuda" else mine

    def batches(reader: ThreadPoolExecutor) -> Generator[Tensor, None, None]:
        ahead = reader.submit(read, first)
        for update in range(first, how.last_update):
            batch = ahead.result()
            ahead = reader.submit(read, update + 1)
            yield batch.to(accelerator.device, non_blocking=True)

    with ThreadPoolExecutor(max_workers=1) as reader:
        yield batches(reader)
