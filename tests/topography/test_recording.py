"""What is recorded is a value, of a tap that runs once in a forward pass."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers as hf
from tests.architectures.families import random_model
from torch import nn
from torch.utils.checkpoint import checkpoint

import toposheet as ts
from toposheet.topography.taps import record

IDS = torch.randint(50, (2, 9), generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A block whose residual stream is written to what its MLP puts out, in place or not."""

    def __init__(self, in_place):
        super().__init__()
        self.mlp, self.in_place = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16)), in_place

    def forward(self, x):
        out = self.mlp(x)
        if self.in_place:
            out += x
            return out
        return out + x


class Network(nn.Module):
    """Token ids to vectors through blocks, `rounds` times."""

    def __init__(self, in_place=True, rounds=1, checkpointed=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 16)
        self.blocks = nn.ModuleList(Block(in_place) for _ in range(2))
        self.rounds, self.checkpointed = rounds, checkpointed

    def forward(self, ids):
        x = self.embedding(ids)
        for _ in range(self.rounds):
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        return x


TAPS = ("blocks.*.mlp",)


def test_a_model_that_writes_to_what_a_tap_put_out_does_not_change_what_was_recorded():
    falcon = random_model("falcon")
    topo = ts.Topography.per_tap(falcon, ("transformer.h.*.mlp", "transformer.h.*.self_attention"))
    kept = {}
    for tap in topo.taps:
        falcon.get_submodule(tap).register_forward_hook(
            lambda _m, _i, out, tap=tap: kept.update({tap: (out[0] if isinstance(out, tuple) else out).clone()})
        )
    with torch.no_grad(), topo.record(falcon) as activations:
        falcon(IDS)
    for tap in topo.taps:
        assert torch.equal(activations[tap], kept[tap])


def test_an_intervention_is_recorded_as_it_acted_where_the_model_writes_in_place():
    falcon = random_model("falcon")
    topo = ts.Topography.per_tap(falcon, ("transformer.h.*.mlp",))
    silenced = ts.Intervention("mlp", {topo.taps[0]: ts.Effect.silence(torch.ones(36, dtype=torch.bool).numpy())})
    with torch.no_grad(), ts.Subject(falcon, topo, interventions=[silenced]).record() as activations:
        falcon(IDS)
    assert activations[topo.taps[0]].abs().max() == 0


