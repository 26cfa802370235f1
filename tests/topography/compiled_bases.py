"""Checks that recording in bases, and interventions in bases, compile as one graph, once. Run by test_bases.py."""

import numpy as np
import torch
from scipy.stats import ortho_group
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts

torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2)).eval()
topo = ts.Topography.per_tap(model)
topo = ts.Topography(topo.sheets, {tap: ortho_group.rvs(36, random_state=0) for tap in topo.taps[:3]})
ids = torch.arange(40)[None] % 7
with torch.no_grad(), topo.record(model) as plain:
    model(ids)
counter = CompileCounterWithBackend("aot_eager")
with topo.record(model) as activations:
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    for _ in range(3):
        loss = compiled(ids, use_cache=False).logits.mean() + ts.spatial_loss(activations, topo, "all")
        loss.backward()
assert counter.frame_count == 1, counter.frame_count
for tap in topo.taps:
    torch.testing.assert_close(activations[tap], plain[tap])

silenced = ts.Intervention("some", {tap: ts.Effect.silence(np.arange(36) < 9) for tap in topo.taps})
subject = ts.Subject(model, topo, interventions=[silenced])
with torch.no_grad():
    expected = subject(ids)
    with subject.running() as running:
        torch.testing.assert_close(torch.compile(running, backend="aot_eager")(ids).logits, expected)
