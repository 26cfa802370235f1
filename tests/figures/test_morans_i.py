import numpy as np
import pandas as pd
import pytest

from toposheet.figures.morans_i import morans_i_bars, morans_i_marks
from toposheet.figures.style import LABEL, PLACE


def test_models_of_different_architectures_have_their_own_taps_each_at_its_layer(tables):
    one = tables(models=("one",), layers=3, kinds=("attn", "mlp"))
    one = one[one["tap"] != "transformer.h.0.mlp"]
    two = tables(models=("two",), layers=2, kinds=("self_attn",))
    figure = morans_i_marks(pd.concat([one, two]))
    assert len(figure.axes) == 4
    for axes, (table, fwhm) in zip(figure.axes, [(one, 0.0), (one, 2.0), (two, 0.0), (two, 2.0)], strict=True):
        rows = table[table["fwhm_mm"] == fwhm].set_index("tap")
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"][: 3 if table is one else 2]
        drawn = {}
        for line in axes.lines:
            if line.get_linestyle() == "None":
                for x, y in line.get_xydata():
                    drawn[f"transformer.h.{round(x)}.{line.get_label()}"] = y
        assert drawn == pytest.approx(rows["morans_i"].to_dict())
        assert f"{table['model'].iloc[0]}\n" in axes.get_ylabel()
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["attn", "mlp", "self_attn", "place-null ± 2 sd", "label-null ± 2 sd"]


def test_bars_are_means_and_carry_both_nulls(tables):
    taps = tables(layers=2, contrasts=("a:b", "c:d")).rename(columns={"morans_i": "value"})
    keys = ["model", "contrast", "fwhm_mm"]
    whole = taps.groupby(keys, sort=False).mean(numeric_only=True).reset_index().assign(tap="*")
    statistics = pd.concat([taps, whole]).assign(statistic="morans_i", negative_control="")
    figure = morans_i_bars(statistics, ["c:d", "a:b"], "*")
    whole = whole.set_index(keys)
    for axes, fwhm in zip(figure.axes, (0.0, 2.0), strict=True):
        order = [(model, contrast, fwhm) for model in ("topographic", "control") for contrast in ("c:d", "a:b")]
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(whole.loc[order, "value"].tolist())
        place, label = axes.collections[:2]  # of the first model
        for lines, prefix in ((place, ""), (label, "label_")):
            mean, sd = whole.loc[order[:2], f"{prefix}null_mean"], whole.loc[order[:2], f"{prefix}null_sd"]
            ends = np.array([segment[:, 1] for segment in lines.get_segments()])
            np.testing.assert_allclose(ends, np.stack([mean - 2 * sd, mean + 2 * sd], axis=1))
    legend = figure.legends[0]
    words = dict(zip([text.get_text() for text in legend.get_texts()], legend.legend_handles, strict=True))
    assert list(words) == ["topographic", "control", "one tap", "place-null ± 2 sd", "label-null ± 2 sd"]
    assert [words[f"{name}-null ± 2 sd"].get_color() for name in ("place", "label")] == [PLACE, LABEL]


def test_bars_of_negative_controls_are_not_drawn_but_fit_the_axes(tables):
    taps = tables(models=("one",), layers=2, contrasts=("a:b",)).rename(columns={"morans_i": "value"})
    whole = taps.iloc[:1].assign(tap="*")
    statistics = pd.concat([taps, whole, whole.assign(fwhm_mm=2.0)]).assign(statistic="morans_i")
    beside = pd.concat([statistics, statistics.assign(negative_control="length", value=0.9)])
    alone, together = (morans_i_bars(table, ["a:b"], "*") for table in (statistics, beside))
    for axes, others in zip(alone.axes, together.axes, strict=True):
        assert [bar.get_height() for bar in others.patches] == [bar.get_height() for bar in axes.patches]
        assert axes.get_ylim()[1] < 0.9 < others.get_ylim()[1]
