"""The ledger: each number that TopoLM published, beside the number of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.negative_controls import NEGATIVE_CONTROLS
from toposheet.cortex.published import AS_PUBLISHED, MAP_I, PUBLISHED_FWHM_MM, SIGNIFICANT_UNITS, worth_of_steps
from toposheet.cortex.verdicts import not_tested, order_verdict
from toposheet.files import path_of
from toposheet.recipes.result import RESULT
from toposheet.report.analysis import Analysis
from toposheet.report.draws import draws_of
from toposheet.report.profile_rows import NO_PADDING, NOT_PUBLISHED, absent, profile_rows
from toposheet.report.published import (
    ALPHA,
    BENCHMARKS,
    MORANS_I,
    N_TAPS,
    SIGNIFICANT_FRACTION,
    SPATIAL_LOSS,
    TASK_LOSS,
    Published,
)
from toposheet.report.readings import readings_in_words, readings_of_models
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.report.sections.published_steps import STEPS_OF_MODELS
from toposheet.report.sections.training import alpha_of, weighted_spatial_losses
from toposheet.results import Table, added_to_results, paragraph, rows_with
from toposheet.settings import NO_GROUPS, PUBLISHED_STEPS
from toposheet.stimuli.studies import PUBLISHED
from toposheet.wording import counted, number, readout_name

NEAR = 0.10  # the largest difference from a published Moran's I that counts as agreement
_NULL_COLUMNS = ("null_mean", "null_sd", "z", "p", "label_null_mean", "label_null_sd", "label_z", "label_p")
LEDGER = Table(
    "ledger.csv",
    {"model": "text", "reading": "text",
     "quantity": "text", "fwhm_mm": "number", "published_stimuli": "text", "contrast": "text",
     "published": "text", "topoformer": "number", "topoformer_tables": "number", "brain": "number",
     "measured": "text", "as_published": "text",
     **dict.fromkeys(_NULL_COLUMNS, "number"), "organisation": "number", "organisation_p": "number",
     "organisation_p_all": "number",
     **dict.fromkeys(NEGATIVE_CONTROLS, "number"), "verdict": "text"},
    "a published quantity, and the value of a model",
)  # fmt: skip
LEDGER_MD = "ledger.md"


@dataclass(frozen=True, eq=False)
class Ledger:
    """The numbers that TopoLM published, beside the numbers of models.

    Args:
        table: A row for each quantity and model.
        facts: Settings and stimuli of the analysis.
        steps: The rows of `STEPS_OF_MODELS`: what each step of TopoLM's published code is worth.
    """

    table: pd.DataFrame
    facts: Mapping[str, Any]
    steps: pd.DataFrame

    def __str__(self) -> str:
        return _terminal_text(self.table)

    @property
    def markdown(self) -> str:
        """The ledger as a Markdown page: each quantity with its nulls and negative controls."""
        return _markdown(self.table, self.facts, self.steps)

    def write(self, out: str | Path) -> Path:
        """Write `ledger.csv` and `ledger.md` to a folder, and return the path of `ledger.md`.

        If an error occurs, neither file is written.
        """
        out = path_of(out)
        with added_to_results(out) as aside:
            LEDGER.write(self.table, aside)
            (aside / LEDGER_MD).write_text(f"{self.markdown}\n", encoding="utf-8")
        return out / LEDGER_MD


def ledger(analysis: Analysis) -> Ledger:
    """Return the numbers that TopoLM published, beside the numbers of models.

    A control model is compared with TopoLM's control model. Every other model is compared with TopoLM.

    Args:
        analysis: The analysis, from `compute`.
    """
    statistics, ordered = (analysis.results[table] for table in (STATISTICS_OF_MODELS, ORGANISATION_OF_MODELS))
    steps = analysis.results.get(STEPS_OF_MODELS)
    steps = STEPS_OF_MODELS.frame([]) if steps is None else steps
    rows: list[dict[str, Any]] = []
    for model in analysis.models:
        name, role = model.name, "control" if model.is_control else "topographic"
        model_rows = rows_with(statistics, model=name, **MEAN_OVER_TAPS)
        model_order = rows_with(ordered, model=name, **MEAN_OVER_TAPS)
        all_steps = rows_with(steps, model=name, step=AS_PUBLISHED)
        rows += [
            _morans_i(entry, role, model_rows, model_order, all_steps, analysis.facts) | {"model": name}
            for entry in MORANS_I
        ]
        rows += [row | {"model": name} for row in _other_rows(role, name, analysis, model_rows, all_steps)]
    table = pd.DataFrame(rows, columns=list(LEDGER.columns))
    table["reading"] = table["model"].map(readings_of_models(analysis.facts))
    return Ledger(table, analysis.facts, steps)


def _morans_i(
    entry: Published,
    role: str,
    statistics: pd.DataFrame,
    ordered: pd.DataFrame,
    all_steps: pd.DataFrame,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    published = entry.topolm if role == "topographic" else entry.control
    row: dict[str, Any] = {
        "quantity": f"Moran's I, {entry.description}, mean over taps",
        "fwhm_mm": entry.fwhm_mm,
        "published_stimuli": entry.stimuli,
        "contrast": entry.contrasts.get(facts["battery"], ""),
        "published": published,
        "topoformer": entry.topoformer if role == "topographic" else None,
        "topoformer_tables": entry.topoformer_tables if role == "topographic" else None,
        "brain": entry.brain if role == "topographic" else None,
    }
    fwhm_mm = entry.fwhm_mm or facts["raw_fwhm_mm"]
    map_rows = _rows(statistics, row["contrast"], fwhm_mm)
    if not map_rows:
        mapped = (statistics["contrast"] == row["contrast"]).any()
        return row | {"verdict": f"not measured: {_no_readout(entry.fwhm_mm)}" if mapped else absent(facts)}
    row |= {"measured": map_rows["morans_i"]["value"]} | {name: map_rows["morans_i"][name] for name in _NULL_COLUMNS}
    row |= _negative_controls(statistics, row["contrast"], fwhm_mm, "morans_i")
    keys = {"contrast": row["contrast"], "negative_control": "", "fwhm_mm": fwhm_mm}
    (order,) = rows_with(ordered, **keys).to_dict("records")
    row |= {"organisation": order["value"], "organisation_p": order["p"], "organisation_p_all": order["p_all"]}
    verdict = order_verdict(order["value"], order["p"], draws_of(facts, order["contrast"])) + _corrected(order)
    as_published = _as_published(all_steps, row["contrast"], MAP_I, entry.fwhm_mm)
    if as_published is None:
        why = _no_readout(entry.fwhm_mm) if len(all_steps) else NO_PADDING
        return row | {"verdict": f"{verdict}; not compared with the published value: {why}"}
    row |= {"as_published": as_published}
    return row | {"verdict": "; ".join([verdict, *_distance(as_published, published, facts)])}


def _as_published(all_steps: pd.DataFrame, contrast: str, statistic: str, fwhm_mm: float) -> float | None:
    """Return a number with all steps of the published code. None: it was not computed."""
    values = rows_with(all_steps, contrast=contrast, statistic=statistic, fwhm_mm=fwhm_mm)["value"]
    return float(values.iloc[0]) if len(values) else None


def _no_readout(fwhm_mm: float) -> str:
    """Return the reason why a number with a readout is missing, and what to do."""
    return f"this run has no readout of {fwhm_mm:g} mm (add {fwhm_mm:g} to --fwhm-mm)"


def _rows(
    statistics: pd.DataFrame, contrast: str, fwhm_mm: float, negative_control: str = ""
) -> dict[str, dict[str, Any]]:
    """Return the statistics of one map: {name of the statistic: row}. It is empty if the map was not made."""
    rows = rows_with(statistics, contrast=contrast, negative_control=negative_control, fwhm_mm=fwhm_mm)
    return {str(row["statistic"]): {str(key): x for key, x in row.items()} for row in rows.to_dict("records")}


def _negative_controls(statistics: pd.DataFrame, contrast: str, fwhm_mm: float, statistic: str) -> dict[str, float]:
    """Return a statistic of the negative controls of a contrast: {name of the control: value}."""
    negative_control_rows = {name: _rows(statistics, contrast, fwhm_mm, name) for name in NEGATIVE_CONTROLS}
    return {name: map_rows[statistic]["value"] for name, map_rows in negative_control_rows.items() if map_rows}


def _corrected(order: Mapping[Any, Any]) -> str:
    """Return whether an effect that is spatially ordered is so after correction for all tests, in words.

    Args:
        order: The row of `organisation`, mean over taps. The words are empty if the effect is not
            shown to be ordered.
    """
    if not (order["p"] <= SIGNIFICANT and order["value"] > 0) or np.isnan(order["p_all"]):
        return ""
    corrected = f"p = {order['p_all']:.2g} corrected for all readouts and contrasts"
    return f", also with {corrected}" if order["p_all"] <= SIGNIFICANT else f", but not with {corrected}"


def _distance(value: float, published: float, facts: Mapping[str, Any]) -> list[str]:
    """Return in words how far a Moran's I as published is from the published value. Empty: it is undefined."""
    if np.isnan(value):
        return []
    near = (
        f"within {NEAR:g} of"
        if abs(value - published) <= NEAR
        else f"{abs(value - published):.2f} {'higher' if value > published else 'lower'} than"
    )
    return [f"as published, {number(value)} is {near} the published value{_other_stimuli(facts)}"]


