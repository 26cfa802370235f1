import re

import numpy as np
import pandas as pd
import pytest

from toposheet.stimuli.checks import _explained, check
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.measures import group_means
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
    assert "1 text of 'a' repeats an earlier text of its condition (the first is 'two'). Ignored, this makes p" in notes
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
    first, fourth = (f"stimulus {stimuli.index[n]}" for n in (0, 3))
    assert f"{first}, {fourth}: the text 'a' is in the conditions 'x' and 'y'" in notes
    assert f"{first}, {fourth}: the shared_words '1.0' is in" in notes
    assert "1 text of 'y' repeats an earlier text of its condition (the first is 'd')" in notes
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
    rng = np.random.default_rng(0)
    rows = [
        (f"{'x' * n} stone mill", c) for c, mean in (("a", 7), ("b", 9)) for n in rng.normal(mean, 1, 40).astype(int)
    ]
    stimuli = pd.DataFrame([*rows, *[("oak", "c")] * 5], columns=["text", "condition"])
    notes = check(stimuli, lambda text: 3 * len(text), [Contrast("a", "b")])
    remove = "remove this difference with --confounds"
    assert (
        f"a:b: the conditions differ in letters (p < 0.001): {remove} length, or compare with the negative"
        in " ".join(notes)
    )
    assert any(f"differ in tokens (p < 0.001): {remove} tokens, or" in note for note in notes)
    assert not any("differ in words" in note for note in notes)  # the words of c are fewer, but c is not compared


def test_a_measure_that_nearly_is_the_condition_is_not_to_be_removed():
    rng = np.random.default_rng(0)
    rows = [(f"{'x' * n} mill", c) for c, mean in (("a", 5), ("b", 15)) for n in rng.normal(mean, 2, 40).astype(int)]
    (note,) = [note for note in check(pd.DataFrame(rows, columns=["text", "condition"])) if "differ in letters" in note]
    assert re.search(r"the conditions explain 8\d% of this measure, so no regression can separate it from", note)
    assert "--confounds" not in note


def test_the_variance_between_conditions_is_the_r2_of_the_condition():
    import statsmodels.api as sm

    texts = ["x" * n for n in (3, 4, 6, 7, 12, 13, 14, 16, 18)]
    stimuli = pd.DataFrame({"text": texts, "condition": [*"aaaa", *"bbbbb"]})
    letters = group_means(stimuli).query("measure == 'letters'")
    is_a = sm.add_constant((stimuli["condition"] == "a").astype(float))
    expected = sm.OLS([float(len(text)) for text in texts], is_a).fit().rsquared
    assert _explained(letters, stimuli.groupby("condition").size()) == pytest.approx(expected)


def test_a_check_says_what_confounds_leave():
    stimuli = pd.DataFrame({"text": [f"own{n}" for n in range(40)], "condition": ["a"] * 20 + ["b"] * 20})
    stimuli["level"] = np.arange(40) + 30 * (stimuli["condition"] == "b")
    notes = check(stimuli, None, [Contrast("a", "b")], None, ["level"])
    assert any(note.startswith("a:b: level explains 9") for note in notes)
    assert notes[-1].startswith("if the values of 'level' are estimates")
