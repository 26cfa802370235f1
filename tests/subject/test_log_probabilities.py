"""The scoring loop: batches, and functions in place of a model."""

import numpy as np
import torch
from tests.subject.test_score import TEXTS

import toposheet as ts
from toposheet.subject import Request, tokenise
from toposheet.subject.log_probabilities import batches_of, logits_of, span_sums


def test_where_padding_reaches_a_text_only_texts_of_equal_length_are_scored_together(subject, monkeypatch):
    lengths = []
    monkeypatch.setattr("toposheet.subject.log_probabilities.padding_reaches", lambda model, taps: True)
    monkeypatch.setattr(
        "toposheet.subject.log_probabilities.logits_of",
        lambda model, batch: lengths.append(batch.attended) or logits_of(model, batch),
    )
    ts.score(subject, TEXTS)
    assert all(attended.all() for attended in lengths)


def test_a_function_can_take_the_place_of_the_model(subject, model):
    requests = tokenise(subject, [Request(text) for text in TEXTS])
    batches = batches_of(requests, 2, model.device, vocabulary=300)
    uniform = span_sums(requests, batches, lambda batch: torch.zeros(len(batch.rows), len(batch.positions), 300))
    n_tokens = np.array([len(ids) - 1 for ids in requests.ids])
    np.testing.assert_allclose(uniform, -np.log(300) * n_tokens, rtol=1e-6)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(TEXTS)))


def test_large_vocabularies_make_batches_smaller(subject, model, monkeypatch):
    monkeypatch.setattr("toposheet.subject.log_probabilities._MOST_LOGITS", 40 * 300)
    requests = tokenise(subject, [Request(text) for text in TEXTS * 5])
    batches = batches_of(requests, 64, model.device, vocabulary=300)
    assert len(batches) > 5
    assert all(batch.ids.numel() <= 40 or len(batch.rows) == 1 for batch in batches)


def test_probabilities_do_not_depend_on_how_many_are_computed_at_once(subject, monkeypatch):
    expected = ts.score(subject, TEXTS)
    monkeypatch.setattr("toposheet.subject.log_probabilities._LOGITS_AT_ONCE", 900)
    np.testing.assert_allclose(ts.score(subject, TEXTS), expected, rtol=1e-7)
