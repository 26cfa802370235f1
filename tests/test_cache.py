from importlib import import_module

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet import cache as caching
from toposheet.settings import Reading


@pytest.fixture
def count(monkeypatch):
    """How often the model has run."""
    module = import_module("toposheet.subject.respond")
    runs, compute = [], module._responses
    monkeypatch.setattr(module, "_responses", lambda *arguments: runs.append(1) or compute(*arguments))
    return runs


def test_responses_are_computed_once(model, topo, stimuli, tokenizer, tmp_path, count):
    first = ts.respond(ts.Subject(model, topo, tokenizer), stimuli, cache=tmp_path)
    second = ts.respond(ts.Subject(model, topo, tokenizer), stimuli.assign(item=range(6)), cache=tmp_path)
    assert len(count) == 1
    np.testing.assert_array_equal(first, second)
    assert "item" in second.coords


def changed(what, model, topo, stimuli, tokenizer):
    """Model, topography, stimuli and options of a reading that differs in one thing."""
    options = {}
    if what == "a weight":
        with torch.no_grad():
            model.transformer.h[1].mlp.c_fc.weight[3, 5] += 1e-3
    elif what == "a place":
        topo = ts.Topography.per_tap(model, seed=1)
    elif what == "a text":
        stimuli = stimuli.assign(text=["other words", *stimuli["text"][1:]])
    elif what == "the pooling":
        options["reading"] = Reading("last")
    elif what == "the token before the texts":
        options["reading"] = Reading(bos="<|endoftext|>")
    elif what == "the first token left out":
        options["reading"] = Reading(skip_first=True)
    elif what == "the padding":
        options["reading"] = Reading("padded-mean")
    else:
        model = model.to(torch.bfloat16)
    return (ts.Subject(model, topo, tokenizer), stimuli), options


@pytest.mark.parametrize(
    "what",
    [
        "a weight", "a place", "a text", "the pooling", "the precision", "the token before the texts",
        "the first token left out", "the padding",
    ],
)  # fmt: skip
def test_whatever_changes_a_response_never_reads_an_old_one(what, model, topo, stimuli, tokenizer, tmp_path, count):
    ts.respond(ts.Subject(model, topo, tokenizer), stimuli, cache=tmp_path)
    reading, options = changed(what, model, topo, stimuli, tokenizer)
    cached = ts.respond(*reading, **options, cache=tmp_path)
    assert len(count) == 2
    np.testing.assert_array_equal(cached, ts.respond(*reading, **options))


def test_a_damaged_or_unwritable_cache_costs_time_and_nothing_else(model, topo, stimuli, tokenizer, tmp_path, count):
    subject = ts.Subject(model, topo, tokenizer)
    expected = ts.respond(subject, stimuli, cache=tmp_path)
    file = next(tmp_path.glob("*.npy"))
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(ts.respond(subject, stimuli, cache=tmp_path), expected)
    file.write_bytes(b"PK\x03\x04 no array")
    np.testing.assert_array_equal(ts.respond(subject, stimuli, cache=tmp_path), expected)
    np.save(file, np.zeros((2, 3)))
    np.testing.assert_array_equal(ts.respond(subject, stimuli, cache=tmp_path), expected)
    np.testing.assert_array_equal(ts.respond(subject, stimuli, cache="/proc/nowhere"), expected)
    assert len(count) == 5


def test_the_least_recently_used_go_when_there_is_too_much(tmp_path, monkeypatch):
    import os

    monkeypatch.setattr(caching, "LIMIT", 25_000)
    files = []
    for i in range(3):
        caching.recall(tmp_path, "zeros", i, (1250,), lambda: np.zeros(1250))
        (new,) = {*tmp_path.glob("*.npy")} - {*files}
        os.utime(new, (i, i))
        files.append(new)
    assert {*tmp_path.glob("*.npy")} == {*files[1:]}


def test_equal_models_have_equal_fingerprints_wherever_they_lie(model, topo, tokenizer, tmp_path):
    subject = ts.Subject(model, topo, tokenizer)
    ts.save(tmp_path / "a", subject)
    assert ts.load(tmp_path / "a").fingerprint == subject.fingerprint


def test_a_folder_that_cannot_be_written_to_is_named_once(tmp_path, caplog):
    caching._warn_not_stored.cache_clear()
    (tmp_path / "file").write_text("")
    for name in ("a", "b"):
        caching.recall(tmp_path / "file", "zeros", name, (1,), lambda: np.zeros(1))
    (said,) = caplog.messages
    assert str(tmp_path / "file") in said
    assert "set TOPOSHEET_CACHE" in said


def test_without_a_home_nothing_is_kept_unless_a_folder_is_named(monkeypatch, caplog):
    caching._warn_not_stored.cache_clear()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("TOPOSHEET_CACHE", raising=False)
    monkeypatch.setattr(caching, "home_folder", lambda: None)
    assert caching.cache_folder() is None
    assert "no home folder" in caplog.text
    monkeypatch.setenv("TOPOSHEET_CACHE", "/some/where")
    assert str(caching.cache_folder()) == "/some/where"
