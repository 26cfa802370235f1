"""Attention sinks: units that one token of a text decides."""

import numpy as np
import pandas as pd
import pytest
import torch

import toposheet as ts
from toposheet.cortex.length import length_r2

SINKS = [3, 17, 30]


@pytest.fixture
def sunk(model, topo, tokenizer):
    """A tiny model, three of whose units are 1,000 times more active at the first position."""

    def plant(module, args, output):
        output = output.clone()
        output[:, 0, SINKS] += 1000.0
        return output

    model.transformer.h[1].mlp.c_proj.register_forward_hook(plant)
    return ts.Subject(model, topo, tokenizer)


@pytest.fixture
def texts():
    words = [
        "the",
        "river",
        "ran",
        "past",
        "an",
        "old",
        "mill",
        "and",
        "children",
        "threw",
        "stones",
        "from",
        "bridges",
    ]
    rows = [(" ".join(words[start : start + n]), "ab"[n % 2]) for n in range(3, 9) for start in range(5)]
    return pd.DataFrame(rows, columns=["text", "condition"])


def test_planted_sinks_are_the_ones_named_with_their_position(sunk, texts):
    units = ts.sinks(sunk, texts)
    tap = sunk.topography.taps[-1]
    places = sunk.topography.sheets[tap].places[tap][SINKS]
    named = units[units["is_sink"]]
    assert named["tap"].tolist() == [tap] * 3
    assert named[["y", "x"]].to_numpy().tolist() == places.tolist()
    assert named["position"].tolist() == [0, 0, 0]
    assert (named["at_position"] > 990).all()
    assert (named["ratio"] > 100).all()
    assert units.groupby("tap")["is_sink"].mean()[tap] == 3 / 36


def test_activity_by_position_is_that_of_texts_that_are_read_alone(subject, texts, tokenizer):
    units = ts.sinks(subject, texts)
    by_position = {}
    for text in texts["text"]:
        with subject.record() as activations:
            subject(torch.tensor([tokenizer(text).input_ids]))
        of_text = torch.cat([activations[tap][0] for tap in subject.topography.taps], dim=1).abs().detach().numpy()
        for position, row in enumerate(of_text):
            by_position.setdefault(position, []).append(row)
    means = np.stack([np.mean(rows, axis=0) for _, rows in sorted(by_position.items()) if len(rows) >= 5])
    largest = means.argmax(axis=0)
    np.testing.assert_array_equal(units["position"], largest)
    np.testing.assert_allclose(units["at_position"], means.max(axis=0), rtol=1e-4)
    elsewhere = [np.median(np.delete(column, top)) for column, top in zip(means.T, largest, strict=True)]
    np.testing.assert_allclose(units["elsewhere"], elsewhere, rtol=1e-4)
    assert not units["is_sink"].any()


@pytest.mark.parametrize("reading", [ts.Reading(skip_first=True), ts.Reading(bos="<|endoftext|>")])
def test_a_sink_that_does_not_count_in_the_reading_is_none(sunk, texts, reading):
    units = ts.sinks(sunk, texts, reading=reading)
    assert not units["is_sink"].any()
    assert units["position"].min() == int(reading.skip_first)


def test_a_sample_of_many_texts_is_drawn_by_the_seed(sunk, texts):
    draws = [ts.sinks(sunk, texts, n_texts=8, seed=seed) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(draws[0], draws[1])
    assert not draws[0]["at_position"].equals(draws[2]["at_position"])


def test_texts_of_one_token_have_no_other_position(subject):
    units = ts.sinks(subject, pd.DataFrame({"text": ["r", "a"], "condition": ["x", "y"]}))
    assert units["elsewhere"].isna().all()
    assert not units["is_sink"].any()


@pytest.mark.parametrize(("wrong", "line"), [({"ratio": 1.0}, "ratio is 1.0"), ({"n_texts": 0}, "n_texts is 0")])
def test_wrong_numbers_are_refused(subject, texts, wrong, line):
    with pytest.raises(ts.UserError, match=line):
        ts.sinks(subject, texts, **wrong)


def test_sinks_follow_1_over_the_number_of_tokens_unless_they_are_left_out(sunk, texts):
    for reading, following in ((ts.Reading(), SINKS), (ts.Reading(skip_first=True), [])):
        responses = ts.respond(sunk, texts, reading=reading)
        r2, undefined = length_r2(responses)
        expected = [np.corrcoef(1 / responses["n_tokens"], responses[:, unit])[0, 1] ** 2 for unit in range(len(r2))]
        np.testing.assert_allclose(r2, expected, rtol=1e-3, atol=1e-5)
        assert undefined == ""
        last = r2[-36:]
        assert set(SINKS) & set(np.flatnonzero(last > 0.5)) == set(following)


def test_r2_needs_ten_texts_of_different_lengths(subject, texts):
    for table, why in (
        (texts[:9], "there are fewer than 10 texts"),
        (pd.concat([texts[:1]] * 12), "all texts have the same number of tokens"),
    ):
        r2, undefined = length_r2(ts.respond(subject, table))
        assert np.isnan(r2).all()
        assert undefined == why
