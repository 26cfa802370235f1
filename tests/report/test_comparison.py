import numpy as np
import pandas as pd
import pytest

from toposheet.figures.comparison import comparison
from toposheet.report.comparison import COMPARED, compared, grouped


def statistics(values):
    """A table of `topography_statistics`: {model: values of its taps}."""
    rows = [
        {
            "model": model,
            "contrast": "a:b",
            "fwhm_mm": 0.0,
            "statistic": name,
            "tap": f"tap{i}",
            "value": value,
            "null_mean": 0.01,
        }
        for model, of_taps in values.items()
        for name in COMPARED
        for i, value in enumerate([*of_taps])
    ]
    return pd.DataFrame([*rows, *({**row, "tap": "*", "value": 99.0} for row in rows[:1])])


def test_a_group_has_the_mean_of_its_models_and_an_interval_between_them():
    table = compared(
        statistics({"x/0": [0.7, 0.9], "x/1": [0.5, 0.7], "y": [0.1, 0.1]}), {"x": ["x/0", "x/1"], "y": ["y"]}
    )
    rows = table[table["statistic"] == "morans_i"].set_index("group")
    assert rows.loc["x", "value"] == pytest.approx(0.7)
    assert rows.loc["x", ["n_models", "n_taps"]].tolist() == [2, 4]
    assert 0.49 <= rows.loc["x", "low"] < 0.7 < rows.loc["x", "high"] <= 0.91
    assert np.isnan(rows.loc["x", "difference"])
    assert rows.loc["y", "difference"] == pytest.approx(-0.6)
    assert rows.loc["y", "difference_high"] < 0
    comparison(table, COMPARED)


def test_taps_without_a_value_are_left_out_and_a_group_without_any_is_empty():
    table = compared(statistics({"x": [0.5, np.nan], "y": [np.nan, np.nan]}), {"x": ["x"], "y": ["y"]})
    rows = table[table["statistic"] == "cross_half_i"].set_index("group")
    assert rows.loc["x", "n_taps"] == 1
    assert rows.loc["x", "value"] == 0.5
    assert rows.loc["y", "n_models"] == 0
    assert np.isnan(rows.loc["y", "value"])
    comparison(table, COMPARED)


def test_models_are_grouped_by_what_stands_before_the_sign():
    groups = grouped(["runs/a", "topo=runs/s0", "topo=runs/s1"])
    assert groups == {"a": {"a": "runs/a"}, "topo": {"topo/0": "runs/s0", "topo/1": "runs/s1"}}
