"""Comparison of groups of models, for example of several seeds of two objectives."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.cortex.summary import raw_rows, without_negative_controls
from toposheet.figures.files import save_figure, stamp
from toposheet.figures.groups import group_intervals
from toposheet.files import folder_aside, path_of
from toposheet.report.analysis import Analysis
from toposheet.report.page import FIGURES
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.report.sections.stimuli import TEXTS
from toposheet.report.verdicts import verdict_lines
from toposheet.results import Results, Table, paragraph, text_table
from toposheet.settings import check_count, check_seed
from toposheet.stats.bootstrap import hierarchical_bootstrap
from toposheet.wording import number, readout_name, signed

COMPARED = {"morans_i": "Moran's I", "cross_half_i": "cross-half I", "significant_fraction": "units significant"}
_WITH_PLACE_NULL = ("morans_i", "cross_half_i")  # shuffled places do not change the fraction of significant units
SIDE_BY_SIDE = Table(
    "compare.csv",
    {"contrast": "text", "fwhm_mm": "number", "statistic": "text", "group": "text", "n_models": "count",
     "n_taps": "count", "value": "number", "low": "number", "high": "number", "null_mean": "number",
     "label_null_mean": "number", **dict.fromkeys(NEGATIVE_CONTROLS, "number"), "difference": "number",
     "difference_low": "number", "difference_high": "number"},
    "a statistic of a group of models, and its difference from the first group",
)  # fmt: skip
RESAMPLES, ENOUGH = 5000, 10  # in simulations, intervals of 95 % covered 81 % with 5 models, and 91 % with 10 models


@dataclass(frozen=True, eq=False)
class SideBySide:
    """A comparison of groups of models.

    Args:
        table: The table of `group_statistics`.
        groups: The names of the models in each group.
        results: The results of all models.
    """

    table: pd.DataFrame
    groups: Mapping[str, Sequence[str]]
    results: Results

    @property
    def negative_controls(self) -> list[str]:
        """The names of the negative controls that the results have."""
        made = set(self.results[STATISTICS_OF_MODELS]["negative_control"])
        return [name for name in NEGATIVE_CONTROLS if name in made]

    def __str__(self) -> str:
        lines = []
        for contrast, rows in self.table.groupby("contrast", sort=False):
            lines += [paragraph(str(contrast), indent=""), _terminal_table(rows), ""]
            if any(rows[name].notna().any() for name in self.negative_controls):
                title = paragraph(f"negative controls of {contrast}", indent="")
                lines += [title, self._negative_controls_table(rows), ""]
        lines += verdict_lines(self.results, self.groups)
        if few := [group for group, models in self.groups.items() if len(models) < ENOUGH]:
            note = (
                f"These groups have fewer than {ENOUGH} models: {', '.join(few)}. Their intervals are too narrow to "
                "hold for other training runs. With one model, an interval is over the taps of this model only."
            )
            lines += ["", paragraph(note, indent="")]
        return "\n".join(lines)

    def _negative_controls_table(self, table: pd.DataFrame) -> str:
        """Return the values of the negative controls of one contrast, as a table for a terminal."""
        rows = table.to_dict("records")
        columns = {name.replace("-", " "): [number(row[name]) for row in rows] for name in self.negative_controls}
        return text_table(_first_columns(rows) | columns, ("statistic", "group"))

    def write(self, out: str | Path) -> None:
        """Write `compare.csv` and the figure to a folder."""
        out = path_of(out)
        figure = group_intervals(raw_rows(self.table), COMPARED, [*NEGATIVE_CONTROLS])
        stimuli = stamp(self.results[TEXTS], self.results.facts["battery"])
        with folder_aside(out) as aside:
            (aside / FIGURES).mkdir()
            save_figure(figure, aside / FIGURES, "compare", stimuli)
            SIDE_BY_SIDE.write(self.table, aside)


def side_by_side(analysis: Analysis, *, seed: int = 0) -> SideBySide:
    """Return the comparison of the groups of models of an analysis.

    Args:
        analysis: The analysis of models in groups (`grouped`), from `compute`.
        seed: Seed of the resamples of the hierarchical bootstrap.
    """
    groups: dict[str, list[str]] = {}
    for model in analysis.models:
        groups.setdefault(model.group or model.name, []).append(model.name)
    table = group_statistics(analysis.results[STATISTICS_OF_MODELS], groups, seed=seed)
    return SideBySide(table, groups, analysis.results)


def group_statistics(
    statistics: pd.DataFrame, groups: Mapping[str, Sequence[str]], *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Return the mean of each statistic in each group, with intervals, and the difference from the first group.

    Args:
        statistics: The table of `topography_statistics` of all models, with the column `model`.
        groups: The names of the models in each group.
        resamples: Number of resamples of the hierarchical bootstrap. It first draws models of a group, then taps of
            each drawn model.
        seed: Seed of the resamples.

    Returns:
        A row for each contrast, readout, statistic and group. `value` is the mean over `n_models` models, which have
        `n_taps` taps together; `low, high` is its 95 % percentile interval. `null_mean` is the mean of the place-null
        (nan for the fraction of significant units, which does not depend on places). `label_null_mean` is the mean of
        the label-null. Each negative control has a column with its value. `difference, difference_low, difference_high`
        are the difference from the first group and its 95 % interval; they are nan for the first group.
    """
    check_count("resamples", resamples, 1)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    tap_rows = statistics[(statistics["tap"] != ALL_TAPS) & statistics["statistic"].isin(COMPARED)]
    maps = dict.fromkeys(zip(tap_rows["contrast"], tap_rows["fwhm_mm"], strict=True))
    rows: list[dict[str, Any]] = []
    for (contrast, fwhm), statistic in itertools.product(maps, COMPARED):  # so the order of rows does not change draws
        map_rows = tap_rows[(tap_rows["contrast"] == contrast) & (tap_rows["fwhm_mm"] == fwhm)]
        statistic_rows = map_rows[map_rows["statistic"] == statistic]
        if statistic_rows.empty:
            continue
        contrast_rows = without_negative_controls(statistic_rows)
        reference: tuple[float, np.ndarray] | None = None
        for group, models in groups.items():
            values = _values_by_model(contrast_rows, models)
            row: dict[str, Any] = {"contrast": contrast, "fwhm_mm": fwhm, "statistic": statistic, "group": group}
            if not values:
                rows.append(row | {"n_models": 0, "n_taps": 0})
                continue
            mean, draws = float(np.mean([v.mean() for v in values])), hierarchical_bootstrap(values, resamples, rng)
            row |= {"n_models": len(values), "n_taps": sum(map(len, values)), "value": mean}
            row |= dict(zip(("low", "high"), np.quantile(draws, (0.025, 0.975)), strict=True))
            for column in ("null_mean", "label_null_mean") if statistic in _WITH_PLACE_NULL else ("label_null_mean",):
                row[column] = contrast_rows.loc[contrast_rows["model"].isin(models), column].mean()
            for negative_control in NEGATIVE_CONTROLS:
                negative_control_rows = statistic_rows[statistic_rows["negative_control"] == negative_control]
                negative_control_values = _values_by_model(negative_control_rows, models)
                row[negative_control] = float(np.mean([v.mean() for v in negative_control_values] or [np.nan]))
            if reference is None:
                reference = mean, draws
            else:
                difference = draws - reference[1]
                row["difference"] = mean - reference[0]
                low, high = np.quantile(difference, (0.025, 0.975))
                row |= {"difference_low": low, "difference_high": high}
            rows.append(row)
    return SIDE_BY_SIDE.frame(rows)


