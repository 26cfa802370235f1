import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests.figures.outlines import outlined

from toposheet.figures.maps import draw_contrast_maps
from toposheet.figures.network import outlined_maps
from toposheet.figures.sheets import by_kind, lines_of


def images(figure):
    return [axes for axes in figure.axes if axes.images]


def notes_of(t):
    """A note for each panel and readout."""
    return {(panel, fwhm): f"note {panel} {fwhm}" for panel in t["panel"].values for fwhm in t["fwhm_mm"].values}


def test_significant_units_are_outlined_in_their_own_map_and_each_readout_has_its_note(tables, maps):
    t, values = maps(tables(layers=1))
    significant = xr.zeros_like(t, dtype=bool)
    significant[0, 1, 0, 2, 3] = True
    figure = draw_contrast_maps(t, significant, notes_of(t), values, "a:b", 0.01)
    drawn = {}
    for axes in images(figure):
        grid = axes.images[0].get_array().data
        (at,) = np.argwhere(t.values[..., 0, 0] == grid[0, 0]).tolist()
        drawn[tuple(at)] = len(outlined(axes))
    assert drawn.pop((0, 1, 0)) == 4
    assert set(drawn.values()) == {0}
    assert set(notes_of(t).values()) <= {text.get_text().replace("\n", " ") for text in figure.texts}
    assert any(text.get_text().startswith("outlines: q < 0.01;") for text in figure.texts)


def test_a_map_without_a_significant_unit_is_pale_and_the_figure_says_so(tables, maps):
    t, values = maps(tables(models=("a model",), layers=1, kinds=("attn", "mlp")))
    significant = xr.zeros_like(t, dtype=bool)
    significant[0, 1, 1, 2, 3] = True
    figure = draw_contrast_maps(t, significant, notes_of(t), values, "a:b", 0.05)
    pale = [axes.images[0].get_alpha() < 0.5 for axes in images(figure)]
    assert pale == [True, True, True, False]
    assert any("pale map: no significant unit" in text.get_text().replace("\n", " ") for text in figure.texts)


def test_an_outline_has_a_white_edge_on_a_dark_map(tmp_path):
    mask = xr.DataArray(np.eye(5)[2:3].T * np.eye(5)[2:3], dims=("y", "x"))
    dark = {"h.0.mlp": mask.copy(data=np.full((5, 5), 9.0))}
    figure = outlined_maps(dark, {"h.0.mlp": mask}, "a:b", "1 unit")
    (axes,) = images(figure)
    figure.set_dpi(600)
    FigureCanvasAgg(figure).draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    (left, bottom), (right, top) = axes.transData.transform([(-0.4, 4.4), (4.4, -0.4)]).astype(int)
    inside = pixels[len(pixels) - top : len(pixels) - bottom, left:right]
    assert (inside.min(axis=-1) > 245).any()  # white
    assert (inside.max(axis=-1) < 45).any()  # black


def test_each_readout_of_each_model_has_its_own_maps_and_scale(tables, maps):
    t, values = maps(tables(layers=2))
    t[:, 1] *= 3
    figure = draw_contrast_maps(t, t > 2, notes_of(t), values, "a:b", 0.05)
    shown = images(figure)
    assert len(shown) == 2 * 2 * 4
    for axes in shown:
        grid = axes.images[0].get_array().data
        (panel, readout, sheet), *others = [
            key for key in values if np.array_equal(t.sel(dict(zip(t.dims, key, strict=False))), grid)
        ]
        assert not others
        assert axes.get_xlabel() == f"{values[panel, readout, sheet]:.2f}"
        assert axes.images[0].norm.vmax == pytest.approx(np.percentile(np.abs(t.sel(fwhm_mm=readout)), 99.5))
        left, right = (axes.get_position().x0 < 0.5 for axes in (axes, shown[-1]))
        assert (left, right) == (panel == "topographic", False)
    bars = [axes for axes in figure.axes if not axes.images and axes.get_ylabel() == "Welch's t"]
    assert len(bars) == 2


