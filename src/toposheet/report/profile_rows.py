"""The rows of the ledger on the response profile of the language network, in this run and as published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.cluster_responses import ABSOLUTE, NETWORK, SIGNED
from toposheet.cortex.criteria import BRAIN, CONDITIONS
from toposheet.report.analysis import Analysis
from toposheet.report.published import PROFILE
from toposheet.report.sections.network import PROFILE_TESTS_OF_MODELS, PROFILES_OF_MODELS
from toposheet.report.sections.published_steps import PUBLISHED_PROFILES_OF_MODELS
from toposheet.results import rows_with
from toposheet.wording import number

NOT_PUBLISHED = "not published"
NO_PADDING = "the texts cannot be read as published, because the tokenizer has no token for padding"
_AS_PUBLISHED = "as published, the published test, which does not hold with padding, gives {}"
_ABSOLUTE_ONLY = f"{NOT_PUBLISHED} (the paper has absolute responses)"
_PROFILES = (
    (ABSOLUTE, "mean absolute response", {"topographic": PROFILE, "control": NOT_PUBLISHED}),
    (SIGNED, "signed response", {"topographic": _ABSOLUTE_ONLY, "control": _ABSOLUTE_ONLY}),
)


def profile_rows(role: str, name: str, analysis: Analysis, no_values: str) -> list[dict[str, Any]]:
    """Return the rows of the ledger on the profile of a model, by both measures.

    Args:
        role: `topographic` or `control`.
        name: Name of the model.
        analysis: The analysis.
        no_values: Why there are no values as published. Empty: they were computed.
    """
    return [
        {"quantity": f"response profile: {words} of the network", "published": published[role]}
        | _profile(role, name, analysis, measure, no_values)
        for measure, words, published in _PROFILES
    ]


def absent(facts: Mapping[str, Any]) -> str:
    """Return the verdict on a contrast without a map: the reason, and what to do."""
    if left_out := facts.get("stimuli_left_out"):
        return f"not measured: {left_out}"
    return "not measured: these stimuli are not available (use --stimuli published with --pairs FILE)"


def _profile(role: str, name: str, analysis: Analysis, measure: str, no_values: str) -> dict[str, Any]:
    """Return the cells of a profile: the responses in this run and as published, and the verdicts.

    The verdict on the absolute responses is that on the profile as published. The signed responses are not published,
    so both profiles have a verdict.
    """
    facts, keys, row = analysis.facts, {"model": name, "measure": measure}, {}
    controls = [model.name for model in analysis.models if model.is_control] if role == "topographic" else None
    sentences: list[str] = []
    profiles, tests = (analysis.results.get(table) for table in (PROFILES_OF_MODELS, PROFILE_TESTS_OF_MODELS))
    if profiles is not None and tests is not None and len(rows := rows_with(profiles, cluster=NETWORK, **keys)):
        row["measured"] = _responses(dict(zip(rows["condition"], rows["response"], strict=True)))
        if measure == SIGNED:
            sentences += _verdict("in this run, the tests show {}", tests[~tests["matched"]], name, measure, controls)
    published = analysis.results.get(PUBLISHED_PROFILES_OF_MODELS)
    if published is not None and len(rows := rows_with(published, **keys)):
        row["as_published"] = _responses(dict(zip(rows["larger"], rows["larger_response"], strict=True)))
        sentences += _verdict(_AS_PUBLISHED, published, name, measure, controls)
    elif facts.get("stimuli_left_out") and facts["measured"] is None:
        sentences.append(absent(facts))
    elif no_values:
        sentences.append(f"not compared with the published profile: {no_values}")
    else:
        sentences.append(f"no language network as published: no cluster has at least {facts['min_size']} units")
    return row | {"verdict": "; ".join(sentences)}


def _responses(means: Mapping[Any, float]) -> str:
    return ", ".join(f"{condition} {number(means[condition], 3)}" for condition in CONDITIONS)


def _verdict(statement: str, tests: pd.DataFrame, name: str, measure: str, controls: Sequence[str] | None) -> list[str]:
    """Return sentences on a profile: the order of the conditions, and whether a control has it too.

    The mean absolute response is compared with the profile of the paper, the signed response with that of the brain.

    Args:
        statement: Which profile it is and what its test says, with a place for the order.
        tests: The tests of the profiles of all models.
        name: Name of the model.
        measure: The measure of the response.
        controls: Names of the control models. None: the model is a control itself.
    """
    of_model = rows_with(tests, model=name, measure=measure)
    shown = _shown(of_model)
    order = {ABSOLUTE: {("W", "J"), ("J", "N")}, SIGNED: set(BRAIN)}[measure]
    if order <= shown:
        claim = {ABSOLUTE: "W > J > N, as in the paper", SIGNED: "S > W > N and S > J > N, as in the brain"}[measure]
    else:
        order = shown
        pairs = [f"{x} > {y}" for x, y in permutations(CONDITIONS, 2) if (x, y) in shown]
        place = {ABSOLUTE: "in the paper", SIGNED: "in the brain"}[measure]
        claim = f"{', '.join(pairs)}, another profile than {place}"
    sentences = [statement.format(claim if order else "no difference")]
    if "difference" in of_model:
        sentences.append(_s_and_w(of_model))
    if controls is None or not order:
        return sentences
    if not controls:
        return [*sentences, "without a control model, this says nothing about topography"]
    if any(order <= _shown(rows_with(tests, model=control, measure=measure)) for control in controls):
        return [*sentences, "the control has the same order by the same test, so this is no sign of topography"]
    return [
        *sentences,
        "the control does not have this order by the same test, which does not show that the models differ",
    ]


def _shown(tests: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the pairs of conditions of which the first is shown to have the larger response."""
    shown = tests[tests["p"] <= SIGNIFICANT]
    return set(zip(shown["larger"], shown["smaller"], strict=True))


def _s_and_w(tests: pd.DataFrame) -> str:
    """Return the difference between sentences and word lists in words, with its interval."""
    (row,) = rows_with(tests, larger="S", smaller="W").to_dict("records")
    interval = f"95 % interval {number(row['low'], 3)} to {number(row['high'], 3)}"
    return f"S - W = {number(row['difference'], 3)}, {interval}"
