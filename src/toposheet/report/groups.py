"""Comparison of groups of models, for example of several seeds of two objectives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.cluster_responses import MEASURES
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.cortex.summary import of_taps, raw_rows, without_negative_controls
from toposheet.figures.files import save_figure, stamp
from toposheet.figures.frontier import frontier_curves
from toposheet.figures.groups import group_intervals, group_profiles
from toposheet.report.analysis import Analysis
from toposheet.report.frontier import ALL, FRONTIER, frontier
from toposheet.report.group_networks import GROUP_PROFILES, network_lines, network_tables
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.report.sections.stimuli import TEXTS
from toposheet.report.verdicts import verdict_lines
from toposheet.results import FIGURES, Results, Table, added_to_results, paragraph, rows_with, text_table
from toposheet.settings import check_margin
from toposheet.stats.intervals import difference_interval, mean_interval
from toposheet.wording import interval, number, readout_name, signed

COMPARED = {"morans_i": "Moran's I", "cross_half_i": "cross-half I", "significant_fraction": "units significant"}
SIDE_BY_SIDE = Table(
    "compare.csv",
    {"contrast": "text", "fwhm_mm": "number", "statistic": "text", "group": "text", "n_models": "count",
     "n_taps": "count", "value": "number", "low": "number", "high": "number", "null_mean": "number",
     "label_null_mean": "number", **dict.fromkeys(NEGATIVE_CONTROLS, "number"), "difference": "number",
     "difference_low": "number", "difference_high": "number", "difference_low_90": "number",
     "difference_high_90": "number", "margin": "number", "equivalent": "text"},
    "a statistic of a group of models, and its difference from the first group",
)  # fmt: skip
_ON_FRONTIER = {
    "organisation": "Organisation of the effect, mean over taps",
    "cross_half_i": "Cross-half I, mean over taps",
}
EQUIVALENT, NOT_SHOWN, NOT_TESTABLE = "equivalent", "not shown", "not testable"


@dataclass(frozen=True, eq=False)
class SideBySide:
    """A comparison of groups of models.

    Args:
        table: The table of `group_statistics`.
        groups: The names of the models in each group.
        analysis: The analysis of all models.
    """

    table: pd.DataFrame
    groups: Mapping[str, Sequence[str]]
    analysis: Analysis

    @property
    def results(self) -> Results:
        """The results of all models."""
        return self.analysis.results

    @property
    def negative_controls(self) -> list[str]:
        """The names of the negative controls that the results have."""
        made = set(self.results[STATISTICS_OF_MODELS]["negative_control"])
        return [name for name in NEGATIVE_CONTROLS if name in made]

    @cached_property
    def networks(self) -> dict[Table, pd.DataFrame]:
        """The criteria and the profiles of the language networks (`network_tables`); empty without a localizer."""
        return network_tables(self.results, self.groups)

    @cached_property
    def frontier(self) -> pd.DataFrame:
        """The task loss and the topography of the models that toposheet trained; no rows for fewer than two of them."""
        return frontier(self.analysis)

    def __str__(self) -> str:
        lines = []
        for contrast, rows in self.table.groupby("contrast", sort=False):
            lines += [paragraph(str(contrast), indent=""), _terminal_table(rows), ""]
            if equivalence := _equivalence(rows):
                lines += [*equivalence, ""]
            if any(rows[name].notna().any() for name in self.negative_controls):
                title = paragraph(f"negative controls of {contrast}", indent="")
                lines += [title, self._negative_controls_table(rows), ""]
        if self.networks:
            lines += network_lines(self.networks, self.results.facts["permutations"])
        lines += verdict_lines(self.results, self.groups)
        if single := [group for group, models in self.groups.items() if len(models) == 1]:
            note = (
                f"{', '.join(single)}: one model, so no interval. An interval says what other training runs would "
                "give, and needs at least 2 models of a group (GROUP=MODEL GROUP=MODEL), better 5"
            )
            lines += ["", paragraph(note, indent="")]
        return "\n".join(lines)

    def _negative_controls_table(self, table: pd.DataFrame) -> str:
        """Return the values of the negative controls of one contrast, as a table for a terminal."""
        rows = table.to_dict("records")
        columns = {name.replace("-", " "): [number(row[name]) for row in rows] for name in self.negative_controls}
        return text_table(_first_columns(rows) | columns, ("statistic", "group"))

    def write(self, out: str | Path) -> None:
        """Write `compare.csv`, the tables of the language networks, the frontier and the figures to a folder.

        Args:
            out: The folder of the results of all models.
        """
        figure = group_intervals(raw_rows(self.table), COMPARED, [*NEGATIVE_CONTROLS])
        stimuli = stamp(self.results[TEXTS], self.results.facts["battery"])
        with added_to_results(out) as aside:
            (aside / FIGURES).mkdir()
            save_figure(figure, aside / FIGURES, "compare", stimuli)
            SIDE_BY_SIDE.write(self.table, aside)
            for table, frame in self.networks.items():
                table.write(frame, aside)
            if self.networks and len(profiles := self.networks[GROUP_PROFILES]):
                save_figure(group_profiles(profiles, MEASURES), aside / FIGURES, "compare-profiles", stimuli)
            if len(self.frontier):
                FRONTIER.write(self.frontier, aside)
                first = rows_with(self.frontier, contrast=self.frontier["contrast"].iloc[0], taps=ALL)
                curves = frontier_curves(first, _ON_FRONTIER, SIGNIFICANT)
                save_figure(curves, aside / FIGURES, "frontier", stimuli)


def side_by_side(analysis: Analysis, *, margin: float | None = None) -> SideBySide:
    """Return the comparison of the groups of models of an analysis.

    Args:
        analysis: The analysis of models in groups (`grouped`), from `compute`.
        margin: The largest difference that counts as none (`group_statistics`). None: equivalence is not tested.

    Raises:
        UserError: The margin is not a finite number above 0.
    """
    groups: dict[str, list[str]] = {}
    for model in analysis.models:
        groups.setdefault(model.group or model.name, []).append(model.name)
    table = group_statistics(analysis.results[STATISTICS_OF_MODELS], groups, margin=margin)
    return SideBySide(table, groups, analysis)


def group_statistics(
    statistics: pd.DataFrame, groups: Mapping[str, Sequence[str]], *, margin: float | None = None
) -> pd.DataFrame:
    """Return the mean of each statistic in each group, with intervals, and the difference from the first group.

    What is random are the models of a group, for example their seeds. The taps of a model are fixed: another training
    run would have the same taps. So each model counts with one value, its mean over taps, and an interval is Student's
    t interval over models. Simulated 95 % intervals covered the truth in 95 to 96 % of data sets, with 3, 5 and 10
    models, whether or not the taps differ from each other. Intervals that also resample taps covered 72 to 100 %.

    A difference that is not significant is no evidence that two groups are equal. With a margin, two one-sided tests
    (Schuirmann 1987, doi:10.1007/BF01068419), each at the level 0.05, ask whether the true difference is between
    -margin and +margin. Both are significant if the 90 % interval of the difference is between them. The margin must be
    chosen before the results are known, so it has no default.

    Args:
        statistics: The table of `topography_statistics` of all models, with the column `model`.
        groups: The names of the models in each group.
        margin: The largest difference that counts as none, the same for all statistics. None: equivalence is not
            tested.

    Returns:
        A row for each contrast, readout, statistic and group. `value` is the mean over `n_models` models, which have
        `n_taps` taps together (without taps that have no value in one of the models); `low, high` is its 95 % interval.
        It is nan for a group with one model. `null_mean` is the mean of the place-null (only for Moran's I).
        `label_null_mean` is the mean of the label-null. Each negative control has a column with its value.
        `difference, difference_low, difference_high` are the difference from the first group and its 95 % interval
        (Welch's t); they are nan for the first group. `difference_low_90, difference_high_90` is the 90 % interval.
        `equivalent` is empty without a margin and for the first group. Otherwise it is `equivalent` (within the
        margin), `not shown`, or `not testable` (a group has fewer than 2 models with a value).

    Raises:
        UserError: The margin is not a finite number above 0.
    """
    if margin is not None:
        check_margin(margin)
    tap_rows = of_taps(statistics[statistics["statistic"].isin(COMPARED)])
    maps = dict.fromkeys(zip(tap_rows["contrast"], tap_rows["fwhm_mm"], strict=True))
    rows: list[dict[str, Any]] = []
    for (contrast, fwhm), statistic in itertools.product(maps, COMPARED):
        map_rows = tap_rows[(tap_rows["contrast"] == contrast) & (tap_rows["fwhm_mm"] == fwhm)]
        statistic_rows = map_rows[map_rows["statistic"] == statistic]
        if statistic_rows.empty:
            continue
        contrast_rows = without_negative_controls(statistic_rows)
        reference: np.ndarray | None = None
        for group, models in groups.items():
            n_taps, values = _means_of_models(contrast_rows, models)
            row: dict[str, Any] = {"contrast": contrast, "fwhm_mm": fwhm, "statistic": statistic, "group": group}
            row |= {"n_models": len(values), "n_taps": n_taps}
            if not len(values):
                rows.append(row)
                continue
            row["value"] = values.mean()
            row["low"], row["high"] = map(float, mean_interval(values))
            # Shuffled places do not change the fraction of significant units, and halves have no place-null.
            for column in ("null_mean", "label_null_mean") if statistic == "morans_i" else ("label_null_mean",):
                row[column] = contrast_rows.loc[contrast_rows["model"].isin(models), column].mean()
            for negative_control in NEGATIVE_CONTROLS:
                negative_control_rows = statistic_rows[statistic_rows["negative_control"] == negative_control]
                _, of_control = _means_of_models(negative_control_rows, models)
                row[negative_control] = of_control.mean() if len(of_control) else np.nan
            if reference is None:
                reference = values
            else:
                row["difference"] = values.mean() - reference.mean()
                row["difference_low"], row["difference_high"] = difference_interval(values, reference)
                low, high = difference_interval(values, reference, level=0.9)
                row["difference_low_90"], row["difference_high_90"] = low, high
                if margin is not None:
                    row |= {"margin": margin, "equivalent": _verdict(low, high, margin)}
            rows.append(row)
    return SIDE_BY_SIDE.frame(rows)


def _verdict(low: float, high: float, margin: float) -> str:
    """Return whether an interval of a difference lies within the margin, in words."""
    if math.isnan(low):
        return NOT_TESTABLE
    return EQUIVALENT if -margin < low and high < margin else NOT_SHOWN


def _equivalence(table: pd.DataFrame) -> list[str]:
    """Return whether the groups are equivalent to the first, for each statistic of one contrast, as paragraphs."""
    lines, first = [], ""
    for row in table[table["n_models"] > 0].to_dict("records"):
        if not row["equivalent"]:
            first = row["group"]
            continue
        margin = f"within ±{row['margin']:g}"
        of_90 = f"(90 % of the difference: {interval(row['difference_low_90'], row['difference_high_90'])})"
        words = {
            EQUIVALENT: f"are equivalent {margin} {of_90}",
            NOT_SHOWN: f"are not shown to be equivalent {margin} {of_90}",
            NOT_TESTABLE: f"cannot be tested for equivalence {margin}: each group needs at least 2 models",
        }[row["equivalent"]]
        name = f"{COMPARED[row['statistic']]}, {readout_name(row['fwhm_mm'])}"
        lines.append(paragraph(f"{name}: {row['group']} and {first} {words}"))
    return lines


def _terminal_table(table: pd.DataFrame) -> str:
    """Return the rows of one contrast, as a table for a terminal."""
    rows = table.to_dict("records")
    columns = _first_columns(rows) | {
        "mod- els": [str(row["n_models"]) for row in rows],
        "mean": [number(row["value"]) for row in rows],
        "95 %": [interval(row["low"], row["high"]) for row in rows],
        "place- null": [number(row["null_mean"]) for row in rows],
        "label- null": [number(row["label_null_mean"]) for row in rows],
        "differ- ence": [signed(row["difference"], 2) for row in rows],
        "95 % of differ- ence": [interval(row["difference_low"], row["difference_high"]) for row in rows],
    }
    return text_table(columns, ("statistic", "group"))


def _first_columns(rows: Sequence[Mapping[Any, Any]]) -> dict[str, list[str]]:
    """Return the columns that name each row: readout, statistic and group."""
    return {
        "read- out": [readout_name(row["fwhm_mm"], "") for row in rows],
        "statistic": [COMPARED[row["statistic"]] for row in rows],
        "group": [row["group"] for row in rows],
    }


def _means_of_models(rows: pd.DataFrame, models: Sequence[str]) -> tuple[int, Float[np.ndarray, " models"]]:
    """Return the number of taps with a value, and the mean over taps of each model that has a value.

    A tap without a value in one of the models does not count in the others, so that all means are over the same taps.

    Args:
        rows: The rows of one statistic of all models.
        models: The names of the models of the group.
    """
    defined = rows.dropna(subset="value")
    undefined = rows[rows["value"].isna() & rows["model"].isin(set(defined["model"]))]
    counted = defined[defined["model"].isin(models) & ~defined["tap"].isin(set(undefined["tap"]))]
    values = counted.groupby("model", sort=False)["value"]
    return int(values.size().sum()), values.mean().to_numpy(dtype=float)
