"""Checks reduce="global" in N processes, plain, under DDP and under FSDP2. Run by test_settings.py.

Every process has its share of one batch, of unequal sizes where no wrapper forbids it. Loss and gradient are compared
with those of the whole batch in one process.
"""

import copy
import os
import sys
import tempfile

import torch
from torch import distributed, multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts


def close(one, two):
    """To 1e-5 of the largest value."""
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5 * two.abs().max().item())


def plain(rank, processes):
    """The bare objective on unequal shares: the mean of gradients over processes is that of the whole batch."""
    x = torch.randn(40, 6, 36, generator=torch.Generator().manual_seed(0)) + torch.arange(36) % 5
    sheets = {
        tap: ts.Sheet((6, 6), {tap: torch.cartesian_prod(torch.arange(6), torch.arange(6)).numpy()}) for tap in "ab"
    }
    topo = ts.Topography(sheets)
    cuts = [0, *(7 * (r + 1) for r in range(processes - 1)), 40]
    for objective in ("correlation", "squared_difference"):
        for neighborhoods in ("all", 5):
            whole = {tap: (x * (1 + i)).clone().requires_grad_() for i, tap in enumerate(topo.taps)}
            generator = torch.Generator().manual_seed(1)
            exact = ts.spatial_loss(whole, topo, neighborhoods, 2, generator=generator, objective=objective)
            exact.backward()
            # Only the first process has the generator of the whole: the others follow its draw.
            generator = torch.Generator().manual_seed(1 + rank)
            mine = slice(cuts[rank], cuts[rank + 1])
            share = {tap: value.detach()[mine].requires_grad_() for tap, value in whole.items()}
            loss = ts.spatial_loss(
                share, topo, neighborhoods, 2, generator=generator, objective=objective, reduce="global"
            )
            loss.backward()
            close(loss.detach(), exact.detach())
            for tap in topo.taps:
                close(share[tap].grad / processes, whole[tap].grad[mine])


def step(model, topo, recorded, ids, parts=1, **options):
    """One backward pass of task and objective; the batch in one or several parts."""
    generator = torch.Generator().manual_seed(0)
    statistics = ts.SpatialStatistics(topo, 5, 2, generator=generator, **options)
    parts = ids.chunk(parts)
    for part in parts:
        with torch.no_grad(), topo.record(recorded) as activations:
            model(input_ids=part, use_cache=False)
        statistics.add(activations)
    total = 0.0
    for part in parts:
        with topo.record(recorded) as activations:
            logits = model(input_ids=part, use_cache=False).logits
        task = functional.cross_entropy(logits[:, :-1].flatten(0, 1), part[:, 1:].flatten())
        spatial = torch.stack(list(statistics.losses(activations).values())).sum()
        (task / len(parts) + 2.5 * spatial).backward()
        total = spatial.item()
    return total


def wrapped(rank, processes):
    """A model under DDP and FSDP2, and in micro-batches, against one process with the whole batch."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_positions=16, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).eval()
    topo = ts.Topography.per_tap(model, seed=0)
    ids = torch.randint(64, (8, 16), generator=torch.Generator().manual_seed(0))
    share = ids.chunk(processes)[rank]
    whole = copy.deepcopy(model)
    exact = step(whole, topo, whole, ids)

    # Rounding follows the size of what is added up on the way: the largest gradient of the model.
    tolerance = 1e-5 * max(p.grad.abs().max().item() for p in whole.parameters())

    def compare(other, value, sharded=False):
        close(torch.tensor(value), torch.tensor(exact))
        for (name, p), q in zip(whole.named_parameters(), other.parameters(), strict=True):
            gradient = q.grad.full_tensor() if sharded else q.grad
            torch.testing.assert_close(
                gradient, p.grad, rtol=0, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
            )

    one_process = copy.deepcopy(model)
    compare(one_process, step(one_process, topo, one_process, ids, parts=4))

    replica = copy.deepcopy(model)
    compare(replica, step(DistributedDataParallel(replica), topo, replica, share, reduce="global"))

    sharded = copy.deepcopy(model)
    mesh = init_device_mesh("cpu", (processes,))
    for block in sharded.transformer.h:
        fully_shard(block, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    compare(sharded, step(sharded, topo, sharded, share, reduce="global"), sharded=True)

    # In micro-batches too, and the local loss is another one: that of the share alone.
    accumulated = copy.deepcopy(model)
    value = step(accumulated, topo, accumulated, share, parts=2, reduce="global")
    for p in accumulated.parameters():
        distributed.all_reduce(p.grad)
        p.grad /= processes
    compare(accumulated, value)
    local = copy.deepcopy(model)
    assert abs(step(local, topo, local, share) - exact) > 1e-4


def main(rank, processes, file):
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(processes))
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)
    plain(rank, processes)
    wrapped(rank, processes)
    distributed.destroy_process_group()


if __name__ == "__main__":
    n = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(main, args=(n, f"{folder}/store"), nprocs=n, start_method="spawn")
