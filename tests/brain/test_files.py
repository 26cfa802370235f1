import nibabel
import numpy as np
import pytest
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ParcelsAxis, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from tests.brain.cortices import SPACES

from toposheet.brain.files import read_surface_map
from toposheet.brain.meshes import template_files


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
    for name in ("map.csv", "lh.aparc.annot", "lh.thickness.mgz", "lh.sulc"):
        (tmp_path / name).write_text("1,2")
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
        ("map.csv", {}, r"must end in \.gii, \.gii\.gz, \.dscalar\.nii, \.dtseries\.nii or \.nc"),
        ("lh.aparc.annot", {}, "this file has labels of areas"),
        ("lh.thickness.mgz", {}, "convert an overlay of FreeSurfer to GIFTI first"),
        ("lh.sulc", {}, "convert an overlay of FreeSurfer to GIFTI first"),
        ("text.gii", {}, "cannot be read"),
        ("text.gii.gz", {}, "cannot be read"),
        ("text.nc", {}, "cannot be read"),
        ("text.nii", {}, "cannot be read"),
        ("cut.dscalar.nii", {"hemisphere": "right"}, "cannot be read"),
        (
            "five.gii",
            {},
            r"5 vertices; the known meshes are fs_LR 32k \(32,492 vertices per hemisphere\) and fsaverage5 \(10,242\)",
        ),
        (
            "grayordinates.gii",
            {},
            r"has 59,412 vertices; .*: this is a number of grayordinates.*; give the CIFTI file itself",
        ),
        ("zeros.gii", {}, "has no data in the left hemisphere: all vertices are nan, infinite or 0"),
        ("mesh.gii", {}, r"has shape \(10242, 3\) and type float32: a map must have one number per vertex"),
        ("empty.gii", {}, "has no map: give a file with one number for each vertex"),
        ("five.gii", {"which": 1}, "has no map 1: it has 1 map, and the first is map 0"),
        ("five.gii", {"which": -1}, "has no map -1: it has 1 map"),
        ("right.gii", {}, "is a map of the right hemisphere, but you chose left: choose the hemisphere 'right'"),
        ("right.gii", {"hemisphere": "both"}, "hemisphere is 'both': it must be 'left' or 'right'"),
        ("no-t.nc", {}, "has no variable 't_values'; its variables are: (z, beta|beta, z)"),
        ("words.nc", {}, "a map must have one number per vertex"),
        (
            "volume.nii.gz",
            {},
            r"is a volume \(3 x 4 x 5 voxels\), not CIFTI: .*, for example with nilearn.surface.vol_to_surf",
        ),
        ("right.dscalar.nii", {}, "has no left cortex; its structures are: CIFTI_STRUCTURE_CORTEX_RIGHT"),
        ("right.dscalar.nii", {"hemisphere": "right", "which": 1}, "has 1 map"),
        (
            "164k.dscalar.nii",
            {},
            r"has 163,842 vertices; the known meshes are fs_LR 32k \(32,492 vertices per hemisphere\)",
        ),
        ("parcels.pscalar.nii", {}, r"has no vertices \(its columns are a ParcelsAxis\): give a dense file"),
    ],
)
def test_a_file_that_is_no_such_map_is_refused_in_one_line(mistakes, file, asked, message):
    with pytest.raises(ValueError, match=message) as error:
        read_surface_map(mistakes / file, **asked)
    assert "\n" not in str(error.value)
    assert file in str(error.value) or "hemisphere is" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_surface_map(tmp_path / "none.gii")
    with pytest.raises(ValueError, match="is a folder: give the path of a file in it"):
        read_surface_map(tmp_path)


def test_the_hemisphere_that_a_file_names_may_be_asked_for(mistakes):
    assert read_surface_map(mistakes / "right.gii", "right").used.all()


@pytest.mark.parametrize(("dimension", "coordinate"), [("vertex", "vertex"), ("place", "place"), ("x", "node_index")])
@pytest.mark.parametrize("copies", [1, 2])
def test_values_of_netcdf_come_to_the_vertices_that_the_coordinate_says(tmp_path, rng, dimension, coordinate, copies):
    values = rng.normal(size=10_242 * copies)
    order = rng.permutation(len(values))
    stored = xr.Dataset({"t_values": (dimension, values[order])}, {coordinate: (dimension, order)})
    stored.expand_dims("map").to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read_surface_map(tmp_path / "map.nc").values, values[:10_242])


@pytest.mark.parametrize(
    "numbers",
    [np.arange(10_242) + 1, np.arange(10_242) * 2, np.zeros(10_242), np.arange(10_242) / 2, np.full(10_242, "a")],
    ids=["from 1", "gaps", "twice", "fractions", "words"],
)
def test_a_coordinate_of_netcdf_that_is_no_order_of_the_vertices_is_refused(tmp_path, rng, numbers):
    stored = xr.Dataset({"t_values": ("vertex", rng.normal(size=10_242))}, {"vertex": numbers})
    stored.to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    with pytest.raises(
        ValueError, match=r"map.nc lists 10,242 vertices \(vertex\), but some .* the numbers 0 to 10,241"
    ):
        read_surface_map(tmp_path / "map.nc")


