import gc
import weakref

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.subject import Effect, Intervention

IDS = torch.arange(12)[None]
TAP = "transformer.h.0.mlp"


@pytest.fixture
def subject(model, topo, tokenizer):
    return ts.Subject(model, topo, tokenizer)


def silenced(n=18):
    return Intervention("half silent", {TAP: Effect.silence(np.arange(36) < n)})


@pytest.fixture
def lesioned(subject):
    return subject.intervened(silenced())


def test_a_subject_says_what_it_is(subject, lesioned):
    assert repr(subject).splitlines() == [
        "Subject(GPT2LMHeadModel: GPT2LMHeadModel)",
        "  Topography(144 units of 4 taps on 4 sheets of 6x6 cells 1 mm apart)",
        "  tokenizer with 300 tokens; the model reads texts of at most 48 tokens",
    ]
    assert repr(lesioned).endswith("\n  interventions: half silent")
    assert "half silent" in lesioned._repr_html_()
    assert ts.Subject(subject.model, subject.topography, source="models/mine").name == "mine"


def test_a_subject_gives_the_logits_of_its_model(subject):
    with torch.no_grad():
        assert torch.equal(subject(IDS), subject.model(IDS).logits)
        mask = torch.ones_like(IDS)
        assert torch.equal(subject(IDS, attention_mask=mask), subject.model(IDS, attention_mask=mask).logits)


def test_what_is_recorded_stays_after_the_block(subject):
    with torch.no_grad(), subject.record() as activations:
        subject(IDS)
    assert list(activations) == subject.topography.taps
    assert all(values.shape == (1, 12, 36) for values in activations.values())


def test_an_intervention_makes_another_subject_and_leaves_this_one_as_it_is(subject):
    before = subject(IDS)
    lesioned = subject.intervened(silenced())
    assert subject.interventions == ()
    assert [i.name for i in lesioned.interventions] == ["half silent"]
    assert lesioned.name == f"{subject.name} (half silent)"
    assert lesioned.intact.name == subject.name
    assert (lesioned.topography, lesioned.tokenizer) == (subject.topography, subject.tokenizer)
    assert torch.equal(subject(IDS), before)
    assert not torch.equal(lesioned(IDS), before)
    with lesioned.running() as model:
        assert model is subject.model


def test_the_bare_model_of_a_lesioned_subject_is_refused_outside_running(lesioned):
    with pytest.raises(ValueError, match=r"\(half silent\) act only inside `with subject\.running\(\) as model`"):
        _ = lesioned.model
    with lesioned.running() as model:
        assert lesioned.model is model
    with pytest.raises(ValueError, match="act only inside"):
        _ = lesioned.model


def test_a_model_runs_for_one_subject_at_a_time(subject, lesioned):
    with lesioned.running():
        for run in (lambda: subject(IDS), lambda: subject.running().__enter__(), lambda: subject.record().__enter__()):
            with pytest.raises(ValueError, match="is already running for another subject: leave that block first"):
                run()
        with pytest.raises(ValueError, match="is already running"):
            subject.intervened(silenced(3))(IDS)
    subject(IDS)


def test_a_subject_may_be_called_and_recorded_inside_its_own_block(lesioned):
    expected = lesioned(IDS)
    with lesioned.running() as model, torch.no_grad():
        assert torch.equal(lesioned(IDS), expected)
        with lesioned.record() as activations:
            assert torch.equal(model(IDS).logits, expected)
        assert (activations[TAP][..., :18] == 0).all()
        with lesioned.record() as outer, lesioned.running(), lesioned.record() as inner:
            lesioned(IDS)
        assert torch.equal(model(IDS).logits, expected)
        assert all(torch.equal(outer[tap], inner[tap]) for tap in outer)
    with lesioned.record() as activations:
        lesioned(IDS)
    assert (activations[TAP][..., :18] == 0).all()


def test_a_subject_without_interventions_is_free_again_after_an_error(subject):
    with pytest.raises(ZeroDivisionError), subject.running():
        raise ZeroDivisionError
    subject(IDS)


def test_a_model_that_nobody_holds_is_forgotten(subject, model):
    lesioned = subject.intervened(silenced())
    lesioned(IDS)
    alone = weakref.ref(lesioned)
    del lesioned
    gc.collect()
    assert alone() is None


def test_responses_of_a_lesioned_subject_are_those_of_its_units(subject, lesioned, stimuli):
    whole, after = ts.respond(subject, stimuli), ts.respond(lesioned, stimuli)
    in_tap = whole["tap"].values == TAP
    silent = np.flatnonzero(in_tap)[:18]
    assert (after.values[:, silent] == 0).all()
    np.testing.assert_allclose(after.values[:, in_tap][:, 18:], whole.values[:, in_tap][:, 18:], rtol=1e-5, atol=1e-6)
    first = whole["tap"].values == "transformer.h.0.attn"
    np.testing.assert_array_equal(after.values[:, first], whole.values[:, first])
    assert (after.values[:, ~in_tap & ~first] != whole.values[:, ~in_tap & ~first]).mean() > 0.9
    with lesioned.running():
        np.testing.assert_array_equal(ts.respond(lesioned, stimuli), after)


def test_somebody_elses_hooks_are_noticed_and_the_cache_is_bypassed(subject, stimuli, tmp_path):
    expected = ts.respond(subject, stimuli, cache=tmp_path)
    module = subject.model.transformer.h[0].mlp
    for hook in (
        lambda: module.register_forward_hook(lambda _module, _inputs, output: 2 * output),
        lambda: module.register_forward_pre_hook(lambda _module, inputs: (2 * inputs[0],)),
        lambda: torch.nn.modules.module.register_module_forward_pre_hook(lambda _module, _inputs: None),
    ):
        assert subject.can_be_cached
        handle = hook()
        assert not subject.can_be_cached
        np.testing.assert_array_equal(ts.respond(subject, stimuli, cache=tmp_path), ts.respond(subject, stimuli))
        handle.remove()
    original = module.forward
    module.forward = lambda x: 2 * original(x)
    assert not subject.can_be_cached
    assert (ts.respond(subject, stimuli, cache=tmp_path).values != expected.values).any()
    del module.forward
    assert subject.can_be_cached
    np.testing.assert_array_equal(ts.respond(subject, stimuli, cache=tmp_path), expected)
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_lesioned_subject_has_a_cache_of_its_own(subject, lesioned, stimuli, tmp_path):
    whole = ts.respond(subject, stimuli, cache=tmp_path)
    after = ts.respond(lesioned, stimuli, cache=tmp_path)
    assert (whole.values != after.values).any()
    assert len(list(tmp_path.glob("*.npy"))) == 2
    np.testing.assert_array_equal(ts.respond(lesioned, stimuli, cache=tmp_path), after)


def test_a_subject_without_tokenizer_reads_ids_only(model, topo, stimuli):
    subject = ts.Subject(model, topo)
    subject(IDS)
    with pytest.raises(ValueError, match=r"has no tokenizer: put .* or give a tokenizer in toposheet\.Subject\("):
        ts.respond(subject, stimuli)


def test_a_subject_with_interventions_is_not_saved(lesioned, tmp_path):
    with pytest.raises(ValueError, match="has interventions, and a folder cannot hold interventions"):
        ts.save(tmp_path / "model", lesioned)
    assert not (tmp_path / "model").exists()
