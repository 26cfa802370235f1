"""TopoLM's three criteria of a language network, with a test of each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from toposheet.cortex.cluster_responses import MEASURES
from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS, MEAN_OVER_TAPS
from toposheet.cortex.profiles import MATCHED
from toposheet.errors import UserError, listed
from toposheet.results import Table, rows_with

CRITERIA = Table(
    "criteria.csv",
    {"criterion": "text", "measure": "text", "value": "number", "null_mean": "number", "null_sd": "number",
     "z": "number", "p": "number", "by_draws": "flag", "holds": "flag"},
    "a test of one of TopoLM's three criteria",
)  # fmt: skip
SELECTIVE = "1 selective"  # the name of the first criterion
CONDITIONS = ("S", "W", "J", "N")
BRAIN = (("S", "W"), ("S", "J"), ("W", "N"), ("J", "N"))  # in the human language network, the first response is larger


def check_conditions(conditions: Iterable[str]) -> None:
    """Refuse texts that lack one of the four conditions of the criteria.

    Args:
        conditions: The conditions of the texts.

    Raises:
        UserError: A condition is missing. The message names it.
    """
    existing = set(map(str, conditions))
    if missing := [name for name in CONDITIONS if name not in existing]:
        raise UserError(
            f"the responses have no condition {', '.join(missing)}; they have: {listed(sorted(existing))}. "
            "The criteria need sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N)"
        )


def criteria(
    localized: pd.DataFrame, ordered: pd.DataFrame, tests: pd.DataFrame, similarity: pd.DataFrame
) -> pd.DataFrame:
    """Return whether a network meets TopoLM's three criteria of a language network, with a test of each.

    1. *Selective*: units selected by one half of the texts prefer sentences to non-words in the other half. Also, this
       effect is spatially ordered.
    2. *Response profile*: the network responds more to sentences (S) than to word lists (W), more to S than to
       Jabberwocky (J), more to W than to non-word lists (N), and more to J than to N, as the human language network
       does. Each of the four has a one-sided test. S against W and J against N are also tested within texts of equal
       numbers of tokens.
    3. *Consistent*: the profiles of the clusters are similar, more similar than without effect of the conditions.

    The second and the third criterion are tested with two measures of a response (`profiles`). The mean |response| is
    the choice of the paper. The signed response is ours, because the localizer is signed: it selects units with t > 0,
    of which many have the larger |activation| in the other condition.

    Args:
        localized: The table of `cross_validated`.
        ordered: The table of `organisation` of the localizer's comparison, with its raw map.
        tests: The table of `profile_tests`.
        similarity: The table of `consistency`.

    Returns:
        A row for each test, with the columns `criterion, measure, value, null_mean, null_sd, z, p, by_draws, holds`.
        In criteria 2 and 3, `measure` begins with the measure of the response. `by_draws` is True if p comes from
        random draws. Only the rows of consistency have the mean of their null. `holds` is True if p <= 0.05 and the
        value is positive.
    """
    rows: list[dict[str, object]] = []

    def add(criterion: str, measure: str, value: float, p: float, by_draws: bool = False, **null: float) -> None:
        names = {"criterion": criterion, "measure": measure, "by_draws": by_draws}
        rows.append({**names, "value": value, **null, "p": p, "holds": bool(p <= SIGNIFICANT and value > 0)})

    (held_out,) = rows_with(localized, tap=ALL_TAPS).to_dict("records")
    add(SELECTIVE, "sentences over non-words, held-out items (d)", float(held_out["d"]), float(held_out["p"]))
    (raw,) = rows_with(ordered, **MEAN_OVER_TAPS, fwhm_mm=0.0).to_dict("records")
    add(SELECTIVE, "spatial organisation, mean over taps", float(raw["value"]), float(raw["p"]), by_draws=True)
    by_pair = tests.set_index(["measure", "larger", "smaller", "matched"])
    for measure, words in MEASURES.items():
        for pair, matched in [(pair, False) for pair in BRAIN] + [(pair, True) for pair in MATCHED]:
            d, p = (float(by_pair[name].get((measure, *pair, matched), np.nan)) for name in ("d", "p"))
            compared = f"{' > '.join(pair)}{' matched in tokens' if matched else ''}"
            add("2 profile", f"{words}: {compared}, network (d)", d, p)
    for row in similarity.to_dict("records"):
        correlation = {name: float(row[name]) for name in ("value", "null_mean", "null_sd", "z", "p")}
        words = f"{MEASURES[row['measure']]}: similar clusters, mean correlation of their profiles"
        add("3 consistent", words, by_draws=True, **correlation)
    return CRITERIA.frame(rows)


def names_of_tests(tests: pd.DataFrame) -> str:
    """Return the names of tests in words, without their details. Tests of one measure of a response stand together.

    Args:
        tests: Rows of the table of `criteria`.

    Returns:
        For example `spatial organisation; signed response: S > W, S > J`. Without tests it is `none`.
    """
    names: dict[str, list[str]] = {}
    for name in tests["measure"].str.split(",").str[0]:
        measure, colon, test = name.rpartition(": ")
        names.setdefault(measure + colon, []).append(test)
    ordinary = names.pop("", [])
    return "; ".join([*ordinary, *(f"{measure}{', '.join(of)}" for measure, of in names.items())]) or "none"
