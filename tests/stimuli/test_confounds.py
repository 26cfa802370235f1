import re
import sys

import numpy as np
import pandas as pd
import pytest

from toposheet.errors import UserError
from toposheet.packages import MissingPackage
from toposheet.stimuli.confounds import (
    check_confounds,
    condition_explained,
    confound_values,
    nearly_the_condition_note,
)
from toposheet.stimuli.contrasts import Contrast

RNG = np.random.default_rng(0)
STIMULI = pd.DataFrame({
    "text": RNG.choice(["a", "big house", "of the"], 120), "condition": ["1", "2"] * 60,
    "rating": RNG.normal(size=120).astype(str), "age": RNG.integers(3, 9, 120), "real": RNG.random(120) < 0.5,
    "kind": ["x", "y"] * 60, "gap": ["", "1"] * 60, "n_tokens": RNG.integers(1, 5, 120),
})  # fmt: skip
CONTRAST = Contrast("1", "2")


def test_measures_and_columns_of_numbers_can_be_taken():
    names = ["length", "frequency", "tokens", "rating", "age", "real"]
    check_confounds(STIMULI, CONTRAST, names)
    numbers = {name: STIMULI[name].astype(float).tolist() for name in ("rating", "age", "real")}
    numbers |= {
        "tokens": STIMULI["n_tokens"].tolist(),
        "length": STIMULI["text"].str.replace(" ", "").str.len().tolist(),
    }
    for name, values in numbers.items():
        assert confound_values(STIMULI, name).tolist() == values, name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lenght",
            r"no confound 'lenght'; the confounds are: length, frequency, tokens, rating, age, real\. Did you mean l",
        ),
        ("n_tokens", r"no confound 'n_tokens'; .* Did you mean tokens\?"),
        ("Rating", r"no confound 'Rating'; .* Did you mean rating\?"),
        (
            "kind",
            r"'kind' has values that are not finite numbers: use another confound; the confounds are: length,",
        ),
        (
            "gap",
            r"^the text '.*': the confound 'gap' is empty, and 59 more such cells: fill in or correct the value, or",
        ),
        ("condition", "'condition' has values that are not finite numbers"),
    ],
)
def test_others_are_refused_and_what_can_be_taken_is_listed(name, message):
    with pytest.raises(UserError, match=message):
        check_confounds(STIMULI, CONTRAST, [name])


def test_too_few_texts_of_the_contrast_are_refused_before_a_model_reads_them():
    stimuli = STIMULI.assign(where=["few"] * 38 + ["many"] * 82)
    few = Contrast("1", "2", where=("where", "few"))
    check_confounds(stimuli, few, ["age", "age"])
    with pytest.raises(
        UserError, match="there are 2 confounds and 38 texts in few 1:2: use at most one confound per 20"
    ):
        check_confounds(stimuli, few, ["age", "rating"])
    with pytest.raises(UserError, match="there is 1 confound and 18 texts"):
        check_confounds(stimuli[:18], few, ["length"])
    check_confounds(stimuli[:18], few, [])


def test_only_the_texts_of_the_contrast_must_have_a_number():
    stimuli = pd.concat([STIMULI, STIMULI[:3].assign(condition="3", age=float("nan"))], ignore_index=True)
    check_confounds(stimuli, CONTRAST, ["age"])
    with pytest.raises(
        UserError, match="the confound 'age' is 'nan', which is not a finite number, and 2 more such cells: fill"
    ):
        check_confounds(stimuli, Contrast("1", "3"), ["age"])


