import pandas as pd

from toposheet.report.same_splits import same_splits_as_one


def statistics(values):
    """Raw statistics of two taps and two models: {(contrast, control): a value}."""
    return pd.DataFrame(
        [
            {"contrast": contrast, "negative_control": control, "model": model, "tap": tap, "fwhm_mm": 0.0,
             "statistic": statistic, "value": value + len(model) + n}
            for (contrast, control), value in values.items()
            for model in ("one", "other")
            for n, tap in enumerate(("a", "b"))
            for statistic in ("morans_i", "cross_half_i", "significant_fraction")
        ]
    )  # fmt: skip


def test_controls_that_are_the_same_split_are_one_row_named_after_all_of_them():
    values = {
        ("words", ""): 0.5, ("words", "random-labels"): 0.1, ("words", "word-frequency"): 0.2, ("words", "length"): 0.2,
        ("things", ""): 0.5, ("things", "random-labels"): 0.1, ("things", "length"): 0.3,
    }  # fmt: skip
    rows = statistics(values)
    table = rows[rows["statistic"].eq("morans_i") & rows["tap"].eq("a")]
    shown = same_splits_as_one(table, rows)
    assert list(zip(shown["contrast"], shown["negative_control"], shown["model"], strict=True)) == [
        (contrast, control, model)
        for contrast, control in [
            ("words", ""),
            ("words and things", "random-labels"),
            ("words", "word-frequency and length"),
            ("things", ""),
            ("things", "length"),
        ]
        for model in ("one", "other")
    ]


def test_contrasts_themselves_and_tables_without_controls_stay_as_they_are():
    rows = statistics({("a", ""): 0.5, ("b", ""): 0.5})
    pd.testing.assert_frame_equal(same_splits_as_one(rows, rows), rows)
