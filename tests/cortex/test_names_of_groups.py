"""A group may be called as somebody likes; only a stimulus without a name is alone."""

import numpy as np
import pandas as pd
import pytest

from toposheet.cortex.design import dependent_stimuli


def stimuli(values):
    return pd.DataFrame({"g": values})


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
