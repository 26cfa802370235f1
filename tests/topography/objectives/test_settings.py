"""The objective where models are trained: compiled, checkpointed, without synchronisation."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import toposheet as ts

IDS = torch.arange(40)[None] % 7 + torch.arange(3)[:, None]


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def step(model, topo, forward=None, **options):
    """One loss and its gradients, all windows."""
    model.zero_grad()
    with topo.record(model) as activations:
        logits = (forward or model)(input_ids=IDS, use_cache=False).logits
    task = functional.cross_entropy(logits[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())
    loss = task + 2.5 * ts.spatial_loss(activations, topo, "all", radius=2, **options)
    loss.backward()
    return loss.item(), gradients(model)


def assert_same(one, two):
    assert one[0] == pytest.approx(two[0], abs=1e-5)
    assert one[1].keys() == two[1].keys()
    for name, gradient in one[1].items():
        torch.testing.assert_close(
            gradient, two[1][name], rtol=1e-4, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )


def run(script, *arguments):
    """Run a script of its own process or processes: the checks of axes, which pytest turns on, cannot be compiled."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.slow
def test_compiles_whole_and_gives_the_same():
    run("compiled.py")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_any_split_over_processes_gives_the_loss_and_gradient_of_the_whole_batch(processes):
    run("parallel.py", str(processes))


def checkpoint_blocks(model, use_reentrant):
    def checkpointed(forward):
        return lambda *args, **kwargs: checkpoint(
            functools.partial(forward, **kwargs), *args, use_reentrant=use_reentrant
        )

    for block in model.transformer.h:
        block.forward = checkpointed(block.forward)


def test_non_reentrant_checkpointing_changes_nothing(model, topo):
    plain = step(model, topo)
    checkpoint_blocks(model, use_reentrant=False)
    assert_same(step(model, topo), plain)


def test_reentrant_checkpointing_would_drop_the_gradient_and_is_refused_by_tap(model, topo):
    checkpoint_blocks(model, use_reentrant=True)
    with pytest.raises(ValueError, match=r"transformer.h.0.attn have no gradient.*use_reentrant=False"):
        step(model.train(), topo)


def test_frozen_taps_are_refused_in_training_and_measured_without_gradient(model, topo):
    for parameter in model.transformer.h[0].parameters():
        parameter.requires_grad = False
    for embedding in (model.transformer.wte, model.transformer.wpe):
        embedding.weight.requires_grad = False
    with pytest.raises(ValueError, match=r"transformer.h.0.attn have no gradient"):
        step(model.train(), topo)
    with topo.record(model) as activations:
        model(IDS)
    with torch.no_grad():
        assert ts.spatial_loss(activations, topo, "all", radius=2).isfinite()
