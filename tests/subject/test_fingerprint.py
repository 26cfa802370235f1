import copy
import hashlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, normalizers, pre_tokenizers
from torch.testing._internal.two_tensor import TwoTensor  # the smallest tensor that is made of others
from transformers import PreTrainedTokenizerFast

import toposheet as ts
from toposheet.subject import Effect, Intervention
from toposheet.subject.fingerprint import digest_besides_model
from toposheet.text.tokenizer import train_tokenizer

TAP = "transformer.h.0.mlp"


@pytest.fixture
def subject(model, topo, tokenizer):
    return ts.Subject(model, topo, copy.deepcopy(tokenizer))


def one_weight(subject):
    with torch.no_grad():
        subject.model.transformer.h[1].mlp.c_fc.weight[3, 5] += 1e-7


def written_through_data(subject):
    subject.model.transformer.h[1].mlp.c_fc.weight.data[3, 5] += 1e-7


def rows_changed_places_through_data(subject):
    weight = subject.model.transformer.h[1].mlp.c_fc.weight.data
    weight[[0, 1]] = weight[[1, 0]]


def neighbours_changed_places_through_data(subject):
    weight = subject.model.transformer.h[0].ln_1.bias.data
    weight.uniform_()
    asked = subject.fingerprint
    weight[[0, 1]] = weight[[1, 0]]
    assert subject.fingerprint != asked


def another_parameter(subject):
    module = subject.model.transformer.h[0].ln_1
    module.weight = torch.nn.Parameter(1.5 * module.weight)


def a_buffer_that_is_not_stored(subject):
    subject.model.transformer.h[0].attn.register_buffer("shift", torch.ones(3), persistent=False)


def the_precision(subject):
    subject.model.to(torch.bfloat16)


def the_configuration(subject):
    subject.model.config.layer_norm_epsilon = 1e-3


def a_place(subject):
    places = subject.topography.sheets[TAP].places[TAP]
    places[[0, 1]] = places[[1, 0]]


def normalisation(subject):
    subject.tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()


def splitting(subject):
    subject.tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


def an_added_token(subject):
    subject.tokenizer.add_tokens([AddedToken("river")])


def a_special_token(subject):
    subject.tokenizer.add_special_tokens({"sep_token": "<|endoftext|>"})


@pytest.mark.parametrize(
    "change",
    [
        one_weight, written_through_data, rows_changed_places_through_data, neighbours_changed_places_through_data,
        another_parameter, a_buffer_that_is_not_stored, the_precision, the_configuration, a_place, normalisation,
        splitting, an_added_token, a_special_token,
    ],
)  # fmt: skip
def test_the_fingerprint_changes_with(change, subject):
    before = subject.fingerprint
    change(subject)
    after = subject.fingerprint
    assert after != before
    assert after == ts.Subject(subject.model, subject.topography, subject.tokenizer).fingerprint


def test_the_fingerprint_changes_with_merges_where_the_vocabulary_stays(subject):
    backend = subject.tokenizer.backend_tokenizer
    content = backend.to_str()
    rules = json.loads(content)
    rules["model"]["merges"][0], rules["model"]["merges"][1] = rules["model"]["merges"][1], rules["model"]["merges"][0]
    other = PreTrainedTokenizerFast(tokenizer_object=type(backend).from_str(json.dumps(rules)))
    same = PreTrainedTokenizerFast(tokenizer_object=type(backend).from_str(content))
    assert other.get_vocab() == same.get_vocab()
    one, two = (ts.Subject(subject.model, subject.topography, t).fingerprint for t in (same, other))
    assert one != two


def test_the_fingerprint_changes_with_each_thing_that_an_intervention_does(subject):
    ones, zeros = np.ones(36), np.zeros(36)
    one = Effect(np.where(np.arange(36) == 1, 0.5, 1.0), zeros)
    effects = [
        {TAP: Effect(ones, zeros)},
        {TAP: one},
        {TAP: Effect(one.scale + 1e-12, zeros)},
        {TAP: Effect(ones, np.full(36, 1e-3))},
        {"transformer.h.1.mlp": one},
        {TAP: one, "transformer.h.1.mlp": one},
    ]
    prints = [subject.fingerprint]
    prints += [subject.intervened(Intervention("mine", effect)).fingerprint for effect in effects]
    first, second = Intervention("a", effects[1]), Intervention("b", effects[3])
    prints += [subject.intervened(*order).fingerprint for order in ([first, second], [second, first])]
    assert len(set(prints)) == len(prints)
    assert subject.intervened(Intervention("another name", effects[1])).fingerprint == prints[2]


def test_an_intervention_that_was_written_to_is_another(subject):
    effect = Effect.silence(np.arange(36) < 3)
    lesioned = subject.intervened(Intervention("mine", {TAP: effect}))
    before = lesioned.fingerprint
    effect.scale[5] = 0
    assert lesioned.fingerprint != before