def test_models_of_other_architectures_are_below_each_other_with_their_own_taps_in_columns_of_layers():
    sheets = ["h.2.attn", "h.2.mlp", "h.10.mlp", "cortex"]
    t = xr.DataArray(
        np.random.default_rng(0).normal(size=(2, 1, 4, 5, 4)),
        dims=("panel", "fwhm_mm", "sheet", "y", "x"),
        coords={"panel": ["one", "two"], "fwhm_mm": [0.0], "sheet": sheets},
    )
    t[0, 0, 0, 3:] = np.nan  # a smaller sheet than the largest in the file
    values = {("one", 0.0, sheet): 0.5 for sheet in sheets[:3]} | {("two", 0.0, "cortex"): -0.1}
    attn, mlp, last, cortex = images(draw_contrast_maps(t, t > 9, notes_of(t), values, "a:b", 0.05))
    assert attn.images[0].get_array().shape == (3, 4)
    assert last.images[0].get_array().shape == (5, 4)
    places = [axes.get_position(original=True) for axes in (attn, mlp, last, cortex)]
    assert places[0].x0 == places[1].x0 < places[2].x0
    assert places[0].y0 > places[1].y0 == places[2].y0 > places[3].y1
    assert cortex.get_xlabel() == "−0.10"


def test_lines_wrap_by_layer_and_kinds_keep_the_end_of_their_names_that_tells_them_apart():
    taps = [f"h.{layer}.{kind}" for kind in ("attn.out", "mlp.out") for layer in range(3)]
    first, second, third, fourth = lines_of([*taps[:-1]], at_most=2)
    assert (first.kind, first.sheets, first.layers) == ("attn.out", ("h.0.attn.out", "h.1.attn.out"), ("0", "1"))
    assert (second.kind, second.layers) == ("mlp.out", ())
    assert third.sheets == ("h.2.attn.out",)
    assert fourth.sheets == (None,)
    assert list(by_kind(["model.h.0", "model.h.1"])) == ["h.*"]


def test_outlines_run_between_cells_inside_and_outside():
    mask = xr.DataArray(np.zeros((4, 5)), dims=("y", "x"))
    mask[1, 2:4] = 1
    mask[3, 0] = np.nan
    figure = outlined_maps({"h.0.mlp": mask.copy(data=np.ones((4, 5)))}, {"h.0.mlp": mask}, "a:b", "2 units")
    assert "2 units" in [text.get_text() for text in figure.texts]
    assert set(outlined(images(figure)[0])) == {
        ((1.5, 0.5), (2.5, 0.5)), ((2.5, 0.5), (3.5, 0.5)), ((1.5, 1.5), (2.5, 1.5)), ((2.5, 1.5), (3.5, 1.5)),
        ((1.5, 0.5), (1.5, 1.5)), ((3.5, 0.5), (3.5, 1.5)),
    }  # fmt: skip


def drawn_bands(numbers, names):
    """The axes of a map of a sheet whose cells (y, x) have these numbers of taps."""
    taps = xr.Variable(("y", "x"), numbers.astype(float), {"names": ", ".join(names)})
    t = xr.DataArray(np.random.default_rng(0).normal(size=numbers.shape), dims=("y", "x"), coords={"tap": taps})
    (axes,) = images(outlined_maps({"cortex": t}, {"cortex": xr.zeros_like(t)}, "a:b", "0 units"))
    return axes


@pytest.mark.parametrize("bands", ["rows", "columns"])
def test_bands_of_taps_have_borders_between_them(bands):
    numbers = np.repeat([0, 1, 2], 8)[:, None] * np.ones((1, 24))
    axes = drawn_bands(numbers if bands == "rows" else numbers.T, ["h.0.mlp", "h.1.mlp", "h.2.mlp"])
    (borders,) = axes.collections
    edges = {tuple(sorted(map(tuple, ends.tolist()))) for ends in borders.get_segments()}
    expected = {((x - 0.5, y), (x + 0.5, y)) for x in range(24) for y in (7.5, 15.5)}
    if bands == "columns":
        expected = {tuple(end[::-1] for end in ends) for ends in expected}
    assert edges == expected


@pytest.mark.parametrize(("n_bands", "rows", "named"), [(3, 8, 3), (36, 4, 9)])
def test_names_of_bands_of_rows_stand_on_their_rows_and_do_not_overlap(n_bands, rows, named):
    numbers = np.repeat(np.arange(n_bands), rows)[:, None] * np.ones((1, 512 if n_bands == 36 else 24))
    axes = drawn_bands(numbers, [f"model.layers.{n}" for n in range(n_bands)])
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    assert len(axes.texts) == named
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
    assert all(one.y0 >= other.y1 for one, other in itertools.pairwise(boxes))
    for text in axes.texts:
        number = int(text.get_text().removeprefix("layer "))
        assert text.get_position()[1] == number * rows + (rows - 1) / 2


def test_names_of_bands_of_columns_stand_above_the_map():
    axes = drawn_bands(np.repeat([[0, 1]], 12, axis=0).repeat(12, axis=1), ["h.0.mlp", "h.0.attn"])
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [
        ("0 mlp", (5.5, -0.8)),
        ("0 attn", (17.5, -0.8)),
    ]
