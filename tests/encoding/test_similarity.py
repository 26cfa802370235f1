"""RSA and CKA against independent computations, and their nulls."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from tests.encoding.simulated import STORIES, recording_of, related, responses_of, unrelated

import toposheet as ts
from toposheet.encoding.similarity import dissimilarities, kendall_tau_a, unbiased_cka


def test_rsa_is_the_rank_correlation_of_correlation_distances():
    responses, recording = related(0, units=24)
    of_model, of_recording = pdist(responses.values, "correlation"), pdist(recording.values, "correlation")
    table = ts.rsa(responses, recording, gap=0, permutations=5)
    np.testing.assert_allclose(table["value"], stats.spearmanr(of_model, of_recording)[0])
    table = ts.rsa(responses, recording, measure="kendall", gap=0, permutations=5)
    np.testing.assert_allclose(table["value"], stats.kendalltau(of_model, of_recording)[0])


def test_tau_a_counts_ties_among_all_pairs(rng):
    a, b = rng.integers(0, 4, 30).astype(float), rng.integers(0, 5, 30).astype(float)
    signs = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in itertools.combinations(range(30), 2)]
    np.testing.assert_allclose(kendall_tau_a(a, b), np.mean(signs))
    assert kendall_tau_a(np.ones(5), np.arange(5.0)) == 0


def test_rsa_agrees_with_a_reference_library():
    rsatoolbox = pytest.importorskip("rsatoolbox", exc_type=ImportError)
    responses, recording = related(1, units=24)
    rdms = [
        rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x.values), method="correlation") for x in (responses, recording)
    ]
    np.testing.assert_allclose(dissimilarities(responses.values)[np.triu_indices(60, 1)], rdms[0].dissimilarities[0])
    for measure, method in (("spearman", "spearman"), ("kendall", "tau-a")):
        value = ts.rsa(responses, recording, measure=measure, gap=0, permutations=5)["value"][0]
        np.testing.assert_allclose(value, rsatoolbox.rdm.compare(*rdms, method=method)[0, 0], atol=1e-6)


def hsic_by_loops(k, l):  # noqa: E741
    """The unbiased estimate as a U-statistic over all different rows: E[k_ij (l_ij + l_qr - 2 l_iq)]."""
    n = len(k)
    terms = [k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q]) for i, j, q, r in itertools.permutations(range(n), 4)]
    return np.mean(terms)


def test_unbiased_cka_is_that_of_u_statistics_over_all_quadruples(rng):
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 4))
    k, l = x @ x.T, y @ y.T  # noqa: E741
    expected = hsic_by_loops(k, l) / np.sqrt(hsic_by_loops(k, k) * hsic_by_loops(l, l))
    np.testing.assert_allclose(unbiased_cka(k, l, ~np.eye(8, dtype=bool)), expected)


def biased_cka(x, y):
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def test_unrelated_data_with_many_units_have_an_unbiased_cka_of_0_where_the_biased_one_is_high(rng):
    values, biased = [], []
    for _ in range(30):
        x, y = rng.normal(size=(20, 300)), rng.normal(size=(20, 300))
        values.append(unbiased_cka(x @ x.T, y @ y.T, ~np.eye(20, dtype=bool)))
        biased.append(biased_cka(x, y))
    assert min(biased) > 0.8
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(30) + 1e-3


def test_rotated_and_scaled_responses_have_a_cka_of_1(rng):
    x = rng.normal(size=(30, 6))
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    texts = {"text": [str(n) for n in range(30)]}
    table = ts.cka(responses_of(x, texts), recording_of(3 * x @ rotation + 5, texts), permutations=9)
    np.testing.assert_allclose(table["value"], 1)


@pytest.mark.parametrize("measure", [ts.rsa, ts.cka])
def test_a_relation_is_found_and_each_tap_is_tested(measure):
    responses, recording = related(2, np.repeat(np.arange(12), 5), units=24, voxels=16, noise=0.2)
    labels = {name: responses[name].values for name in ("text", "story")}
    for passages in (None, "story"):
        table = measure(responses_of(responses.values, labels, taps=2), recording, passages=passages, permutations=39)
        assert table["tap"].tolist() == ["tap.0", "tap.1", "*"]
        assert (table["p"] == 1 / 40).all()
        assert (table["p_corrected"] == 1 / 40).all()


EQUAL = np.repeat(np.arange(12), 5)


@pytest.mark.parametrize(("passages", "stories"), [("story", EQUAL), ("story", STORIES)])
@pytest.mark.parametrize("measure", [ts.rsa, ts.cka])
def test_unrelated_data_that_are_smooth_in_time_have_a_small_p_as_rarely_as_it_says(measure, passages, stories):
    tables = [measure(*unrelated(seed, stories), passages=passages, permutations=19, seed=seed) for seed in range(200)]
    significant = sum(table["p"][0] <= 0.05 for table in tables)
    assert stats.binomtest(significant, 200, 0.05, alternative="greater").pvalue > 0.01


def test_pairs_that_are_near_in_time_do_not_count():
    responses, recording = unrelated(0, np.zeros(60, dtype=int), units=24)
    far = [(i, j) for i in range(60) for j in range(i + 4, 60)]
    x, y = (np.array([1 - np.corrcoef(one.values[[i, j]])[0, 1] for i, j in far]) for one in (responses, recording))
    table = ts.rsa(responses, recording, gap=3, permutations=5)
    np.testing.assert_allclose(table["value"], stats.spearmanr(x, y)[0])


@pytest.mark.parametrize("measure", [ts.rsa, ts.cka])
def test_neighbours_in_time_would_make_unrelated_data_alike(measure):
    def values(**options):
        return [measure(*unrelated(seed, EQUAL), permutations=2, **options)["value"][0] for seed in range(30)]

    with_neighbours, without = values(gap=0), values(passages="story")
    assert np.mean(with_neighbours) > 0.05
    assert abs(np.mean(without)) < 3 * np.std(without) / np.sqrt(30)


def test_what_cannot_be_compared_is_refused():
    responses, recording = related(0)
    with pytest.raises(ts.UserError, match="the recording has 2 units or voxels: patterns need at least 3"):
        ts.rsa(responses, recording[:, :2])
    with pytest.raises(ts.UserError, match="the recording has one value in all units or voxels for stimulus 3"):
        ts.rsa(responses, recording.where(recording["text"] != recording["text"][2], 0.0))
    with pytest.raises(ts.UserError, match="3 stimuli: this needs at least 4"):
        ts.cka(responses, recording[:3])
