"""Scores are compared with an oracle that reads one text at a time and never pads."""

import numpy as np
import pytest
import torch
import transformers as hf
from tests.architectures.families import CONFIGS, random_model
from tokenizers.processors import TemplateProcessing

import toposheet as ts
from toposheet.settings import NO_BOS

END = "<|endoftext|>"
_SMALL = {"hidden_size": 36, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 300}
TEXTS = [
    "The river ran past the old mill",
    "A clever engineer",
    "and the children threw stones from the bridge.",
    "Snow",
    "When winter came, snow covered every road and nobody travelled.",
    "the price of bread",
]


def oracle(model, ids):
    """Return the log-probabilities of the tokens after the first, in float64."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits, dim=1)[range(len(ids) - 1), ids[1:]].numpy()


def expected_scores(model, tokenizer, texts, before=(0,)):
    return [oracle(model, [*before, *tokenizer(text, add_special_tokens=False).input_ids]).sum() for text in texts]


def with_template(tokenizer, template, bos=END):
    """Return the tokenizer with special tokens around texts, as its own post-processor puts them."""
    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = TemplateProcessing(single=template, special_tokens=[(END, 0)])
    return hf.PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=END)


@pytest.fixture(params=CONFIGS)
def network(request):
    model = random_model(request.param)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)  # the untrained model gives every token nearly the same probability
    return model


def test_scores_of_every_family_are_those_of_one_text_at_a_time(network, tokenizer):
    subject = ts.Subject(network, ts.Topography.per_tap(network), tokenizer)
    expected = expected_scores(network, tokenizer, TEXTS)
    assert np.std(expected) > 1
    for batch_size in (1, 4, 64):
        np.testing.assert_allclose(ts.score(subject, TEXTS, batch_size=batch_size), expected, rtol=1e-5)


def test_a_soft_cap_and_a_scale_of_logits_are_part_of_the_probability(tokenizer):
    sums = []
    for cap in (None, 0.5):
        model = random_model("gemma2")
        model.config.final_logit_softcapping = cap
        subject = ts.Subject(model, ts.Topography.per_tap(model), tokenizer)
        np.testing.assert_allclose(ts.score(subject, TEXTS), expected_scores(model, tokenizer, TEXTS), rtol=1e-5)
        sums.append(ts.score(subject, TEXTS))
    assert np.abs(sums[0] - sums[1]).min() > 1e-4


def test_models_that_cannot_compute_some_logits_only_are_scored_too(subject, model, monkeypatch):
    expected = ts.score(subject, TEXTS)
    forward = type(model).forward
    monkeypatch.setattr(
        type(model),
        "forward",
        lambda self, input_ids, attention_mask, use_cache: forward(self, input_ids, attention_mask=attention_mask),
    )
    np.testing.assert_allclose(ts.score(subject, TEXTS), expected, rtol=1e-6)


def test_without_a_token_before_it_the_first_token_of_a_text_is_not_counted(subject, model, tokenizer):
    texts = [text for text in TEXTS if len(tokenizer(text).input_ids) > 1]
    expected = expected_scores(model, tokenizer, texts, before=())
    np.testing.assert_allclose(ts.score(subject, texts, bos=NO_BOS), expected, rtol=1e-5)


def test_an_end_of_text_token_that_the_tokenizer_adds_is_not_counted(model, topo, tokenizer):
    subject = ts.Subject(model, topo, with_template(tokenizer, f"{END} $A {END}"))
    np.testing.assert_allclose(ts.score(subject, TEXTS), expected_scores(model, tokenizer, TEXTS), rtol=1e-5)


def test_a_tokenizer_that_pads_on_the_left_changes_nothing(model, topo, tokenizer):
    expected = ts.score(ts.Subject(model, topo, tokenizer), TEXTS)
    left = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token=END, pad_token=END, padding_side="left"
    )
    np.testing.assert_array_equal(ts.score(ts.Subject(model, topo, left), TEXTS), expected)


def test_interventions_act_on_scores(subject, topo):
    tap = topo.taps[1]
    silence = ts.Intervention("half a layer", {tap: ts.Effect.silence(np.arange(topo.widths[tap]) % 2 == 0)})
    lesioned = subject.intervened(silence)
    before = ts.score(subject, TEXTS)
    with lesioned.running() as model:
        expected = expected_scores(model, subject.tokenizer, TEXTS)
    np.testing.assert_allclose(ts.score(lesioned, TEXTS), expected, rtol=1e-5)
    assert np.abs(expected - before).min() > 1e-4
    np.testing.assert_array_equal(ts.score(subject, TEXTS), before)


def test_a_model_in_training_mode_is_scored_without_dropout_and_stays_in_training_mode(subject, model):
    expected = ts.score(subject, TEXTS)
    model.train()
    np.testing.assert_array_equal(ts.score(subject, TEXTS), expected)
    assert model.training


def test_a_compiled_model_is_scored_as_itself(subject, model, topo, tokenizer):
    expected = ts.score(subject, TEXTS)
    compiled = ts.Subject(torch.compile(model, backend="eager"), topo, tokenizer)
    np.testing.assert_array_equal(ts.score(compiled, TEXTS), expected)
    model.compile(backend="eager")
    np.testing.assert_array_equal(ts.score(subject, TEXTS), expected)


def test_progress_counts_texts(subject):
    calls = []
    ts.score(subject, TEXTS, batch_size=4, progress=lambda *call: calls.append(call))
    assert calls == [("scoring texts", done, 6) for done in (0, 2, 6)]  # the longest texts are read first


def test_wrong_texts_are_refused_by_number(subject):
    with pytest.raises(ts.UserError, match=r"text 1 has no tokens"):
        ts.score(subject, ["Snow", ""])
    with pytest.raises(ts.UserError, match=r"text 1 has \d+ tokens, but the model reads at most 48"):
        ts.score(subject, ["Snow", "river " * 100])
    with pytest.raises(ts.UserError, match="texts is a str: it must be a list of texts"):
        ts.score(subject, "Snow")
    with pytest.raises(ts.UserError, match="batch_size"):
        ts.score(subject, TEXTS, batch_size=0)
    with pytest.raises(ts.UserError, match="text 0 has only one token, and no token stands before it"):
        ts.score(subject, ["S"], bos=NO_BOS)
    with pytest.raises(ts.UserError, match="has no such token"):
        ts.score(subject, TEXTS, bos="<start>")
    assert ts.score(subject, []).shape == (0,)


def test_a_subject_without_tokenizer_is_refused(model, topo):
    with pytest.raises(ts.UserError, match="has no tokenizer"):
        ts.score(ts.Subject(model, topo), TEXTS)


@pytest.mark.parametrize(
    ("config", "opens", "message"),
    [
        (hf.GPT2Config(n_layer=1, n_embd=36, n_head=2, vocab_size=300), hf.GPT2Model, "no output layer"),
        (
            hf.BertConfig(**_SMALL, intermediate_size=48),
            hf.BertForMaskedLM,
            "is an encoder, whose tokens see the tokens after them",
        ),
        (
            hf.BartConfig(vocab_size=300, d_model=36, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                          decoder_attention_heads=2, encoder_ffn_dim=48, decoder_ffn_dim=48),
            hf.BartForConditionalGeneration,
            "an encoder and a decoder",
        ),
    ],
)  # fmt: skip
def test_models_without_probabilities_of_texts_are_refused(config, opens, message, tokenizer):
    torch.manual_seed(0)
    model = opens(config).eval()
    with pytest.raises(ts.UserError, match=message):
        ts.score(ts.Subject(model, ts.Topography.per_tap(model), tokenizer), TEXTS)


def test_numbers_that_are_not_finite_are_refused(subject, model):
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight[0, 0] = torch.nan
    with pytest.raises(ts.UserError, match=r"the log-probability of text \d is not a finite number"):
        ts.score(subject, TEXTS)
