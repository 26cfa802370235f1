import pytest

from toposheet.stimuli.checks import check
from toposheet.stimuli.table import read_stimuli


def test_a_check_says_what_could_mislead_and_refuses_what_analyses_refuse(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,condition\n" + "one,a\ntwo,a\ntwo ,a\nfour,a\n four,b\nsix,b\nseven words more,b\n"
    )
    table = read_stimuli(tmp_path / "s.csv")
    notes = " | ".join(check(table))
    assert "rows 5, 6: the text 'four' is in more than one condition" in notes
    assert "1 text repeats an earlier text of the same condition; the first of them is in row 4" in notes
    with pytest.raises(ValueError, match=r"s\.csv has 1 text of the condition 'a': a contrast needs at least 3"):
        check(table.iloc[3:])


def test_a_check_says_what_no_contrast_takes(tmp_path):
    rows = "".join(
        f"{text},{c},{w}\n" for text, c, w in zip("abcdef", "xxxyyy", ["1", "2", "3", "1", "4", "5"], strict=True)
    )
    (tmp_path / "s.csv").write_text(f"text,condition,shared_words\n{rows}")
    notes = " | ".join(check(read_stimuli(tmp_path / "s.csv")))
    assert (
        "rows 2, 5 have the shared_words '1' in the conditions 'x' and 'y': a contrast between these "
        "conditions is refused" in notes
    )
    (tmp_path / "s.csv").write_text("text,condition\n a,x\nb,x\nc,x\n")
    notes = " | ".join(check(read_stimuli(tmp_path / "s.csv")))
    assert "the set has one condition, 'x': an analysis compares two conditions, so add a second one" in notes
    assert "1 text begins or ends with a space, and the model reads this space" in notes


def test_conditions_that_differ_in_capitals_are_refused(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,condition\n" + "".join(f"{t},{c}\n" for t, c in zip("abcdef", "xxxXXX", strict=True))
    )
    with pytest.raises(ValueError, match="'x' and 'X' in the column 'condition'"):
        check(read_stimuli(tmp_path / "s.csv"))
