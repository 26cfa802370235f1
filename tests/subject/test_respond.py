import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tokenizers.processors import TemplateProcessing

import toposheet as ts
from toposheet.settings import Reading


def test_padding_never_changes_a_response(model, topo, stimuli, tokenizer):
    together = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, batch_size=len(stimuli))
    alone = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, batch_size=1)
    lengths = [len(ids) for ids in tokenizer(stimuli["text"].tolist()).input_ids]
    assert len(set(lengths)) > 3
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_texts_are_read_with_those_of_like_length_and_answered_in_the_order_of_the_table(
    model, topo, stimuli, tokenizer
):
    shuffled = stimuli.iloc[[4, 0, 5, 2, 1, 3]].reset_index(drop=True)
    read = []
    model.transformer.register_forward_pre_hook(
        lambda module, args, inputs: read.append(inputs["attention_mask"]), with_kwargs=True
    )
    batches = ts.respond(ts.Subject(model, topo, tokenizer), shuffled, batch_size=2)
    assert [len(mask) for mask in read] == [2, 2, 2]
    read.reverse()  # the longest texts are read first
    lengths = sorted(len(ids) for ids in tokenizer(shuffled["text"].tolist()).input_ids)
    assert [n for mask in read for n in mask.sum(dim=1).tolist()] == lengths
    assert [mask.shape[1] for mask in read] == lengths[1::2]
    assert batches["text"].values.tolist() == shuffled["text"].tolist()
    for row in range(6):
        alone = ts.respond(ts.Subject(model, topo, tokenizer), shuffled[row : row + 1])
        np.testing.assert_allclose(batches[row], alone[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "sum", "last"])
def test_what_stands_at_padding_is_never_part_of_a_response(model, topo, stimuli, tokenizer, pooling):
    expected = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, reading=Reading(pooling))
    lengths = sorted(len(ids) for ids in tokenizer(stimuli["text"].tolist()).input_ids)

    def spoil(module, args, output):
        for row, n in enumerate(lengths):
            (output[0] if isinstance(output, tuple) else output)[row, n:] = 1e6

    for tap in topo.taps[-2:]:  # what comes after an earlier tap would carry it on
        model.get_submodule(tap).register_forward_hook(spoil)
    spoilt = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, reading=Reading(pooling))
    np.testing.assert_array_equal(spoilt, expected)


def test_a_response_is_the_mean_over_the_texts_own_tokens(model, topo, stimuli, tokenizer):
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    for row, text in enumerate(stimuli["text"]):
        with topo.record(model) as activations, torch.no_grad():
            model(torch.tensor([tokenizer(text).input_ids]))
        expected = torch.cat([activations[tap][0].mean(dim=0) for tap in topo.taps])
        np.testing.assert_allclose(responses.values[row], expected, rtol=1e-4, atol=1e-6)


def test_special_tokens_are_read_but_not_counted(model, topo, stimuli, tokenizer):
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    with_start = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|endoftext|>")
    responses = ts.respond(ts.Subject(model, topo, with_start), stimuli[:1])
    with topo.record(model) as activations, torch.no_grad():
        model(torch.tensor([[0, *tokenizer(stimuli["text"][0]).input_ids]]))
    expected = torch.cat([activations[tap][0, 1:].mean(dim=0) for tap in topo.taps])
    np.testing.assert_allclose(responses.values[0], expected, rtol=1e-4, atol=1e-6)


def test_the_head_is_not_computed(model, topo, stimuli, tokenizer):
    model.lm_head.register_forward_hook(lambda *args: pytest.fail("the language-model head ran"))
    ts.respond(ts.Subject(model, topo, tokenizer), stimuli)


