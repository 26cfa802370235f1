"""The section on TopoLM's published code: numbers as published, as they should be, and what each difference is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from toposheet.cortex import Comparison, grow_clusters
from toposheet.cortex.statistics import mean_morans_i
from toposheet.progress import Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import MeasuredStudy, MeasuredSubject, Section
from toposheet.results import Table
from toposheet.settings import PADDING, PUBLISHED_STEPS, Reading, Settings
from toposheet.subject import respond
from toposheet.wording import number, readout_name, signed

AS_IT_SHOULD_BE, AS_PUBLISHED = "as it should be", "as published"
MAP_I, NETWORK_SIZE = "morans_i", "network_size"
STEPS_OF_MODELS = Table(
    "published_steps.csv",
    {"model": "text", "contrast": "text", "fwhm_mm": "number", "statistic": "text", "step": "text", "value": "number"},
    "a number with one step of TopoLM's published code in place of ours, with none of them, or with all of them",
)

PARTIAL = """
<h2>As published, and as it should be</h2>
<p class="lead">TopoLM's published code differs in some steps from what its paper describes, or from what this report does. The table shows Moran's I (mean over taps) and the number of units of the
language network without these steps, how each step alone changes the value, and the value with all of them. Only values as published should be compared with TopoLM's. {{ padding }} Numbers with the steps are in <i>published_steps.csv</i>.</p>
<div class="scroll"><table>
<tr>{% for column in worth %}<th{% if loop.index < 4 %} class="left"{% endif %}>{{ column }}</th>{% endfor %}</tr>
{% for row in worth.values.tolist() %}
<tr>{% for cell in row %}<td{% if loop.index < 4 %} class="left"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
"""


def _subject_tables(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    base = settings.as_it_should_be()
    steps = {name: base.with_step(step) for name, step in PUBLISHED_STEPS.items()}
    variants = {AS_IT_SHOULD_BE: base, **steps, AS_PUBLISHED: base.as_published()}
    if settings.reading == base.reading:  # another reading takes minutes, so it needs a run with this setting
        variants = {
            name: replace(variant, reading=base.reading)
            for name, variant in variants.items()
            if "reading" not in PUBLISHED_STEPS.get(name, {})
        }
    rows: list[dict[str, Any]] = []
    for name, study in measured.studies.items():
        readings = {settings.reading: study}
        for number_of_contrast, _ in enumerate(study.study.contrasts):
            is_localizer = name == measured.battery.localizer and number_of_contrast == 0
            for step, variant in variants.items():
                comparison = _read(readings, study, variant.reading).comparison(number_of_contrast, settings)
                values = _values(comparison, variant, is_localizer)
                rows += [{"contrast": comparison.name, "step": step, **row} for row in values]
    return {STEPS_OF_MODELS: pd.DataFrame(rows, columns=[name for name in STEPS_OF_MODELS.columns if name != "model"])}


def _read(readings: dict[Reading, MeasuredStudy], study: MeasuredStudy, reading: Reading) -> MeasuredStudy:
    """Return the responses to a study with a reading. New responses are added to `readings`."""
    if reading not in readings:
        readings[reading] = replace(study, responses=respond(study.subject, study.study.stimuli, reading=reading))
    return readings[reading]


def _values(comparison: Comparison, settings: Settings, is_localizer: bool) -> list[dict[str, Any]]:
    """Return Moran's I of each readout, and for the localizer the number of units of the language network."""
    rows: list[dict[str, Any]] = [
        {
            "fwhm_mm": fwhm,
            "statistic": MAP_I,
            "value": mean_morans_i(comparison.readout(fwhm or settings.raw_fwhm_mm), weights=settings.weights),
        }
        for fwhm in dict.fromkeys((0.0, *settings.fwhm_mm))
    ]
    if is_localizer:
        clusters = grow_clusters(comparison, min_size=settings.min_size, contiguity=settings.contiguity)
        rows.append({"fwhm_mm": 0.0, "statistic": NETWORK_SIZE, "value": int((clusters > 0).sum())})
    return rows


def worth_of_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return what each step of the published code is worth, as texts: a row for each number of a model.

    Args:
        steps: The rows of `STEPS_OF_MODELS`.
    """
    rows = []
    for _, group in steps.groupby(["model", "contrast", "statistic", "fwhm_mm"], sort=False):
        model, contrast, statistic, fwhm = group[["model", "contrast", "statistic", "fwhm_mm"]].iloc[0]
        values = dict(zip(group["step"], group["value"], strict=True))
        digits = 3 if statistic == MAP_I else 0
        what = f"Moran's I, {readout_name(fwhm, '')}" if statistic == MAP_I else "units of the network"
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


def about_padding(steps: pd.DataFrame) -> str:
    """Return one sentence that says whether the values as published have the padding of the published code."""
    if (steps["step"] == PADDING).any():
        return "The responses of the published code are averaged over padding too, and so are the values as published."
    return (
        "The responses of the published code are averaged over padding too. This step is left out here: it needs "
        "another reading of the texts."
    )


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    steps = analysis.results.get(STEPS_OF_MODELS)
    if steps is None or steps.empty:
        return None
    return {"worth": worth_of_steps(steps), "padding": about_padding(steps)}


SECTION = Section(position=47, partial=PARTIAL, view=_view, tables=(STEPS_OF_MODELS,), subject_tables=_subject_tables)
