"""Checks that the objective compiles as one graph and gives what it gives uncompiled. Run by test_settings.py."""

import itertools

import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts

config = GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
torch.manual_seed(0)
model = GPT2LMHeadModel(config).eval()
topo = ts.Topography.per_tap(model, seed=0)
ids = torch.arange(40)[None] % 7 + torch.arange(3)[:, None]


def check(one, two):
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def value_and_gradients(function, leaves):
    torch.manual_seed(3)
    value = function()
    return [value.detach(), *torch.autograd.grad(value, leaves)]


# The objective alone: all windows against eager; draws of compiled code differ, on a sheet of one window they do not.
large = ts.Topography(
    {"a": ts.Sheet((28, 28), {"a": torch.cartesian_prod(torch.arange(28), torch.arange(28)).numpy()})}
)
small = ts.Topography({"a": ts.Sheet((3, 4), {"a": torch.cartesian_prod(torch.arange(3), torch.arange(4)).numpy()})})
for objective, (sheets, radius, neighborhoods, max_samples) in itertools.product(
    ("correlation", "squared_difference", "shuffled_correlation"),
    ((topo, 2, "all", None), (small, 5, 5, None), (small, 5, 3, 200)),
):
    x = {tap: torch.randn(2, 30, width, requires_grad=True) for tap, width in sheets.widths.items()}

    def loss(x=x, sheets=sheets, radius=radius, n=neighborhoods, objective=objective, m=max_samples):
        return ts.spatial_loss(x, sheets, n, radius, objective=objective, max_samples=m)

    if sheets is topo:
        torch.compiler.reset()  # torch recompiles one function eight times at most
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    check(value_and_gradients(compiled, list(x.values())), value_and_gradients(loss, list(x.values())))


# With the defaults, where windows are read one by one: what was drawn is not known, but its size is.
def default(x, radius=5, max_samples=None):
    return ts.spatial_loss(x, large, radius=radius, max_samples=max_samples)


activations = {"a": torch.randn(2, 300, 784, requires_grad=True)}
for options in ({}, {"radius": 2}, {"radius": 3}, {"max_samples": 100}):
    for backend in ("aot_eager", "inductor") if not options else ("aot_eager",):
        value = torch.compile(default, fullgraph=True, backend=backend)(activations, **options)
        (gradient,) = torch.autograd.grad(value, activations.values())
        (eager,) = torch.autograd.grad(default(activations, **options), activations.values())
        assert 0.3 < value < 0.7
        assert 0.3 < gradient.norm() / eager.norm() < 3


# A whole step, model and objective in one graph.
def step():
    logits = model(input_ids=ids, use_cache=False).logits
    task = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    return task + 2.5 * ts.spatial_loss(activations, topo, "all", radius=2)


with topo.record(model) as activations:
    eager = value_and_gradients(step, list(model.parameters()))
    check(
        value_and_gradients(torch.compile(step, fullgraph=True, backend="aot_eager"), list(model.parameters())), eager
    )
