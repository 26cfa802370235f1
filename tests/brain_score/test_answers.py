"""Parts of a text, read by slow references: one part at a time, one text at a time, by the model itself."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertLMHeadModel, PreTrainedTokenizerFast

import toposheet as ts
from toposheet.brain_score.answers import Part, next_words, parts_of, responses, rows_of, surprisals
from toposheet.errors import UserError

PARTS = ["The river", "ran", "past the", "old mill"]


def so_far(parts):
    return [" ".join(parts[: number + 1]) for number in range(len(parts))]


@pytest.fixture
def lesioned(subject):
    tap = subject.topography.taps[1]
    half = np.arange(subject.topography.widths[tap]) % 2 == 0
    return subject.intervened(ts.Intervention("half a layer", {tap: ts.Effect.silence(half)}))


@pytest.fixture
def noisy(subject):
    tap = subject.topography.taps[1]
    return ts.lesion(subject, ts.WholeTap(tap), to="noise", texts=["the river ran", "old mill"], seed=3)


@pytest.mark.parametrize("kind", ["subject", "lesioned", "noisy"])
def test_responses_surprisals_and_words_equal_those_of_one_part_at_a_time(request, kind):
    subject = request.getfixturevalue(kind)
    parts = parts_of(subject, so_far(PARTS))
    assert len(rows_of(parts, causal=True).ids) == 1
    values, bits, words = responses(subject, parts), surprisals(subject, parts), next_words(subject, parts)
    n_before = 0
    for number, context in enumerate(so_far(PARTS)):
        ids = subject.tokenizer(context, return_tensors="pt").input_ids
        with subject.record() as activations, torch.no_grad():
            logits = subject(ids)[0].double()
        expected = torch.cat([activations[tap][0, -1] for tap in subject.topography.taps]).numpy()
        np.testing.assert_allclose(values[number], expected, atol=1e-5)
        of_tokens = logits[:-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        first = max(0, n_before - 1)  # the first token of the text has no probability
        assert bits[number] == pytest.approx(-of_tokens[first:].sum().item() / math.log(2), abs=1e-4)
        assert words[number] == subject.tokenizer.decode(int(logits[-1].argmax())).strip()
        n_before = ids.shape[1]


def test_of_a_long_text_each_part_is_read_with_the_last_tokens_that_the_model_reads(subject):
    contexts = so_far(["the", "river"] + ["the"] * 60)  # windows of a text that repeats itself are equal
    parts = parts_of(subject, contexts)
    assert max(len(part.ids) for part in parts) == subject.context == 48
    assert any(one.ids == other.ids for one, other in itertools.pairwise(parts))
    bits = surprisals(subject, parts)
    for number in (0, 10, 45, 61):
        ids = subject.tokenizer(contexts[number], verbose=False).input_ids
        n_new = len(ids) - (len(subject.tokenizer(contexts[number - 1], verbose=False).input_ids) if number else 0)
        window = torch.tensor([ids[-48:]])
        with torch.no_grad():
            of_tokens = subject(window)[0, :-1].log_softmax(-1).gather(1, window[0, 1:, None])[:, 0]
        assert bits[number] == pytest.approx(-of_tokens[-n_new:].sum().item() / math.log(2), abs=1e-4)


def test_a_single_first_token_has_no_surprisal_and_a_part_without_tokens_has_none(subject):
    (token,) = subject.tokenizer("e").input_ids
    assert isinstance(token, int)
    parts = parts_of(subject, ["e", "e", "e mill"])
    bits = surprisals(subject, parts)
    assert np.isnan(bits[0])
    assert bits[1] == 0
    assert not np.signbit(bits[1])
    assert bits[2] > 0
    np.testing.assert_array_equal(*responses(subject, parts)[:2])


def test_a_token_before_the_text_gives_its_first_token_a_surprisal(subject):
    token = subject.tokenizer.convert_ids_to_tokens(0)
    (bits,) = surprisals(subject, parts_of(subject, ["the mill"], token))
    assert bits == pytest.approx(-ts.score(subject, ["the mill"], bos=token)[0] / math.log(2), abs=1e-4)
    (without,) = surprisals(subject, parts_of(subject, ["the mill"]))
    assert without == pytest.approx(-ts.score(subject, ["the mill"], bos="none")[0] / math.log(2), abs=1e-4)
    with pytest.raises(UserError, match="has no such token"):
        parts_of(subject, ["the mill"], "<none>")


def test_an_end_of_text_token_of_the_tokenizer_is_not_read(subject):
    from tokenizers.processors import TemplateProcessing

    backend = PreTrainedTokenizerFast(tokenizer_object=subject.tokenizer.backend_tokenizer).backend_tokenizer
    token = subject.tokenizer.convert_ids_to_tokens(0)
    processor, backend.post_processor = (
        backend.post_processor,
        TemplateProcessing(single=f"$A {token}", special_tokens=[(token, 0)]),
    )
    try:
        ending = subject.with_tokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=token))
        assert ending.tokenizer("the").input_ids[-1] == 0
        with_end = parts_of(ending, so_far(PARTS))
    finally:
        backend.post_processor = processor
    assert with_end == parts_of(subject, so_far(PARTS))


def test_the_responses_of_an_encoder_do_not_depend_on_later_parts(tokenizer):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300, hidden_size=36, num_hidden_layers=1, num_attention_heads=2, intermediate_size=36
    )
    model = BertLMHeadModel(config).eval()
    topo = ts.Topography.per_tap(model, ["bert.encoder.layer.0.output.dense"])
    encoder = ts.Subject(model, topo, tokenizer)
    together = responses(encoder, parts_of(encoder, so_far(PARTS)))
    for number, context in enumerate(so_far(PARTS)):
        np.testing.assert_allclose(together[number], responses(encoder, parts_of(encoder, [context]))[0], atol=1e-5)
    with pytest.raises(UserError, match="is an encoder"):
        next_words(encoder, parts_of(encoder, ["the mill"]))


def test_an_encoder_reads_each_part_alone_because_later_words_would_change_it():
    parts = [Part([1, 2], 2, 0), Part([1, 2, 3], 1, 0), Part([1, 4], 0, 0), Part([1, 4, 5], 1, 0)]
    assert rows_of(parts, causal=False).ids == [part.ids for part in parts]
    rows = rows_of(parts, causal=True)
    assert (rows.ids, rows.row, rows.last) == ([[1, 2, 3], [1, 4, 5]], [0, 0, 1, 1], [1, 2, 1, 2])
    windows = [replace(part, ids=[7, 7], n_left_out=1) for part in parts]
    assert rows_of(windows, causal=True).row == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("contexts", "words"),
    [
        (["the mill", "the mill" + " stone" * 60], r"part 2 alone has \d+ tokens, but the model reads at most 48"),
        (["", "the mill"], "part 1 and all parts before it have no tokens"),
        (["the mill", "a\ud800b"], "part 2 has half a character"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_part(subject, contexts, words):
    with pytest.raises(UserError, match=words) as refused:
        parts_of(subject, contexts)
    assert "\n" not in str(refused.value)


def test_activations_that_are_not_finite_are_refused_by_part_and_tap(subject, model):
    model.transformer.h[1].mlp.c_proj.weight.data[3, 5] = float("nan")
    with pytest.raises(UserError, match=r"part 1: an activation in transformer\.h\.1\.mlp is not finite"):
        responses(subject, parts_of(subject, ["the mill"]))
    with pytest.raises(UserError, match=r"the log-probability of the text up to part 2 is not a finite number"):
        surprisals(subject, parts_of(subject, ["the mill", "the mill of the"]))
