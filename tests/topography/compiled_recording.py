"""Checks that recording compiles as one graph, once, and refuses a tap that runs twice. Run by test_recording.py."""

import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts

torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2)).eval()
topo = ts.Topography.per_tap(model)
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


class Twice(nn.Module):
    def __init__(self, rounds):
        super().__init__()
        self.embedding, self.blocks, self.rounds = nn.Embedding(9, 9), nn.ModuleList([nn.Linear(9, 9)]), rounds

    def forward(self, ids):
        x = self.embedding(ids)
        for _ in range(self.rounds):
            x = self.blocks[0](x)
        return x


topo = ts.Topography.per_tap(Twice(1), ("blocks.0",))
twice = Twice(2)
with topo.record(twice):
    said = ""
    try:
        torch.compile(twice, backend="eager")(ids)
    except ts.UserError as error:
        said = str(error)
assert "blocks.0 runs more than once" in said, said
