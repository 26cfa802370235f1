"""What a file says is compared as it says it, not as what it could be taken for."""

import pandas as pd
import pytest

import toposheet as ts
from toposheet.stimuli.contrasts import Contrast


def written(tmp_path, column, cells):
    rows = zip("abcdefghijkl"[: len(cells)], ["n", "v"] * (len(cells) // 2), cells, strict=True)
    path = tmp_path / "t.csv"
    path.write_text(f"text,condition,{column}\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return ts.read_stimuli(path)


@pytest.mark.parametrize(
    "value",
    ["TRUE", "true", "True", "01", "1", "007", "1.0", "1.50", "1e3", "+1", "2020-01-02", "NA", "nan", "None", "null",
     "inf", "1_000", "99999999999999999999", "-0", "0x1", "٣"],
)  # fmt: skip
def test_a_value_is_compared_as_it_is_written(tmp_path, value):
    table = written(tmp_path, "kind", [value] * 6 + ["0"] * 6)
    masks = Contrast("n", "v", where=("kind", value)).masks(table)
    assert [mask.sum() for mask in masks] == [3, 3]
    assert table["kind"].astype(str).tolist()[:6] == [value] * 6
    assert written(tmp_path, "kind", [value] * 6)["kind"].astype(str).unique().tolist() == [value]


def test_a_value_is_no_other_that_is_equal_as_a_number(tmp_path):
    table = written(tmp_path, "run", ["01"] * 6 + ["1"] * 6)
    assert Contrast("n", "v", where=("run", "1")).masks(table)[0].sum() == 3


@pytest.mark.parametrize("names", [("01", "1"), ("True", "False"), ("nan", "NA"), ("null", "None"), ("1.0", "1")])
def test_conditions_are_words_whatever_they_look_like(tmp_path, names):
    rows = "".join(f"{text},{names[n % 2]}\n" for n, text in enumerate("abcdef"))
    (tmp_path / "t.csv").write_text(f"text,condition\n{rows}", encoding="utf-8")
    table = ts.read_stimuli(tmp_path / "t.csv")
    assert table["condition"].tolist() == list(names) * 3
    assert Contrast(*names).masks(table)[0].tolist() == [True, False] * 3


def test_what_pandas_writes_comes_back_as_it_was(tmp_path):
    table = pd.DataFrame({"text": ["a", "b"], "condition": ["x", "y"], "n": [1, 20], "share": [0.5, 1e-7],
                          "made": [True, False], "word": ["1.0", "TRUE"]})  # fmt: skip
    table.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(ts.read_stimuli(tmp_path / "t.csv"), table)


def test_a_number_or_truth_value_of_a_table_in_python_is_what_it_looks_like():
    stimuli = pd.DataFrame({"text": list("abcdef"), "condition": ["n", "v"] * 3, "run": [1] * 6, "real": [True] * 6})
    assert Contrast("n", "v", where=("run", "1")).masks(stimuli)[0].sum() == 3
    assert Contrast("n", "v", where=("real", "True")).masks(stimuli)[0].sum() == 3


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (("category", "concrete"), "concrete n:v"),
        (("kind", "odd"), "odd n:v"),
        (("run", "1"), "run 1 n:v"),
        (("concrete", "TRUE"), "concrete TRUE n:v"),
        (("note", "NA"), "note NA n:v"),
    ],
)
def test_the_name_of_a_contrast_says_within_what(where, name):
    assert Contrast("n", "v", where=where).name == name


def test_a_published_format_is_said(tmp_path):
    (tmp_path / "t.csv").write_text("sentence,condition\na,x\n", encoding="utf-8")
    assert ts.read_stimuli(tmp_path / "t.csv").attrs["notes"] == (
        "the file has the columns of Fedorenko et al. 2011 ('sentence' is the text, 'condition' the condition), and is "
        "read in that format",
    )