@pytest.mark.parametrize("objective", ["correlation", "squared_difference"])
def test_the_objective_and_its_gradient_are_those_of_a_model_that_writes_elsewhere(objective):
    gradients = []
    for in_place in (True, False):
        network = Network(in_place)
        topo = ts.Topography.per_tap(network, TAPS)
        with topo.record(network) as activations:
            task = network(IDS).square().mean()
        spatial = ts.spatial_loss(activations, topo, "all", 2, objective=objective)
        (task + spatial).backward()
        gradients.append([spatial.detach(), *(p.grad for p in network.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_tap_that_runs_twice_in_a_pass_is_refused_by_name():
    network = Network(rounds=2)
    with pytest.raises(ts.UserError, match=r"tap blocks\.0\.mlp runs more than once in a forward pass"):
        ts.Topography.per_tap(network, TAPS)
    topo = ts.Topography.per_tap(Network(), TAPS)
    with topo.record(network), pytest.raises(ts.UserError, match=r"blocks\.0\.mlp runs more than once"):
        network(IDS)


def test_what_a_second_pass_records_replaces_the_first_whole():
    network = Network()
    topo = ts.Topography.per_tap(network, TAPS)
    with torch.no_grad(), topo.record(network) as activations:
        network(IDS)
        first = dict(activations)
        network(IDS[:, :4])
        assert {x.shape for x in activations.values()} == {(2, 4, 16)}
        assert {x.shape for x in first.values()} == {(2, 9, 16)}
        network.blocks[0](torch.ones(1, 3, 16))  # a part that is called by itself is no second call in a pass
        network.blocks[0](torch.ones(1, 3, 16))


def test_a_model_generates_token_by_token_inside_a_record(model):
    topo = ts.Topography.per_tap(model)
    with topo.record(model) as activations:
        model.generate(IDS[:1], max_new_tokens=4, do_sample=False)
    assert {x.shape[1] for x in activations.values()} == {1}


def test_a_part_that_holds_all_blocks_may_be_called_by_itself_again_and_again(model):
    taps = ts.Topography.per_tap(model).taps
    with record(model, taps) as activations:
        for _ in range(2):
            model.transformer(IDS)
    assert len(activations) == len(taps)


def test_a_pass_that_failed_does_not_forbid_the_next():
    network = Network()
    topo = ts.Topography.per_tap(network, TAPS)
    failing = network.blocks[1].register_forward_pre_hook(lambda *_: 1 / 0)
    with topo.record(network) as activations:
        with pytest.raises(ZeroDivisionError):
            network(IDS)
        failing.remove()
        network(IDS)
    assert len(activations) == 2


def test_gradient_checkpointing_runs_blocks_again_and_is_no_second_call():
    values = []
    for checkpointed in (False, True):
        network = Network(checkpointed=checkpointed)
        topo = ts.Topography.per_tap(network, TAPS)
        with topo.record(network) as activations:
            out = network(IDS)
            loss = ts.spatial_loss(activations, topo, "all", 2)
            before = {tap: x.detach().clone() for tap, x in activations.items()}
            (out.mean() + loss).backward()
        assert all(torch.equal(activations[tap], x) for tap, x in before.items())
        values.append([loss.detach(), *(p.grad for p in network.parameters())])
    for one, other in zip(*values, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_recording_is_compiled_once_and_without_breaks_and_refuses_all_the_same():
    script = Path(__file__).with_name("compiled_recording.py")  # out of here, where types are checked as code runs
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", ["albert", "hrm_text"])
def test_families_that_run_a_layer_again_and_again_are_refused_by_name(name):
    sizes = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    if name == "albert":
        network = hf.AlbertForMaskedLM(hf.AlbertConfig(**sizes, embedding_size=8, num_hidden_layers=3))
        taps = ("albert.encoder.albert_layer_groups.*.albert_layers.*.ffn_output",)
    else:
        network = hf.HrmTextForCausalLM(hf.HrmTextConfig(**sizes, num_hidden_layers=2, head_dim=8))
        taps = ("model.L_module.layers.*.mlp",)
    with pytest.raises(ts.UserError, match="runs more than once in a forward pass"):
        ts.Topography.per_tap(network, taps)


class PerToken(torch.nn.Module):
    """A network with one block that is called once for each token."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(64, 16)
        self.mlp = torch.nn.Linear(16, 16)

    def forward(self, ids):
        return torch.cat([self.mlp(x) for x in self.embedding(ids).split(1, dim=1)], dim=1)


def test_a_tap_that_runs_once_for_each_token_is_refused_by_name():
    with pytest.raises(ts.UserError, match="tap mlp runs more than once in a forward pass"):
        ts.Topography.per_tap(PerToken(), ("mlp",))


def test_a_tap_without_an_axis_for_the_texts_is_refused():
    gpt2 = random_model("gpt2")
    with pytest.raises(ts.UserError, match=r"wpe is \(1, 3, \d+\) for 2 texts of 3 tokens"):
        ts.Topography.per_tap(gpt2, ("transformer.wpe",))


def test_a_part_may_be_called_by_itself_after_a_pass_that_failed(model):
    taps = ts.Topography.per_tap(model).taps
    with record(model, taps) as activations:
        failing = model.lm_head.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model(IDS)
        failing.remove()
        model.transformer(IDS)
    assert len(activations) == len(taps)


def test_taps_with_all_tokens_in_one_row_are_recorded_from_embeddings_as_from_token_ids():
    opt = random_model("opt")
    taps = ts.Topography.per_tap(opt).taps
    with torch.no_grad(), record(opt, taps) as activations:
        opt(IDS)
        from_ids = dict(activations)
        opt(IDS[:, :4])
        opt(inputs_embeds=opt.get_input_embeddings()(IDS))
    for tap in taps:
        torch.testing.assert_close(activations[tap], from_ids[tap])
