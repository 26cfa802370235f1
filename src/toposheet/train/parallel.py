"""A model on one process or on several: copied to every process (DDP), or divided among the processes (FSDP2).

The same functions save and load the weights in all these cases.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from toposheet.architectures import architecture_of
from toposheet.errors import UserError
from toposheet.recipes import Recipe
from toposheet.train.task import NextToken
from toposheet.wording import counted

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def this_process() -> PartialState:
    """Return the state of this process, which knows its rank among the processes that `torchrun` started.

    Without `torchrun` there is one process. The first call connects the processes. On machines without an accelerator
    this needs `cpu=True`.
    """
    return PartialState(cpu=not torch.accelerator.is_available())


def check_processes(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that cannot share the micro-batches of an update evenly.

    Raises:
        UserError: The message says how to change `batch` or `micro_batch`.
    """
    optimisation = recipe.optimisation
    if optimisation.micro_batches % processes:
        raise UserError(
            f"{processes} processes cannot share an update evenly: a batch of {counted(optimisation.batch, 'block')} "
            f"has {counted(optimisation.micro_batches, 'micro-batch', 'micro-batches')} of "
            f"{counted(optimisation.micro_batch_size, 'block')}; set batch and micro_batch so "
            f"that batch / micro_batch is a multiple of {processes}"
        )


def parallelise(task: NextToken, recipe: Recipe, accelerator: Accelerator) -> nn.Module:
    """Return the task, moved to the device of this process and distributed over the processes as the recipe says.

    FSDP2 treats the first module that is called as the root module. With FSDP2 this function therefore calls the task
    once. Otherwise a snapshot, which calls only the model inside the task, could make that model the root module.
    """
    task.to(accelerator.device)
    task.original_to(accelerator.device)
    if accelerator.num_processes == 1 or recipe.optimisation.parallel == "ddp":
        if recipe.optimisation.compile:
            task.compile()
        return accelerator.prepare_model(task)
    for layer in architecture_of(task.model).blocks(task.model):
        fully_shard(layer)
    sharded = fully_shard(task)
    with torch.no_grad():
        task(torch.zeros(1, 2, dtype=torch.long, device=accelerator.device))
    sharded.reshard()
    if recipe.optimisation.compile:
        task.compile()
    return task


@contextmanager
def synchronised(model: nn.Module, now: bool) -> Generator[None, None, None]:
    """Decide whether the processes exchange their gradients in the backward pass inside this context.

    Args:
        model: The task as `parallelise` returned it.
        now: True: exchange the gradients in this backward pass. False: a later backward pass exchanges them.
    """
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(now)
        yield
    elif isinstance(model, DistributedDataParallel) and not now:
        with model.no_sync():
            yield
    else:
        yield


def over_processes(values: Tensor, accelerator: Accelerator, reduction: str) -> Tensor:
    """Return the sum or the mean of a tensor over all processes. Every process gets the result."""
    reduced = accelerator.reduce(values, reduction=reduction)
    assert isinstance(reduced, Tensor)
    return reduced


@contextmanager
def whole_weights(task: nn.Module) -> Generator[None, None, None]:
    """Give every process all weights inside this context, so that the model inside the task can be called alone."""
    if not isinstance(task, FSDPModule):
        yield
        return
    layers = [module for module in task.modules() if isinstance(module, FSDPModule)]
    for layer in layers:
        layer.unshard()
    try:
        yield
    finally:
        for layer in layers:
            layer.reshard()


def whole_state(task: nn.Module, optimizers: Sequence[Optimizer]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return all weights, and the full state of each optimizer.

    With FSDP2 only the first process gets them.
    """
    if not isinstance(task, FSDPModule):
        return task.state_dict(), [optimizer.state_dict() for optimizer in optimizers]
    return (
        get_model_state_dict(task, options=_WHOLE),
        [get_optimizer_state_dict(task, optimizer, options=_WHOLE) for optimizer in optimizers],
    )


def load_whole_state(
    task: nn.Module, optimizers: Sequence[Optimizer], model_state: dict[str, Any], states: Sequence[dict[str, Any]]
) -> None:
    """Load the weights and the optimizer states that `whole_state` returned. Every process must call this.

    The state may lack weights that are frozen.
    """
    pairs = zip(optimizers, states, strict=True)
    if not isinstance(task, FSDPModule):
        keys = task.load_state_dict(model_state, strict=False)
        trained = {name for name, parameter in task.named_parameters() if parameter.requires_grad}
        assert not trained & set(keys.missing_keys), "the state lacks trained weights"
        assert not keys.unexpected_keys, "the state has weights of another model"
        for optimizer, state in pairs:
            optimizer.load_state_dict(state)
        return
    set_model_state_dict(task, model_state, options=_WHOLE)
    for optimizer, state in pairs:
        set_optimizer_state_dict(task, optimizer, state, options=_WHOLE)
