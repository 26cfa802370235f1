"""Units that share cells, as on imported sheets: maps show means, but units are counted and outlined one by one."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tests.cortex.planted import to_stimuli

import toposheet as ts
from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.maps import comparison_maps
from toposheet.report.sections import network
from toposheet.report.sections.network import NETWORK_UNITS, PROFILES_OF_MODELS

SHAPE = (8, 8)
HALF = np.repeat(np.arange(8) < 4, 8)  # whether a cell is in the upper half of the sheet


@pytest.fixture(scope="module")
def comparison():
    """Three units in each cell of a sheet: in the upper half, two of them respond more to a; the third is noise."""
    rng = np.random.default_rng(0)
    cells = np.tile(np.stack(np.divmod(np.arange(64), 8), axis=1), (3, 1))
    topo = ts.Topography({"s": ts.Sheet(SHAPE, {"tap": cells}, shared_cells=True)})
    values = rng.normal(size=(40, 192))
    values[::2, :128] += 3.0 * np.tile(HALF, 2)
    return ts.Comparison(to_stimuli(topo, values, ["a", "b"] * 20), "a", "b")


def any_unit(mask):
    """Whether any of the units of each cell is marked."""
    return np.asarray(mask).reshape(3, 64).any(axis=0).reshape(SHAPE)


def test_a_cell_is_significant_if_any_of_its_units_is_in_maps_statistics_and_figures(comparison):
    significant = any_unit(comparison.q < SIGNIFICANT)
    maps = comparison_maps(comparison, {"s": SHAPE}).squeeze()
    np.testing.assert_array_equal(maps["q"] < SIGNIFICANT, significant)
    excludes_0 = any_unit((comparison.d_low > 0) | (comparison.d_high < 0))
    np.testing.assert_array_equal((maps["d_low"] > 0) | (maps["d_high"] < 0), excludes_0)
    assert not np.array_equal((comparison.q.values < SIGNIFICANT).reshape(3, 64).all(axis=0), significant.ravel())
    np.testing.assert_allclose(maps["t"], comparison.t.values.reshape(3, 8, 8).mean(axis=0))


def test_clusters_count_units(comparison):
    in_cluster = ts.grow_clusters(comparison, min_size=60).values == 1
    n_selective = int(((comparison.q < SIGNIFICANT) & (comparison.t > 0)).values[np.tile(HALF, 3)].sum())
    assert n_selective >= 64  # but only 32 cells
    assert in_cluster.sum() >= n_selective
    assert ts.grow_clusters(comparison, min_size=int(in_cluster.sum()) + 1).max() == 0
    rows = ts.topography_statistics(comparison, fwhm_mm=0.0, permutations=9, min_size=60).query("tap == 'tap'")
    values = rows.set_index("statistic")["value"]
    assert values["clusters"] == 1
    assert values["largest_cluster"] == in_cluster.sum()


@pytest.mark.parametrize("inference", ["mass", "tfce"])
def test_the_table_of_clusters_counts_the_units_that_have_the_number_of_the_cluster(comparison, inference):
    table, units = ts.selective_clusters(comparison, permutations=39, inference=inference)
    assert table["n_units"].tolist() == [(units["cluster"] == number).sum() for number in table["cluster"]]
    assert table["n_units"].iloc[0] >= 3 * 32


def test_labels_of_units_on_a_grid_are_labels(comparison):
    topo = ts.Topography({"s": ts.Sheet(SHAPE, {"tap": np.tile([[0, 0], [0, 1], [1, 0]], (64, 1))}, shared_cells=True)})
    clusters = comparison.t.assign_coords(topo.unit_coordinates()).copy(data=np.arange(192) % 2 * 3)
    assert set(topo.to_grid(clusters)["s"].values[:2, :2].ravel().tolist()) >= {3.0}
    assert not np.isin(topo.to_grid(clusters)["s"], [1.5, 1.0, 2.0]).any()


def test_the_figure_of_the_network_outlines_numbers_of_clusters_not_their_means(comparison, monkeypatch):
    units = {name: comparison.t[name].values for name in ("sheet", "y", "x")}
    table = pd.DataFrame(units | {"model": "m", "cluster": np.arange(192) // 64})  # 0, 1 and 2 in each cell
    results = {NETWORK_UNITS: table, PROFILES_OF_MODELS: pd.DataFrame({"model": ["m"]})}
    maps = comparison_maps(comparison, {"s": SHAPE}).expand_dims(model=["m"])
    analysis = SimpleNamespace(results=_Results(results, maps), facts={"language": "a:b"}, names=["m"])
    monkeypatch.setattr(network, "network_figure", lambda t, clusters, *_: clusters["m"])
    assert (network._figure(analysis) == 2).all()


class _Results(dict):
    """Tables of results, with the maps beside them."""

    def __init__(self, tables, maps):
        super().__init__(tables)
        self.maps = maps
