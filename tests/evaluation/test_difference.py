import numpy as np
import pandas as pd
import pytest
from tests.evaluation.test_accuracy import RIGHT, answers

import toposheet as ts


def test_the_difference_is_that_of_the_accuracies_and_has_the_opposite_sign_the_other_way(rng):
    one, other = (answers(rng, RIGHT, model=model) for model in ("m", "n"))
    table = ts.accuracy_difference(one, other.sample(frac=1, random_state=0))
    for column, items in (("value", one), ("other_value", other)):
        np.testing.assert_allclose(table[column], ts.accuracy(items)["accuracy"])
    np.testing.assert_allclose(table["difference"], table["value"] - table["other_value"])
    assert ((table["low"] < table["difference"]) & (table["difference"] < table["high"])).all()
    reverse = ts.accuracy_difference(other, one)
    np.testing.assert_allclose(reverse[["low", "high"]], -table[["high", "low"]])
    assert set(table["model"]) == {"m"}
    assert set(table["other_model"]) == {"n"}


def test_a_clear_difference_is_found_and_no_difference_rarely():
    found, wrong = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        one, other = (answers(rng, RIGHT, model=model) for model in ("m", "n"))
        better = answers(rng, {key: min(1.0, value + 0.3) for key, value in RIGHT.items()}, model="better")
        wrong += (ts.accuracy_difference(one, other, permutations=199)["p_holm"] <= 0.05)[0]
        found += (ts.accuracy_difference(better, other, permutations=199)["p"] <= 0.05)[0]
    assert found == 100
    assert wrong <= 10


def test_p_is_corrected_for_the_groups_of_a_level(rng):
    one, other = (answers(rng, RIGHT, model=model) for model in ("m", "n"))
    table = ts.accuracy_difference(one, other)
    paradigms = table[table["level"] == "paradigm"]
    assert paradigms["p_holm"].min() == pytest.approx(min(1, 4 * paradigms["p"].min()))
    assert ts.accuracy_difference(one, other).equals(table)


def test_models_that_answered_other_items_are_refused(rng):
    one, other = (answers(rng, RIGHT, model=model) for model in ("m", "n"))
    with pytest.raises(ts.UserError, match="199 of 200 and 199 are the same"):
        ts.accuracy_difference(one, other[1:])
    with pytest.raises(ts.UserError, match="several models"):
        ts.accuracy_difference(pd.concat([one, other]), other)
    with pytest.raises(ts.UserError, match="permutations"):
        ts.accuracy_difference(one, other, permutations=0)
