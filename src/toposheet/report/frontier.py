"""The frontier: what topography costs in task loss, by method and strength, for models that toposheet trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from toposheet.architectures import family_named
from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import of_taps, raw_rows, without_negative_controls
from toposheet.recipes import Recipe, recipe_of
from toposheet.recipes.result import RESULT
from toposheet.report.analysis import Analysis
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.results import Table, rows_with

FRONTIER = Table(
    "frontier.csv",
    {"contrast": "text", "model": "text", "method": "text", "setting": "text", "strength": "number", "seed": "count",
     "is_control": "flag", "task_loss": "number", "taps": "text", "n_taps": "count", "organisation": "number",
     "p": "number", "n_ordered": "count", "morans_i": "number", "cross_half_i": "number"},
    "the task loss of a trained model, and the topography of the map of a contrast in all taps or one kind of taps",
)  # fmt: skip
ALL = "all"  # taps of all kinds
_DESCRIPTIVE = ("morans_i", "cross_half_i")
# Fields that are the method, its strength or the seed, or that change no number of a model.
_NO_SETTING = (
    "name", "seed", "subject", "objective", "alpha", "mechanism", "mechanism_radius", "validate_every",
    "checkpoint_every", "snapshot_every",
)  # fmt: skip


def frontier(analysis: Analysis) -> pd.DataFrame:
    """Return the task loss and the topography of the models that toposheet trained.

    The topography of all models is measured on the same responses, by the same tests of the raw maps, whatever the
    method minimised in training. A task loss says more about a method only between models with the same `setting`.

    Args:
        analysis: The analysis of the models.

    Returns:
        A row for each contrast and model, for all taps together (`taps` is `all`) and for each kind of taps
        (`attention`, `MLP`). The table is empty if fewer than two models have a training result.
        `method` names the mechanism and the objective, or is `control`. `strength` is the largest alpha, or the radius
        of a mechanism without objective. `setting` names the fields of the recipe in which the models differ otherwise,
        for example `heads 1`, and the text if it differs. Fields that do not act on a model are not named: the options
        of an objective where there is none, and those of sheets where nothing makes units topographic.
        `task_loss` is that of held-out text, in nats per token.
        `organisation`, `morans_i` and `cross_half_i` are means over `n_taps` taps of the raw map. `p` is that of the
        test of organisation; it is nan for one kind of taps, whose mean is not tested. `n_ordered` is the number of
        taps whose effect is ordered (`p_familywise` <= 0.05).
    """
    recipes = {name: recipe_of(result["recipe"], Path(RESULT)) for name, result in analysis.trained.items()}
    if len(recipes) < 2:
        return FRONTIER.frame([])
    settings = _settings(recipes, {name: result["text"] for name, result in analysis.trained.items()})
    statistics, ordered = (
        raw_rows(without_negative_controls(analysis.results[table]))
        for table in (STATISTICS_OF_MODELS, ORGANISATION_OF_MODELS)
    )
    rows: list[dict[str, Any]] = []
    for contrast in dict.fromkeys(ordered["contrast"]):
        for name, recipe in recipes.items():
            keys = {"contrast": contrast, "model": name}
            about = keys | {
                "method": recipe.method,
                "setting": settings[name],
                "strength": recipe.strength,
                "seed": recipe.seed,
                "is_control": recipe.is_control,
                "task_loss": analysis.trained[name]["validation_task_loss"],
            }
            measured = _topography(rows_with(statistics, **keys), rows_with(ordered, **keys), recipe)
            rows += [about | row for row in measured]
    return FRONTIER.frame(rows)


def _topography(statistics: pd.DataFrame, ordered: pd.DataFrame, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the topography of one map of one model: first of all taps, then of each kind of taps.

    Args:
        statistics: Its rows of `topography_statistics`.
        ordered: Its rows of `organisation`.
        recipe: The recipe of the model. Its architecture decides the kind of each tap.
    """
    family = family_named(recipe.model.architecture)
    taps = of_taps(ordered)["tap"]
    kinds = {tap: family.kind_of(tap) for tap in taps}
    (of_all,) = rows_with(ordered, **MEAN_OVER_TAPS).to_dict("records")
    rows = []
    for kind in (ALL, *dict.fromkeys(kind for kind in kinds.values() if kind)):
        chosen = [tap for tap in taps if kind in (ALL, kinds[tap])]
        of_kind = ordered[ordered["tap"].isin(chosen)]
        row: dict[str, Any] = {"taps": kind, "n_taps": len(chosen), "organisation": of_kind["value"].mean()}
        row["n_ordered"] = (of_kind["p_familywise"] <= SIGNIFICANT).sum()
        if kind == ALL:
            row |= {"organisation": of_all["value"], "p": of_all["p"]}
        for name in _DESCRIPTIVE:
            values = rows_with(statistics, statistic=name)
            row[name] = values.loc[values["tap"].isin(chosen), "value"].mean()
        rows.append(row)
    return rows


def _settings(recipes: Mapping[str, Recipe], texts: Mapping[str, str]) -> dict[str, str]:
    """Return the values of each model in the fields in which models differ, apart from method, strength and seed.

    Args:
        recipes: The recipe of each model.
        texts: The checksum of the training text of each model.
    """
    fields = {name: _acting_fields(recipe) | {"text": texts[name][:6]} for name, recipe in recipes.items()}
    values: dict[str, set[str]] = {}
    for of_model in fields.values():
        for field, value in of_model.items():
            values.setdefault(field, set()).add(repr(value))
    return {
        name: ", ".join(f"{field} {value}" for field, value in of_model.items() if len(values[field]) > 1)
        for name, of_model in fields.items()
    }


def _acting_fields(recipe: Recipe) -> dict[str, Any]:
    """Return the fields of a recipe that change the model, apart from its method, strength and seed."""
    left_out = set(_NO_SETTING)
    if recipe.has_objective and recipe.mechanism.name is not None:
        left_out.remove("mechanism_radius")  # the strength is alpha
    if not recipe.has_objective:
        left_out |= set(vars(recipe.objective))
    if recipe.is_control:
        left_out |= set(vars(recipe.sheets))
    return {field: value for field, value in recipe.fields().items() if field not in left_out}
