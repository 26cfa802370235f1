import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection

from toposheet.figures.network import network_figure


def profile(responses):
    """The rows of `cortex.profiles`: {group: its responses to N, J, W, S}; intervals are skewed."""
    return pd.DataFrame(
        [
            {"cluster": group, "n_units": 12, "condition": c, "response": r, "low": r - 0.1, "high": r + 0.3}
            for group, group_responses in responses.items()
            for c, r in zip("NJWS", group_responses, strict=True)
        ],
        columns=["cluster", "n_units", "condition", "response", "low", "high"],
    )


@pytest.fixture
def figure():
    t = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 2, 4, 4)),
        dims=("model", "sheet", "y", "x"),
        coords={"model": ["one", "two"], "sheet": ["h.0.mlp", "h.1.mlp"]},
    )
    clusters = {name: xr.zeros_like(t.isel(model=0, drop=True)) for name in ("one", "two")}
    clusters["one"].loc["h.1.mlp"][0, 0] = 1
    clusters["one"].loc["h.1.mlp"][0, 1] = 2
    first_profile = profile({"network": [0.2, 0.4, 0.6, 0.8], "1": [0.1, 0.2, 0.3, 1.9]})
    return network_figure(t, clusters, {"one": first_profile, "two": profile({})}, "S:N", "network")


def test_profiles_are_bars_with_the_interval_of_each_condition_and_a_line_for_each_cluster(figure):
    (axes,) = [axes for axes in figure.axes if axes.containers]
    assert [label.get_text().replace("\n", " ") for label in axes.get_xticklabels()] == [
        "sentences", "word lists", "Jabber- wocky", "non-words"]  # fmt: skip
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    (intervals,) = [c for c in axes.collections if isinstance(c, LineCollection)]
    ends = np.array([segment[:, 1] for segment in intervals.get_segments()])
    np.testing.assert_allclose(ends, [[0.7, 1.1], [0.5, 0.9], [0.3, 0.7], [0.1, 0.5]])
    (line,) = [line for line in axes.lines if len(line.get_ydata()) == 4 and line.get_linestyle() == "-"]
    assert line.get_ydata().tolist() == [1.9, 0.3, 0.2, 0.1]
    assert axes.get_ylim()[1] > 1.9


def test_a_model_without_clusters_says_so(figure):
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no cluster"]


def test_clusters_are_outlined_on_the_sheet_of_their_model_also_where_they_touch(figure):
    maps = [axes for axes in figure.axes if axes.images]
    outlines = [sum(len(c.get_segments()) for c in axes.collections) for axes in maps]
    assert outlines == [0, 7, 0, 0]  # two cells side by side: six edges around, one between