def _other_stimuli(facts: Mapping[str, Any]) -> str:
    return "" if facts["battery"] == PUBLISHED else ", but the stimuli differ"


def _other_rows(
    role: str, name: str, analysis: Analysis, statistics: pd.DataFrame, all_steps: pd.DataFrame
) -> list[dict[str, Any]]:
    rows = [_significant(*entry, role, statistics, all_steps, analysis.facts) for entry in SIGNIFICANT_FRACTION]
    rows += profile_rows(role, name, analysis, no_values="" if len(all_steps) else NO_PADDING)
    rows += _losses(role, analysis.trained.get(name), weighted_spatial_losses(analysis).get(name))
    rows += [
        {"quantity": quantity, "published": values[role], "verdict": "not measured by this command"}
        for quantity, values in BENCHMARKS.items()
    ]
    return rows


def _losses(role: str, result: Mapping[str, Any] | None, weighted: float | None) -> list[dict[str, Any]]:
    """Return the row of the task loss and, for a topographic model, the row of the spatial loss."""
    task: dict[str, Any] = {"quantity": "task loss (nats per token)", "published": TASK_LOSS[role]}
    spatial: dict[str, Any] = {"quantity": "spatial loss, mean over sheets", "published": SPATIAL_LOSS}
    if result is not None:
        task["measured"] = result["validation_task_loss"]
        task["verdict"] = "comparable only if the text and the tokenizer are those of the paper"
        spatial["measured"] = result["validation_spatial_loss"]
        spatial["as_published"] = weighted
        n_sheets = counted(len(result["validation_spatial_losses"]), "sheet")
        spatial["verdict"] = (
            f"as published: alpha ({alpha_of(result):g}) times the sum over taps ({n_sheets}), which the published "
            f"code logs; if the published value is that, its mean over {N_TAPS} taps is "
            f"{SPATIAL_LOSS / ALPHA / N_TAPS:.4f}"
        )
    else:
        task["verdict"] = spatial["verdict"] = f"not measured: the model folder has no {RESULT}"
    losses = [task, spatial] if role == "topographic" else [task]
    return [row | {"published_stimuli": "FineWeb-Edu, GPT-2 BPE"} for row in losses]


