import pandas as pd
import pytest

from toposheet.figures.curves import correlation_curves, loss_curves, noise_curves, trajectory


def band(collection):
    """The upper and lower end of a band by what is on the horizontal axis."""
    corners = collection.get_paths()[0].vertices
    return {x: (corners[corners[:, 0] == x, 1].min(), corners[corners[:, 0] == x, 1].max()) for x in corners[:, 0]}


def test_a_trajectory_has_means_over_taps_and_the_band_of_the_mean_of_each_model():
    columns = {"null_mean": 0.1, "null_sd": 0.25, "cross_half_i": 0.1, "significant_fraction": 0.5}
    columns |= {"label_null_mean": [0.2, 0.4]}
    one = pd.DataFrame({"morans_i": [0.2, 0.7], **columns}, index=[0, 64])
    figure = trajectory({"one": one, "two": one.assign(null_sd=0.025)}, 0.01)
    assert figure.axes[2].get_title() == "Fraction of units with q < 0.01"
    first = figure.axes[0]
    lines = {style: [line for line in first.lines[:4] if line.get_linestyle() == style] for style in ("-", ":")}
    assert [line.get_ydata().tolist() for line in lines["-"]] == [[pytest.approx(0.2), pytest.approx(0.7)]] * 2
    assert [line.get_ydata().tolist() for line in lines[":"]] == [[pytest.approx(0.2), pytest.approx(0.4)]] * 2
    wide, narrow = map(band, first.collections)
    for ends, sd in ((wide, 0.25), (narrow, 0.025)):
        assert ends[64] == pytest.approx((0.1 - 2 * sd, 0.1 + 2 * sd))
    assert not [collection for axes in figure.axes[1:] for collection in axes.collections]
    figure.draw_without_rendering()
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "1", "10"]
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["one", "two"]


def test_the_band_of_r_by_distance_is_that_of_the_mean_over_taps():
    means = pd.DataFrame({"r": [0.5, 0.2], "null_mean": 0.0, "null_sd": [0.25, 0.5]}, index=[1.0, 2.0])
    axes = correlation_curves({"one": means}).axes[0]
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.5, 0.2])
    ends = band(axes.collections[0])
    assert ends[1.0] == pytest.approx((-0.5, 0.5))
    assert ends[2.0] == pytest.approx((-1.0, 1.0))


def test_a_model_whose_name_begins_with_an_underscore_is_in_the_legends():
    curve = pd.DataFrame({"r": [0.5, 0.1], "null_mean": 0.0, "null_sd": 0.1}, index=[1.0, 2.0])
    metrics = pd.DataFrame({"update": [1, 2], "task_loss": [2.0, 1.0], "spatial_loss": [0.5, 0.1]})
    metrics = metrics.assign(validation_task_loss=1.0, validation_spatial_loss=0.2)
    for legend in (
        correlation_curves({"_run": curve}).axes[0].legend_,
        loss_curves({"_run": metrics}, None).axes[0].legend_,
    ):
        assert "_run" in [text.get_text().strip() for text in legend.get_texts()]


def test_noise_has_a_panel_for_each_contrast_with_a_line_for_each_condition_and_model():
    rows = [
        {"contrast": contrast, "model": model, "condition": condition, "distance_mm": mm, "autocorrelation": r / mm}
        for contrast in ("a:b", "c:d", "e - f", "g:h", "i:j")
        for model, r in (("one", 0.5), ("two", 0.3))
        for condition in ((contrast,) if "-" in contrast else contrast.split(":"))
        for mm in (1.0, 2.0)
    ]
    figure = noise_curves(pd.DataFrame(rows))
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == ["a:b", "c:d", "e - f", "g:h", "i:j"]
    lines = panels[0].lines[:4]
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 2
    assert [line.get_ydata().tolist() for line in lines[1:3]] == [[0.5, 0.25], [0.3, 0.15]]
    assert len(panels[2].lines) == 3
    assert [text.get_text() for text in panels[0].legend_.get_texts()] == ["one", "two"]
    figure.draw_without_rendering()
