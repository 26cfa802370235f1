import nibabel
import numpy as np
import pytest
import xarray as xr
from nilearn.surface import SurfaceImage, load_surf_data, load_surf_mesh

from toposheet import Topography
from toposheet.brain.export import export_maps, export_sheet
from toposheet.settings import Reading
from toposheet.sheet import Sheet
from toposheet.stimuli.contrasts import Contrast


@pytest.fixture
def two_taps():
    """A sheet with two taps and holes, cells of 2 mm, and one with a single tap and none.

    a a b .
    a . b b
    . b b b
    """
    places = {
        "h.0.attn": np.array([[1, 0], [0, 1], [0, 0]]),
        "h.0.mlp": np.array([[2, 3], [0, 2], [1, 3], [1, 2], [2, 2], [2, 1]]),
    }
    square = {"h.1.mlp": np.array([[1, 1], [0, 0], [0, 1], [1, 0]])}
    return Topography({"layers/0": Sheet((3, 4), places, spacing_mm=2.0), "h.1.mlp": Sheet((2, 2), square)})


def over_units(topo, values, *dims, **coordinates):
    return xr.DataArray(values, dims=(*dims, "unit"), coords={**topo.unit_coordinates(), **coordinates}, name="t")


def test_an_exported_sheet_has_a_vertex_for_each_unit_at_its_place_with_its_value(two_taps, tmp_path):
    values = over_units(two_taps, np.arange(13.0) + 1)
    files = export_sheet(two_taps, values, tmp_path / "new" / "folder")
    shared = ["layers-0.surf.gii", "layers-0.func.gii", "layers-0.label.gii"]
    names = [*shared, "h-1-mlp.surf.gii", "h-1-mlp.func.gii"]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(names)
    for number, (name, sheet) in enumerate(two_taps.sheets.items()):
        surf, func = files[3 * number : 3 * number + 2]
        mesh, data = load_surf_mesh(surf), load_surf_data(func)
        assert data.dtype == np.float32
        assert len(mesh.coordinates) == len(data) == sheet.n_units
        on_sheet = values.isel(unit=values["sheet"].values == name)
        expected = {
            (x * sheet.spacing_mm, -y * sheet.spacing_mm, 0.0): value
            for y, x, value in zip(on_sheet["y"].values, on_sheet["x"].values, on_sheet.values, strict=True)
        }
        assert dict(zip(map(tuple, mesh.coordinates.tolist()), data.tolist(), strict=True)) == expected
        SurfaceImage(mesh={"left": surf}, data={"left": func})


def test_triangles_fill_squares_halve_those_with_one_hole_and_leave_out_others(two_taps, tmp_path):
    files = export_sheet(two_taps, over_units(two_taps, np.ones(13)), tmp_path)
    mesh = load_surf_mesh(files[0])
    cells = np.stack([-mesh.coordinates[:, 1], mesh.coordinates[:, 0]], axis=1) / 2
    triangles = {frozenset(map(tuple, cells[face].astype(int).tolist())) for face in mesh.faces}
    # The squares that miss (1, 1) or (0, 3) alone; the whole one is at the lower right.
    halves = [{(0, 0), (0, 1), (1, 0)}, {(0, 1), (0, 2), (1, 2)}, {(1, 2), (2, 1), (2, 2)}, {(0, 2), (1, 2), (1, 3)}]
    assert {frozenset(half) for half in halves} <= triangles
    rest = [face for face in triangles if face not in {frozenset(half) for half in halves}]
    assert len(rest) == 2
    assert rest[0] | rest[1] == {(1, 2), (1, 3), (2, 2), (2, 3)}
    assert rest[0] & rest[1] in ({(1, 2), (2, 3)}, {(1, 3), (2, 2)})  # a diagonal
    assert len(mesh.faces) == 6
    a, b, c = mesh.coordinates[mesh.faces].transpose(1, 0, 2)
    areas = np.cross(b - a, c - a)[:, 2] / 2
    np.testing.assert_allclose(areas, 2.0)  # mm2, half a cell, and positive: the normal points up