def test_frequency_without_its_package_is_refused_early(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    check_confounds(STIMULI, CONTRAST, ["length"])
    with pytest.raises(
        MissingPackage, match=r"^word frequencies need the package wordfreq: pip install 'toposheet\[st"
    ):
        check_confounds(STIMULI, CONTRAST, ["length", "frequency"])


@pytest.mark.parametrize("name", ["length", "frequency", "tokens"])
def test_a_column_with_the_name_of_a_computed_confound_is_not_ignored(name):
    with pytest.raises(UserError, match=f"has a column '{name}', but the confound '{name}' is computed from the texts"):
        check_confounds(STIMULI.assign(**{name: np.arange(120)}), CONTRAST, [name])
    check_confounds(STIMULI.assign(**{name: np.arange(120)}), CONTRAST, ["age"])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0,53", r"is '0,53', which is not a finite number: write decimals with a point \(0\.53\)"),
        ("inf", "is 'inf', which is not a finite number: fill in or correct the value"),
        ("n/a", "is 'n/a', which is not a finite number: fill in or correct the value"),
        ("", "is empty: fill in or correct the value"),
    ],
)
def test_a_value_that_is_no_finite_number_is_named_with_its_row(cell, words):
    stimuli = STIMULI.assign(rating=["1.5"] * 4 + [cell] + ["2"] * 115)
    with pytest.raises(UserError, match=f"^the text '{stimuli['text'][4]}': the confound 'rating' {words}"):
        check_confounds(stimuli, CONTRAST, ["rating"])
    stimuli.attrs["source"] = "s.csv"
    with pytest.raises(UserError, match=rf"^s\.csv, row 6: the confound 'rating' {words}"):
        check_confounds(stimuli, CONTRAST, ["rating"])


def test_a_column_of_decimal_commas_is_told_apart_from_a_column_of_words():
    with pytest.raises(UserError, match=r"is '0,5', which .* and 119 more such cells: write decimals with a point"):
        check_confounds(STIMULI.assign(rating=["0,5", "1,25"] * 60), CONTRAST, ["rating"])


def test_a_confound_with_one_value_is_refused_even_if_other_conditions_have_others():
    stimuli = pd.concat([STIMULI.assign(level=0.1), STIMULI[:3].assign(condition="3", level=2.0)], ignore_index=True)
    with pytest.raises(UserError, match="the column 'level' has one value for all texts of 1:2, so there is nothing"):
        check_confounds(stimuli, CONTRAST, ["level"])
    with pytest.raises(UserError, match=r"the confound 'length' has one value for all texts of 1:2, .* leave it out"):
        check_confounds(stimuli.assign(text="word"), CONTRAST, ["length"])


def test_confounds_that_are_the_condition_are_refused_alone_and_together():
    is_a = (STIMULI["condition"] == "1").to_numpy()
    stimuli = STIMULI.assign(same=1e6 - 3.0 * is_a, sum=STIMULI["age"] + is_a, near=is_a + RNG.normal(size=120) / 9)
    with pytest.raises(UserError, match="same tells the conditions '1' and '2' apart exactly, so nothing of the cont"):
        check_confounds(stimuli, CONTRAST, ["same"])
    with pytest.raises(UserError, match=r"age, sum together tell the conditions .* leave them out of the confounds"):
        check_confounds(stimuli, CONTRAST, ["age", "sum"])
    check_confounds(stimuli, CONTRAST, ["sum"])
    check_confounds(stimuli, CONTRAST, ["near"])


def test_a_confound_that_is_nearly_the_condition_gets_a_note():
    is_a = (STIMULI["condition"] == "1").to_numpy()
    noise = RNG.normal(size=120)
    near, far = (STIMULI.assign(level=gap * is_a + noise) for gap in (5, 3))  # R^2 of 0.86 and 0.69
    note = nearly_the_condition_note(near, CONTRAST, ["level", "tokens"])
    assert re.match(
        r"level, tokens explain 8\d% of the condition, so little of the contrast remains after the reg", note
    )
    assert nearly_the_condition_note(far, CONTRAST, ["level"]) == ""
    assert nearly_the_condition_note(near.drop(columns="n_tokens"), CONTRAST, ["tokens"]) == ""  # not known yet


def test_the_r2_of_the_condition_is_that_of_a_regression():
    import statsmodels.api as sm

    is_a = (STIMULI["condition"] == "1").to_numpy()
    columns = STIMULI[["age", "real", "n_tokens"]].to_numpy(dtype=float)
    expected = sm.OLS(is_a.astype(float), sm.add_constant(columns)).fit().rsquared
    assert condition_explained(STIMULI, is_a, ["age", "real", "tokens"]) == pytest.approx(expected)


def test_no_note_says_that_all_of_the_condition_is_explained():
    nearly = STIMULI.assign(level=(STIMULI["condition"] == "1") + RNG.normal(size=120) / 1000)
    assert nearly_the_condition_note(nearly, CONTRAST, ["level"]).startswith("level explains 99% of the condition")
