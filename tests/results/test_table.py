import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies

from toposheet.errors import NotFound, UserError
from toposheet.results import Table

SIZES = Table(
    "sizes.csv",
    {"model": "text", "share": "number", "n_units": "count", "holds": "flag", "note": "text"},
    "a row for each model",
)
LOOK_LIKE_OTHER_THINGS = [
    "0", "007", "2.5", "1e5", "nan", "NaN", "None", "null", "True", "false", "NA", "N/A", "inf", "-inf", "",
    " ", "  two  ", ",", '"', '""', '"quoted"', "a,b", "a\nb", "a\rb", "a\r\nb", "\r", "\n", "\t", "\0", "\ufeff",
    "\u2028", "\x1a", "#no comment", "'", "\\", "日本", "café", "🧠",
]  # fmt: skip
texts = strategies.one_of(strategies.sampled_from(LOOK_LIKE_OTHER_THINGS), strategies.text(max_size=12))
rows = strategies.fixed_dictionaries(
    {
        "model": texts,
        "share": strategies.floats(),
        "n_units": strategies.integers(-(2**63), 2**63 - 1),
        "holds": strategies.booleans(),
        "note": texts,
    }
)

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first text takes a second


def again(table, frame):
    """The table after it was written and read."""
    with tempfile.TemporaryDirectory() as folder:
        table.write(frame, Path(folder))
        return table.read(Path(folder))


def row(**values):
    return {"model": "a", "share": 1.0, "n_units": 1, "holds": True, "note": "", **values}


@PATIENT
@given(strategies.lists(rows, max_size=5))
@example([row(model=text, note=text) for text in LOOK_LIKE_OTHER_THINGS])
def test_what_is_written_is_what_is_read(written):
    read = again(SIZES, SIZES.frame(written))
    for name in ("model", "n_units", "holds", "note"):
        assert read[name].tolist() == [one[name] for one in written]
    expected = np.array([one["share"] for one in written], dtype=float)
    nan = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(read["share"]), nan)
    bits = read["share"].to_numpy()[~nan].view(np.int64)
    np.testing.assert_array_equal(bits, expected[~nan].view(np.int64))  # -0.0 is not 0.0
    assert not read["model"].isna().any()


@PATIENT
@given(strategies.lists(texts, max_size=5))
@example(["", "", "a"])
@example(LOOK_LIKE_OTHER_THINGS)
def test_a_table_of_one_column_loses_no_line(names):
    names_table = Table("names.csv", {"name": "text"}, "a name")
    assert again(names_table, names_table.frame([{"name": name} for name in names]))["name"].tolist() == names


def test_numbers_keep_their_last_bit_and_those_that_are_none():
    numbers = [0.1 + 0.2, -0.0, np.inf, -np.inf, np.nan, 5e-324, np.nextafter(1, 2), 1e300, float(np.float32(0.1))]
    read = again(SIZES, SIZES.frame([row(share=number) for number in numbers]))["share"].to_numpy()
    assert read.tobytes() == np.array(numbers).tobytes()


def test_an_empty_table_has_the_kinds_of_a_full_one():
    full, empty = SIZES.frame([row()]), SIZES.frame([])
    assert empty.dtypes.tolist() == full.dtypes.tolist()
    assert again(SIZES, empty).dtypes.tolist() == again(SIZES, full).dtypes.tolist() == full.dtypes.tolist()
    pd.testing.assert_frame_equal(pd.concat([empty, full], ignore_index=True), full)


def test_what_a_row_lacks_is_nan_or_empty_and_none_is_no_name():
    frame = SIZES.frame([{"model": None, "n_units": 2, "holds": False}, {"model": np.nan, "n_units": 3, "holds": True}])
    assert frame["model"].tolist() == frame["note"].tolist() == ["", ""]
    assert frame["share"].isna().all()


def test_columns_have_the_order_of_the_table_and_a_name_that_is_a_number_is_its_digits():
    frame = SIZES.frame(pd.DataFrame({"note": [7], "n_units": [3], "model": [2.5], "holds": [True], "share": [1]}))
    assert list(frame) == ["model", "share", "n_units", "holds", "note"]
    assert frame["model"].tolist() == ["2.5"]
    assert frame["note"].tolist() == ["7"]


def test_a_column_that_is_not_declared_is_our_own_fault_unless_others_are_allowed():
    with pytest.raises(AssertionError, match=r"sizes\.csv has no columns \['colour'\]"):
        SIZES.frame([row(colour="red")])
    wide = Table("wide.csv", {"distance": "number"}, "a row for each distance", others="number")
    read = again(wide, wide.frame([{"distance": 1, "007": 2.5}]))
    assert list(read) == ["distance", "007"]
    assert read["007"].tolist() == [2.5]


def test_a_table_beside_others_has_more_columns_in_front():
    models_table = SIZES.beside(seed="count")
    assert list(models_table.columns) == ["seed", *SIZES.columns]
    assert models_table.file == SIZES.file


def test_a_file_that_a_spreadsheet_saved_is_read_too(tmp_path):
    content = SIZES.as_csv(SIZES.frame([row(model="a,b"), row(model='"')])).replace("\n", "\r\n")
    (tmp_path / "sizes.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert SIZES.read(tmp_path)["model"].tolist() == ["a,b", '"']


def test_a_table_that_is_not_there_is_missed_by_its_name(tmp_path):
    with pytest.raises(NotFound, match=r"has no sizes\.csv: make the results again"):
        SIZES.read(tmp_path)


HEADER = b"model,share,n_units,holds,note\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model,share,holds,note\n", "has no column n_units: it was made by another version; make the results again"),
        (b"", "cannot be read: the file is empty"),
        (b"\xff\xfe", "cannot be read"),
        (HEADER + b"a,1.0,3,True\n", "cannot be read: row 2 has 4 values, but there are 5 columns"),
        (HEADER + b"a,1.0,3,True,,,\n", "cannot be read: row 2 has 7 values"),
        (HEADER + b'a,1.0,3,True,"open\n', "cannot be read"),
        (HEADER + b"a,one,3,True,\n", "is damaged: .*'one'"),
        (HEADER + b"a,1.0,3.5,True,\n", r"is damaged: .*'3\.5'"),
        (HEADER + b"a,1.0,99999999999999999999,True,\n", "is damaged"),
        (HEADER + b"a,1.0,3,yes,\n", "is damaged: 'yes' must be True or False"),
    ],
)
def test_a_damaged_table_is_refused_by_its_file_in_one_line(tmp_path, content, message):
    (tmp_path / "sizes.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"sizes\.csv {message}") as error:
        SIZES.read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_table_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    SIZES.write(SIZES.frame([row()]), tmp_path)

    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        SIZES.write(SIZES.frame([row(), row()]), tmp_path)
    assert len(SIZES.read(tmp_path)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sizes.csv"]