def write_beside(path, values, **beside):
    xr.Dataset({"t_values": ("v", values)} | {k: ("v", v) for k, v in beside.items()}).to_netcdf(
        path, engine="h5netcdf"
    )
    return path


@pytest.mark.parametrize("name", ["vertex_id", "vertex_number", "vertno", "Vertices_lh", "node_id"])
def test_a_list_of_vertices_of_any_name_orders_the_values_of_netcdf(tmp_path, rng, name):
    values, order = rng.normal(size=10_242), rng.permutation(10_242)
    path = tmp_path / "map.nc"
    for numbers in (order, order.astype(np.float64)):  # whole numbers with missing values are floats in NetCDF
        read = read_surface_map(write_beside(path, values[order], **{name: numbers}))
        np.testing.assert_array_equal(read.values, values)
    with pytest.raises(
        ValueError, match=rf"lists 10,242 vertices \({name}\), but some vertices of the mesh are missing"
    ):
        read_surface_map(write_beside(path, values, **{name: np.arange(10_242) * 3}))
    with pytest.raises(ValueError, match=r"map.nc has 2 lists of vertex numbers .* keep only one"):
        read_surface_map(write_beside(path, values[order], vertex=np.arange(10_242), **{name: order}))
    area = write_beside(path, values, **{f"{name}_area": values[::-1], f"{name}_degree": order % 7})
    np.testing.assert_array_equal(read_surface_map(area).values, values)


def test_p_values_are_read_with_the_map_in_the_order_of_the_mesh(tmp_path, rng):
    values, p, order = rng.normal(size=10_242), rng.random(10_242), rng.permutation(10_242)
    path = tmp_path / "map.nc"
    read = read_surface_map(write_beside(path, values[order], p_values=p[order], vertex=order))
    np.testing.assert_array_equal(read.p, p)
    assert read_surface_map(write_beside(path, values)).p is None
    both = np.concatenate([values, values + 1])
    xr.Dataset({"t_values": ("v", both), "p_values": ("v", np.concatenate([p, p / 2]))}).to_netcdf(path)
    np.testing.assert_array_equal(read_surface_map(path, "right").p, p / 2)
    xr.Dataset({"t_values": ("v", values), "p_values": ("w", p[:5])}).to_netcdf(path)
    assert read_surface_map(path).p is None


def test_numbers_that_may_order_the_values_of_netcdf_are_refused_by_name(tmp_path, rng):
    values, order = rng.normal(size=10_242), rng.permutation(10_242)
    path = tmp_path / "map.nc"
    for numbers in (order, np.arange(10_242) * 2):
        with pytest.raises(
            ValueError, match=r"a variable 'place' with whole numbers, .* call it 'vertex'; if not, leave"
        ):
            read_surface_map(write_beside(path, values, place=numbers))
    for harmless in (np.arange(10_242), np.arange(10_242) + 1, order % 360, values):
        np.testing.assert_array_equal(read_surface_map(write_beside(path, values, place=harmless)).values, values)


def test_integers_and_numbers_of_vertices_are_no_map(tmp_path, rng):
    areas = rng.integers(0, 5, 10_242)
    with pytest.raises(
        ValueError, match=r"map.nc: t_values has the type int64, .* if .* a statistic, store .* float32"
    ):
        read_surface_map(write_netcdf(tmp_path / "map.nc", t_values=areas))
    with pytest.raises(ValueError, match="t_values has the numbers of vertices"):
        read_surface_map(write_netcdf(tmp_path / "map.nc", t_values=np.arange(10_242.0)))
    cortex = {"CORTEX_LEFT": np.ones(32_492, dtype=bool)}
    parcels = rng.integers(0, 5, (1, 32_492))
    read = read_surface_map(write_cifti(tmp_path / "parcels.dscalar.nii", parcels, cortex))
    assert "all values of map 0 are whole numbers (4 different ones)" in read.notes[0]
    places = BrainModelAxis.from_mask(cortex["CORTEX_LEFT"], name="CIFTI_STRUCTURE_CORTEX_LEFT")
    image = Cifti2Image(parcels.astype(np.int32), (ScalarAxis(["parcels"]), places))
    image.nifti_header.set_data_dtype(np.int32)
    nibabel.save(image, tmp_path / "integers.dscalar.nii")
    with pytest.raises(ValueError, match=r"integers.dscalar.nii: parcels has the type int32, such as labels of areas"):
        read_surface_map(tmp_path / "integers.dscalar.nii")


def test_other_coordinates_of_netcdf_do_not_move_values(tmp_path, rng):
    values = rng.normal(size=10_242)
    stored = xr.Dataset({"t_values": ("vertex", values), "area": ("vertex", values[::-1])}, {"x": ("vertex", values)})
    stored.to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read_surface_map(tmp_path / "map.nc").values, values)
