import numpy as np
import pytest

from toposheet.stats import UnitPairs, bimodality, gaussian_readout, participation_ratio, spatial_correlation

CELLS = np.stack(np.divmod(np.arange(36), 6), axis=1)


def test_participation_ratio_is_that_of_the_eigenvalues(rng):
    for shape in ((9, 20), (40, 5)):
        x = rng.normal(size=shape) @ np.diag(rng.uniform(0, 3, size=shape[1]))
        values = np.linalg.eigvalsh(np.cov(x.T))
        assert participation_ratio(x) == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_units_that_do_the_same_fill_one_dimension_and_independent_ones_all(rng):
    one = rng.normal(size=(50, 1)) * rng.normal(size=30)
    assert participation_ratio(one) == pytest.approx(1)
    assert participation_ratio(rng.normal(size=(20_000, 8))) == pytest.approx(8, rel=0.01)


def test_correlation_by_distance_equals_the_slow_loop(rng):
    x = rng.normal(size=(25, 36)) @ rng.normal(size=(36, 36))
    result = spatial_correlation(x, UnitPairs.of(CELLS, 0.5))
    r = np.corrcoef(x.T)
    by_distance = {}
    for i in range(36):
        for j in range(i):
            by_distance.setdefault(0.5 * np.sqrt(((CELLS[i] - CELLS[j]) ** 2).sum()), []).append(r[i, j])
    expected = dict(sorted(by_distance.items()))
    np.testing.assert_allclose(result.distances, list(expected))
    np.testing.assert_allclose(result.r, [np.mean(v) for v in expected.values()], atol=1e-6)
    np.testing.assert_allclose(result.positive, [np.maximum(v, 0).mean() for v in expected.values()], atol=1e-6)
    weights = [(d, max(v, 0)) for d, values in expected.items() for v in values]
    assert result.wiring_mm == pytest.approx(sum(d * w for d, w in weights) / sum(w for _, w in weights), rel=1e-5)


def test_orders_say_which_unit_sits_where(rng):
    x, pairs = rng.normal(size=(25, 36)), UnitPairs.of(CELLS)
    orders = np.stack([rng.permutation(36) for _ in range(4)])
    result = spatial_correlation(x, pairs, orders)
    for row, order in enumerate(orders):
        np.testing.assert_allclose(result.r[row], spatial_correlation(x[:, order], pairs).r, atol=1e-6)
        np.testing.assert_allclose(result.wiring_mm[row], spatial_correlation(x[:, order], pairs).wiring_mm, rtol=1e-6)


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 5.0])
def test_a_planted_smoothness_is_found(rng, fwhm):
    side = 28
    cells = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    noise = gaussian_readout(rng.normal(size=(400, side + 30, side + 30)), fwhm)[:, 15:-15, 15:-15]
    result = spatial_correlation(noise.reshape(400, -1), UnitPairs.of(cells, 2.0))
    assert result.smoothness_mm == pytest.approx(2.0 * fwhm, rel=0.04)


def test_white_noise_is_not_smooth_and_its_wires_are_as_long_as_the_sheet(rng):
    pairs = UnitPairs.of(CELLS)
    result = spatial_correlation(rng.normal(size=(3000, 36)), pairs)
    assert result.smoothness_mm < 0.7
    mean_distance = (pairs.distances * np.bincount(pairs.distance_class)).sum() / len(pairs.first)
    assert result.wiring_mm == pytest.approx(mean_distance, rel=0.05)


def test_units_in_columns_that_respond_alike_have_short_wires(rng):
    x = np.repeat(rng.normal(size=(500, 6)), 6, axis=1)  # one response for each row of the sheet
    pairs = UnitPairs.of(CELLS)
    moved = spatial_correlation(x, pairs, np.stack([rng.permutation(36) for _ in range(50)]))
    assert spatial_correlation(x, pairs).wiring_mm < moved.wiring_mm.min()


def test_a_silent_unit_correlates_with_none(rng):
    x = rng.normal(size=(20, 4))
    x[:, 1] = 7
    result = spatial_correlation(x, UnitPairs.of(np.array([[0, 0], [0, 1], [0, 4], [0, 9]])))
    assert result.r[0] == 0
    assert np.isfinite(result.r).all()


def test_the_curve_is_the_mean_of_all_pairs_of_a_bin(rng):
    x, pairs = rng.normal(size=(30, 36)), UnitPairs.of(CELLS, 0.5)
    distance, curve = spatial_correlation(x, pairs).curve(0.5)
    r = np.corrcoef(x.T)[pairs.first, pairs.second]
    bins = np.round(pairs.distances[pairs.distance_class] / 0.5)
    np.testing.assert_allclose(distance, 0.5 * np.unique(bins))
    np.testing.assert_allclose(curve, [r[bins == b].mean() for b in np.unique(bins)], atol=1e-6)


def test_bimodality_is_that_of_the_definition(rng):
    x = rng.normal(size=(30, 12)) @ rng.normal(size=(12, 12))
    r = np.corrcoef(x.T)[np.triu_indices(12, 1)]
    n, d = len(r), r - r.mean()
    m2, m3, m4 = ((d**k).mean() for k in (2, 3, 4))
    skewness = np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
    expected = (skewness**2 + 1) / (excess + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)))
    assert bimodality(x) == pytest.approx(expected, rel=1e-4)


def test_two_groups_that_respond_in_opposite_ways_are_bimodal_and_unrelated_units_are_not(rng):
    signal, noise = rng.normal(size=(200, 1)), rng.normal(size=(200, 60))
    opposite = signal * np.repeat([1, -1], 30) + 0.2 * noise
    assert bimodality(opposite) > 0.9
    assert bimodality(noise) == pytest.approx(1 / 3, abs=0.03)


def test_silent_units_and_too_few_units_have_no_bimodality(rng):
    x = rng.normal(size=(20, 12))
    silent = np.concatenate([x, np.full((20, 5), 2.0)], axis=1)
    assert bimodality(silent) == pytest.approx(bimodality(x))
    assert np.isnan(bimodality(x[:, :3]))
    assert np.isnan(bimodality(np.repeat(x[:, :1], 8, axis=1)))


def test_units_that_share_a_cell_are_not_adjacent(rng):
    x = np.repeat(rng.normal(size=(2000, 1)), 4, axis=1) + rng.normal(size=(2000, 4))
    x[:, 1] = x[:, 0]
    cells = np.array([[0, 0], [0, 0], [0, 1], [0, 2]])
    alone = spatial_correlation(x[:, [0, 2, 3]], UnitPairs.of(cells[[0, 2, 3]]))
    assert spatial_correlation(x, UnitPairs.of(cells)).smoothness_mm == pytest.approx(alone.smoothness_mm, rel=0.05)
