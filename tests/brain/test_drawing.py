import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import Normalize
from mpl_toolkits.mplot3d.proj3d import proj_transform
from tests.brain.cortices import SPACES

from toposheet.brain.drawing import draw_surface_map
from toposheet.brain.files import SurfaceMap
from toposheet.brain.meshes import adjacency, mesh_of


@pytest.mark.parametrize("name", ["t_values", "/a/long/path/to/a/file/of/somebody/lh.sulc and more and more"])
def test_the_figure_shows_both_sides_and_cuts_neither_brain_nor_text_off(smooth, name):
    figure = draw_surface_map(SurfaceMap(smooth * 1e4, "left", "fsaverage5", name), "nouns against verbs " * 8)
    lateral, medial, bar = figure.axes
    assert (lateral.get_title(), medial.get_title()) == ("left hemisphere, lateral", "left hemisphere, medial")
    assert bar.get_ylabel().startswith(name[:20])
    low, high = bar.get_ylim()
    assert -low == high == pytest.approx(np.percentile(np.abs(smooth[smooth != 0]), 99.5) * 1e4)
    figure.draw_without_rendering()
    texts = [*figure.texts, *(axes.title for axes in figure.axes)]
    for box in (*(text.get_window_extent() for text in texts), bar.yaxis.get_tightbbox()):
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    mesh = mesh_of(10_242, "left", "inflated").coordinates
    for axes in (lateral, medial):
        x, y, _ = proj_transform(*(mesh - mesh.mean(axis=0)).T, axes.get_proj())
        places = axes.transData.transform(np.stack([x, y], axis=1))
        assert (places > axes.bbox.min).all()
        assert (places < axes.bbox.max).all()
        width, height = np.ptp(places, axis=0) / np.ptp(mesh, axis=0)[1:]
        assert width == pytest.approx(height, rel=0.1)  # but for the perspective
    assert len(figure.texts) == 1  # the title
    assert len(figure.get_suptitle().splitlines()) == 2


@pytest.mark.parametrize(("space", "n"), SPACES.items())
def test_vertices_without_data_are_grey_with_dark_sulci_and_others_coloured_by_sign(space, n):
    mesh = mesh_of(n, "right")
    front = mesh.coordinates[:, 1]
    values = np.where(np.abs(front) < 40, 0, front)
    figure = draw_surface_map(SurfaceMap(values, "right", space))
    lateral, _, bar = figure.axes
    colours, face_values = lateral.collections[0]._facecolor3d, values[mesh.faces]
    data, neither = (face_values != 0).all(axis=1), (face_values == 0).all(axis=1)
    expected = colormaps["RdBu_r"](Normalize(*bar.get_ylim())(face_values[data].mean(axis=1)))
    np.testing.assert_allclose(colours[data], expected)
    red, green, blue, _ = colours.T
    np.testing.assert_allclose(red[neither], green[neither])
    np.testing.assert_allclose(red[neither], blue[neither])
    # A gyrus lies further out than what surrounds it.
    out = around = np.linalg.norm(mesh.coordinates - mesh.coordinates.mean(axis=0), axis=1)
    neighbors = adjacency(mesh.faces, n)
    for _ in range(60):
        around = neighbors @ around / neighbors.sum(axis=1)
    gyral = (out - around)[mesh.faces].mean(axis=1)
    assert np.corrcoef(red[neither], gyral[neither])[0, 1] > 0.3
