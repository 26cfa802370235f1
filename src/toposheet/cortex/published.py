"""What TopoLM's published code would compute: numbers with all of its steps, with each step alone, and without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import special

from toposheet.cortex.cluster_responses import cluster_responses
from toposheet.cortex.clusters import grow_clusters
from toposheet.cortex.comparison import SIGNIFICANT, Comparison
from toposheet.cortex.criteria import CONDITIONS, check_conditions
from toposheet.cortex.statistics import mean_morans_i
from toposheet.results import Table
from toposheet.settings import DEFAULT, PUBLISHED_STEPS, Settings
from toposheet.stats import t_test
from toposheet.stats.intervals import difference_interval
from toposheet.wording import number, readout_name, signed

AS_IT_SHOULD_BE, AS_PUBLISHED = "as it should be", "as published"
MAP_I, SIGNIFICANT_UNITS, NETWORK_SIZE = "morans_i", "significant_fraction", "network_size"
PUBLISHED_FWHM_MM = (0.0, 2.0)  # the readouts with published numbers; 0 is raw
STEP_VALUES = Table(
    "published_steps.csv",
    {"contrast": "text", "fwhm_mm": "number", "statistic": "text", "step": "text", "value": "number"},
    "a number with one step of TopoLM's published code in place of ours, with none of them, or with all of them",
)
PUBLISHED_PROFILES = Table(
    "published_profiles.csv",
    {"measure": "text", "larger": "text", "smaller": "text", "larger_response": "number", "smaller_response": "number",
     "difference": "number", "low": "number", "high": "number", "p": "number"},
    "the response of the language network to two conditions, with all steps of TopoLM's published code",
)  # fmt: skip


def published_steps(
    comparison: Callable[[Settings], Comparison], settings: Settings = DEFAULT, *, network: bool = False
) -> pd.DataFrame:
    """Return numbers of a contrast with all steps of TopoLM's published code, with each step alone, and without them.

    `toposheet.settings.PUBLISHED_STEPS` has the steps.

    Args:
        comparison: A function that returns the raw comparison for given settings. Of the settings, it uses the reading,
            the groups, the pairs and the confounds.
        settings: The settings. Where they have a step of the published code, the number without this step has our
            default instead.
        network: Whether the contrast is a localizer of the language network. The table then has the number of units of
            the network, which is made of the clusters of the map without readout.

    Returns:
        A row for each statistic, readout and step, with the columns `contrast, fwhm_mm, statistic, step, value`. The
        statistics are `morans_i` and `significant_fraction` (of raw maps), which are means over taps, and
        `network_size`. `fwhm_mm` is 0 for raw maps, also where a readout stands for them. `step` is the name of a step,
        `as it should be` (no step), or `as published` (all steps).

    Example:
        def comparison(settings):
            responses = ts.respond(subject, stimuli, reading=settings.reading)
            return ts.Comparison(responses, "noun", "verb", groups=settings.groups)

        published_steps(comparison)
    """
    base = settings.as_it_should_be()
    variants = {AS_IT_SHOULD_BE: base}
    variants |= {step.name: base.with_options(step.changes) for step in PUBLISHED_STEPS}
    variants[AS_PUBLISHED] = base.with_all_steps()
    alike: dict[Any, dict[str, Settings]] = {}  # variants with one comparison
    for name, variant in variants.items():
        key = (variant.reading, variant.groups, variant.paired_by, variant.confounds)
        alike.setdefault(key, {})[name] = variant
    rows: dict[str, list[dict[str, Any]]] = {}
    for of_comparison in alike.values():
        rows |= _values(comparison(next(iter(of_comparison.values()))), of_comparison, network)
    return STEP_VALUES.frame([row for name in variants for row in rows[name]])


def _values(comparison: Comparison, variants: Mapping[str, Settings], network: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each variant of the settings. The variants have one comparison."""
    readout = cache(comparison.readout)

    @cache
    def morans_i(fwhm: float, weights: str) -> float:
        return mean_morans_i(readout(fwhm), weights=weights)

    @cache
    def network_size(min_size: int, contiguity: str) -> int:
        return int((grow_clusters(comparison, min_size=min_size, contiguity=contiguity) > 0).sum())

    rows = {}
    for name, settings in variants.items():
        raw = settings.raw_fwhm_mm
        values = [
            (MAP_I, fwhm, morans_i(fwhm or raw, settings.weights)) for fwhm in dict.fromkeys((0.0, *settings.fwhm_mm))
        ]
        values.append((SIGNIFICANT_UNITS, 0.0, _significant_fraction(readout(raw))))
        if network:
            values.append((NETWORK_SIZE, 0.0, network_size(settings.min_size, settings.contiguity)))
        rows[name] = [
            {"contrast": comparison.name, "fwhm_mm": fwhm, "statistic": statistic, "step": name, "value": value}
            for statistic, fwhm, value in values
        ]
    return rows


