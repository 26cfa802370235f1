import numpy as np
import pandas as pd
import pytest
from scipy import stats

import toposheet as ts


def answers(rng, right, n=50, model="m"):
    """Return a table of items of BLiMP: {(field, phenomenon, paradigm): probability to be right}."""
    rows = [
        {"model": model, "task": "blimp", "field": field, "phenomenon": phenomenon, "paradigm": paradigm,
         "item": str(number), "value": float(rng.random() < probability), "chance": 0.5}
        for (field, phenomenon, paradigm), probability in right.items()
        for number in range(n)
    ]  # fmt: skip
    return pd.DataFrame(rows)


RIGHT = {("syntax", "islands", "a"): 0.9, ("syntax", "islands", "b"): 0.5, ("semantics", "npi", "c"): 0.7,
         ("syntax", "npi", "d"): 0.5}  # fmt: skip


def test_the_accuracy_of_a_group_is_the_mean_over_its_paradigms(rng):
    items = answers(rng, RIGHT)
    items = items.drop(index=range(30))  # fewer pairs of the first paradigm
    table = ts.accuracy(items).set_index(["level", "group"])
    of_paradigms = items.groupby("paradigm")["value"].mean()
    assert table.loc[("paradigm", "a"), "accuracy"] == of_paradigms["a"]
    assert table.loc[("field", "syntax"), "accuracy"] == pytest.approx(of_paradigms[["a", "b", "d"]].mean())
    assert table.loc[("phenomenon", "npi"), "accuracy"] == pytest.approx(of_paradigms[["c", "d"]].mean())
    assert table.loc[("all", "*"), "accuracy"] == pytest.approx(of_paradigms.mean())
    assert table["n_items"].to_dict() == {
        ("all", "*"): 170, ("field", "syntax"): 120, ("field", "semantics"): 50, ("phenomenon", "islands"): 70,
        ("phenomenon", "npi"): 100, ("paradigm", "a"): 20, ("paradigm", "b"): 50, ("paradigm", "c"): 50,
        ("paradigm", "d"): 50,
    }  # fmt: skip


def test_the_interval_of_a_paradigm_is_wilsons_and_its_p_binomial(rng):
    items = answers(rng, RIGHT)
    table = ts.accuracy(items).set_index("group")
    test = stats.binomtest(int(items[items["paradigm"] == "a"]["value"].sum()), 50)
    interval = test.proportion_ci(method="wilson")
    assert (table.loc["a", "low"], table.loc["a", "high"]) == pytest.approx((interval.low, interval.high))
    assert table.loc["a", "p"] == pytest.approx(test.pvalue)


def test_p_is_corrected_for_the_groups_of_a_level(rng):
    table = ts.accuracy(answers(rng, RIGHT))
    paradigms = table[table["level"] == "paradigm"]
    assert paradigms["p_holm"].min() == pytest.approx(4 * paradigms["p"].min())
    assert table[table["level"] == "all"]["p_holm"].tolist() == table[table["level"] == "all"]["p"].tolist()


def test_models_in_one_table_have_accuracies_of_their_own(rng):
    one, other = (answers(rng, RIGHT, model=model) for model in ("m", "n"))
    both = ts.accuracy(pd.concat([one, other], ignore_index=True))
    expected = pd.concat([ts.accuracy(one), ts.accuracy(other)], ignore_index=True)
    pd.testing.assert_frame_equal(both, expected)


def test_a_model_that_guesses_is_rarely_called_better_or_worse_than_chance():
    significant = 0
    for seed in range(200):
        table = ts.accuracy(answers(np.random.default_rng(seed), dict.fromkeys(RIGHT, 0.5)))
        significant += (table[table["level"] == "paradigm"]["p_holm"] <= 0.05).any()
    assert significant <= 18


def test_tables_that_are_not_from_evaluate_are_refused(rng):
    with pytest.raises(ts.UserError, match="no column 'chance'"):
        ts.accuracy(answers(rng, RIGHT).drop(columns="chance"))
    with pytest.raises(ts.UserError, match="has no items"):
        ts.accuracy(answers(rng, RIGHT)[:0])