def test_responses_carry_their_names(model, topo, stimuli, tokenizer):
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli.assign(item=range(6)))
    assert responses.dims == ("stimulus", "unit")
    assert responses.dtype == np.float32
    assert responses["condition"].values.tolist() == stimuli["condition"].tolist()
    assert responses["item"].values.tolist() == list(range(6))
    for name in ("tap", "sheet", "y", "x", "spacing_mm"):
        assert responses[name].dims == ("unit",)
    tap = topo.taps[2]
    tap_responses = responses.isel(unit=responses["tap"].values == tap)
    np.testing.assert_array_equal(
        np.stack([tap_responses["y"], tap_responses["x"]], axis=1), topo.sheets[tap].places[tap]
    )


def test_the_model_is_left_in_its_mode(model, topo, stimuli, tokenizer):
    model.train()
    ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    assert model.training


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"text": ["a"]}), "no column 'condition'; it has: text"),
        (pd.DataFrame({"condition": ["a"]}), "no column 'text'; it has: condition"),
        (pd.DataFrame([["a", "b", "x"]], columns=["text", "text", "condition"]), "two columns 'text'"),
        (pd.DataFrame({"text": ["a", None], "condition": ["x", "y"]}), "stimulus 1 has the text nan"),
        (
            pd.DataFrame({"text": ["a", 7.5], "condition": ["x", "y"]}, index=[3, 9]),
            "stimulus 9 has the text 7.5, which is a float: it must be a str",
        ),
        (pd.DataFrame({"text": [], "condition": []}), "the table of stimuli is empty"),
        (pd.DataFrame({"text": ["a"], "condition": ["x"], "y": [1]}), "the column 'y'.*rename"),
        (pd.DataFrame({"text": ["a", ""], "condition": ["x", "y"]}), "stimulus 1 has no tokens"),
        (pd.DataFrame({"text": ["word " * 60], "condition": ["x"]}), "stimulus 0 has .* the model reads at most 48"),
    ],
)
def test_wrong_stimuli_are_refused_by_row(model, topo, tokenizer, table, message):
    with pytest.raises(ValueError, match=message):
        ts.respond(ts.Subject(model, topo, tokenizer), table)


@pytest.mark.parametrize("index", [[9, 4, 7, 2, 5, 3], list("abcdef"), [0, 0, 1, 1, 2, 2]])
def test_a_response_is_that_of_its_row_whatever_the_index(model, topo, stimuli, tokenizer, index):
    expected = ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli.set_axis(index))
    assert responses["text"].values.tolist() == stimuli["text"].tolist()
    np.testing.assert_array_equal(responses, expected)


def test_a_row_is_that_of_the_file_after_others_were_left_out_or_by_its_label(model, topo, tokenizer, tmp_path):
    (tmp_path / "my.csv").write_text(f"text,condition\nshort,a\nbrief,b\n{'long ' * 60},b\n")
    table = ts.read_stimuli(tmp_path / "my.csv")
    with pytest.raises(ValueError, match=r"my\.csv, row 4 has"):
        ts.respond(ts.Subject(model, topo, tokenizer), table[1:])
    with pytest.raises(ValueError, match="stimulus c has"):
        ts.respond(ts.Subject(model, topo, tokenizer), table.set_axis(list("abc")))


def test_a_response_that_is_not_finite_names_row_and_tap(model, topo, tokenizer, tmp_path):
    (tmp_path / "my.csv").write_text("text,condition\na,x\nthe river,y\nb c,x\nriver,y\n")
    table = ts.read_stimuli(tmp_path / "my.csv")
    alone = set(tokenizer("river")["input_ids"]) - set(tokenizer("a b c the")["input_ids"])
    model.transformer.wte.weight.data[sorted(alone)] = float("nan")
    line = r"my\.csv, row 3: a response in transformer\.h\.0\.attn is not finite .*, and 2 of 4 texts have such"
    with pytest.raises(ValueError, match=line):
        ts.respond(ts.Subject(model, topo, tokenizer), table)


