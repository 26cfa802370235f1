"""BLiMP beside the scorers that other people use: the same log-probabilities and the same decisions, pair by pair."""

import numpy as np
import pytest

import toposheet as ts
from toposheet.evaluation import TASKS

PAIRS = 8  # of each of the 67 paradigms: 536
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the other packages
]


@pytest.fixture(scope="module")
def subject():
    return ts.load("small")


@pytest.fixture(scope="module")
def pairs(data):
    folder = data / "blimp"
    kept = {}
    for item in TASKS["blimp"].read(folder):
        kept.setdefault(item.groups, []).append([request.text for request in item.requests])
    return [pair for paradigm in kept.values() for pair in paradigm[:PAIRS]]


def check_same(items, scores):
    """Check that the log-probabilities are equal to 1e-4, and that every pair is decided alike."""
    good, bad = np.array(scores).T
    assert len(items) >= 500
    np.testing.assert_allclose(items["good"], good, atol=1e-4)
    np.testing.assert_allclose(items["bad"], bad, atol=1e-4)
    np.testing.assert_array_equal(np.sign(items["good"] - items["bad"]), np.sign(good - bad))


@pytest.mark.parametrize(("bos", "bos_token"), [(None, True), ("none", False)])
def test_minicons_gives_the_same_answer_to_every_pair(subject, pairs, data, bos, bos_token):
    scorer = pytest.importorskip("minicons.scorer")
    import copy

    with subject.running() as model:
        theirs = scorer.IncrementalLMScorer(model, "cpu", tokenizer=copy.deepcopy(subject.tokenizer))
        scores = [
            theirs.sequence_score(pair, reduction=lambda tokens: tokens.sum().item(), bos_token=bos_token)
            for pair in pairs
        ]
    check_same(ts.evaluate(subject, "blimp", path=data / "blimp", limit=PAIRS, bos=bos), scores)


def test_lm_evaluation_harness_gives_the_same_answer_to_every_pair(subject, pairs, data):
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance

    with subject.running() as model:
        theirs = huggingface.HFLM(pretrained=model, tokenizer=subject.tokenizer, batch_size=16)
        requests = [
            Instance("loglikelihood", {}, ("", sentence), number)
            for number, sentence in enumerate(sentence for pair in pairs for sentence in pair)
        ]
        sums = [log_probability for log_probability, _ in theirs.loglikelihood(requests, disable_tqdm=True)]
    check_same(ts.evaluate(subject, "blimp", path=data / "blimp", limit=PAIRS), np.reshape(sums, (-1, 2)))
