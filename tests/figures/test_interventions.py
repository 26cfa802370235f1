"""Figures of interventions."""

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from toposheet.figures.interventions import effects_figure


def test_the_bars_of_the_draws_are_inside_the_axes_and_the_model_is_named():
    rows = [("", 0.5, 0.4, 0.6, np.nan, np.nan), ("scattered", 0.0, -0.1, 0.1, 0.0, 3.0)]
    table = pd.DataFrame(rows, columns=["control", "change", "change_low", "change_high", "null_mean", "null_sd"])
    figure = effects_figure(table.assign(model="my model", measure="blimp", region="a disc", act="lesion to zero"))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    (bar,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
    assert low < bar.get_x() == -6.0
    assert high > bar.get_x() + bar.get_width() == 6.0
    assert "my model: lesion to zero" in figure.get_suptitle()
