import tracemalloc

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from toposheet.cortex.cluster_responses import cluster_responses


def measured(values, numbers):
    """Responses with any values, and the clusters of their units."""
    n_texts, n_units = values.shape
    units = {"tap": ("unit", np.array(["tap"] * n_units))}
    texts = {"condition": ("stimulus", np.array(["S", "W"] * (n_texts // 2)))}
    responses = xr.DataArray(values, dims=("stimulus", "unit"), coords=units | texts)
    return responses, xr.DataArray(numbers, dims="unit", coords=units)


def test_both_measures_are_those_of_one_unit_after_the_other(rng):
    values = (rng.normal(2, 1, (10, 40)) * rng.uniform(0.1, 9, 40)).astype(np.float32)
    numbers = rng.integers(0, 3, 40)
    result = cluster_responses(*measured(values, numbers))
    assert (result.names, result.taps) == (("1", "2", "network"), ("tap", "tap", "*"))
    for column, members in enumerate((numbers == 1, numbers == 2, numbers > 0)):
        units = [values[:, unit].astype(float) for unit in np.flatnonzero(members)]
        absolute = np.mean([[abs(x) for x in unit] for unit in units], axis=0)
        np.testing.assert_allclose(result.values["absolute"][:, column], absolute)
        signed = np.mean([stats.zscore(unit, ddof=1) for unit in units], axis=0)
        np.testing.assert_allclose(result.values["signed"][:, column], signed, atol=1e-12)
        assert result.n_units["signed"][column] == result.n_units["absolute"][column] == len(units)


@pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (100.0, 0.0), (1.0, -50.0)])
def test_signed_responses_do_not_depend_on_the_unit_of_activations(rng, scale, shift):
    values, numbers = rng.normal(size=(10, 20)), np.repeat([1, 2], 10)
    plain, other = (cluster_responses(*measured(x, numbers)) for x in (values, scale * values + shift))
    np.testing.assert_allclose(plain.values["signed"], other.values["signed"], atol=1e-9)


def test_a_text_alone_has_no_signed_response_and_without_clusters_nothing_has_one(rng):
    values = rng.normal(size=(1, 6))
    units = {"tap": ("unit", np.array(["tap"] * 6))}
    responses = xr.DataArray(values, dims=("stimulus", "unit"), coords=units | {"condition": ("stimulus", ["S"])})
    one = cluster_responses(responses, xr.DataArray(np.ones(6, int), dims="unit", coords=units))
    assert np.isnan(one.values["signed"]).all()
    np.testing.assert_allclose(one.values["absolute"], np.abs(values).mean())
    none = cluster_responses(responses, xr.DataArray(np.zeros(6, int), dims="unit", coords=units))
    assert none.names == ()
    assert none.values["signed"].shape == (1, 0)


def test_memory_does_not_grow_with_the_units_of_a_cluster(rng):
    peaks = []
    for n_units in (2_000, 8_000):
        responses, clusters = measured(rng.normal(size=(200, n_units)).astype(np.float32), np.ones(n_units, int))
        tracemalloc.start()
        cluster_responses(responses, clusters)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 200 * 8_000 * 8
    assert peaks[1] < 1.5 * peaks[0] + 2**20