def test_every_map_of_a_stack_is_a_data_array_with_its_name(two_taps, tmp_path, rng):
    stack = rng.normal(size=(2, 3, 13))
    names = {"model": ["topographic", "control"], "contrast": ["a:b", "<a & b>", "noun-verb"]}
    values = over_units(two_taps, stack, "model", "contrast", **names)
    _, func, *_ = export_sheet(two_taps, values, tmp_path)
    image = nibabel.load(func)
    assert [array.meta["Name"] for array in image.darrays] == [
        f"{model}, {contrast}" for model in names["model"] for contrast in names["contrast"]
    ]
    grid = two_taps.to_grid(values)["layers/0"].values
    occupied = np.isfinite(grid[0, 0])
    np.testing.assert_allclose(load_surf_data(func), grid[..., occupied].reshape(6, -1).T, rtol=1e-6)
    surf, func = export_sheet(two_taps, values.isel(model=0, contrast=0, unit=slice(9, None)), tmp_path)
    assert [array.meta["Name"] for array in nibabel.load(func).darrays] == ["t"]
    for meta in (nibabel.load(surf).darrays[0].meta, nibabel.load(func).meta):
        assert meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert nibabel.load(surf).darrays[0].meta["GeometricType"] == "Flat"


def test_a_sheet_with_several_taps_has_the_name_of_the_tap_of_each_vertex(two_taps, tmp_path):
    surf, _, label, *_ = export_sheet(two_taps, over_units(two_taps, np.ones(13)).isel(unit=slice(2, None)), tmp_path)
    image = nibabel.load(label)
    names = image.labeltable.get_labels_as_dict()
    assert list(names.values()) == ["???", "h.0.attn", "h.0.mlp"]
    vertices = load_surf_mesh(surf).coordinates
    for tap, places in two_taps.sheets["layers/0"].places.items():
        of_tap = vertices[[names[number] == tap for number in image.darrays[0].data]]
        cells = (np.stack([-of_tap[:, 1], of_tap[:, 0]], axis=1) / 2).astype(int)
        assert sorted(cells.tolist()) == sorted(places.tolist())


def test_units_that_were_left_out_are_nan_and_not_holes(two_taps, tmp_path):
    values = over_units(two_taps, np.ones(13)).isel(unit=slice(2, None))
    surf, func, *_ = export_sheet(two_taps, values, tmp_path)
    assert len(load_surf_mesh(surf).coordinates) == 9
    assert np.isnan(load_surf_data(func)).sum() == 2


@pytest.mark.parametrize("sheet", ["model.layers.0.mlp", "a/../b", "../..", "", "C:\\x", "über", "x" * 90])
def test_any_name_of_a_sheet_becomes_one_of_a_file_in_the_folder(tmp_path, sheet):
    topo = Topography({sheet: Sheet((2, 2), {"tap": np.array([[0, 0], [0, 1], [1, 1]])})})
    files = export_sheet(topo, over_units(topo, np.ones(3)), tmp_path)
    assert {file.parent for file in files} == {tmp_path}
    assert all(file.is_file() for file in files)
    assert not set(files[0].name.removesuffix(".surf.gii")) & set("./\\: ")
    assert files[0].name[0].isalnum()
    assert [load_surf_data(file).shape for file in files[1:]] == [(3,)]


def test_sheets_whose_names_become_the_same_keep_files_of_their_own(tmp_path):
    names = ["A.b", "a/b", "A b", "a-b-2"]
    place = np.array([[0, 0], [0, 1], [1, 1]])
    topo = Topography({name: Sheet((2, 2), {f"tap {name}": place}) for name in names})
    files = export_sheet(topo, over_units(topo, np.repeat(np.arange(4.0), 3)), tmp_path)
    assert len({file.name.lower() for file in files}) == 8
    assert [load_surf_data(file)[0] for file in files[1::2]] == [0, 1, 2, 3]


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(two_taps, tmp_path):
    with pytest.raises(ValueError, match="have no sheet, x, y: give values over units"):
        export_sheet(two_taps, xr.DataArray(np.ones(13), dims="unit"), tmp_path / "out")
    line = {"a line": Sheet((2, 3), {"tap": np.array([[0, 0], [0, 1], [0, 2]])})}
    topo = Topography(dict(two_taps.sheets) | line)
    with pytest.raises(ValueError, match="the sheet a line has no three units in a square of four cells"):
        export_sheet(topo, over_units(topo, np.ones(16)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_sheet_of_a_subject_is_exported_with_a_map_for_each_contrast(subject, stimuli, tmp_path):
    contrasts = [Contrast("long", "short"), Contrast("short", "long")]
    files = export_maps(subject, stimuli, contrasts, tmp_path, reading=Reading(pooling="last", skip_first=True))
    assert len(files) == 8
    for path in files:
        if path.name.endswith(".func.gii"):
            meta = nibabel.load(path).meta
            assert (meta["pooling"], meta["bos"], meta["skip_first"]) == ("last", "none", "1")
            assert "contrast" not in meta  # each map has a contrast of its own
            one, other = (array.data for array in nibabel.load(path).darrays)
            np.testing.assert_allclose(one, -other)