@pytest.mark.parametrize("pooling", ["last", "sum"])
def test_pooling_takes_the_last_own_token_or_their_sum(model, topo, stimuli, tokenizer, pooling):
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, reading=Reading(pooling))
    assert responses.attrs["pooling"] == pooling
    for row, text in enumerate(stimuli["text"]):
        with topo.record(model) as activations, torch.no_grad():
            model(torch.tensor([tokenizer(text).input_ids]))
        text_activations = torch.cat([activations[tap][0] for tap in topo.taps], dim=1)
        expected = text_activations[-1] if pooling == "last" else text_activations.sum(dim=0)
        np.testing.assert_allclose(responses.values[row], expected, rtol=1e-3, atol=1e-5)


def test_a_constant_unit_has_equal_responses_to_texts_of_all_lengths(model, topo, stimuli, tokenizer):
    layer = model.transformer.h[0].mlp.c_proj
    with torch.no_grad():
        layer.weight[:, :9] = 0.0
        layer.bias[:9] = torch.linspace(-3.1, 2.7, 9)
        layer.bias[9] += 1000.0  # this unit varies, but little in comparison to its mean
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    of_tap = responses.sel(unit=responses["tap"] == "transformer.h.0.mlp").values
    assert (np.ptp(of_tap[:, :9], axis=0) == 0).all()
    np.testing.assert_allclose(of_tap[0, :9], np.linspace(-3.1, 2.7, 9), rtol=1e-6)
    assert (np.ptp(of_tap[:, 9:], axis=0) > 0).all()


def test_unknown_pooling_is_refused():
    code = "from toposheet.settings import Reading; Reading('max')"  # in here, the check of types would refuse it first
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UserError: pooling is 'max': it must be one of mean, last, sum" in done.stderr


def test_nothing_after_the_last_tap_is_computed_except_for_the_longest_texts(model, stimuli, tokenizer):
    topo = ts.Topography.per_tap(model, taps=("transformer.h.0.attn",))
    ran = []
    for module in (model.transformer.h[0].mlp, model.transformer.h[1], model.transformer.ln_f):
        module.register_forward_pre_hook(lambda module, args: ran.append((module, args[0].shape[1])))
    ts.respond(ts.Subject(model, topo, tokenizer), stimuli, batch_size=2)
    longest = max(len(ids) for ids in tokenizer(stimuli["text"].tolist()).input_ids)
    expected = [model.transformer.h[0].mlp, model.transformer.h[1], model.transformer.ln_f]
    assert ran == [(module, longest) for module in expected]


def test_a_text_that_is_too_long_names_file_and_row(model, topo, tokenizer, tmp_path):
    (tmp_path / "my.csv").write_text(f"text,condition\nshort,a\n{'long ' * 60},b\n")
    with pytest.raises(ValueError, match=r"my\.csv, row 3 has \d+ tokens, but the model reads at most 48"):
        ts.respond(ts.Subject(model, topo, tokenizer), ts.read_stimuli(tmp_path / "my.csv"))


def test_the_number_of_tokens_travels_with_a_response(model, topo, stimuli, tokenizer):
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    assert responses["n_tokens"].values.tolist() == [len(ids) for ids in tokenizer(stimuli["text"].tolist()).input_ids]


def test_a_text_without_a_condition_is_refused_by_its_row(subject, stimuli):
    stimuli.loc[3, "condition"] = None
    with pytest.raises(ValueError, match="stimulus 3 has no condition"):
        ts.respond(subject, stimuli)


def test_a_token_without_embedding_names_text_and_token(topo, stimuli, tokenizer):
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=270, n_positions=48, n_embd=36, n_layer=2, n_head=2)
    )
    subject = ts.Subject(model.eval(), topo, tokenizer)
    ids = tokenizer(stimuli["text"].tolist()).input_ids
    row = next(row for row, tokens in enumerate(ids) if max(tokens) >= 270)
    token = tokenizer.convert_ids_to_tokens(max(ids[row]))
    said = rf"stimulus {row} has the token {token!r} \(id {max(ids[row])}\), but the model has .* ids up to 269"
    with pytest.raises(ts.UserError, match=said):
        ts.respond(subject, stimuli)


