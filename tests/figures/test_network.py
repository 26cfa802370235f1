import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from tests.figures.outlines import outlined

from toposheet.figures.network import network_figure

MEASURES = {"absolute": "mean |response|", "signed": "signed response"}


def profile(responses, n_texts=(20, 20, 20, 20)):
    """The rows of `cortex.profiles`: {group: its responses to N, J, W, S}; signed responses are 1 lower."""
    rows = [
        {"measure": measure, "cluster": group, "n_units": 12, "condition": c, "n_texts": n, "n_items": n,
         "response": r - shift, "low": r - shift - 0.1, "high": r - shift + 0.3}
        for measure, shift in (("absolute", 0), ("signed", 1))
        for group, group_responses in responses.items()
        for c, r, n in zip("NJWS", group_responses, n_texts, strict=True)
    ]  # fmt: skip
    columns = ["measure", "cluster", "n_units", "condition", "n_texts", "n_items", "response", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def drawn(first_profile):
    """The figure of two models with two sheets. The second model has no cluster."""
    t = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 2, 4, 4)),
        dims=("model", "sheet", "y", "x"),
        coords={"model": ["one", "two"], "sheet": ["h.0.mlp", "h.1.mlp"]},
    )
    clusters = {name: xr.zeros_like(t.isel(model=0, drop=True)) for name in ("one", "two")}
    clusters["one"].loc["h.1.mlp"][0, 0] = 1
    clusters["one"].loc["h.1.mlp"][0, 1] = 2
    return network_figure(t, clusters, {"one": first_profile, "two": profile({})}, "S:N", "network", MEASURES)


@pytest.fixture
def figure():
    return drawn(profile({"network": [0.2, 0.4, 0.6, 0.8], "1": [0.1, 0.2, 0.3, 1.9]}))


def profile_axes(figure):
    return [axes for axes in figure.axes if axes.containers]


def test_profiles_are_bars_with_the_interval_of_each_condition_and_a_dot_for_each_cluster(figure):
    for axes, shift, label in zip(profile_axes(figure), (0, 1), MEASURES.values(), strict=True):
        assert axes.get_ylabel().replace("\n", " ") == label
        heights = [bar.get_height() for bar in axes.patches]
        assert heights == pytest.approx([0.8 - shift, 0.6 - shift, 0.4 - shift, 0.2 - shift])
        (intervals,) = [c for c in axes.collections if isinstance(c, LineCollection)]
        ends = np.array([segment[:, 1] for segment in intervals.get_segments()])
        np.testing.assert_allclose(ends, np.array([[0.7, 1.1], [0.5, 0.9], [0.3, 0.7], [0.1, 0.5]]) - shift)
        dots = np.concatenate([line.get_ydata() for line in axes.lines if line.get_marker() == "o"])
        assert dots.tolist() == pytest.approx([1.9 - shift, 0.3 - shift, 0.2 - shift, 0.1 - shift])
        assert axes.get_ylim()[1] > 1.9 - shift
        assert axes.get_ylim()[0] < 0.1 - shift
    absolute, signed = profile_axes(figure)
    assert absolute.get_ylim()[0] == 0
    assert [label.get_text().replace("\n", " ") for label in signed.get_xticklabels()] == [
        "sentences", "word lists", "Jabber- wocky", "non-words"]  # fmt: skip
    assert absolute.get_title() == "network of 12 units (bars, 95 % CI),\n1 cluster (dot)"


def test_many_clusters_are_drawn_as_their_median_and_the_range_of_most(rng):
    responses = rng.normal(size=(145, 4))
    figure = drawn(
        profile({"network": [0.2, 0.4, 0.6, 0.8]} | {str(n): list(r) for n, r in enumerate(responses, 1)}, (9, 8, 7, 6))
    )
    axes = profile_axes(figure)[0]
    ranges, medians = [c for c in axes.collections if isinstance(c, LineCollection)][-2:]
    low, median, high = np.percentile(responses[:, ::-1], (10, 50, 90), axis=0)
    np.testing.assert_allclose([s[:, 1] for s in ranges.get_segments()], np.stack([low, high], axis=1))
    np.testing.assert_allclose([s[0, 1] for s in medians.get_segments()], median)
    assert not [line for line in axes.lines if line.get_marker() == "o"]
    assert axes.get_title().endswith("145 clusters (median, 10–90 %)")
    assert profile_axes(figure)[1].get_xlabel() == "6–9 texts of each condition"


def test_a_model_without_clusters_says_so(figure):
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no cluster"] * 2


def test_clusters_are_outlined_on_the_sheet_of_their_model_also_where_they_touch(figure):
    maps = [axes for axes in figure.axes if axes.images]
    assert [len(outlined(axes)) for axes in maps] == [
        0,
        7,
        0,
        0,
    ]  # two cells side by side: six edges around, one between
