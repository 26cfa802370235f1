"""The taps that a family gets by itself: attention and MLP of every layer, before the residual addition."""

import logging

import numpy as np
import pytest
import torch
import transformers as hf

import toposheet as ts
from toposheet.architectures import family_named

_SIZES = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_WIDE = _SIZES | {"intermediate_size": 24}
_EXPERTS = _SIZES | {"intermediate_size": 24, "num_local_experts": 4, "num_key_value_heads": 2}
_GPT = {"vocab_size": 300, "n_embd": 16, "n_layer": 2, "n_head": 2}
_DECODER = {"vocab_size": 300, "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 24}
_XGLM = {"vocab_size": 300, "d_model": 16, "num_layers": 2, "attention_heads": 2, "ffn_dim": 24}

FAMILIES = {
    "llama4": (hf.Llama4ForCausalLM, hf.Llama4TextConfig,
               _EXPERTS | {"intermediate_size_mlp": 24, "head_dim": 8, "interleave_moe_layer_step": 2},
               ("self_attn", "feed_forward")),
    "granitemoe": (hf.GraniteMoeForCausalLM, hf.GraniteMoeConfig, _EXPERTS, ("self_attn", "block_sparse_moe")),
    "ctrl": (hf.CTRLLMHeadModel, hf.CTRLConfig, _GPT | {"dff": 24}, ("multi_head_attention", "ffn")),
    "openai-gpt": (hf.OpenAIGPTLMHeadModel, hf.OpenAIGPTConfig, _GPT, ("attn", "mlp")),
    "biogpt": (hf.BioGptForCausalLM, hf.BioGptConfig, _WIDE, ("self_attn", "fc2")),
    "xglm": (hf.XGLMForCausalLM, hf.XGLMConfig, _XGLM, ("self_attn", "fc2")),
    "bart": (hf.BartForCausalLM, hf.BartConfig, _DECODER, ("self_attn", "fc2")),
    "bert": (hf.BertForMaskedLM, hf.BertConfig, _WIDE, ("attention.output.dense", "output.dense")),
    "roberta": (hf.RobertaForMaskedLM, hf.RobertaConfig, _WIDE, ("attention.output.dense", "output.dense")),
    "electra": (hf.ElectraForMaskedLM, hf.ElectraConfig, _WIDE | {"embedding_size": 16},
                ("attention.output.dense", "output.dense")),
    "mpnet": (hf.MPNetForMaskedLM, hf.MPNetConfig, _WIDE, ("attention.attn", "output.dense")),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_default_tap_is_known_by_its_kind(name):
    family, (*_, (attention, mlp)) = family_named(name), FAMILIES[name]
    assert family.kind_of(f"body.layers.3.{attention}") == "attention"
    assert family.kind_of(f"body.layers.3.{mlp}") == "MLP"
    assert family.kind_of("body.layers.3") == family.kind_of(f"body.other_{mlp}") == ""


def first(output):
    return output[0] if isinstance(output, tuple | list) else output


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def network(family):
    make, config, sizes, _ = FAMILIES[family]
    torch.manual_seed(0)
    network = make(config(**sizes)).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.2)
    return network


def test_every_layer_gets_a_sheet_for_attention_and_for_the_mlp(network, family, caplog):
    *_, names = FAMILIES[family]
    topo = ts.Topography.per_tap(network)
    assert len(topo.taps) == 4
    for layer in (0, 1):
        assert {tap.partition(f".{layer}.")[2] for tap in topo.taps if f".{layer}." in tap} == set(names)
    assert not caplog.records


def test_responses_are_the_means_over_the_outputs_of_the_modules(network, stimuli, tokenizer):
    topo = ts.Topography.per_tap(network)
    responses = ts.respond(ts.Subject(network, topo, tokenizer), stimuli)
    kept = {}
    for tap in topo.taps:
        network.get_submodule(tap).register_forward_hook(
            lambda _module, _inputs, output, tap=tap: kept.update({tap: first(output).clone().reshape(-1, 16)})
        )
    for row, text in enumerate(stimuli["text"]):
        with torch.no_grad():
            network(torch.tensor([tokenizer(text).input_ids]))
        expected = torch.cat([kept[tap].mean(dim=0) for tap in topo.taps]).numpy()
        np.testing.assert_allclose(responses[row], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_tap_is_what_the_layer_adds_to_the_residual_stream(network):
    topo = ts.Topography.per_tap(network)
    outputs, streams = {}, []
    for name, module in network.named_modules():
        is_norm = "Norm" in type(module).__name__
        if is_norm or name.rpartition(".")[2].isdigit():  # a norm or a block
            module.register_forward_hook(
                lambda _module, inputs, output: streams.extend(
                    x.clone().reshape(-1, 16) for x in (*inputs[:1], first(output)) if x.shape[-1] == 16
                )
            )
        if name in topo.taps:
            module.register_forward_hook(
                lambda _module, _inputs, output, name=name: outputs.update(
                    {name: first(output).clone().reshape(-1, 16)}
                )
            )
    with torch.no_grad():
        network(torch.arange(7)[None])
    for tap in topo.taps:
        differences = [(after - before - outputs[tap]).abs().max() for after in streams for before in streams]
        assert min(differences) < 1e-5 * outputs[tap].abs().max(), tap


def test_an_intervention_reaches_a_module_that_returns_a_list():
    network = hf.OpenAIGPTLMHeadModel(hf.OpenAIGPTConfig(**_GPT)).eval()
    topo = ts.Topography.per_tap(network)
    silenced = ts.Intervention("none", {topo.taps[0]: ts.Effect.silence(np.ones(16, dtype=bool))})
    with torch.no_grad(), ts.Subject(network, topo, interventions=[silenced]).record() as activations:
        network(torch.arange(7)[None])
    assert activations[topo.taps[0]].abs().max() == 0


def test_layers_without_attention_are_named_in_the_log(caplog):
    sizes = _WIDE | {"num_key_value_heads": 2, "num_experts": 2, "use_mamba_kernels": False, "mamba_d_state": 8}
    jamba = hf.JambaForCausalLM(hf.JambaConfig(**sizes, attn_layer_period=2, attn_layer_offset=1))
    with caplog.at_level(logging.WARNING):
        assert len(ts.Topography.per_tap(jamba).taps) == 3
    assert "1 of 2 layers of JambaForCausalLM have no attention that toposheet knows" in caplog.text
    assert "model.layers.0.NAME; NAME is one of: mamba, feed_forward" in caplog.text


def test_a_model_with_a_decoder_too_gets_sheets_for_its_encoder_and_says_so(caplog, stimuli, tokenizer):
    encoder = {"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
    bart = hf.BartForConditionalGeneration(hf.BartConfig(**_DECODER, **encoder))
    with caplog.at_level(logging.WARNING):
        topo = ts.Topography.per_tap(bart)
    assert {tap.partition(".layers.")[0] for tap in topo.taps} == {"model.encoder"}
    assert len(topo.taps) == 4
    assert "only the layers model.encoder.layers of BartForConditionalGeneration get sheets" in caplog.text
    assert ts.respond(ts.Subject(bart, topo, tokenizer), stimuli).shape == (6, 64)
    with topo.record(bart) as activations, torch.no_grad():
        bart(torch.arange(5)[None], decoder_input_ids=torch.arange(3)[None])
    assert {x.shape for x in activations.values()} == {(1, 5, 16)}


class Unknown(torch.nn.Module):
    """A network whose blocks have modules of other names."""

    def __init__(self, blocks):
        super().__init__()
        self.stack = blocks(torch.nn.ModuleDict({"mixer": torch.nn.Linear(2, 2), "gate": torch.nn.Linear(2, 2)}))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda block: torch.nn.ModuleList([block]),
         r"^toposheet does not know which modules of Unknown are attention and MLP: name them with taps, "
         r"e\.g\. stack\.\*\.NAME; NAME is one of: mixer, gate$"),
        (lambda block: block,
         r"^Unknown has no list of layers \(torch\.nn\.ModuleList\): name its taps with taps=\[\.\.\.\]$"),
    ],
)  # fmt: skip
def test_a_network_without_known_modules_says_how_to_name_them(blocks, message):
    with pytest.raises(ts.UserError, match=message):
        ts.Topography.per_tap(Unknown(blocks))
