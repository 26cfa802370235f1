import numpy as np
import pandas as pd
import pytest
from scipy import stats

from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.errors import UserError
from toposheet.figures.groups import group_intervals
from toposheet.figures.style import LABEL, PLACE
from toposheet.report.analysis import Analysis
from toposheet.report.groups import COMPARED, SideBySide, group_statistics, side_by_side
from toposheet.report.models import StudiedModel, grouped
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.results import Results


def statistics(values):
    """A table of `topography_statistics`: {model: values of its taps}."""
    rows = [
        {
            "model": model,
            "contrast": "a:b",
            "negative_control": "",
            "fwhm_mm": 0.0,
            "statistic": name,
            "tap": f"tap{i}",
            "value": value,
            "null_mean": 0.01,
            "label_null_mean": 0.4,
        }
        for model, tap_values in values.items()
        for name in COMPARED
        for i, value in enumerate([*tap_values])
    ]
    return pd.DataFrame([*rows, *({**row, "tap": "*", "value": 99.0} for row in rows[:1])])


def test_a_group_has_the_mean_of_its_models_and_an_interval_between_them():
    table = group_statistics(
        statistics({"x/0": [0.7, 0.9], "x/1": [0.5, 0.7], "y": [0.1, 0.1]}), {"x": ["x/0", "x/1"], "y": ["y"]}
    )
    rows = table[table["statistic"] == "morans_i"].set_index("group")
    assert rows.loc["x", "value"] == pytest.approx(0.7)
    assert rows.loc["x", ["n_models", "n_taps"]].tolist() == [2, 4]
    # Two models with means 0.8 and 0.6: the sd of their mean is 0.1, and t of one degree of freedom is 12.7.
    assert rows.loc["x", ["low", "high"]].tolist() == pytest.approx([0.7 - 1.27062, 0.7 + 1.27062], abs=1e-5)
    assert np.isnan(rows.loc["x", "difference"])
    assert rows.loc["y", "difference"] == pytest.approx(-0.6)
    # One model does not show how models differ.
    assert rows.loc["y", ["low", "high", "difference_low", "difference_high"]].isna().all()
    group_intervals(table, COMPARED)


def test_an_interval_is_over_the_means_of_models_and_does_not_depend_on_how_taps_differ(rng):
    # benchmarks/calibration.py shows that such intervals cover the truth.
    seeds, taps = rng.normal(size=(7, 12)), 100 * rng.normal(size=12)
    means = seeds.mean(axis=1)
    for offset in (0.0, taps):
        table = group_statistics(
            statistics({f"m{number}": values + offset for number, values in enumerate(seeds)}),
            {"x": ["m0", "m1", "m2"], "y": ["m3", "m4", "m5", "m6"]},
        )
        first, second = table[table["statistic"] == "morans_i"].to_dict("records")
        expected = stats.ttest_1samp(means[:3] + np.mean(offset), 0).confidence_interval(0.95)
        assert (first["low"], first["high"]) == pytest.approx((expected.low, expected.high))
        expected = stats.ttest_ind(means[3:], means[:3], equal_var=False).confidence_interval(0.95)
        assert (second["difference_low"], second["difference_high"]) == pytest.approx((expected.low, expected.high))


SEEDS = {"x": [0.50, 0.52, 0.49], "near": [0.51, 0.50, 0.53], "far": [0.9, 0.5, 0.7], "one": [0.5]}


def test_groups_are_equivalent_if_both_one_sided_tests_reject_a_difference_as_large_as_the_margin():
    groups = {group: [f"{group}/{n}" for n in range(len(values))] for group, values in SEEDS.items()}
    values = statistics({f"{group}/{n}": [value] for group in SEEDS for n, value in enumerate(SEEDS[group])})
    for margin in (0.02, 0.04, 0.08, 0.5):
        table = group_statistics(values, groups, margin=margin)
        rows = table[table["statistic"] == "morans_i"].set_index("group")
        assert rows["equivalent"]["x"] == ""
        assert rows["equivalent"]["one"] == "not testable"
        for group in ("near", "far"):
            larger, smaller = (
                stats.ttest_ind(np.add(SEEDS[group], sign * margin), SEEDS["x"], equal_var=False, alternative=side)
                for sign, side in ((1, "greater"), (-1, "less"))
            )
            both = max(larger.pvalue, smaller.pvalue) < 0.05
            assert rows["equivalent"][group] == ("equivalent" if both else "not shown"), (margin, group)
            interval = rows.loc[group, ["difference_low_90", "difference_high_90"]].tolist()
            expected = stats.ttest_ind(SEEDS[group], SEEDS["x"], equal_var=False).confidence_interval(0.9)
            assert interval == pytest.approx([expected.low, expected.high])
    assert set(rows["equivalent"]) == {"", "equivalent", "not shown", "not testable"}


def test_equivalence_is_said_only_within_a_margin_that_was_given(monkeypatch):
    monkeypatch.setattr("toposheet.report.groups.verdict_lines", lambda *_: [])
    monkeypatch.setattr(SideBySide, "negative_controls", [])
    groups = {group: [f"{group}/{n}" for n in range(len(values))] for group, values in SEEDS.items()}
    values = statistics({f"{group}/{n}": [value] for group in SEEDS for n, value in enumerate(SEEDS[group])})
    results = Results({STATISTICS_OF_MODELS: values})
    models = [StudiedModel(name, name, group=group) for group, names in groups.items() for name in names]
    compared = side_by_side(Analysis(results, models), margin=0.08)
    pd.testing.assert_frame_equal(compared.table, group_statistics(values, groups, margin=0.08))
    table = group_statistics(values, groups)
    assert table["equivalent"].eq("").all()
    assert table["margin"].isna().all()
    assert "equivalen" not in str(SideBySide(table, groups, Analysis(results, models)))
    printed = str(compared).splitlines()
    assert "Moran's I, raw: near and x are equivalent within ±0.08 (90 % of the difference: -0.02 to 0.04)" in printed
    assert any(
        line.startswith("Moran's I, raw: far and x are not shown to be equivalent within ±0.08") for line in printed
    )
    assert any(line.startswith("Moran's I, raw: one and x cannot be tested for equivalence") for line in printed)
    for margin in (0.0, -0.1, np.nan, np.inf):
        with pytest.raises(UserError, match="it must be a finite number above 0"):
            group_statistics(values, groups, margin=margin)


