"""The text of every update, read while the one before is computed on."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor

from toposheet.recipes import Recipe
from toposheet.text.blocks import Blocks


@contextmanager
def prefetched(
    source: Blocks, recipe: Recipe, accelerator: Accelerator, first: int
) -> Generator[Generator[Tensor, None, None], None, None]:
    """Give the micro-batches of this process, update after update: (micro_batches, batch, context + 1) each.

    The micro-batches of an update go round the processes, so that what they add up to does not depend on their number.

    Args:
        source: The text.
        recipe: The run.
        accelerator: The processes.
        first: Update to begin with.
    """

    def read(update: int) -> Tensor:
        blocks = torch.from_numpy(source.train(update * recipe.batch, recipe.batch))
        micro_batches = blocks.view(recipe.micro_batches, -1, blocks.shape[1])
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
