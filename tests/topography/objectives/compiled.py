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
small = ts.Topography({"a": ts.Sheet((3, 4), {"a": torch.cartesian_prod(torch.arange(3), torch.arange(4)).numpy()})})
for objective, (sheets, radius, neighborhoods, max_samples) in itertools.product(
    ("correlation", "squared_difference", "shuffled_correlation"),
    ((topo, 2, "all", None), (small, 5, 5, None), (small, 5, 3, 200)),
):
    x = {tap: torch.randn(2, 30, width, requires_grad=True) for tap, width in sheets.widths.items()}

    def loss(x=x, sheets=sheets, radius=radius, n=neighborhoods, objective=objective, m=max_samples):
        return ts.spatial_loss(x, sheets, n, radius, objective=objective, max_samples=m)

    torch.compiler.reset()  # or a radius that changes would be traced as a variable
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    check(value_and_gradients(compiled, list(x.values())), value_and_gradients(loss, list(x.values())))


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
