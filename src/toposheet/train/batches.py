"""The text of a run: what belongs to it, and that of every update, read while the one before is computed on."""

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

from toposheet.recipes import Recipe
from toposheet.text.blocks import Blocks
from toposheet.text.documents import TRAIN
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation
from toposheet.text.shards import Manifest
from toposheet.text.tokenizer import read_tokenizer
from toposheet.train.claims import check_vocabulary
from toposheet.train.validation import whole_batches


def prepare_builtin(folder: Path, recipe: Recipe) -> None:
    """Prepare the built-in text for a recipe, with a tokenizer that is learnt from it. See `text.pipeline.prepare`."""
    preparation = Preparation(
        sources=("builtin",),
        tokenizer=TRAIN,
        vocabulary=recipe.vocabulary,
        validation_fraction=recipe.validation_fraction,
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


def read_text(folder: Path, manifest: Manifest, recipe: Recipe) -> RunText:
    """Return the text of a run.

    Raises:
        UserError: its vocabulary is not the recipe's, a split is shorter than a block, or the tokenizer is damaged.
    """
    check_vocabulary(recipe, manifest, folder)
    blocks = Blocks(folder, context=recipe.context, seed=recipe.seed)
    tokenizer = read_tokenizer(folder, manifest)
    tokenizer.model_max_length = recipe.context
    held_out = whole_batches(torch.from_numpy(blocks.validation(recipe.validation_blocks)), recipe)
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

    def read(update: int) -> Tensor:
        batch = torch.from_numpy(blocks.train(update * recipe.batch, recipe.batch))
        micro_batches = batch.view(recipe.micro_batches, -1, batch.shape[1])
        mine = micro_batches[accelerator.process_index :: accelerator.num_processes].contiguous()
        return mine.pin_memory() if accelerator.device.type == "cuda" else mine

    def batches(reader: ThreadPoolExecutor) -> Generator[Tensor, None, None]:
        ahead = reader.submit(read, first)
        for update in range(first, recipe.last_update):
            batch = ahead.result()
            ahead = reader.submit(read, update + 1)
            yield batch.to(accelerator.device, non_blocking=True)

    with ThreadPoolExecutor(max_workers=1) as reader:
        yield batches(reader)
