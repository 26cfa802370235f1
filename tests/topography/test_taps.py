import pytest
import torch
import transformers
from transformers import CanineConfig, CanineModel, LlamaConfig, LlamaForCausalLM

from toposheet.architectures import architecture_of
from toposheet.topography import find_taps, record, tap_widths
from toposheet.topography.taps import check_run_once, output_weights

TAPS = ("transformer.h.*.attn", "transformer.h.*.mlp")


def test_taps_come_in_the_order_of_the_network(model):
    assert find_taps(model, TAPS) == [f"transformer.h.{i}.{kind}" for i in range(2) for kind in ("attn", "mlp")]


def test_a_star_is_one_step_of_the_path(model):
    assert find_taps(model, ["transformer.h.*"]) == ["transformer.h.0", "transformer.h.1"]


def test_a_pattern_that_matches_nothing_lists_those_that_would(model):
    with pytest.raises(ValueError, match=r"'model.layers.\*.mlp' matches no module.*transformer.h.\*.mlp"):
        find_taps(model, ["model.layers.*.mlp"])


def test_the_patterns_that_a_message_offers_name_no_list_of_modules(model):
    with pytest.raises(ValueError, match="matches no module") as error:
        find_taps(model, ("nothing",))
    offered = str(error.value).split("use one of: ")[1].split(", ")
    assert "transformer.h" not in offered
    assert {"transformer.h.*", "transformer.h.*.attn"} <= set(offered)


def test_what_is_recorded_is_what_is_added_to_the_residual(model):
    residual = {}
    block = model.transformer.h[1]
    block.ln_2.register_forward_pre_hook(lambda module, args: residual.update(middle=args[0]))
    block.register_forward_hook(lambda module, args, out: residual.update(end=out[0] if type(out) is tuple else out))
    with record(model, find_taps(model, TAPS)) as activations, torch.no_grad():
        model(torch.arange(20)[None])
    added = residual["end"] - residual["middle"]
    torch.testing.assert_close(activations["transformer.h.1.mlp"], added, rtol=1e-4, atol=1e-6)


def test_the_dict_stays_filled_and_the_hooks_go(model):
    with record(model, find_taps(model, TAPS)) as activations:
        model(torch.arange(20)[None])
    kept = {tap: tensor.clone() for tap, tensor in activations.items()}
    model(torch.arange(7)[None])
    assert all(torch.equal(kept[tap], activations[tap]) for tap in kept)
    assert activations["transformer.h.0.attn"].shape == (1, 20, 36)
    assert activations["transformer.h.0.attn"].requires_grad


def test_the_same_code_serves_llama():
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2
    )
    llama = LlamaForCausalLM(config)
    taps = find_taps(llama, ["model.layers.*.self_attn", "model.layers.*.mlp"])
    assert tap_widths(llama, taps) == dict.fromkeys(taps, 16)


def test_a_tap_that_is_no_batch_of_vectors_over_time_is_refused(model):
    with pytest.raises(ValueError, match="the output of the tap transformer is BaseModelOutput"):
        tap_widths(model, ["transformer"])


def test_a_model_that_cannot_read_a_short_text_is_refused_by_name():
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    canine = CanineModel(CanineConfig(**sizes))
    with pytest.raises(ValueError, match="CanineModel cannot read 2 texts of 3 tokens: max_pool1d"):
        tap_widths(canine, ["encoder.layer.0.output.dense"])


def test_taps_that_were_measured_are_known_to_run_once(model):
    taps = find_taps(model, TAPS)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    assert tap_widths(model, taps) == dict.fromkeys(taps, 36)
    check_run_once(model, taps)
    assert len(passes) == 1
    check_run_once(model, ["transformer.h.0"])
    check_run_once(model, ["transformer.h.0"])
    assert len(passes) == 2


def test_a_model_without_weights_has_taps_and_widths(model):
    with torch.device("meta"):
        empty = type(model)(model.config)
    assert tap_widths(empty, ["transformer.h.0.mlp"]) == {"transformer.h.0.mlp": model.config.n_embd}


def test_a_tap_may_be_the_residual_stream_after_attention_or_after_the_mlp(model):
    taps = find_taps(model, [f"{pattern}>residual" for pattern in TAPS])
    assert taps == [f"transformer.h.{i}.{kind}>residual" for i in range(2) for kind in ("attn", "mlp")]
    middle = []
    block = model.transformer.h[1]
    handle = block.ln_2.register_forward_pre_hook(lambda module, args: middle.append(args[0]))
    with record(model, taps) as activations, torch.no_grad():
        hidden = model(torch.arange(20)[None], output_hidden_states=True).hidden_states
    handle.remove()
    torch.testing.assert_close(activations["transformer.h.1.attn>residual"], middle[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(activations["transformer.h.0.mlp>residual"], hidden[1], rtol=0, atol=0)


@pytest.mark.parametrize(
    "pattern", ["transformer.h.*>residual", "transformer.wte>residual", "transformer.h.*.mlp.c_fc>residual"]
)
def test_only_attention_and_mlp_have_a_residual_stream(model, pattern):
    with pytest.raises(ValueError, match=r"residual stream after .* transformer.h.\*.attn>residual"):
        find_taps(model, [pattern])


def residual_taps(family, **options):
    """Return a small model of a family and its taps after attention and after the MLP of the layers."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    config = getattr(transformers, f"{family}Config")(**sizes, num_attention_heads=2, **options)
    network = getattr(transformers, f"{family}For{'MaskedLM' if family == 'Bert' else 'CausalLM'}")(config).eval()
    return network, [find_taps(network, [f"{name}>residual"]) for name in architecture_of(network).taps(network)]


GEMMA = {"num_key_value_heads": 2, "head_dim": 8}


@pytest.mark.parametrize(
    ("family", "options"), [("GPTNeoX", {}), ("Gemma2", GEMMA), ("Olmo2", {}), ("Granite", {"residual_multiplier": 2})]
)
def test_models_without_the_stream_after_attention_and_the_mlp_are_refused(family, options):
    # GPT-NeoX adds attention and MLP together; Gemma 2 and OLMo 2 normalise outputs before they are added.
    network, (attention, mlp) = residual_taps(family, **options)
    with pytest.raises(ValueError, match=r"does not add the output of .* before the rest of the layer reads it"):
        tap_widths(network, attention)
    with pytest.raises(ValueError, match=r"does not add the output of .* as the last step of the layer, so .*mlp>res"):
        tap_widths(network, mlp)


def test_a_layer_that_normalises_the_sum_has_a_stream_after_attention_alone():
    network, (attention, mlp) = residual_taps("Bert")
    assert tap_widths(network, attention) == dict.fromkeys(attention, 16)
    with pytest.raises(ValueError, match=r"BertForMaskedLM does not add the output of bert\.encoder\.layer\.0\.output"):
        tap_widths(network, mlp)


@pytest.mark.parametrize("family", ["Llama", "OPT", "Bloom", "GPTNeoX"])
def test_models_with_both_streams_have_them(family):
    options = {"GPTNeoX": {"use_parallel_residual": False}, "OPT": {"ffn_dim": 24, "word_embed_proj_dim": 16}}
    network, taps = residual_taps(family, **options.get(family, {}))
    for of_kind in taps:
        assert tap_widths(network, of_kind) == dict.fromkeys(of_kind, 16)


def test_a_residual_stream_has_no_input_weights(model):
    taps = find_taps(model, ["transformer.h.*.attn>residual"])
    with pytest.raises(ValueError, match=r"h.0.attn>residual is a sum .* no input weights: use transformer.h.0.attn,"):
        output_weights(model, tap_widths(model, taps))