def test_taps_without_a_value_are_left_out_and_a_group_without_any_is_empty():
    table = group_statistics(statistics({"x": [0.5, np.nan], "y": [np.nan, np.nan]}), {"x": ["x"], "y": ["y"]})
    rows = table[table["statistic"] == "cross_half_i"].set_index("group")
    assert rows.loc["x", "n_taps"] == 1
    assert rows.loc["x", "value"] == 0.5
    assert rows.loc["y", "n_models"] == 0
    assert np.isnan(rows.loc["y", "value"])
    group_intervals(table, COMPARED)


def test_a_tap_without_a_value_in_one_model_counts_in_no_model():
    values = statistics({"x": [0.5, np.nan], "y": [0.2, 0.9]})
    table = group_statistics(values, {"x": ["x"], "y": ["y"]})
    rows = table[table["statistic"] == "cross_half_i"].set_index("group")
    assert rows["n_taps"].tolist() == [1, 1]
    assert rows["value"].tolist() == [0.5, 0.2]
    assert rows.loc["y", "difference"] == pytest.approx(-0.3)


def test_each_statistic_stands_beside_its_nulls_in_table_and_figure():
    values = statistics({"x": [0.5, 0.7], "y": [0.1, 0.1]})
    values.loc[values["model"] == "y", ["null_mean", "label_null_mean"]] = 0.02, 0.3
    table = group_statistics(values, {"x": ["x"], "y": ["y"], "z": ["z"]})
    for axes, statistic in zip(group_intervals(table, COMPARED).axes, COMPARED, strict=True):
        rows = table[table["statistic"] == statistic]
        place = [0.01, 0.02] if statistic == "morans_i" else [np.nan, np.nan]
        assert rows["null_mean"].tolist()[:2] == pytest.approx(place, nan_ok=True)
        assert rows["label_null_mean"].tolist()[:2] == pytest.approx([0.4, 0.3])
        marks = [line for line in axes.lines if line.get_marker() == "|"]
        for shade, means in ((PLACE, place), (LABEL, [0.4, 0.3])):
            drawn = [line.get_xdata()[0] for line in marks if line.get_color() == shade]
            assert drawn[:2] == pytest.approx(means, nan_ok=True)
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_ydata()[0] for line in dots] == [line.get_ydata()[0] for line in marks[::2]]


def test_negative_controls_stand_beside_the_contrast_they_belong_to():
    values = statistics({"x/0": [0.5, 0.7], "x/1": [0.3], "y": [0.1, 0.1]})
    dealt = values.assign(negative_control="random-labels", value=values["value"] - 0.2)
    other = values.assign(contrast="c:d")
    longer = other.assign(negative_control="length", value=0.9)
    table = group_statistics(pd.concat([values, dealt, other, longer]), {"x": ["x/0", "x/1"], "y": ["y"]})
    assert table["contrast"].unique().tolist() == ["a:b", "c:d"]
    assert table["random-labels"].dropna().tolist() == pytest.approx([0.25, -0.1] * 3)  # the mean of each model's mean
    assert table.set_index("contrast").loc["a:b", "length"].isna().all()
    assert table.set_index("contrast").loc["c:d", "length"].eq(0.9).all()
    panels = group_intervals(table, COMPARED, [*NEGATIVE_CONTROLS]).axes
    hollow = [line for axes in panels for line in axes.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata()[0] for line in hollow if line.get_marker() == "o"] == pytest.approx([0.25, -0.1] * 3)
    assert [line.get_xdata()[1] for line in hollow if line.get_marker() == "s"] == [0.9] * 6


def test_models_are_grouped_by_what_stands_before_the_sign():
    models = grouped(["runs/a", "topo=runs/s0", "topo=runs/s1"])
    assert [(model.group, model.name, model.source) for model in models] == [
        ("a", "a", "runs/a"),
        ("topo", "topo/0", "runs/s0"),
        ("topo", "topo/1", "runs/s1"),
    ]


def test_the_order_of_the_rows_does_not_matter():
    values = statistics({"x/0": [0.7, 0.9], "x/1": [0.5, 0.7], "y": [0.1, 0.2]})
    groups = {"x": ["x/0", "x/1"], "y": ["y"]}
    other = values.sort_values("statistic", ascending=False, kind="stable")
    pd.testing.assert_frame_equal(group_statistics(values, groups), group_statistics(other, groups))


def test_a_group_is_named_whatever_its_name_looks_like():
    groups = {model.group: [model.name] for model in grouped(["007", "nan"])}
    table = group_statistics(statistics({"007": [0.5, 0.7], "nan": [0.1, 0.1]}), groups)
    assert table["group"].unique().tolist() == ["007", "nan"]


def test_no_model_and_one_given_twice_are_refused():
    for models, words in (
        ([], "nothing to compare"),
        (["a", "a"], "a is given twice"),
        (["a="], "has no group or no model"),
    ):
        with pytest.raises(UserError, match=words):
            grouped(models)
