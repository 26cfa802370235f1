import numpy as np
import pytest
from tests.cortex.planted import cortex, responses

import toposheet as ts
from toposheet.cortex import consistency, cross_validated


def one_cluster(data):
    return data.isel(stimulus=0, drop=True).copy(data=np.ones(data.sizes["unit"], dtype=int))


def of(data):
    return ts.Comparison(data, "a", "b")


@pytest.mark.parametrize(
    ("analysis", "needed"),
    [
        (lambda data: ts.map_statistics(of(data), permutations=3), "condition tap sheet y x spacing_mm"),
        (lambda data: ts.selective_clusters(of(data), permutations=3), "condition tap sheet y x spacing_mm"),
        (lambda data: cross_validated(of(data)), "condition tap sheet y x"),
        (lambda data: ts.negative_controls(of(data)), "condition"),
        (lambda data: ts.profiles(data, one_cluster(data)), "condition tap"),
        (lambda data: consistency(data, one_cluster(data), permutations=3), "condition tap"),
        (lambda data: ts.response_statistics(data, permutations=3), "tap sheet y x spacing_mm"),
        (lambda data: ts.correlation_curve(data, permutations=3), "tap sheet y x spacing_mm"),
        (lambda data: of(data).readout(), "tap sheet y x spacing_mm"),
    ],
)
def test_responses_that_lack_a_coordinate_are_refused_by_its_name(analysis, needed):
    for name in needed.split():
        with pytest.raises(ValueError, match=f"no coordinate '{name}'; they have: "):
            analysis(responses(cortex()).drop_vars(name))


def test_a_contrast_of_responses_without_conditions_says_what_they_have():
    data = responses(cortex())
    with pytest.raises(ValueError, match="no coordinate 'condition'; they have: tap, sheet, y, x, spacing_mm"):
        of(data.drop_vars("condition"))
    for confound, column in (("length", "text"), ("frequency", "text"), ("tokens", "n_tokens")):
        with pytest.raises(ValueError, match=f"the stimulus set has no column '{column}'; it has: condition"):
            ts.Comparison(data, "a", "b", confounds=[confound])
