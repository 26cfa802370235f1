"""Figures of interventions."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch, Rectangle

from toposheet.figures.interventions import effects_figure
from toposheet.figures.searchlight import searchlight_figure
from toposheet.figures.sheets import is_fine


def test_the_bars_of_the_draws_are_inside_the_axes_and_the_model_is_named():
    rows = [("", 0.5, 0.4, 0.6, np.nan, np.nan), ("scattered", 0.0, -0.1, 0.1, 0.0, 3.0)]
    table = pd.DataFrame(rows, columns=["control", "change", "change_low", "change_high", "null_mean", "null_sd"])
    table = table.assign(model="my model", measure="margin", unit="nats", part="syntax", region="a disc")
    figure = effects_figure(table.assign(act="lesion to zero"))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    (bar,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert low < bar.get_x() == -6.0
    assert high > bar.get_x() + bar.get_width() == 6.0
    assert "my model: lesion to zero" in figure.get_suptitle()
    assert axes.get_xlabel() == "change of margin, syntax (nats)"


@pytest.mark.parametrize(("p", "legend"), [(0.2, "none is lower"), (0.01, "outlined: lower")])
def test_discs_of_a_searchlight_have_full_colours_also_without_a_finding(p, legend):
    rows = pd.DataFrame({"y": [4.0, 4.0, 12.0, 12.0], "x": [4.0, 12.0, 4.0, 12.0], "change": [-0.1, 0.0, 0.1, 0.2]})
    rows = rows.assign(model="my model", measure="blimp", unit="nats", part="all", act="lesion to zero", sheet="mlp")
    table = rows.assign(radius_mm=4.0, draws=39, alternative="less", p_corrected=[p, 1.0, 1.0, 1.0])
    figure = searchlight_figure(table)
    (drawn,) = (axes.images[0] for axes in figure.axes if axes.images)
    assert drawn.get_alpha() in (None, 1.0)
    np.testing.assert_array_equal(drawn.get_array(), [[-0.1, 0.0], [0.1, 0.2]])
    words = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert legend in words
    assert "my model, blimp" in words


def test_discs_that_are_found_are_outlined_also_where_cells_are_small():
    y, x = (places.ravel() for places in np.mgrid[:20, :20])
    rows = pd.DataFrame({"y": y, "x": x, "change": np.linspace(-1, 1, 400), "p_corrected": 1.0})
    rows.loc[30, "p_corrected"] = 0.01
    rows = rows.assign(model="my model", measure="blimp", unit="nats", part="all", act="lesion to zero", radius_mm=1.0)
    rows = rows.assign(draws=39, alternative="less")
    sheets = pd.concat([rows.assign(sheet=f"layers.{n}.{kind}") for n in range(60) for kind in ("attn", "mlp")])
    figure = searchlight_figure(sheets)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 120
    assert all(is_fine((20, 20), axes.get_position().width * figure.get_figwidth()) for axes in maps)
    assert all(any(isinstance(patch, PathPatch) for patch in axes.patches) for axes in maps)
    assert all(axes.images[0].get_alpha() in (None, 1.0) for axes in maps)
