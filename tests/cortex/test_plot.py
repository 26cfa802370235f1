import numpy as np
import pytest
from matplotlib.text import Text
from tests.cortex.planted import compared, cortex
from tests.figures.outlines import outlined

import toposheet as ts


def drawn_grids(figure):
    """The values of the drawn maps from left to right, each with row 0 at the top and column 0 at the left."""
    grids = []
    for axes in sorted(figure.axes, key=lambda axes: axes.get_position().x0):
        for image in axes.images:
            assert image.get_extent() == [-0.5, 11.5, 11.5, -0.5]
            assert axes.get_xlim()[0] < axes.get_xlim()[1]
            assert axes.get_ylim()[0] > axes.get_ylim()[1]
            grids.append(np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan))
    return grids


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_a_comparison_is_drawn_as_the_maps_of_its_sheets(fwhm):
    comparison = compared(effect=1.5)
    figure = ts.plot(comparison, fwhm)
    expected = comparison.readout(fwhm).maps()
    assert list(expected) == ["tap0", "tap1"]
    for grid, values in zip(drawn_grids(figure), expected.values(), strict=True):
        np.testing.assert_allclose(grid, values, rtol=1e-5)


def edges(mask):
    """How many sides of cells lie between a cell in a mask and one outside."""
    around = np.pad(mask.astype(int), 1)
    return np.abs(np.diff(around, axis=0)).sum() + np.abs(np.diff(around, axis=1)).sum()


def test_significant_units_are_outlined_and_no_others():
    for comparison in (compared(effect=1.5), compared()):
        drawn = [len(outlined(axes)) for axes in ts.plot(comparison).axes[:2]]
        significant = cortex().to_grid(comparison.q)
        assert drawn == [edges(significant[sheet].values < 0.05) for sheet in ("tap0", "tap1")]


def test_a_figure_says_what_was_compared_and_can_be_saved(tmp_path):
    figure = ts.plot(compared(effect=1.5))
    assert any("a:b" in text.get_text() for text in figure.findobj(Text))
    figure.savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_the_number_of_significant_units_stands_above_the_maps_or_that_there_is_none():
    for comparison in (compared(effect=1.5), compared()):
        n, above = int((comparison.q < 0.05).sum()), ts.plot(comparison).texts[0].get_text()
        assert above == (f"{n:,} of 288 units are significant (q < 0.05)" if n else "no unit is significant (q < 0.05)")


@pytest.mark.parametrize("fwhm", [0.0, 2.0])
def test_effect_sizes_are_drawn_with_the_units_whose_interval_excludes_0(fwhm):
    comparison = compared(effect=1.5)
    figure, seen = ts.plot(comparison, fwhm, value="d"), comparison.readout(fwhm)
    d, excludes_0 = (cortex().to_grid(x) for x in (seen.d, (seen.d_low > 0) | (seen.d_high < 0)))
    for grid, values in zip(drawn_grids(figure), d.values(), strict=True):
        np.testing.assert_allclose(grid, values, rtol=1e-5)
    assert [len(outlined(axes)) for axes in figure.axes[:2]] == [
        edges(grid.values == 1) for grid in excludes_0.values()
    ]
    assert outlined != [edges(grid.values < 0.05) for grid in cortex().to_grid(seen.q).values()]
    n = int(sum(np.nansum(grid.values) for grid in excludes_0.values()))
    assert figure.texts[0].get_text() == f"{n:,} of 288 units: the 95 % interval of d excludes 0"
    assert any(text.get_text().startswith("Cohen's d") for text in figure.findobj(Text))


def test_an_unknown_value_to_plot_is_refused():
    with pytest.raises(ts.UserError, match="the value to plot is 'q': it must be 't'"):
        ts.plot(compared(), value="q")
