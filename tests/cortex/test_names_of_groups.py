"""A group may be called as somebody likes; only a stimulus without a name is alone."""

import numpy as np
import pytest
import xarray as xr

from toposheet.cortex.design import dependent_stimuli


def stimuli(values):
    return xr.DataArray(np.zeros((len(values), 1)), dims=("stimulus", "unit"), coords={"g": ("stimulus", values)})


@pytest.mark.parametrize("name", ["nan", "None", "NA", "0", "-"])
def test_a_name_is_a_name_whatever_it_looks_like(name):
    values = np.array([name, "b", name, "b"], dtype=object)
    first, second, third, fourth = dependent_stimuli(stimuli(values), "g")
    assert first == third
    assert second == fourth != first


@pytest.mark.parametrize("missing", ["", " ", np.nan, None])
def test_a_stimulus_without_a_name_belongs_to_no_other(missing):
    values = np.array([missing, "b", missing, "b"], dtype=object)
    first, second, third, fourth = dependent_stimuli(stimuli(values), "g")
    assert len({first, second, third}) == 3
    assert second == fourth


@pytest.mark.parametrize(("missing", "named"), [("", " alone {}"), (np.nan, "nan alone {}")])
def test_stimuli_without_a_name_are_numbered_where_their_own_would_stand(missing, named):
    # The numbers decide the order in which labels are drawn.
    rng = np.random.default_rng(0)
    values = np.array([missing if rng.random() < 0.4 else str(rng.integers(4)) for _ in range(30)], dtype=object)
    blank = [value is missing or value == "" for value in values]
    names = [named.format(n) if blank[n] else values[n] for n in range(30)]
    expected = np.unique(names, return_inverse=True)[1]
    np.testing.assert_array_equal(dependent_stimuli(stimuli(values), "g"), expected)
