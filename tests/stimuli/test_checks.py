import pandas as pd
import pytest

from toposheet.stimuli.checks import check
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.table import read_stimuli


def test_a_check_says_what_could_mislead_and_refuses_what_analyses_refuse(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,condition\n" + "one,a\ntwo,a\ntwo ,a\nfour,a\n four,b\nsix,b\nseven words more,b\n"
    )
    table = read_stimuli(tmp_path / "s.csv")
    notes = " | ".join(check(table))
    assert (
        "row 5, row 6: the text 'four' is in the conditions 'a' and 'b', and a contrast of these two conditions is "
        "refused. Remove it from all but one condition" in notes
    )
    assert "1 text repeats an earlier text of the same condition; the first of them is row 4" in notes
    with pytest.raises(ValueError, match=r"s\.csv has 1 text of the condition 'a': a contrast needs at least 3"):
        check(table.iloc[3:])


def test_a_check_says_what_no_contrast_takes(tmp_path):
    rows = "".join(
        f"{text},{c},{w}\n" for text, c, w in zip("abcdef", "xxxyyy", ["1", "2", "3", "1", "4", "5"], strict=True)
    )
    (tmp_path / "s.csv").write_text(f"text,condition,shared_words\n{rows}")
    notes = " | ".join(check(read_stimuli(tmp_path / "s.csv")))
    assert (
        "row 2, row 5: the shared_words '1' is in the conditions 'x' and 'y', and a contrast of these two conditions "
        "is refused" in notes
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


@pytest.mark.parametrize("index", [list("abcdef"), [0.5, 1, 2, 3, 4, 5], [("a", n) for n in range(6)], [True] * 6])
def test_a_table_with_any_index_is_checked(index):
    stimuli = pd.DataFrame({"text": ["a", "b", "c", "a", "d", "d "], "condition": [*"xxx", *"yyy"]})
    stimuli.index = pd.Index(index)
    notes = " | ".join(check(stimuli.assign(shared_words=[1, 2, None, 1, 3, None])))
    first, fourth, last = (f"stimulus {stimuli.index[n]}" for n in (0, 3, 5))
    assert f"{first}, {fourth}: the text 'a' is in the conditions 'x' and 'y'" in notes
    assert f"{first}, {fourth}: the shared_words '1.0' is in" in notes
    assert f"the first of them is {last}" in notes
    assert "'nan'" not in notes  # a missing value is no group


def test_a_check_and_a_contrast_find_the_same_shared_text():
    stimuli = pd.DataFrame({"text": ["a  b", "b", "c", " a b", "d", "e"], "condition": ["x ", "x", "x", *"yyy"]})
    assert any("'a b' is in the conditions 'x' and 'y'" in note for note in check(stimuli))
    with pytest.raises(
        ValueError, match="stimulus 0 and stimulus 3: the text 'a b' is in both conditions, 'x' and 'y'"
    ):
        Contrast("x", "y").check(stimuli)


def test_a_check_without_a_column_says_what_there_is():
    with pytest.raises(ValueError, match=r"no column 'condition'; it has: text, Condition\. Did you mean Condition\?"):
        check(pd.DataFrame({"text": ["a"], "Condition": ["x"]}))


def test_a_difference_is_told_with_the_confound_that_removes_it_in_the_contrast_that_has_it():
    texts = {"a": ["river stone mill"] * 5, "b": ["riverside stonework milling"] * 5, "c": ["oak"] * 5}
    rows = [(f"{text} {'x' * n}", c) for c, same in texts.items() for n, text in enumerate(same, 1)]
    stimuli = pd.DataFrame(rows, columns=["text", "condition"])
    notes = check(stimuli, lambda text: 3 * len(text), [Contrast("a", "b")])
    remove = "remove this difference with --confounds"
    assert (
        f"a:b: the conditions differ in letters (p < 0.001): {remove} length, or compare with the negative"
        in " ".join(notes)
    )
    assert any(f"differ in tokens (p < 0.001): {remove} tokens, or" in note for note in notes)
    assert not any("differ in words" in note for note in notes)  # the words of c are fewer, but c is not compared
    assert any(
        note.startswith("the conditions differ in words")
        and note.endswith("no confound removes this difference, so compare with the negative controls")
        for note in check(stimuli)
    )
