import sys

import pandas as pd
import pytest

from toposheet.errors import UserError
from toposheet.packages import MissingPackage
from toposheet.stimuli.confounds import check_confounds, confound_values
from toposheet.stimuli.contrasts import Contrast

STIMULI = pd.DataFrame({"text": ["a", "b"], "condition": ["1", "2"], "rating": ["1", "2.5"], "age": [3, 4],
                        "real": [True, False], "kind": ["x", "7"], "gap": ["", "1"], "n_tokens": [1, 2]})  # fmt: skip
STIMULI = pd.concat([STIMULI] * 60, ignore_index=True)
CONTRAST = Contrast("1", "2")


def test_measures_and_columns_of_numbers_can_be_taken():
    names = ["length", "frequency", "tokens", "rating", "age", "real"]
    check_confounds(STIMULI, CONTRAST, names)
    numbers = {"rating": [1, 2.5], "age": [3, 4], "real": [1, 0], "tokens": [1, 2], "length": [1, 1]}
    for name, values in numbers.items():
        assert confound_values(STIMULI, name).tolist() == values * 60


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "lenght",
            r"no confound 'lenght'; the confounds are: length, frequency, tokens, rating, age, real\. Did you mean l",
        ),
        ("Rating", r"no confound 'Rating'; .* Did you mean rating\?"),
        (
            "kind",
            r"'kind' has values that are not finite numbers: use another confound; the confounds are: length,",
        ),
        ("gap", "'gap' has values that are not finite numbers"),
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
    with pytest.raises(UserError, match="'age' has values that are not finite numbers"):
        check_confounds(stimuli, Contrast("1", "3"), ["age"])


def test_frequency_without_its_package_is_refused_early(monkeypatch):
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    check_confounds(STIMULI, CONTRAST, ["length"])
    with pytest.raises(
        MissingPackage, match=r"^word frequencies need the package wordfreq: pip install 'toposheet\[st"
    ):
        check_confounds(STIMULI, CONTRAST, ["length", "frequency"])