def test_the_fingerprint_does_not_depend_on_the_order_of_the_taps_of_an_intervention(subject):
    halved = {tap: Effect(np.full(width, 0.5), np.zeros(width)) for tap, width in subject.topography.widths.items()}
    turned = dict(reversed(halved.items()))
    one, other = (subject.intervened(Intervention("half", effects)) for effects in (halved, turned))
    assert one.fingerprint == other.fingerprint != subject.fingerprint


def test_the_fingerprint_is_the_same_when_asked_twice_in_any_mode_and_wherever_the_weights_lie(subject, stimuli):
    before = subject.fingerprint
    assert subject.fingerprint == before
    subject.model.train()
    assert subject.fingerprint == before
    subject.model.eval()
    ts.respond(subject, stimuli)
    subject.tokenizer(stimuli["text"].tolist(), truncation=True, max_length=5)
    assert subject.fingerprint == before
    subject.model.to(torch.float64).to(torch.float32)  # the same values elsewhere in memory
    assert subject.fingerprint == before
    with subject.running():
        assert subject.fingerprint == before
    for parameter in subject.model.parameters():
        parameter.requires_grad_(False)
    assert subject.fingerprint == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_the_fingerprint_is_the_same_on_another_device(subject):
    before = subject.fingerprint
    subject.model.to("cuda")
    assert subject.fingerprint == before
    subject.model.transformer.h[1].mlp.c_fc.weight.data[3, 5] += 1e-7
    assert subject.fingerprint != before


def test_weights_are_hashed_again_only_when_they_changed(subject, monkeypatch):
    module = sys.modules["toposheet.subject.subject"]
    asked, compute = [], module.fingerprint
    monkeypatch.setattr(module, "fingerprint", lambda *arguments: asked.append(1) or compute(*arguments))
    for _ in range(3):
        assert len(subject.fingerprint) == 64
    assert len(asked) == 1
    one_weight(subject)
    for _ in range(3):
        assert subject.fingerprint
    assert len(asked) == 2


def test_a_weight_that_is_made_of_other_tensors_is_hashed_with_all_of_them(subject):
    layer = subject.model.transformer.h[1].mlp.c_fc
    one, other = layer.weight.detach().clone(), torch.zeros_like(layer.weight)
    prints = []
    for parts in ((one, other), (one, other.clone()), (one, other + 1), (one + 1, other)):
        layer.weight = torch.nn.Parameter(TwoTensor(*parts))
        prints.append(subject.fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_equal_subjects_have_equal_fingerprints_wherever_they_lie(subject, tmp_path):
    ts.save(tmp_path / "a", subject)
    loaded = ts.load(tmp_path / "a")
    assert loaded.fingerprint == subject.fingerprint


def test_saving_for_the_first_time_changes_no_fingerprint(subject, tmp_path):
    subject.model.config.architectures = None  # as in a model that was made in Python
    before = subject.fingerprint
    ts.save(tmp_path, subject)
    assert before == subject.fingerprint == ts.load(tmp_path).fingerprint


def test_a_tokenizer_of_another_kind_and_none_are_told_apart(model, topo, tokenizer):
    other = train_tokenizer(["another text altogether, of other words and signs"] * 3, vocabulary=280)
    prints = {ts.Subject(model, topo, one).fingerprint for one in (None, tokenizer, other)}
    assert len(prints) == 3


def test_the_fingerprint_changes_with_each_basis_and_its_tap(subject):
    other = "transformer.h.1.mlp"
    q, p = (np.linalg.qr(np.random.default_rng(seed).normal(size=(36, 36)))[0] for seed in (0, 1))
    turned = q.copy()
    turned[[0, 1]] = turned[[1, 0]]
    prints = [subject.fingerprint]
    for bases in ({TAP: q}, {TAP: turned}, {TAP: q.T}, {other: q}, {TAP: q, other: q}, {TAP: q, other: p}):
        topo = replace(subject.topography, bases=bases)
        prints.append(ts.Subject(subject.model, topo, subject.tokenizer).fingerprint)
    assert len(set(prints)) == len(prints)
    again = {other: p.copy(), TAP: q.copy()}  # the same bases, in another order and elsewhere in memory
    topo = replace(subject.topography, bases=again)
    assert ts.Subject(subject.model, topo, subject.tokenizer).fingerprint == prints[-1]


def test_a_topography_without_bases_has_the_hash_it_had_before_there_were_bases(topo):
    digest = hashlib.sha256()
    for name, sheet in topo.sheets.items():
        digest.update(f"{name} {sheet.shape} {sheet.spacing_mm}".encode())
        for tap, places in sheet.places.items():
            digest.update(tap.encode() + places.astype(np.int64).tobytes())
    assert digest_besides_model(topo, None, ()) == digest.digest()
