import numpy as np
import pandas as pd
import pytest

from toposheet.figures.frontier import frontier_curves
from toposheet.figures.style import colour

TITLES = {"organisation": "Organisation", "cross_half_i": "Cross-half I"}
RUNS = [  # method, setting, strength, task loss, organisation, p
    ("control", "", 0.0, 5.0, 0.0, 0.5),
    ("topoloss", "", 10.0, 5.3, 0.6, 0.01),
    ("topoloss", "", 1.0, 5.1, 0.2, 0.2),
    ("topoloss", "", 3.0, 5.1, 0.3, 0.01),
    ("topoloss", "", 3.0, 5.3, 0.4, 0.05),
    ("topoloss", "", 3.0, 5.2, 0.5, 0.06),
    ("topoformer", "heads 1", 3.0, 4.9, 0.3, np.nan),
]


@pytest.fixture
def table():
    columns = ["method", "setting", "strength", "task_loss", "organisation", "p"]
    rows = pd.DataFrame(RUNS, columns=columns)
    return rows.assign(cross_half_i=rows["organisation"] / 2, is_control=rows["method"] == "control", contrast="a:b")


@pytest.fixture
def panels(table):
    return frontier_curves(table, TITLES, 0.05).axes


def marks(axes, size):
    """Return the marks of a size: {(x, y): whether it is filled}, with y rounded."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_markersize() == size]
    return {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6)): line.get_markerfacecolor()
        != "white"
        for line in lines
    }


def test_each_setting_has_a_mark_that_is_filled_if_the_effect_is_ordered_in_all_its_models(panels):
    assert marks(panels[0], 5) == {
        (5.0, 0.0): False,
        (5.3, 0.6): True,
        (5.1, 0.2): False,
        (5.2, 0.4): False,  # the mean of three seeds, of which one is not shown to be ordered
        (4.9, 0.3): False,  # not tested
    }


def test_the_seeds_of_a_setting_are_small_marks_with_their_range(panels):
    assert marks(panels[0], 2.8) == {(5.1, 0.3): True, (5.3, 0.4): True, (5.2, 0.5): False}
    across, up = (collection.get_segments()[0].tolist() for collection in panels[0].collections)
    assert np.allclose(across, [[5.1, 0.4], [5.3, 0.4]])
    assert np.allclose(up, [[5.2, 0.3], [5.2, 0.5]])


def test_a_line_joins_the_settings_of_a_method_in_order_of_strength(panels):
    lines = [line for line in panels[1].lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 3]
    (line,) = lines
    np.testing.assert_allclose(line.get_xdata(), [5.1, 5.2, 5.3])
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.2, 0.3])


def test_panels_name_what_they_show_numbers_are_strengths_and_controls_have_a_line_at_their_task_loss_instead(panels):
    assert panels[0].get_ylabel() == "raw map of a:b"
    for axes, title in zip(panels, TITLES.values(), strict=True):
        assert axes.get_title() == title
        assert "nats per token" in axes.get_xlabel()
        assert [text.get_text() for text in axes.texts] == ["1", "3", "10", "3"]
        dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert [line.get_xdata()[0] for line in dotted] == [5.0]


def test_methods_and_settings_have_keys_and_controls_alone_are_grey(table):
    table = pd.concat([table, table.iloc[:1].assign(setting="heads 1")])
    (legend,) = frontier_curves(table, TITLES, 0.05).legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:4] == ["control", "topoloss", "topoformer (heads 1)", "control (heads 1)"]
    assert labels[4:] == [
        "effect ordered (p ≤ 0.05)",
        "not shown to be ordered",
        "one seed (bars: range)",
        "number: alpha, or radius of a mechanism",
    ]
    shades, markers = zip(*((h.get_color(), h.get_marker()) for h in legend.legend_handles[:4]), strict=True)
    assert [shade == colour(1) for shade in shades] == [True, False, False, True]
    assert len(set(markers)) == 4


def test_without_several_seeds_no_key_speaks_of_seeds(table):
    (legend,) = frontier_curves(table.drop_duplicates(["method", "strength"]), TITLES, 0.05).legends
    assert not [text for text in legend.get_texts() if "seed" in text.get_text()]
