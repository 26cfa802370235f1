"""A verdict says no more than its test."""

import math

import numpy as np
import pandas as pd
import pytest
from tests.cortex.planted import compared, cortex, responses

import toposheet as ts
from toposheet.cortex import topography_statistics
from toposheet.cortex.summary import n_significant, raw_rows, summary_of
from toposheet.cortex.verdicts import (
    MapVerdict,
    criterion_verdict,
    map_verdict,
    needed_draws,
    not_tested,
    verdict_of_models,
)

ORDERED = "the effect is spatially ordered"


@pytest.mark.parametrize(("draws", "enough"), [(2, False), (18, False), (19, True), (99, True)])
def test_a_null_needs_19_draws_for_a_p_of_005(draws, enough):
    assert (not_tested(draws) == "") == enough
    if not enough:
        assert not_tested(draws) == f"not tested: with {draws} draws no p can reach 0.05"


@pytest.mark.parametrize(("contrasts", "draws", "needed"), [(1, 18, 19), (4, 78, 79), (6, 99, 119), (7, 20, 139)])
def test_several_contrasts_need_more_draws_for_a_corrected_p_of_005(contrasts, draws, needed):
    words = needed_draws(contrasts, draws)
    assert f"no corrected p can be below {contrasts / (1 + draws):.2g}: {needed} draws are needed for 0.05" in words
    assert needed_draws(contrasts, needed - 1)
    assert needed_draws(contrasts, needed) == ""


@pytest.mark.parametrize(
    ("verdict", "units", "order"),
    [
        (MapVerdict(0, 2560, 0.12, 0.4, 99), "no unit is",
         f"it is not shown that {ORDERED} (organisation 0.12, p = 0.400)"),
        (MapVerdict(1, 2560, 0.12, 0.051, 999), "1 of 2,560 units is",
         f"it is not shown that {ORDERED} (organisation 0.12, p = 0.051)"),
        (MapVerdict(12, 2560, 0.12, 0.05, 39), "12 of 2,560 units are", f"{ORDERED} (organisation 0.12, p = 0.050)"),
        (MapVerdict(12, 2560, 0.12, 0.05, 19), "12 of 2,560 units are",
         f"{ORDERED} (organisation 0.12, p = 0.05, the smallest possible with 19 draws)"),
        (MapVerdict(9, 20, 0.12, 0.2, 3), "9 of 20 units are",
         f"whether {ORDERED} is not tested: with 3 draws no p can reach 0.05"),
        (MapVerdict(0, 20, math.nan, math.nan, 99), "no unit is",
         f"whether {ORDERED} is not tested: no map varies between neighbours"),
    ],
)  # fmt: skip
def test_a_map_is_said_to_be_what_its_tests_say(verdict, units, order):
    assert str(verdict) == f"{units} significant; {order}"


def tables(comparison, permutations):
    statistics = topography_statistics(comparison, fwhm_mm=(0.0,), permutations=permutations)
    return statistics, ts.organisation(comparison, fwhm_mm=(0.0,), permutations=permutations)


def test_a_verdict_has_the_numbers_of_its_tests():
    comparison = compared(effect=1.5)
    statistics, organisation = tables(comparison, 19)
    verdict = map_verdict(statistics, organisation, 19)
    assert verdict.n_significant == int((comparison.q < 0.05).sum()) > 0
    assert verdict.n_units == comparison.q.size
    whole = organisation[organisation["tap"] == "*"]
    assert (verdict.organisation, verdict.p) == (whole["value"].item(), whole["p"].item())


def test_an_effect_without_order_is_not_said_to_be_ordered_though_it_comes_back():
    data = responses(cortex(), effect=0.0)
    rng = np.random.default_rng(4)
    data.values[data["condition"].values == "a"] += rng.normal(size=data.sizes["unit"])
    statistics, organisation = tables(ts.Comparison(data, "a", "b"), 99)
    verdict = map_verdict(statistics, organisation, 99)
    assert verdict.n_significant > 20
    assert not verdict.is_ordered
    ordered = compared(effect=1.5)
    assert map_verdict(*tables(ordered, 99), 99).is_ordered


def test_silent_units_are_not_counted_as_significant():
    data = responses(cortex(), effect=1.5)
    data.values[:, ::3] = 0.25
    comparison = ts.Comparison(data, "a", "b")
    statistics, organisation = tables(comparison, 2)
    n = int((comparison.q < 0.05).sum())
    assert n > 20
    summary = summary_of(statistics)
    assert n_significant(summary["significant_fraction"], summary["n_units"]) == n
    assert map_verdict(statistics, organisation, 2).n_significant == comparison.n_significant == n


def test_the_raw_rows_of_a_table_are_those_without_readout():
    table = pd.DataFrame({"fwhm_mm": [2.0, 0.0, 4.0, 0.0], "value": [1, 2, 3, 4]})
    assert raw_rows(table)["value"].tolist() == [2, 4]
    assert raw_rows(table[table["fwhm_mm"] > 0]).empty  # the smallest readout is not raw


def test_several_models_are_counted():
    verdicts = [MapVerdict(0, 9, 0.12, 0.01, 99), MapVerdict(3, 9, 0.12, 0.3, 99), MapVerdict(3, 9, 0.12, 0.05, 99)]
    assert verdict_of_models(verdicts).startswith(
        f"2 of 3 models have significant units; in 2 of 3 tested models {ORDERED}"
    )
    assert "not tested: with 4 draws" in verdict_of_models([MapVerdict(0, 9, 0.12, 0.2, 4)] * 2)


def test_models_without_a_test_are_not_counted_as_tested():
    tested, constant = MapVerdict(3, 9, 0.12, 0.05, 99), MapVerdict(3, 9, math.nan, math.nan, 99)
    assert (tested.untested, constant.untested) == ("", "no map varies between neighbours")
    assert MapVerdict(3, 9, 0.12, 0.05, 3).untested == "with 3 draws no p can reach 0.05"
    units = "2 of 2 models have significant units"
    assert (
        verdict_of_models([constant, constant])
        == f"{units}; whether {ORDERED} is not tested: no map varies between neighbours"
    )
    partly = f"{units}; in 1 of 1 tested models {ORDERED} (p ≤ 0.05); 1 not tested: no map varies between neighbours"
    assert verdict_of_models([tested, constant]) == verdict_of_models([constant, tested]) == partly


def test_a_criterion_is_shown_not_shown_or_not_tested():
    few = {"by_draws": True, "permutations": 9}
    assert criterion_verdict(0.1, 1.0, holds=False, **few) == "not tested: with 9 draws no p can reach 0.05"
    assert criterion_verdict(0.01, 0.16, holds=True, by_draws=False, permutations=9) == "shown, but not if corrected"
    assert criterion_verdict(0.01, 0.05, holds=True, by_draws=False, permutations=9) == "shown, also corrected"
    assert criterion_verdict(0.3, 1.0, holds=False, by_draws=True, permutations=99) == "not shown"
    draws = {"holds": True, "by_draws": True, "permutations": 99}
    assert criterion_verdict(0.01, 0.08, **draws) == "shown; to correct p, 99 draws are too few"
    assert criterion_verdict(0.02, 0.16, **draws) == "shown, but not if corrected"
    assert (
        criterion_verdict(math.nan, math.nan, holds=False, by_draws=False, permutations=99)
        == "not tested: the measure is undefined"
    )
