"""Recordings are read as they are written, and what cannot be used is refused in one line."""

import numpy as np
import pytest
import xarray as xr
from tests.encoding.simulated import recording_of, responses_of, unrelated

import toposheet as ts
from toposheet.encoding.matching import matched, passage_numbers
from toposheet.encoding.recording import check_recording

ROWS = "text,story,v1,v2\nb,1,0.5,2\na,1,-1,3e2\nc,2,0,7\n"


@pytest.fixture
def written(tmp_path):
    def written(content, name="recording.csv"):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return written


def test_columns_of_labels_describe_stimuli_and_all_others_are_voxels(written):
    recording = ts.read_recording(written(ROWS), labels=["text", "story"])
    assert recording.dims == ("stimulus", "voxel")
    assert recording["voxel"].values.tolist() == ["v1", "v2"]
    assert recording["text"].values.tolist() == ["b", "a", "c"]
    assert recording["story"].values.tolist() == ["1", "1", "2"]
    np.testing.assert_array_equal(recording.values, [[0.5, 2], [-1, 300], [0, 7]])


def test_rows_of_repetitions_become_a_dimension_in_the_order_of_the_first_rows(written):
    content = "text,repetition,v\nb,1,1\na,1,2\na,2,4\nb,2,3\n"
    recording = ts.read_recording(written(content))
    assert recording.dims == ("stimulus", "voxel", "repetition")
    assert recording["text"].values.tolist() == ["b", "a"]
    np.testing.assert_array_equal(recording.values[:, 0], [[1, 3], [2, 4]])


def test_a_recording_in_netcdf_is_the_same(tmp_path, written):
    recording = ts.read_recording(written(ROWS), labels=["text", "story"])
    recording.name = "bold"
    recording.astype("float32").to_netcdf(tmp_path / "recording.nc", engine="h5netcdf")
    again = ts.read_recording(tmp_path / "recording.nc")
    np.testing.assert_array_equal(again.values, recording.values)
    assert again["text"].values.tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,story,v1\na,x,1\n", "row 2: the voxel 'story' has 'x', which is no number"),
        ("text\na\n", "no column that is a voxel"),
        ("v1,v2\n1,2\n", "no column that describes stimuli"),
        ("text,v1\n", "has a header but no rows"),
        ("text,repetition,v\na,1,1\na,1,2\n", "row 3: the repetition 1 of this stimulus occurs twice"),
        ("text,repetition,v\na,1,1\nb,1,2\na,2,2\n", "the stimulus 'b' has no repetition 2"),
        ("text,v1\na,1,2\n", "row 2: 3 fields, the header has 2"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_row(written, content, words):
    with pytest.raises(ts.UserError, match=words) as error:
        ts.read_recording(written(content))
    assert "\n" not in str(error.value)


def test_files_that_are_missing_or_damaged_are_named(tmp_path, written):
    with pytest.raises(ts.UserError, match="there is no recording"):
        ts.read_recording(tmp_path / "none.csv")
    with pytest.raises(ts.UserError, match="cannot be read as NetCDF"):
        ts.read_recording(written("text,v\n", "recording.nc"))
    xr.Dataset({"v": ("vertex", [1.0])}).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    with pytest.raises(ts.UserError, match="has 0 variables with the dimensions stimulus and voxel"):
        ts.read_recording(tmp_path / "map.nc")


def test_voxels_that_never_vary_or_have_no_data_are_left_out_and_counted(rng):
    y = rng.normal(size=(6, 4))
    y[:, 1], y[:, 3] = 2.0, np.nan
    used, left_out = check_recording(recording_of(y, {"text": "abcdef"}))
    assert left_out == 2
    np.testing.assert_array_equal(used.values, y[:, [0, 2]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y.where(y != y[2, 1]), "stimulus 3 has a value that is not finite .* voxel 1, and 1 voxels"),
        (lambda y: y * 0, "no voxel varies"),
        (lambda y: y.rename(voxel="vertex"), "dimensions .stimulus, vertex. .* must have numbers over"),
        (lambda y: y.astype(str), "must have numbers"),
        (lambda y: y[:0], "is empty"),
    ],
)
def test_a_recording_that_cannot_be_predicted_is_refused(change, words):
    _, recording = unrelated(0)
    with pytest.raises(ts.UserError, match=words):
        check_recording(change(recording))


def test_stimuli_are_matched_by_all_columns_that_both_tables_have(rng):
    texts, numbers = ["a", "b", "a", "c"], [1, 1, 2, 2]
    responses = responses_of(np.arange(8.0).reshape(4, 2), {"text": texts, "story": numbers, "item": "wxyz"})
    recording = recording_of(rng.normal(size=(3, 2)), {"story": ["2", "2", "1"], "text": ["c", "a", "b"]})
    np.testing.assert_array_equal(matched(responses, recording).values, [[6, 7], [4, 5], [2, 3]])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"text": ["a", "b", "x"]}, "1 of 3 stimuli of the recording are not among .* such as 'x'"),
        ({"text": ["a", "b", "b"]}, "two rows of the recording are the same stimulus, 'b'"),
        ({"run": [1, 1, 2]}, "share no column .the recording: run; the stimuli: text"),
    ],
)
def test_recordings_of_other_stimuli_are_refused(rng, labels, words):
    responses = responses_of(rng.normal(size=(3, 2)), {"text": ["a", "b", "c"]})
    with pytest.raises(ts.UserError, match=words):
        matched(responses, recording_of(rng.normal(size=(3, 2)), labels))


def test_equal_stimuli_of_the_model_are_refused(rng):
    responses = responses_of(rng.normal(size=(3, 2)), {"text": ["a", "b", "a"]})
    with pytest.raises(ts.UserError, match="two rows of the stimuli are the same stimulus, 'a'"):
        matched(responses, recording_of(rng.normal(size=(2, 2)), {"text": ["a", "b"]}))


def test_passages_are_numbered_in_their_order_and_must_be_in_one_piece(rng):
    labels = {"text": "abcd", "run": ["z", "z", "a", "m"]}
    responses, recording = responses_of(rng.normal(size=(4, 2)), labels), recording_of(rng.normal(size=(4, 2)), labels)
    assert passage_numbers(responses, recording, "run").tolist() == [0, 0, 1, 2]
    assert passage_numbers(responses, recording, None) is None
    with pytest.raises(ts.UserError, match=r"have a column 'runs' of passages; .* Did you mean run\?"):
        passage_numbers(responses, recording, "runs")
    mixed = recording.assign_coords(run=("stimulus", ["z", "a", "z", "m"]))
    with pytest.raises(ts.UserError, match="the passage z comes back at stimulus 3"):
        passage_numbers(responses, mixed, "run")
