import numpy as np
import pandas as pd
import pytest

from toposheet.errors import UserError
from toposheet.stimuli.naming import check_column, labels, row_name, source_name

STIMULI = pd.DataFrame({"text": ["a", "b"], "condition": ["x ", "x"]})


def from_file(stimuli):
    stimuli = stimuli.copy()
    stimuli.attrs["source"] = "s.csv"
    return stimuli


def test_a_row_of_a_file_keeps_its_number_and_other_stimuli_have_their_label():
    assert row_name(from_file(STIMULI)[1:], 0) == "row 3"
    assert row_name(STIMULI, 1) == "stimulus 1"
    assert source_name(from_file(STIMULI)) == "s.csv"
    assert source_name(STIMULI) == "the stimulus set"


@pytest.mark.parametrize("label", ["b", 1.5, True, None, np.nan, ("a", 1), pd.Timestamp(0), "two\nlines"])
def test_every_label_gives_a_name_in_one_line(label):
    stimuli = from_file(STIMULI)
    stimuli.index = pd.Index(["first", label], dtype=object, tupleize_cols=False)
    assert row_name(stimuli, 1).startswith("stimulus ")
    assert "\n" not in row_name(stimuli, 1)


def test_a_column_must_be_there_once():
    check_column(STIMULI, "text")
    with pytest.raises(UserError, match=r"^s\.csv has no column 'txt'; it has: text, condition\. Did you mean text\?$"):
        check_column(from_file(STIMULI), "txt")
    with pytest.raises(UserError, match="has two columns 'text': rename one of them"):
        labels(pd.concat([STIMULI, STIMULI], axis=1), "text")
    assert labels(STIMULI, "condition").tolist() == ["x", "x"]
