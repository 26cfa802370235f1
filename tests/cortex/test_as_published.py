"""The steps of TopoLM's published code, each written again from its description, slowly, in plain numpy."""

import numpy as np
import pytest
from tests.cortex.planted import compared, cortex, responses

import toposheet as ts
from toposheet.cortex.statistics import mean_morans_i


def welch_t(a, b):
    """Welch's t of each unit."""
    error = a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b)
    return (a.mean(axis=0) - b.mean(axis=0)) / np.sqrt(error)


def published_readout(values, cells, fwhm):
    """Gaussian weights of the other units at the place of each unit. The weights are not divided by their sum."""
    sigma = fwhm / (2 * np.sqrt(2 * np.log(2)))
    squared = ((cells[:, None] - cells[None]) ** 2).sum(axis=-1)
    return values @ np.exp(-squared / (2 * sigma**2))


def published_morans_i(values, cells, weights):
    """Moran's I with queen neighbours; row-standardised weights are the default of the package that the code uses."""
    near = (np.abs(cells[:, None] - cells[None]).max(axis=-1) == 1).astype(float)
    if weights == "row":
        near /= near.sum(axis=1, keepdims=True)
    z = values - values.mean()
    return len(z) / near.sum() * (z @ near @ z) / (z @ z)


def published_value(data, fwhm, weights):
    """Moran's I of the t-map after the readout, as the mean over taps."""
    values, condition = data.values.astype(np.float64), data["condition"].values
    per_tap = []
    for tap in ("tap0", "tap1"):
        units = data["tap"].values == tap
        cells = np.column_stack([data["y"].values[units], data["x"].values[units]])
        seen = published_readout(values[:, units], cells, fwhm) if fwhm else values[:, units]
        per_tap.append(published_morans_i(welch_t(seen[condition == "a"], seen[condition == "b"]), cells, weights))
    return np.mean(per_tap)


@pytest.mark.parametrize("weights", ["binary", "row"])
@pytest.mark.parametrize("fwhm", [0.0, 1.0, 2.0])
def test_morans_i_of_planted_responses_is_that_of_the_published_steps(fwhm, weights):
    data = responses(cortex(2), effect=1.0)
    expected = published_value(data, fwhm, weights)
    comparison = ts.Comparison(data, "a", "b")
    table = ts.topography_statistics(comparison, fwhm_mm=fwhm, weights=weights, permutations=2)
    (value,) = table.query("statistic == 'morans_i' and tap == '*'")["value"]
    assert value == pytest.approx(expected, abs=1e-6)
    assert mean_morans_i(comparison.readout(fwhm), weights=weights) == pytest.approx(expected, abs=1e-6)
    short = ts.map_statistics(comparison, fwhm_mm=fwhm, weights=weights, permutations=2)
    assert short["morans_i"].mean() == pytest.approx(expected, abs=1e-6)


def test_the_mass_of_the_published_readout_cancels_in_t():
    data = responses(cortex(1), effect=1.0)
    values, condition = data.values.astype(np.float64), data["condition"].values
    cells = np.column_stack([data["y"].values, data["x"].values])
    seen = published_readout(values, cells, 2.0)
    ours = ts.Comparison(data, "a", "b").readout(2.0)
    mass = seen[0] / ours.responses.values[0]
    assert mass.min() < 0.6 * mass.max()
    np.testing.assert_allclose(ours.t.values, welch_t(seen[condition == "a"], seen[condition == "b"]), rtol=1e-4)


def test_the_place_null_has_the_same_weights_as_the_value():
    comparison = compared(effect=1.0)
    one, other = (
        ts.topography_statistics(comparison, fwhm_mm=0.0, weights=weights, permutations=3)
        for weights in ("binary", "row")
    )
    is_i = one["statistic"] == "morans_i"
    columns = ["value", "null_mean", "label_null_mean"]
    assert (one.loc[is_i, columns] != other.loc[is_i, columns]).all(axis=None)
    assert one[~is_i].equals(other[~is_i])


EDGES = ((0, 1), (1, 0), (0, -1), (-1, 0))
CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def grown_clusters(t, q, cells, min_size, contiguity="rook"):
    """Clusters as published: from the most selective unit, add its most selective neighbour until none is significant.

    Neighbours share an edge (rook). A unit can be added if its t is above 0 and its q is below 0.05.
    """
    offsets = EDGES if contiguity == "rook" else EDGES + CORNERS
    number, at = np.zeros(len(t), dtype=int), {tuple(cell): unit for unit, cell in enumerate(cells.tolist())}
    free = {unit for unit in range(len(t)) if t[unit] > 0 and q[unit] < 0.05}
    n = 0
    while free:
        cluster = {max(free, key=lambda unit: t[unit])}
        free -= cluster
        while True:
            beside = {
                at[y + dy, x + dx]
                for y, x in (cells[unit].tolist() for unit in cluster)
                for dy, dx in offsets
                if (y + dy, x + dx) in at
            }
            if not (beside := beside & free):
                break
            best = max(beside, key=lambda unit: t[unit])
            cluster.add(best)
            free.remove(best)
        if len(cluster) >= min_size:
            n += 1
            number[list(cluster)] = n
    return number


@pytest.mark.parametrize("effect", [0.6, 0.8, 1.2])
def test_clusters_with_rook_neighbours_are_those_that_the_published_code_grows(effect):
    comparison = compared(effect, n_taps=1, smooth=1.0, seed=4)
    cells = np.column_stack([comparison.t["y"].values, comparison.t["x"].values])
    expected = grown_clusters(comparison.t.values, comparison.q.values, cells, 3)
    rook, queen = (ts.grow_clusters(comparison, contiguity=c, min_size=3).values for c in ("rook", "queen"))
    np.testing.assert_array_equal(rook, expected)
    assert rook.max() >= 1
    assert (rook > 0).sum() <= (queen > 0).sum()
