"""Several models side by side: seeds of one objective, and one objective against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex.controls import CONDITIONS_OF_CONTROLS
from toposheet.cortex.statistics import MEAN_OVER_TAPS
from toposheet.errors import UserError
from toposheet.figures.comparison import comparison
from toposheet.figures.files import save_figure, stamp
from toposheet.files import folder_aside
from toposheet.report.results import COMPARISON, STATISTICS, TEXTS, read_contrasts, read_settings, without_control
from toposheet.stats.bootstrap import hierarchical_bootstrap

COMPARED = {"morans_i": "Moran's I", "cross_half_i": "cross-half I", "significant_fraction": "units significant"}
_OF_PLACES = ("morans_i", "cross_half_i")  # how many units are significant is the same wherever they are
RESAMPLES, ENOUGH = 5000, 10  # with 5 models an interval of 95 % covered 81 % in simulations, with 10 91 %


def grouped(models: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the models of each group by their names: `GROUP=MODEL` belongs to a group, `MODEL` is one of its own.

    Raises:
        UserError: there is no model, or the same twice.
    """
    groups: dict[str, dict[str, str]] = {}
    for text in models:
        group, sign, model = ("", "", text) if Path(text).exists() else text.partition("=")
        if not sign:
            model = text
            group = Path(text).name or text
            group = text if group in groups and model not in groups[group].values() else group  # two demos' models
        if not group or not model:
            raise UserError(f"{text!r} names no group and model: write MODEL or GROUP=MODEL")
        members = groups.setdefault(group, {})
        name = f"{group}/{len(members)}" if sign else group
        if model in members.values() or name in members:
            raise UserError(f"the model {model} is given twice")
        members[name] = model
    if not groups:
        raise UserError("there is nothing to compare: name at least one model")
    return groups


def write_comparison(groups: Mapping[str, Sequence[str]], out: Path, resamples: int = RESAMPLES, seed: int = 0) -> str:
    """Write `compare.csv` and figures from what `compute` left in a folder, and return the table in words.

    Args:
        groups: The names of the models of each group.
        out: The folder.
        resamples: Of the hierarchical bootstrap.
        seed: Of the resamples.
    """
    table = compared(read_contrasts(out / STATISTICS), groups, resamples, seed)
    figure, battery = comparison(table, COMPARED, [*CONDITIONS_OF_CONTROLS]), read_settings(out)["battery"]
    with folder_aside(out / "figures") as aside:
        save_figure(figure, aside, "compare", stamp(pd.read_csv(out / TEXTS), battery))
    with folder_aside(out) as aside:
        table.to_csv(aside / COMPARISON, index=False)
    shown = table[table["fwhm_mm"] == table["fwhm_mm"].min()].drop(columns=["fwhm_mm", "n_taps"])
    few = [group for group, models in groups.items() if len(models) < ENOUGH]
    note = "" if not few else (
        f"\nFewer than {ENOUGH} models in {', '.join(few)}: intervals there are too narrow to stand for other training "
        "runs (with one model they are over its taps alone)."
    )  # fmt: skip
    return shown.to_string(index=False, na_rep="–", float_format=lambda value: f"{value:.3f}") + note


def compared(
    statistics: pd.DataFrame, groups: Mapping[str, Sequence[str]], resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Return means of each group with intervals, and how they differ from those of the first group.

    Args:
        statistics: Rows of `topography_statistics` of all models, with a column `model`.
        groups: The names of the models of each group.
        resamples: Of the hierarchical bootstrap: models of a group, then taps of each model.
        seed: Of the resamples.

    Returns:
        A row for each contrast, readout, statistic and group: `n_models, n_taps, value`, its 95 % percentile interval
        `low, high`, the means of the place-null `null_mean` (nan of the units significant, as many wherever they are)
        and of the label-null `label_null_mean`, what the negative controls of the contrast give (a column each, where
        there are any), and `difference, difference_low, difference_high` from the first group (nan for itself).
    """
    rng = np.random.default_rng(seed)
    of_taps = statistics[(statistics["tap"] != MEAN_OVER_TAPS) & statistics["statistic"].isin(COMPARED)]
    rows: list[dict[str, Any]] = []
    controls = [name for name in CONDITIONS_OF_CONTROLS if (of_taps["control"] == name).any()]
    keys = ["contrast", "fwhm_mm", "statistic"]
    for (contrast, fwhm, statistic), every in without_control(of_taps).groupby(keys, sort=False):  # pyright: ignore[reportGeneralTypeIssues]
        some = every[every["control"] == ""]
        reference: tuple[float, np.ndarray] | None = None
        for group, models in groups.items():
            values = _of_models(some, models)
            row: dict[str, Any] = {"contrast": contrast, "fwhm_mm": fwhm, "statistic": statistic, "group": group}
            if not values:
                rows.append(row | {"n_models": 0, "n_taps": 0})
                continue
            mean, draws = float(np.mean([v.mean() for v in values])), hierarchical_bootstrap(values, resamples, rng)
            row |= {"n_models": len(values), "n_taps": sum(map(len, values)), "value": mean}
            row |= dict(zip(("low", "high"), np.quantile(draws, (0.025, 0.975)), strict=True))
            for column in ("null_mean", "label_null_mean") if statistic in _OF_PLACES else ("label_null_mean",):
                row[column] = some.loc[some["model"].isin(models), column].mean()
            for control in controls:
                of_control = _of_models(every[every["control"] == control], models)
                row[control] = float(np.mean([v.mean() for v in of_control])) if of_control else np.nan
            if reference is None:
                reference = mean, draws
            else:
                difference = draws - reference[1]
                row["difference"] = mean - reference[0]
                low, high = np.quantile(difference, (0.025, 0.975))
                row |= {"difference_low": low, "difference_high": high}
            rows.append(row)
    columns = ["contrast", "fwhm_mm", "statistic", "group", "n_models", "n_taps", "value", "low", "high", "null_mean",
               "label_null_mean", *controls, "difference", "difference_low", "difference_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _of_models(rows: pd.DataFrame, models: Sequence[str]) -> list[np.ndarray]:
    """Return the values of the taps of each model that has any."""
    values = [rows.loc[rows["model"] == model, "value"].dropna().to_numpy() for model in models]
    return [of_model for of_model in values if len(of_model)]