def _terminal_table(table: pd.DataFrame) -> str:
    """Return the rows of one contrast, as a table for a terminal."""
    rows = table.to_dict("records")
    columns = _first_columns(rows) | {
        "mod- els": [str(row["n_models"]) for row in rows],
        "mean": [number(row["value"]) for row in rows],
        "95 %": [_interval(row["low"], row["high"]) for row in rows],
        "place- null": [number(row["null_mean"]) for row in rows],
        "label- null": [number(row["label_null_mean"]) for row in rows],
        "differ- ence": [signed(row["difference"], 2) for row in rows],
        "95 % of differ- ence": [_interval(row["difference_low"], row["difference_high"]) for row in rows],
    }
    return text_table(columns, ("statistic", "group"))


def _first_columns(rows: Sequence[Mapping[Any, Any]]) -> dict[str, list[str]]:
    """Return the columns that name each row: readout, statistic and group."""
    return {
        "read- out": [readout_name(row["fwhm_mm"], "") for row in rows],
        "statistic": [COMPARED[row["statistic"]] for row in rows],
        "group": [row["group"] for row in rows],
    }


def _interval(low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{number(low)} to {number(high)}"


def _values_by_model(rows: pd.DataFrame, models: Sequence[str]) -> list[np.ndarray]:
    """Return an array with the values of all taps for each model. Models without values are left out."""
    values = [rows.loc[rows["model"] == model, "value"].dropna().to_numpy() for model in models]
    return [model_values for model_values in values if len(model_values)]