def test_special_tokens_count_towards_what_a_model_reads(model, topo, tokenizer):
    bos = copy.deepcopy(tokenizer)
    end = bos.eos_token
    bos.backend_tokenizer.post_processor = TemplateProcessing(f"{end} $A", special_tokens=[(end, bos.eos_token_id)])
    n_words = next(n for n in range(1, 99) if len(tokenizer(" a" * n).input_ids) == 48)
    table = pd.DataFrame({"text": [" a" * n_words], "condition": ["a"]})
    ts.respond(ts.Subject(model, topo, tokenizer), table)
    with pytest.raises(ts.UserError, match="has 49 tokens, but the model reads at most 48"):
        ts.respond(ts.Subject(model, topo, bos), table)


def test_a_tap_outside_the_model_without_head_is_recorded(model, stimuli, tokenizer):
    topo = ts.Topography.per_tap(model, ("transformer.h.*.mlp", "lm_head"), shape=(18, 18))
    responses = ts.respond(ts.Subject(model, topo, tokenizer), stimuli)
    with torch.no_grad():
        expected = model(torch.tensor([tokenizer(stimuli["text"][2]).input_ids])).logits[0].mean(0)
    of_head = responses.values[2, responses["tap"].values == "lm_head"]
    np.testing.assert_allclose(of_head, expected, rtol=1e-4, atol=1e-5)


def test_a_tap_that_runs_again_after_the_last_one_is_refused(stimuli, tokenizer):
    sizes = {"vocab_size": 300, "embedding_size": 8, "hidden_size": 16, "intermediate_size": 16}
    once, shared = (
        transformers.AlbertForMaskedLM(
            transformers.AlbertConfig(**sizes, num_attention_heads=2, num_hidden_layers=layers)
        )
        for layers in (1, 3)
    )
    topo = ts.Topography.per_tap(once, ("albert.encoder.albert_layer_groups.*.albert_layers.*.ffn_output",))
    assert ts.respond(ts.Subject(once, topo, tokenizer), stimuli).shape == (6, 16)
    with pytest.raises(ts.UserError, match=r"ffn_output runs more than once in a forward pass"):
        ts.respond(ts.Subject(shared, topo, tokenizer), stimuli)


def test_a_model_that_works_time_first_is_recorded_text_by_text(stimuli, tokenizer):
    config = transformers.XLNetConfig(vocab_size=300, d_model=16, n_layer=2, n_head=2, d_inner=16, dropout=0)
    xlnet = transformers.XLNetLMHeadModel(config).eval()
    topo = ts.Topography.per_tap(xlnet, ("transformer.layer.*.ff",))
    responses = ts.respond(ts.Subject(xlnet, topo, tokenizer), stimuli)
    for row, text in enumerate(stimuli["text"]):
        kept = []
        hook = xlnet.transformer.layer[1].ff.register_forward_hook(lambda _m, _i, out, kept=kept: kept.append(out))
        with torch.no_grad():
            xlnet(torch.tensor([tokenizer(text).input_ids]))
        hook.remove()
        expected = kept[0][:, 0].mean(0).numpy()  # (time, batch, units)
        of_layer = responses.values[row, responses["tap"].values == topo.taps[1]]
        np.testing.assert_allclose(of_layer, expected, rtol=1e-3, atol=1e-5)


def test_half_a_character_is_refused_by_its_row(subject):
    table = pd.DataFrame({"text": ["whole", "a\ud800b"], "condition": ["a", "b"]}, dtype=object)
    with pytest.raises(ts.UserError, match=r"stimulus 1 has half a character, '\\ud800', at position 2"):
        ts.respond(subject, table)


