import numpy as np
import pandas as pd
import pytest

from toposheet.train.snapshots import means_over_taps

STATISTICS = ("morans_i", "null_mean", "null_sd", "label_null_mean", "cross_half_i", "significant_fraction")


def snapshots(update, tap, null_sd, morans_i=0.5):
    return {
        "update": update,
        "sheet": tap,
        "tap": tap,
        **dict.fromkeys(STATISTICS, 0.25),
        "morans_i": morans_i,
        "null_sd": null_sd,
    }


def test_the_mean_over_taps_of_a_snapshot_is_the_stored_one():
    rows = [snapshots(1, "a", 0.3), snapshots(1, "b", 0.4), snapshots(1, "*", 0.31, morans_i=0.7)]
    means = means_over_taps(pd.DataFrame(rows))
    assert means.loc[1, ["null_sd", "morans_i"]].tolist() == [0.31, 0.7]


def test_without_a_stored_mean_the_band_is_never_too_narrow():
    rng, sd = np.random.default_rng(0), np.array([0.3, 0.4])
    rows = [snapshots(0, "a", sd[0], 0.1), snapshots(0, "b", sd[1], 0.3), snapshots(2, "*", 0.1)]
    means = means_over_taps(pd.DataFrame(rows))
    assert means.index.tolist() == [0, 2]
    assert means.loc[0, "morans_i"] == pytest.approx(0.2)
    for r in (0.0, 0.5, 1.0):  # taps whose draws are independent, alike, the same
        draws = rng.multivariate_normal([0, 0], np.outer(sd, sd) * [[1, r], [r, 1]], 100_000).mean(axis=1)
        assert draws.std() < means.loc[0, "null_sd"] * 1.01
    assert means.loc[0, "null_sd"] == pytest.approx(draws.std(), rel=0.01)
