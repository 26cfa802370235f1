"""TopoLM's three criteria of a language network, with a test of each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.errors import UserError, listed
from toposheet.results import Table, rows_with

CRITERIA = Table(
    "criteria.csv",
    {"criterion": "text", "measure": "text", "value": "number", "null_mean": "number", "null_sd": "number",
     "z": "number", "p": "number", "by_draws": "flag", "holds": "flag"},
    "a test of one of TopoLM's three criteria",
)  # fmt: skip
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
    localized: pd.DataFrame, ordered: pd.DataFrame, tests: pd.DataFrame, similarity: pd.Series
) -> pd.DataFrame:
    """Return whether a network meets TopoLM's three criteria of a language network, with a test of each.

    1. *Selective*: units selected by one half of the texts prefer sentences to non-words in the other half. Also, this
       effect is spatially ordered.
    2. *Response profile*: the network responds more to sentences (S) than to word lists (W), more to S than to
       Jabberwocky (J), more to W than to non-word lists (N), and more to J than to N, as the human language network
       does. Each of the four has a one-sided test.
    3. *Consistent*: the profiles of the clusters are similar, more similar than without effect of the conditions.

    Args:
        localized: The table of `cross_validated`.
        ordered: The table of `organisation` of the localizer's comparison, with its raw map.
        tests: The table of `profile_tests`.
        similarity: The result of `consistency`.

    Returns:
        A row for each test, with the columns `criterion, measure, value, null_mean, null_sd, z, p, by_draws, holds`.
        `by_draws` is True if p comes from random draws. Only the row of consistency has the mean of its null. `holds`
        is True if p <= 0.05 and the value is positive.
    """
    rows: list[dict[str, object]] = []

    def add(criterion: str, measure: str, value: float, p: float, by_draws: bool = False, **null: float) -> None:
        names = {"criterion": criterion, "measure": measure, "by_draws": by_draws}
        rows.append({**names, "value": value, **null, "p": p, "holds": bool(p <= SIGNIFICANT and value > 0)})

    (held_out,) = rows_with(localized, tap=ALL_TAPS).to_dict("records")
    add("1 selective", "sentences over non-words, held-out items (d)", float(held_out["d"]), float(held_out["p"]))
    (raw,) = rows_with(ordered, tap=ALL_TAPS, fwhm_mm=0.0).to_dict("records")
    add("1 selective", "spatial organisation, mean over taps", float(raw["value"]), float(raw["p"]), by_draws=True)
    by_pair = tests.set_index(["larger", "smaller"])
    for pair in BRAIN:
        d, p = (float(by_pair[name].get(pair, np.nan)) for name in ("d", "p"))
        add("2 profile", "{} > {}, mean |response| of the network (d)".format(*pair), d, p)
    correlation = {name: float(similarity[name]) for name in ("value", "null_mean", "null_sd", "z", "p")}
    add("3 consistent", "mean correlation of the clusters' profiles", by_draws=True, **correlation)
    return CRITERIA.frame(rows)


def short_measures(tests: pd.DataFrame) -> list[str]:
    """Return a short name of the measure of each test: the words before the first comma.

    Args:
        tests: Rows of the table of `criteria`.
    """
    return [measure.split(",")[0] for measure in tests["measure"]]
