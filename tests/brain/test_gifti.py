"""Only statistics are read from GIFTI files, and at the vertices that they are of."""

import nibabel
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable, GiftiMetaData

from toposheet.brain.files import read_surface_map
from toposheet.brain.moran import surface_morans_i
from toposheet.errors import UserError

N = 10_242


def array(values, intent, name=None):
    values = np.asarray(values)
    kind = "FLOAT32" if values.dtype.kind == "f" else "INT32"
    values = values.astype(np.float32 if kind == "FLOAT32" else np.int32)
    meta = GiftiMetaData({} if name is None else {"Name": name})
    return GiftiDataArray(values, f"NIFTI_INTENT_{intent}", f"NIFTI_TYPE_{kind}", meta=meta)


def write(path, *arrays, areas=()):
    table = GiftiLabelTable()
    for key, area in enumerate(areas):
        label = GiftiLabel(key)
        label.label = area
        table.labels.append(label)
    nibabel.save(GiftiImage(darrays=list(arrays), labeltable=table), path)
    return path


@pytest.fixture
def values(smooth):
    return smooth.astype(np.float32)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "map.func.gii"


def test_numbers_of_vertices_are_no_map(file, values):
    plain = surface_morans_i(read_surface_map(write(file, array(values, "ZSCORE"))))
    index = array(np.arange(N), "NODE_INDEX")
    for arrays in ((index, array(values, "ZSCORE")), (array(values, "ZSCORE"), index)):
        read = read_surface_map(write(file, *arrays))
        np.testing.assert_array_equal(read.values, values)
        assert surface_morans_i(read) == plain


@pytest.mark.parametrize("copies", [1, 2])
def test_values_come_to_the_vertices_that_the_file_says(file, rng, values, copies):
    every = np.tile(values, copies)
    order = rng.permutation(len(every))
    write(file, array(order[:, None], "NODE_INDEX"), array(every[order], "TTEST", "a"), array(order % 7.0, "NONE", "b"))
    np.testing.assert_array_equal(read_surface_map(file, which=0).values, values)
    np.testing.assert_array_equal(read_surface_map(file, which=1).values, np.arange(N) % 7)


@pytest.mark.parametrize(
    "nodes",
    [
        np.arange(0, N, 2),
        np.arange(N) + 1,
        np.zeros(N),
        np.arange(N) - 1,
        np.where(np.arange(N) == 5, 6, np.arange(N)),
        np.arange(N) * 2,
    ],
    ids=["half", "from 1", "zeros", "negative", "twice", "gaps"],
)
def test_a_list_of_some_of_the_vertices_is_refused(file, values, nodes):
    write(file, array(nodes.astype(int), "NODE_INDEX"), array(values[: len(nodes)], "ZSCORE"))
    with pytest.raises(
        UserError,
        match=r"map.func.gii lists [\d,]+ vertices \(NODE_INDEX\), but .* missing or are listed twice.*ConvertDset",
    ):
        read_surface_map(file)


def test_a_list_of_vertices_that_fits_no_values_is_refused(file, values):
    index = array(np.arange(N), "NODE_INDEX")
    with pytest.raises(UserError, match=r"has 10,242 vertex numbers \(NODE_INDEX\) but 10,241 values"):
        read_surface_map(write(file, index, array(values[1:], "ZSCORE")))
    with pytest.raises(UserError, match="has 2 lists of vertex numbers"):
        read_surface_map(write(file, index, array(values, "ZSCORE"), index))


def test_a_file_without_a_map_is_refused_as_such(file, tmp_path):
    with pytest.raises(UserError, match=r"no map of a statistic; it has the numbers of vertices \(NODE_INDEX\)\. Give"):
        read_surface_map(write(file, array(np.arange(N), "NODE_INDEX")))
    with pytest.raises(UserError, match=r"func\.gii has no map: give a file with one number for each vertex"):
        read_surface_map(write(file))


@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("intent", ["NONE", "SHAPE"])
def test_numbers_of_vertices_without_an_intent_are_known_by_their_content(file, rng, values, intent, kind):
    for order in (np.arange(N), rng.permutation(N)):
        nodes = array(order.astype(kind), intent)
        with pytest.raises(UserError, match="it has the numbers of vertices"):
            read_surface_map(write(file, nodes))
        for arrays in ((nodes, array(values[order], "ZSCORE")), (array(values[order], "NONE"), nodes)):
            np.testing.assert_array_equal(read_surface_map(write(file, *arrays)).values, values)
    some = array((np.arange(N) * 2).astype(kind), intent)
    with pytest.raises(UserError, match=r"vertices of the mesh are missing"):
        read_surface_map(write(file, some, array(values, "ZSCORE")))
    index = array(np.arange(N), "NODE_INDEX")
    np.testing.assert_array_equal(read_surface_map(write(file, some, index, array(values, "NONE"))).values, values)


@pytest.mark.parametrize("intent", ["NONE", "SHAPE", "TIME_SERIES", "ESTIMATE"])
def test_integers_are_no_statistic_unless_their_intent_says_so(file, values, intent):
    areas = np.arange(N) % 5
    with pytest.raises(UserError, match=r"it has integers, such as labels of areas \(.* must be stored as float32\)"):
        read_surface_map(write(file, array(areas, intent)))
    both = write(file, array(areas, intent), array(values, intent))
    np.testing.assert_array_equal(read_surface_map(both).values, values)
    np.testing.assert_array_equal(read_surface_map(write(file, array(areas, "TTEST"))).values, areas)


