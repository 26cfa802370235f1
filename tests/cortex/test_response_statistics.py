import numpy as np
import pytest
from tests.cortex.planted import SIDE, cortex, responses

import toposheet as ts
from toposheet.cortex.response_statistics import RESPONSES


def test_responses_have_statistics_whatever_their_conditions():
    data = responses(cortex(), smooth=3.0)
    table = ts.response_statistics(data, permutations=19)
    assert list(table) == list(RESPONSES.columns)
    assert table["statistic"].unique().tolist() == ["participation_ratio", "smoothness_mm", "wiring_mm"]
    assert table["tap"].tolist() == ["tap0", "tap1", "*"] * 3
    assert (table["fwhm_mm"] == 0).all()
    other = data.assign_coords(condition=("stimulus", ["x"] * 80))
    assert ts.response_statistics(other, permutations=19).equals(table)


def test_smooth_responses_are_wired_shorter_than_chance_and_dimensions_know_no_places():
    rows = ts.response_statistics(responses(cortex(), smooth=3.0), permutations=19).set_index(["statistic", "tap"])
    assert (rows.loc["wiring_mm", "p"] == 0.05).all()
    assert (rows.loc["smoothness_mm", "p"] == 0.05).all()
    assert rows.loc["participation_ratio", ["null_mean", "p", "label_p"]].isna().all(axis=None)
    assert rows["label_p"].isna().all()


@pytest.mark.parametrize("fwhm", [0.0, 3.0])
def test_the_correlation_by_distance_is_the_mean_over_all_pairs_at_that_distance(fwhm):
    data = responses(cortex(1), smooth=fwhm, n=20)
    curve = ts.correlation_curve(data, permutations=9).set_index("distance_mm")
    r = np.corrcoef(data.values.T.astype(float))
    place = np.stack([data["y"].values, data["x"].values], axis=1)
    steps = place[:, None] - place[None]
    rounded = np.round(np.hypot(steps[..., 0], steps[..., 1]))
    for distance in (1.0, 2.0, 5.0):
        pairs = np.triu(rounded == distance, 1)
        assert curve.loc[distance, "r"] == pytest.approx(r[pairs].mean(), abs=1e-4)
    assert len(np.unique(place, axis=0)) == SIDE**2