def _significant(
    description: str,
    stimuli: str,
    contrasts: Mapping[str, str],
    topoformer: float,
    role: str,
    statistics: pd.DataFrame,
    all_steps: pd.DataFrame,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    row: dict[str, Any] = {"quantity": f"fraction of significant units, {description}", "fwhm_mm": 0.0,
                           "published_stimuli": stimuli, "published": NOT_PUBLISHED}  # fmt: skip
    if role == "topographic":
        row["topoformer"] = topoformer
    fwhm_mm = facts["raw_fwhm_mm"]
    map_rows = _rows(statistics, contrasts.get(facts["battery"], ""), fwhm_mm)
    if not map_rows:
        return row | {"verdict": absent(facts)}
    fraction = map_rows["significant_fraction"]
    row |= {"contrast": fraction["contrast"], "measured": fraction["value"]}
    row |= {name: fraction[name] for name in _NULL_COLUMNS if name.startswith("label")}
    row |= _negative_controls(statistics, fraction["contrast"], fwhm_mm, "significant_fraction")
    more = "more" if fraction["label_p"] <= SIGNIFICANT else "not shown to have more"
    groups = "; pairs that share words count as one text" if fraction["stimuli"] in facts["grouped"] else ""
    untested = "not tested: the texts are not independent" if np.isnan(fraction["label_p"]) else ""
    untested = untested or not_tested(draws_of(facts, fraction["contrast"]))
    verdict = (untested or f"{more} significant units than with shuffled labels") + groups
    value = _as_published(all_steps, row["contrast"], SIGNIFICANT_UNITS, 0.0)
    if value is None:
        return row | {"verdict": f"{verdict}; not compared with a published value: {NO_PADDING}"}
    row["as_published"] = value
    if role == "topographic":
        higher = "higher" if value >= topoformer else "lower"
        verdict += (
            f"; as published, {number(value, 3)} is {abs(value - topoformer):.3f} {higher} than the value of "
            f"Topoformer{_other_stimuli(facts)}"
        )
    return row | {"verdict": verdict}


def _terminal_text(table: pd.DataFrame) -> str:
    """Return the table as text for a terminal. The verdict is below each quantity."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        p = " | ".join(f"p ({name})" for name in ("place-null", "label-null", "organisation"))
        head = f"quantity | readout | published | measured | as published | {p}"
        lines += ["", paragraph(f"{model}: {head}")]
        for row in rows.to_dict("records"):
            digits = _digits(row["quantity"])
            cells = [row["quantity"], _readout(row["fwhm_mm"]), _cell(row["published"], digits),
                     _cell(row["measured"], digits), _cell(row["as_published"], digits),
                     *(_cell(row[p], 3) for p in ("p", "label_p", "organisation_p"))]  # fmt: skip
            lines.append(paragraph(" | ".join(cell or "–" for cell in cells)))
            lines.append(paragraph("    " + row["verdict"], indent="    "))
    return "\n".join(lines).lstrip("\n")


def _digits(quantity: str) -> int:
    return 3 if "loss" in quantity or "fraction" in quantity else 2


def _readout(fwhm_mm: float) -> str:
    return "" if pd.isna(fwhm_mm) else readout_name(fwhm_mm, "")


def _cell(value: Any, digits: int = 2) -> str:
    """Return the text of a cell: a rounded number, or a text unchanged. A missing value gives an empty text."""
    if isinstance(value, str):
        return value
    return "" if value is None or pd.isna(value) else number(float(value), digits)


def _markdown(table: pd.DataFrame, facts: Mapping[str, Any], steps: pd.DataFrame) -> str:
    def null(row: Mapping[Any, Any], digits: int, prefix: str = "") -> list[str]:
        mean, sd = (_cell(row[f"{prefix}null_{of}"], digits) for of in ("mean", "sd"))
        return [f"{mean} ± {sd}" if mean else "", _cell(row[f"{prefix}p"], 3)]

    def negative_controls(row: Mapping[Any, Any], digits: int) -> str:
        measured_negative_controls = [name for name in NEGATIVE_CONTROLS if not pd.isna(row[name])]
        return ", ".join(f"{name.replace('-', ' ')} {_cell(row[name], digits)}" for name in measured_negative_controls)

    head = ("model", "quantity", "readout", "stimuli of the paper", "published", "Topoformer",
            "Topoformer (tables)", "brain", "measured", "as published", "place-null", "p (place-null)", "label-null",
            "p (label-null)", "organisation", "p (organisation)", "negative controls", "verdict")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in table.to_dict("records"):
        digits = _digits(row["quantity"])
        cells = [row["model"], row["quantity"], _readout(row["fwhm_mm"]), _cell(row["published_stimuli"]),
                 _cell(row["published"], digits), _cell(row["topoformer"], digits), _cell(row["topoformer_tables"]),
                 _cell(row["brain"]), _cell(row["measured"], digits), _cell(row["as_published"], digits),
                 *null(row, digits), *null(row, digits, "label_"),
                 _cell(row["organisation"]), _cell(row["organisation_p"], 3), negative_controls(row, digits),
                 row["verdict"]]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    published = facts["battery"] == PUBLISHED
    stimuli = "the published stimuli" if published else f"{facts['battery']} stimuli, not from the published stimuli"
    return "\n".join(
        [
            "# Reproduction ledger",
            "",
            "The published values are from Rathi et al., ICLR 2025 (arXiv:2410.11516). The measured values are from "
            f"{stimuli}. Nulls have {facts['permutations']} draws, seed {facts['seed']}, so the smallest possible p is "
            f"{1 / (1 + facts['permutations']):.2g}. The place-null shuffles the "
            "places of the units before the readout. The label-null makes maps without effect, mostly with "
            "shuffled labels. Organisation "
            "tests whether the effect is spatially ordered: whether neighbouring units have similar effects, more than "
            "the same effects at random places with the noise of these texts in its place. The verdict uses its p. "
            "Every p is one-sided. Only `organisation_p_all` is corrected for many tests: for all readouts and "
            "contrasts of the model. Negative controls are the same "
            "statistic of the same texts with labels that are not of interest.",
            "",
            f"Measured values, their nulls and their tests have the settings of this run: {_settings(facts)}. Values "
            "as published have all steps of TopoLM's published code (below), so they are compared with the published "
            "values. Profiles as published are means over single texts, of the network of clusters as published; a "
            "larger response is shown if its one-sided p is at most 0.05. This repeats the published test, which does "
            "not hold: texts of a batch share their padding, so they are not independent. Topoformer (tables) is from "
            "the published tables for each layer.",
            "",
            *lines,
            "",
            "## What each step of the published code is worth",
            "",
            "Each number without these steps, the change by each step alone, and the number with all of them. Moran's "
            "I and the fraction of significant units are means over taps; the network has the clusters of the "
            "localizer.",
            "",
            *(f"- *{step.name}*: {step.words}." for step in PUBLISHED_STEPS),
            "",
            "The readout of the published code is ours times a number for each cell, which cancels in t. Its raw maps "
            "are probably readouts of 1 mm: its control has 0.11 to 0.12, which noise has at 1 mm, not without "
            f"readout.{_other_readouts(steps)}",
            "",
            *_markdown_table(worth_of_steps(steps)),
        ]
    )


def _other_readouts(steps: pd.DataFrame) -> str:
    """Return a sentence if the steps have readouts without published numbers. Otherwise it is empty."""
    others = sorted(set(steps["fwhm_mm"]) - set(PUBLISHED_FWHM_MM))
    if not others:
        return ""
    return f" TopoLM published no numbers of readouts of {' and '.join(f'{fwhm:g}' for fwhm in others)} mm."


def _settings(facts: Mapping[str, Any]) -> str:
    """Return the reading, and the settings of the steps in which the published code differs, in words."""
    raw = f"the readout of {facts['raw_fwhm_mm']:g} mm as raw" if facts["raw_fwhm_mm"] else "raw maps without readout"
    weights = {"binary": "binary weights", "row": "row-standardised weights"}[facts["weights"]]
    texts = "texts count singly" if facts["groups"] == NO_GROUPS else f"groups by {facts['groups']} where texts have it"
    texts += f", pairs by {facts['paired_by']}" if facts["paired_by"] else ""
    texts += f", without {' and '.join(facts['confounds'])} (regression)" if facts["confounds"] else ""
    return f"{readings_in_words(facts)}; {weights}, {raw}, {facts['contiguity']} neighbours in clusters, {texts}"


def _markdown_table(table: pd.DataFrame) -> list[str]:
    """Return the lines of a table of texts."""
    rows = [list(table), ["---"] * len(table.columns), *table.values.tolist()]
    return [f"| {' | '.join(row)} |" for row in rows]