def test_a_tap_that_runs_once_for_each_chunk_of_a_text_is_refused(stimuli, tokenizer):
    bert = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=300, hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=2
        )
    )
    taps = ("bert.encoder.layer.1.output",)
    topo = ts.Topography.per_tap(bert, taps)
    assert ts.respond(ts.Subject(bert, topo, tokenizer), stimuli).shape == (6, 16)
    for layer in bert.bert.encoder.layer:
        layer.chunk_size_feed_forward = 1
    with pytest.raises(ts.UserError, match=r"layer\.1\.output runs more than once in a forward pass"):
        ts.respond(ts.Subject(bert, topo, tokenizer), stimuli)
    with pytest.raises(ts.UserError, match=r"layer\.1\.output runs more than once in a forward pass"):
        ts.Topography.per_tap(bert, taps)
    for layer in bert.bert.encoder.layer:
        layer.chunk_size_feed_forward = 2
    with pytest.raises(
        ts.UserError, match="BertForMaskedLM cannot read 2 texts of 3 tokens: The dimension to be chunked"
    ):
        ts.Topography.per_tap(bert, taps)


_SMALL = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
_MIXERS = {
    "FNet": (_SMALL, "fnet.encoder.layer.*.output"),
    "ConvBert": (_SMALL | {"num_attention_heads": 4, "embedding_size": 16}, "convbert.encoder.layer.*.output"),
    "Nystromformer": (_SMALL | {"num_attention_heads": 2}, "nystromformer.encoder.layer.*.output"),
    "Yoso": (_SMALL | {"num_attention_heads": 2}, "yoso.encoder.layer.*.output"),
}


@pytest.mark.parametrize("family", _MIXERS)
def test_models_that_mix_padding_in_respond_as_to_one_text_at_a_time(family, stimuli, tokenizer):
    sizes, taps = _MIXERS[family]
    torch.manual_seed(0)
    network = getattr(transformers, f"{family}ForMaskedLM")(getattr(transformers, f"{family}Config")(**sizes)).eval()
    topo = ts.Topography.per_tap(network, (taps,))
    texts = pd.concat([stimuli, stimuli], ignore_index=True)  # each length occurs twice
    sizes_of_batches = []
    counting = network.base_model.register_forward_pre_hook(
        lambda _m, _i, options: sizes_of_batches.append(len(options["input_ids"])), with_kwargs=True
    )
    responses = ts.respond(ts.Subject(network, topo, tokenizer), texts, batch_size=32)
    counting.remove()
    assert set(sizes_of_batches) == {2}
    kept = {}
    for tap in topo.taps:
        network.get_submodule(tap).register_forward_hook(
            lambda _module, _inputs, output, tap=tap: kept.update({tap: output.clone()})
        )
    for row, text in enumerate(texts["text"]):
        with torch.no_grad():
            network(input_ids=torch.tensor([tokenizer(text).input_ids]))
        expected = torch.cat([kept[tap][0].mean(dim=0) for tap in topo.taps]).numpy()
        np.testing.assert_allclose(responses[row], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_tap_with_another_number_of_tokens_than_the_text_is_refused_when_it_is_read(stimuli, tokenizer):
    config = transformers.ReformerConfig(
        vocab_size=300, hidden_size=16, feed_forward_size=24, num_attention_heads=2, attention_head_size=8,
        attn_layers=["local", "local"], local_attn_chunk_length=4, axial_pos_embds=False, is_decoder=True,
        max_position_embeddings=64,
    )  # fmt: skip
    network = transformers.ReformerModelWithLMHead(config).eval()
    topo = ts.Topography.per_tap(network, ("reformer.encoder.layers.*.feed_forward",))
    message = r"feed_forward is \(1, 8, 16\) for 1 text of 7 tokens: .* name other modules with taps"
    with topo.record(network), torch.no_grad(), pytest.raises(ts.UserError, match=message):
        network(torch.arange(7)[None])
    with pytest.raises(ts.UserError, match=r"feed_forward is \(\d+, \d+, 16\) for \d+ texts of \d+ tokens"):
        ts.respond(ts.Subject(network, topo, tokenizer), stimuli)