def _significant_fraction(comparison: Comparison) -> float:
    """Return the fraction of significant units, as the mean over taps."""
    q = comparison.q.values
    return float(np.mean([(q[tap.units] < SIGNIFICANT).mean() for tap in comparison.layouts]))


def published_profile(comparison: Comparison, measured: xr.DataArray, settings: Settings) -> pd.DataFrame:
    """Return how the language network responds to each condition, by both measures, over single texts.

    Args:
        comparison: The localizer's comparison, as published.
        measured: Responses as published to other texts, with the conditions S, W, J and N.
        settings: The settings as published: neighbours in clusters, and the size of the smallest cluster.

    Returns:
        A row for each measure and ordered pair of conditions: the mean response to both, their difference with its
        95 % interval (Welch's t over texts), and the one-sided p of the test that the first is larger. Without clusters
        the table has no rows.

    Raises:
        UserError: A condition is missing.
    """
    check_conditions(measured["condition"].values.tolist())
    clusters = grow_clusters(comparison, min_size=settings.min_size, contiguity=settings.contiguity)
    network, rows = cluster_responses(measured, clusters), []
    conditions = network.stimuli["condition"].to_numpy()
    for measure, values in network.values.items() if network.names else ():
        of_condition = {name: values[conditions == name, -1] for name in CONDITIONS}
        for (larger, a), (smaller, b) in permutations(of_condition.items(), 2):
            in_a = np.arange(len(a) + len(b)) < len(a)
            test = t_test(np.concatenate([a, b])[:, None], (in_a, ~in_a))
            low, high = difference_interval(a, b)
            rows.append(
                {"measure": measure, "larger": larger, "smaller": smaller, "larger_response": a.mean(),
                 "smaller_response": b.mean(), "difference": a.mean() - b.mean(), "low": low, "high": high,
                 "p": float(special.stdtr(test.df[0], -test.t[0]))}
            )  # fmt: skip
    return PUBLISHED_PROFILES.frame(rows)


def worth_of_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return what each step of the published code is worth, as texts: a row for each number of a model.

    Args:
        steps: Rows of `published_steps`, with the column `model`.
    """
    rows = []
    for _, group in steps.groupby(["model", "contrast", "statistic", "fwhm_mm"], sort=False):
        model, contrast, statistic, fwhm = group[["model", "contrast", "statistic", "fwhm_mm"]].iloc[0]
        values = dict(zip(group["step"], group["value"], strict=True))
        digits = 0 if statistic == NETWORK_SIZE else 3
        published = "" if fwhm in PUBLISHED_FWHM_MM else " (no published counterpart)"
        what = {
            MAP_I: f"Moran's I, {readout_name(fwhm, '')}{published}",
            SIGNIFICANT_UNITS: "fraction of significant units, raw",
            NETWORK_SIZE: "units of the network",
        }[statistic]
        changes = {
            step: "0" if value == values[AS_IT_SHOULD_BE] else signed(value - values[AS_IT_SHOULD_BE], digits)
            for step, value in values.items()
            if step not in (AS_IT_SHOULD_BE, AS_PUBLISHED)
        }
        ends = {name: number(values[name], digits) for name in (AS_IT_SHOULD_BE, AS_PUBLISHED)}
        rows.append(
            {"model": model, "contrast": contrast, "number": what, AS_IT_SHOULD_BE: ends[AS_IT_SHOULD_BE]}
            | changes
            | {AS_PUBLISHED: ends[AS_PUBLISHED]}
        )
    return pd.DataFrame(rows)
