"""Readings: the token before a text, the first token left out, padding that counts."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers.processors import TemplateProcessing

import toposheet as ts
from toposheet.recipes import RECIPE_FILE, write_recipe
from toposheet.recipes.known import demo

END = "<|endoftext|>"


def with_bos_token(tokenizer):
    named = copy.deepcopy(tokenizer)
    named.bos_token = END
    return named


def adding_itself(tokenizer):
    adding = with_bos_token(tokenizer)
    template = TemplateProcessing(f"{END} $A", special_tokens=[(END, adding.eos_token_id)])
    adding.backend_tokenizer.post_processor = template
    return adding


def oracle(model, topo, tokenizer, text, before, first, pooling):
    """The response to one text that is read alone: `before` are token ids, `first` is the first token that counts."""
    ids = [*before, *tokenizer(text, add_special_tokens=False).input_ids]
    with topo.record(model) as activations, torch.no_grad():
        model(torch.tensor([ids]))
    of_text = torch.cat([activations[tap][0] for tap in topo.taps], dim=1).double()[len(before) + first :]
    return {"mean": of_text.mean(dim=0), "sum": of_text.sum(dim=0), "last": of_text[-1]}[pooling].numpy()


@pytest.mark.parametrize("pooling", ["mean", "sum", "last"])
@pytest.mark.parametrize("skip_first", [False, True])
@pytest.mark.parametrize("bos", [END, "none", "r", None])
def test_every_reading_gives_the_responses_of_texts_that_are_read_alone(
    model, topo, stimuli, tokenizer, bos, skip_first, pooling
):
    for reader, own in ((tokenizer, []), (adding_itself(tokenizer), [tokenizer.eos_token_id])):
        before = {"none": [], None: own}.get(bos, [tokenizer.get_vocab().get(bos)])
        reading = ts.Reading(pooling, bos=bos, skip_first=skip_first)
        for batch_size in (1, 4):
            responses = ts.respond(ts.Subject(model, topo, reader), stimuli, reading=reading, batch_size=batch_size)
            for row, text in enumerate(stimuli["text"]):
                expected = oracle(model, topo, tokenizer, text, before, int(skip_first), pooling)
                np.testing.assert_allclose(responses.values[row], expected, rtol=1e-3, atol=1e-5)
        assert responses.attrs["bos_ids"] == " ".join(map(str, before))
        assert responses.attrs["bos"] == (tokenizer.convert_ids_to_tokens(before) or ["none"])[0]
        assert responses.attrs["skip_first"] == skip_first
        assert responses["n_tokens"].values.tolist() == [len(ids) for ids in tokenizer(list(stimuli["text"])).input_ids]


def test_the_attributes_of_a_reading_can_be_stored(subject, stimuli, tmp_path):
    ts.respond(subject, stimuli).to_netcdf(tmp_path / "responses.nc", engine="h5netcdf")


@pytest.mark.parametrize("skip_first", [False, True])
@pytest.mark.parametrize("padding", ["pad_token", "eos_token"])
def test_padded_means_are_those_of_batches_of_12_in_the_order_of_the_table(
    model, topo, stimuli, tokenizer, padding, skip_first
):
    padded = copy.deepcopy(tokenizer)
    padded.pad_token = "r" if padding == "pad_token" else None
    fill = padded.pad_token_id if padding == "pad_token" else padded.eos_token_id
    table = pd.concat([stimuli.iloc[::-1], stimuli, stimuli[:5]], ignore_index=True)  # 17 texts
    reading = ts.Reading("padded-mean", skip_first=skip_first)
    responses = ts.respond(ts.Subject(model, topo, padded), table, reading=reading, batch_size=3)
    lines = [tokenizer(text).input_ids for text in table["text"]]
    for row, ids in enumerate(lines):
        first = row // 12 * 12
        longest = max(len(line) for line in lines[first : first + 12])
        with topo.record(model) as activations, torch.no_grad():
            model(torch.tensor([ids + [fill] * (longest - len(ids))]))
        expected = torch.cat([activations[tap][0, int(skip_first) :].mean(dim=0) for tap in topo.taps])
        np.testing.assert_allclose(responses.values[row], expected, rtol=1e-3, atol=1e-5)
    plain = ts.respond(ts.Subject(model, topo, padded), table, reading=ts.Reading(skip_first=skip_first))
    assert np.abs(responses - plain).max() > 1e-3


def test_padding_that_counts_needs_a_token_that_the_model_can_read(model, topo, stimuli, tokenizer):
    without = copy.deepcopy(tokenizer)
    without.pad_token = without.eos_token = None
    with pytest.raises(ts.UserError, match=r"^pooling is 'padded-mean', but the tokenizer has neither a padding"):
        ts.respond(ts.Subject(model, topo, without), stimuli, reading=ts.Reading("padded-mean"))
    added = copy.deepcopy(tokenizer)
    added.add_special_tokens({"pad_token": "[PAD]"})
    with pytest.raises(ts.UserError, match=r"no embedding for '\[PAD\]' \(id 300\): set another pad_token"):
        ts.respond(ts.Subject(model, topo, added), stimuli, reading=ts.Reading("padded-mean"))


def test_where_it_is_not_known_what_stands_before_texts_one_line_asks(model, topo, stimuli, tokenizer, tmp_path):
    subject = ts.Subject(model, topo, with_bos_token(tokenizer))
    line = (
        r"^it is not known whether .* was trained with the token '<\|endoftext\|>' before every text.*: choose --bos "
        r"'<\|endoftext\|>' or --bos none \(in Python Reading\(bos='<\|endoftext\|>'\) or Reading\(bos='none'\)\)$"
    )
    with pytest.raises(ts.UserError, match=line):
        ts.respond(subject, stimuli)
    ts.save(tmp_path / "model", subject)
    with pytest.raises(ts.UserError, match=line):
        ts.respond(ts.load(tmp_path / "model"), stimuli)
    recipe = demo.RECIPE
    write_recipe(tmp_path / "model" / RECIPE_FILE, recipe)
    assert ts.respond(ts.load(tmp_path / "model"), stimuli).attrs["bos"] == "none"
    write_recipe(tmp_path / "model" / RECIPE_FILE, recipe.changed(subject="f" * 64))  # another training came before
    with pytest.raises(ts.UserError, match=line):
        ts.respond(ts.load(tmp_path / "model"), stimuli)


def test_the_shipped_models_read_without_a_token_before_texts(stimuli):
    subject = ts.load("small")
    responses = ts.respond(subject, stimuli)
    assert (responses.attrs["bos"], responses.attrs["bos_ids"]) == ("none", "")
    np.testing.assert_array_equal(responses, ts.respond(subject, stimuli, reading=ts.Reading(bos="none")))


def test_a_token_that_the_tokenizer_lacks_is_refused(subject, stimuli):
    line = (
        r"^bos is '<s>': the tokenizer of .* has no such token; give one of its tokens, such as '<\|endoftext\|>', or"
    )
    with pytest.raises(ts.UserError, match=line):
        ts.respond(subject, stimuli, reading=ts.Reading(bos="<s>"))


@pytest.mark.parametrize("bos", ["none", END])
def test_a_text_of_one_token_has_nothing_left_without_its_first(subject, stimuli, bos):
    stimuli.loc[4, "text"] = "r"
    with pytest.raises(
        ts.UserError, match=r"stimulus 4 has only one token, and .* leaves out the first .* text is 'r'"
    ):
        ts.respond(subject, stimuli, reading=ts.Reading(bos=bos, skip_first=True))


def test_the_token_before_a_text_counts_towards_what_a_model_reads(subject, tokenizer):
    n_words = next(n for n in range(1, 99) if len(tokenizer(" a" * n).input_ids) == 48)
    table = pd.DataFrame({"text": [" a" * n_words], "condition": ["a"]})
    ts.respond(subject, table)
    with pytest.raises(ts.UserError, match="has 49 tokens, but the model reads at most 48"):
        ts.respond(subject, table, reading=ts.Reading(bos=END))


def test_a_token_in_the_text_itself_is_text(model, topo, tokenizer):
    table = pd.DataFrame({"text": [f"{END} the river"], "condition": ["a"]})
    responses = ts.respond(ts.Subject(model, topo, tokenizer), table, reading=ts.Reading(bos="none"))
    expected = oracle(model, topo, tokenizer, table["text"][0], [], 0, "mean")
    np.testing.assert_allclose(responses.values[0], expected, rtol=1e-3, atol=1e-5)


def test_a_subject_whose_reading_failed_can_be_read_again(subject, stimuli, monkeypatch):
    topo = type(subject.topography)
    attempts = itertools.count()
    original = topo.record

    def failing(self, model):
        if next(attempts) == 1:
            raise MemoryError
        return original(self, model)

    monkeypatch.setattr(topo, "record", failing)
    with pytest.raises(MemoryError):
        ts.respond(subject, stimuli, batch_size=2)
    other = ts.Subject(subject.model, subject.topography, subject.tokenizer)
    assert ts.respond(other, stimuli).shape[0] == 6
