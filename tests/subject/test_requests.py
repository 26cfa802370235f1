"""Which tokens of a text count in which span."""

import numpy as np
import pytest
import transformers as hf
from tests.subject.test_score import END, TEXTS, oracle, with_template

import toposheet as ts
from toposheet.settings import NO_BOS
from toposheet.subject import Request, score_requests, tokenise
from toposheet.subject.requests import NOWHERE


def test_the_token_before_a_text_is_the_tokenizers_own_or_else_bos_or_else_eos(model, topo, tokenizer):
    def ids(tokenizer, bos=None):
        return tokenise(ts.Subject(model, topo, tokenizer), [Request("Snow")], bos).ids[0]

    plain = tokenizer("Snow", add_special_tokens=False).input_ids
    assert tokenizer.bos_token is None
    assert ids(tokenizer) == [tokenizer.eos_token_id, *plain]
    assert ids(tokenizer, NO_BOS) == plain
    other = tokenizer.convert_ids_to_tokens(7)
    assert ids(tokenizer, other) == [7, *plain]
    backend = tokenizer.backend_tokenizer
    assert ids(hf.PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=other, eos_token=END)) == [7, *plain]
    assert ids(with_template(tokenizer, f"{END} $A")) == [0, *plain]
    assert ids(with_template(tokenizer, f"{END} $A", bos=other)) == [0, *plain]
    assert ids(with_template(tokenizer, f"{END} $A {END}")) == [0, *plain]
    assert ids(with_template(tokenizer, f"{END} $A"), NO_BOS) == plain
    assert ids(with_template(tokenizer, f"{END} $A"), other) == [7, *plain]
    assert ids(hf.PreTrainedTokenizerFast(tokenizer_object=backend)) == plain


def spans_of(text, *parts):
    return tuple((text.index(part), text.index(part) + len(part)) for part in parts)


def test_the_spans_of_a_text_add_up_to_the_text(subject):
    text = TEXTS[0]
    request = Request(text, ((0, 9), (9, 20), (20, len(text))))
    parts = score_requests(subject, tokenise(subject, [request, Request(text)]))
    assert parts[:3].sum() == pytest.approx(parts[3], rel=1e-6)
    assert (parts < 0).all()


def test_the_probability_of_a_span_is_that_of_its_own_tokens(subject, model, tokenizer):
    text, other = TEXTS[0], TEXTS[2]
    requests = [Request(text, spans_of(text, "river", "the old")), Request(other, spans_of(other, "stones"))]
    tokenised = tokenise(subject, requests)
    expected = []
    for request in requests:
        encoded = tokenizer(request.text, return_offsets_mapping=True)
        of_tokens = oracle(model, [0, *encoded.input_ids])
        for start, end in request.spans:
            counts = [
                start <= first + len(request.text[first:last]) - len(request.text[first:last].lstrip()) < end
                for first, last in encoded.offset_mapping
            ]
            assert (
                "".join(tokenizer.decode([i]) for i, own in zip(encoded.input_ids, counts, strict=True) if own).strip()
                == request.text[start:end]
            )
            expected.append(of_tokens[counts].sum())
    np.testing.assert_allclose(score_requests(subject, tokenised), expected, rtol=1e-5)


def test_the_token_of_the_space_before_a_word_counts_with_the_word(tokenizer, subject):
    text = "Snow  covered\nevery road "
    words = spans_of(text, "Snow", "covered", "every", "road")
    spans = tokenise(subject, [Request(text, words)]).spans[0][1:]
    counted = {number: "" for number in (*range(4), NOWHERE)}
    for id_, span in zip(tokenizer(text).input_ids, spans, strict=True):
        counted[span] += tokenizer.decode([id_])
    assert [counted[n].strip() for n in range(4)] == ["Snow", "covered", "every", "road"]
    assert counted[1].startswith("  ")
    assert counted[2].startswith("\n")
    assert counted[NOWHERE] == " "


def test_a_token_that_reaches_over_the_end_of_a_span_counts_in_the_span_of_its_beginning(subject, tokenizer):
    word = next(w for w in ("the", "and", "ed", "ing") if len(tokenizer(w).input_ids) == 1)
    spans = tokenise(subject, [Request(word, ((0, 1), (1, len(word))))])
    assert list(spans.spans[0]) == [NOWHERE, 0]
    assert spans.n_spans == 2
    assert score_requests(subject, spans)[1] == 0
