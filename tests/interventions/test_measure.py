import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions.scoring import sums_with

CONTEXTS, WORDS, OTHERS = ["The river", "Snow covered every"], ["road", "mill", "old road"], ["ran", "threw"]


def test_a_preference_is_that_of_the_next_tokens(subject):
    measure = ts.Measure.words(subject, CONTEXTS, WORDS, OTHERS, bos="none")
    (sums,) = sums_with(subject, [], measure.requests)
    expected = []
    for context in CONTEXTS:
        log_p = {}
        for word in (*WORDS, *OTHERS):
            ids = subject.tokenizer(f"{context} {word}", return_tensors="pt")["input_ids"]
            n_before = subject.tokenizer(context, return_tensors="pt")["input_ids"].shape[1]
            with torch.no_grad():
                logits = subject(ids)[0].log_softmax(-1)
            log_p[word] = sum(float(logits[t - 1, ids[0, t]]) for t in range(n_before, ids.shape[1]))
        means = [np.log(np.mean([np.exp(log_p[word]) for word in words])) for words in (WORDS, OTHERS)]
        expected.append(means[0] - means[1])
    np.testing.assert_allclose(measure.value(sums), expected, atol=1e-5)


def test_the_number_of_words_does_not_matter(subject):
    one = ts.Measure.words(subject, CONTEXTS, ["road"], OTHERS)
    twice = ts.Measure.words(subject, CONTEXTS, ["road", "road"], OTHERS)
    values = [measure.value(next(sums_with(subject, [], measure.requests))) for measure in (one, twice)]
    np.testing.assert_allclose(*values, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], ["road"], ["ran"]), "contexts is empty"),
        ((["The"], ["road"], []), "other_words is empty"),
        ((["The"], ["road", "ran"], ["ran"]), "'ran' is among words and among other_words"),
        (("The", ["road"], ["ran"]), "contexts"),
    ],
)
def test_what_is_no_list_of_words_is_refused(subject, arguments, message):
    with pytest.raises(UserError, match=message):
        ts.Measure.words(subject, *arguments)