@pytest.mark.parametrize(
    ("intent", "shape", "what"),
    [
        ("LABEL", (N,), r"a label map \(its numbers stand for areas\)"),
        ("POINTSET", (N, 3), "the vertices of a mesh"),
        ("TRIANGLE", (20_480, 3), "the triangles of a mesh"),
        ("RGBA_VECTOR", (N, 4), "colours"),
        ("VECTOR", (N, 3), "vectors"),
    ],
)
def test_what_is_no_statistic_is_refused_by_name_and_passed_over_beside_one(file, rng, values, intent, shape, what):
    other = array(rng.integers(1, 5, shape), intent)
    with pytest.raises(UserError, match=rf"map.func.gii has no map of a statistic; it has {what}"):
        read_surface_map(write(file, other))
    np.testing.assert_array_equal(read_surface_map(write(file, other, array(values, "ZSCORE"))).values, values)


def test_areas_are_labels_even_where_the_intent_does_not_say_so(file):
    areas = np.arange(N) % 3
    with pytest.raises(UserError, match="a label map"):
        read_surface_map(write(file, array(areas, "NONE"), areas=("???", "V1", "V2")))
    assert read_surface_map(write(file, array(areas * 1.0, "NONE"), areas=("???",))).used.any()  # a table of no area


@pytest.mark.parametrize("intent", ["NONE", "SHAPE", "ESTIMATE"])
def test_areas_are_labels_also_as_floats(file, values, intent):
    areas = np.float32(np.arange(N) % 3)
    table = ("???", "V1", "V2")
    with pytest.raises(UserError, match="a label map"):
        read_surface_map(write(file, array(areas, intent), areas=table))
    areas[0] = np.nan
    with pytest.raises(UserError, match="a label map"):
        read_surface_map(write(file, array(areas, intent), areas=table))
    for statistic in (values, areas + 1, areas / 2):  # a table of labels beside a statistic
        np.testing.assert_array_equal(
            read_surface_map(write(file, array(statistic, intent), areas=table)).values, np.float32(statistic)
        )
    both = write(file, array(areas, intent), array(values, intent), areas=table)
    np.testing.assert_array_equal(read_surface_map(both).values, values)


@pytest.mark.parametrize("intent", ["NONE", "SHAPE", "TTEST", "ZSCORE", "TIME_SERIES", "ESTIMATE", "PVAL", "CORREL"])
def test_whole_numbers_may_be_a_statistic_and_a_note_says_that_they_may_be_labels(file, values, intent, ran):
    counts = np.arange(N) % 5.0
    read = read_surface_map(write(file, array(counts, intent)))
    np.testing.assert_array_equal(read.values, counts)
    assert "data array 0 are whole numbers (4 different ones), such as labels of areas" in read.notes[0]
    assert f"note: {file}: all values of" in ran("brain", "moran", file)
    thresholded = np.where(values > 1, values, 0)
    assert read_surface_map(write(file, array(thresholded, intent))).notes == ()


def test_of_several_maps_none_is_read_unasked(file, values, refused, ran):
    write(file, array(values, "ZSCORE", "z of sentences"), array(-values, "NONE"), array(values, "SHAPE", "thickness"))
    listed = r"has 3 maps: 0 'z of sentences', 1 'data array 1', 2 'thickness'. Choose one of them with --which NUMBER"
    with pytest.raises(UserError, match=listed):
        read_surface_map(file)
    np.testing.assert_array_equal(read_surface_map(file, which=1).values, -values)
    assert "has 3 maps" in refused("brain", "moran", file)
    assert "Moran's I = " in ran("brain", "moran", file, "--which", "2")
    write(file, *(array(values, "TIME_SERIES") for _ in range(20)))
    with pytest.raises(UserError, match=r"has 20 maps: .*, 7 'data array 7', \.\.\.\. Choose"):
        read_surface_map(file)


def test_vertices_that_are_nan_or_infinite_have_no_data(file, values):
    values[:3] = np.nan, np.inf, -np.inf
    assert not read_surface_map(write(file, array(values, "ZSCORE"))).used[:3].any()
    with pytest.raises(UserError, match="all vertices are nan, infinite or 0"):
        read_surface_map(write(file, array(np.full(N, np.nan), "ZSCORE")))


def test_labels_and_several_rows_of_cifti_are_refused(tmp_path, rng):
    places = BrainModelAxis.from_mask(np.ones(32_492, dtype=bool), name="CIFTI_STRUCTURE_CORTEX_LEFT")
    labels = LabelAxis(["areas"], [{0: ("???", (0, 0, 0, 0)), 1: ("V1", (1, 0, 0, 1))}])
    nibabel.save(Cifti2Image(np.ones((1, 32_492), dtype=np.float32), (labels, places)), tmp_path / "areas.dlabel.nii")
    with pytest.raises(UserError, match=r"areas.dlabel.nii has labels of areas"):
        read_surface_map(tmp_path / "areas.dlabel.nii")
    few = BrainModelAxis.from_mask(np.arange(32_492) < 4, name="CIFTI_STRUCTURE_CORTEX_LEFT")
    nibabel.save(Cifti2Image(np.ones((4, 4), dtype=np.float32), (few, few)), tmp_path / "all.dconn.nii")
    with pytest.raises(UserError, match=r"has no maps \(its rows are a BrainModelAxis\)"):
        read_surface_map(tmp_path / "all.dconn.nii")
