import pandas as pd
import pytest

from toposheet.errors import UserError
from toposheet.stimuli.confounds import check_confounds

STIMULI = pd.DataFrame({"text": ["a", "b"], "condition": ["1", "2"], "rating": ["1", "2.5"], "age": [3, 4],
                        "real": [True, False], "kind": ["x", "7"], "gap": ["", "1"], "n_tokens": [1, 2]})  # fmt: skip


def test_measures_and_columns_of_numbers_can_be_taken():
    check_confounds(STIMULI, ["length", "frequency", "tokens", "rating", "age", "real"])


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
        check_confounds(STIMULI, [name])
