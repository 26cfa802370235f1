"""The language networks of groups of models: TopoLM's criteria, and the mean response profile of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from toposheet.cortex.cluster_responses import MEASURES, NETWORK
from toposheet.cortex.verdicts import not_tested
from toposheet.report.sections.network import CRITERIA_OF_MODELS, PROFILES_OF_MODELS
from toposheet.results import Results, Table, paragraph, rows_with, text_table
from toposheet.stats.intervals import mean_interval
from toposheet.wording import interval, number

GROUP_CRITERIA = Table(
    "compare_criteria.csv",
    {"criterion": "text", "measure": "text", "group": "text", "n_models": "count", "n_shown": "count",
     "by_draws": "flag", "value": "number", "low": "number", "high": "number"},
    "a test of one of TopoLM's three criteria in a group of models: in how many it holds, and its mean value",
)  # fmt: skip
GROUP_PROFILES = Table(
    "compare_profiles.csv",
    {"measure": "text", "condition": "text", "group": "text", "n_models": "count", "response": "number",
     "low": "number", "high": "number"},
    "the mean response of the language networks of a group of models to one condition, by one measure",
)  # fmt: skip


def network_tables(results: Results, groups: Mapping[str, Sequence[str]]) -> dict[Table, pd.DataFrame]:
    """Return the criteria and the profiles of groups of models: {definition of the table: table}.

    Each model counts with one value. `low` and `high` are the ends of Student's 95 % interval of the mean over models;
    they are nan for a group with one model. `n_models` is the number of models with a value, and `n_shown` the number
    of models in which the test holds (p <= 0.05 and a positive value). Profiles are those of the whole networks, so
    they leave out models without a cluster.

    Args:
        results: The results of all models.
        groups: The names of the models in each group.

    Returns:
        The two tables. They are left out if the stimuli have no localizer.
    """
    if results.get(CRITERIA_OF_MODELS) is None:
        return {}
    criteria, tests = [], results[CRITERIA_OF_MODELS]
    for (criterion, measure), rows in tests.groupby(["criterion", "measure"], sort=False):
        for group, models in groups.items():
            of_group = rows[rows["model"].isin(models)].dropna(subset="value")
            names = {"criterion": criterion, "measure": measure, "group": group, "n_shown": of_group["holds"].sum()}
            names["by_draws"] = rows["by_draws"].iloc[0]
            criteria.append(names | _over_models(of_group["value"], "value"))
    profiles, networks = [], rows_with(results[PROFILES_OF_MODELS], cluster=NETWORK)
    for (measure, condition), rows in networks.groupby(["measure", "condition"], sort=False):
        for group, models in groups.items():
            of_group = rows[rows["model"].isin(models)].dropna(subset="response")
            names = {"measure": measure, "condition": condition, "group": group}
            profiles.append(names | _over_models(of_group["response"], "response"))
    return {GROUP_CRITERIA: GROUP_CRITERIA.frame(criteria), GROUP_PROFILES: GROUP_PROFILES.frame(profiles)}


def network_lines(tables: Mapping[Table, pd.DataFrame], permutations: int) -> list[str]:
    """Return the criteria and the profiles of groups of models, as lines for a terminal.

    Args:
        tables: The tables of `network_tables`, not empty.
        permutations: Number of draws of the nulls.
    """
    criteria, profiles = (tables[table].to_dict("records") for table in (GROUP_CRITERIA, GROUP_PROFILES))
    few = bool(not_tested(permutations))
    columns = {
        "criterion": [row["criterion"] for row in criteria],
        "measure": [row["measure"] for row in criteria],
        "group": [row["group"] for row in criteria],
        "shown in": [
            "not tested" if few and row["by_draws"] else f"{row['n_shown']} of {row['n_models']}" for row in criteria
        ],
        "mean": [number(row["value"]) for row in criteria],
        "95 %": [interval(row["low"], row["high"]) for row in criteria],
    }
    title = (
        "The language network: TopoLM's criteria in each group (number of models in which a test is shown, of those "
        "with a value; mean over models, with its t interval). A test that a control group passes too is no evidence "
        "of topography"
    )
    lines = [paragraph(title, indent=""), text_table(columns, ("criterion", "measure", "group")), ""]
    if not profiles:
        return [*lines, "no model has a cluster of its language network, so there is no profile", ""]
    columns = {
        "measure": [MEASURES[row["measure"]] for row in profiles],
        "condition": [row["condition"] for row in profiles],
        "group": [row["group"] for row in profiles],
        "models": [str(row["n_models"]) for row in profiles],
        "mean": [number(row["response"]) for row in profiles],
        "95 %": [interval(row["low"], row["high"]) for row in profiles],
    }
    title = "The response of the language network to each condition (mean over models, with its 95 % t interval)"
    return [*lines, paragraph(title, indent=""), text_table(columns, ("measure", "condition", "group")), ""]


def _over_models(values: pd.Series, name: str) -> dict[str, float]:
    """Return the number, the mean and the interval of the values of models."""
    low, high = map(float, mean_interval(values.to_numpy(dtype=float)))
    mean = float(values.mean()) if len(values) else np.nan
    return {"n_models": len(values), name: mean, "low": low, "high": high}
