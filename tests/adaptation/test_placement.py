"""Places of units: the gain against a loop over windows, and the methods against scipy and known arrangements."""

import numpy as np
import pytest
from scipy.optimize import quadratic_assignment

from toposheet.adaptation.placement import correlations_of, gain_of, gains_between, pair_gains, reassigned, spectral


def patchy(side, seed=0, tokens=400, width=2.0):
    """Activations of units on a square sheet, near units alike, with the cells of the units shuffled."""
    rng = np.random.default_rng(seed)
    y, x = np.divmod(np.arange(side**2), side)
    near = np.exp(-((y[:, None] - y) ** 2 + (x[:, None] - x) ** 2) / (2 * width**2))
    cell = rng.permutation(side**2)
    return (rng.normal(size=(tokens, side**2)) @ near)[:, cell].astype(np.float32), cell


@pytest.mark.parametrize("shape", [(5, 7), (3, 9)])
def test_a_gain_is_the_sum_over_windows_of_correlations_with_centred_nearness(shape):
    rng = np.random.default_rng(0)
    n, radius = shape[0] * shape[1], 2
    r = np.corrcoef(rng.normal(size=(n, 30)))
    cell = rng.permutation(n)
    at = np.argsort(cell)  # the unit in each cell
    side, expected = 2 * radius - 1, 0.0
    offsets = [(dy, dx) for dy in range(side) for dx in range(side)]
    nearness = np.array([[1 / (1 + max(abs(a - c), abs(b - d))) for c, d in offsets] for a, b in offsets])
    mean = nearness[~np.eye(side**2, dtype=bool)].mean()
    for top in range(shape[0] - side + 1):
        for left in range(shape[1] - side + 1):
            units = [at[(top + dy) * shape[1] + left + dx] for dy, dx in offsets]
            expected += sum(
                r[units[i], units[j]] * (nearness[i, j] - mean)
                for i in range(side**2)
                for j in range(side**2)
                if i != j
            )
    assert gain_of(r, pair_gains(shape, radius), cell) == pytest.approx(expected)


def test_correlations_are_pearsons_and_those_of_silent_units_0():
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) * 10.0 + 1000.0
    x[:, 2] = 5.0
    r = correlations_of(x)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(r[np.ix_(others, others)], np.corrcoef(x[:, others].T), atol=1e-4)
    assert not r[2].any()


def test_units_that_exchange_cells_in_blocks_gain_as_much_as_scipy_finds_and_never_less_than_at_the_start():
    x, cell = patchy(10)
    r, gains, rng = correlations_of(x), pair_gains((10, 10), 3), np.random.default_rng(5)
    start = rng.permutation(100)
    hollow = r - np.diag(np.diag(r))
    best = quadratic_assignment(hollow, gains, options={"maximize": True, "rng": np.random.default_rng(0)}).col_ind
    found = [reassigned(r, gains, start, np.random.default_rng(s), block=25, rounds=100) for s in range(3)]
    for one in found:
        assert sorted(one.tolist()) == list(range(100))
        assert gain_of(r, gains, one) > 0.9 * gain_of(r, gains, best)
    again = reassigned(r, gains, found[0], rng, block=25, rounds=1)
    assert gain_of(r, gains, again) >= gain_of(r, gains, found[0])
    swaps = reassigned(r, gains, start, rng, block=2, rounds=300)
    assert gain_of(r, gains, swaps) > 0.7 * gain_of(r, gains, best)
    assert gain_of(r, gains, start) < 0.1 * gain_of(r, gains, best)
    assert gain_of(r, gains, cell) > 0.9 * gain_of(r, gains, best)  # the true places


@pytest.mark.parametrize(("side", "block"), [(4, 2), (4, 4), (6, 2), (6, 9), (10, 25)])
def test_rounds_end_only_where_more_rounds_would_gain_little(side, block):
    gains, n = pair_gains((side, side), 2), side**2
    for seed in range(3):
        rng = np.random.default_rng(seed)
        r = correlations_of(rng.normal(size=(400, 6)) @ rng.normal(size=(6, n)) + rng.normal(size=(400, n)))
        cell = reassigned(r, gains, rng.permutation(n), rng, block=block, rounds=1000)
        found = gain_of(r, gains, cell)
        for _ in range(20):
            cell = reassigned(r, gains, cell, rng, block=block, rounds=1000)
        assert found > 0.85 * gain_of(r, gains, cell)


def test_units_of_a_sheet_with_empty_cells_have_cells_of_their_own():
    x, _ = patchy(6)
    r, gains = correlations_of(x[:, :30]), pair_gains((5, 8), 2)
    cell = reassigned(r, gains, np.arange(30), np.random.default_rng(0), block=8, rounds=50)
    assert len(set(cell.tolist())) == 30
    assert cell.max() < 40
    assert gain_of(r, gains, cell) > gain_of(r, gains, np.arange(30))


def test_an_embedding_brings_units_together_that_are_alike():
    x, true = patchy(12, width=3.0)
    cell = spectral(correlations_of(x), (12, 12), np.random.default_rng(0))
    assert sorted(cell.tolist()) == list(range(144))

    def distances(cells):
        y, x = np.divmod(cells, 12)
        return np.hypot(y[:, None] - y, x[:, None] - x)[np.triu_indices(144, 1)]

    near = distances(true) <= 1
    assert distances(cell)[near].mean() < 0.5 * distances(cell)[~near].mean()
    assert spectral(np.eye(3), (1, 3), np.random.default_rng(0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("shape", "radius", "metric", "window"),
    [((6, 9), 2, "chebyshev", "open"), ((12, 7), 5, "euclidean", "closed"), ((4, 20), 3, "chebyshev", "closed")],
)
def test_gains_of_some_cells_are_a_part_of_the_gains_of_all(shape, radius, metric, window):
    cells = np.argwhere(np.ones(shape))
    every = pair_gains(shape, radius, metric, window)
    some, others = np.random.default_rng(0).permutation(len(cells))[:20], np.arange(0, len(cells), 3)
    part = gains_between(cells[some], cells[others], shape, radius, metric, window)
    np.testing.assert_allclose(part, every[np.ix_(some, others)], atol=1e-6)


def test_units_that_are_reassigned_gain_from_units_that_keep_their_places():
    # Half of a sheet keeps its places. The other half finds the places that continue it.
    x, cell = patchy(12)
    r, gains = correlations_of(x), pair_gains((12, 12), 3)
    fixed, moving = np.flatnonzero(cell < 72), np.flatnonzero(cell >= 72)
    cells = np.arange(72, 144)
    outside = r[np.ix_(moving, fixed)] @ gains[np.ix_(cells, cell[fixed])].T
    rng = np.random.default_rng(0)
    start = rng.permutation(72)

    def gains_of(order):
        placed = cell.copy()
        placed[moving] = cells[order]
        return gain_of(r, gains, placed), outside[np.arange(72), order].sum()

    options = {"block": 18, "rounds": 60}
    within = gains[np.ix_(cells, cells)]
    alone = gains_of(reassigned(r[np.ix_(moving, moving)], within, start, rng, **options))
    together = gains_of(reassigned(r[np.ix_(moving, moving)], within, start, rng, **options, outside=outside))
    true = gains_of(cell[moving] - 72)
    assert together[0] > alone[0]
    assert together[1] > 0.8 * true[1] > 2 * alone[1]
