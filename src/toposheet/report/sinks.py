"""Attention sinks of the models of a report: units that one token decides, and responses that follow its share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from toposheet.cortex.length import FOLLOWS, length_r2
from toposheet.progress import Progress, part_of
from toposheet.report.section import MeasuredSubject
from toposheet.results import Table
from toposheet.settings import DEFAULT, NO_BOS, Settings
from toposheet.subject import Subject
from toposheet.subject.sinks import N_TEXTS, RATIO, sinks

SINKS = Table(
    "sinks.csv",
    {"tap": "text", "n_units": "count", "n_sinks": "count", "follow_length": "number", "sheet": "text", "y": "count",
     "x": "count", "position": "count", "at_position": "number", "elsewhere": "number", "ratio": "number",
     "bos": "text", "skip_first": "flag", "undefined": "text"},
    "the number of attention sinks among the units of one tap, the fraction of units whose responses follow 1 / number "
    "of tokens, and the unit that is most like a sink",
)  # fmt: skip
SINKS_OF_MODELS = SINKS.beside(model="text", stimuli="text")
_MANY = 0.05  # fraction of units that follow the number of tokens, above which a note says so
_FEW_TEXTS = 8  # at least, of each study


def sink_rows(measured: MeasuredSubject, settings: Settings, progress: Progress) -> Mapping[Table, pd.DataFrame]:
    """Return the table of the attention sinks of one subject, with a row for each study and tap.

    The studies share 64 texts, so that this takes little time.
    """
    n_studies = len(measured.studies)
    n_texts = max(_FEW_TEXTS, N_TEXTS // max(n_studies, 1))
    parts = [
        sinks_of_taps(
            study.subject,
            study.study.stimuli,
            study.responses,
            n_texts=n_texts,
            settings=settings,
            progress=part_of(progress, place, n_studies),
        ).assign(stimuli=name)
        for place, (name, study) in enumerate(measured.studies.items())
    ]
    return {SINKS_OF_MODELS: pd.concat(parts, ignore_index=True)} if parts else {}


def sinks_of_taps(
    subject: Subject,
    stimuli: pd.DataFrame,
    responses: xr.DataArray,
    *,
    n_texts: int = N_TEXTS,
    settings: Settings = DEFAULT,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the attention sinks of each tap of a subject: the table `SINKS`.

    Args:
        subject: The subject.
        stimuli: The texts.
        responses: The responses of the subject to all texts.
        n_texts: Largest number of texts that are read again, see `sinks`.
        settings: Settings of the analysis. Only `reading` and `seed` are used.
        progress: A function that is called with the number of texts done so far. None: no calls.
    """
    units = sinks(subject, stimuli, reading=settings.reading, n_texts=n_texts, seed=settings.seed, progress=progress)
    r2, undefined = length_r2(responses)
    follows = pd.Series(np.where(np.isnan(r2), np.nan, r2 > FOLLOWS))
    reading = {"bos": responses.attrs["bos"], "skip_first": bool(responses.attrs["skip_first"])}
    rows = []
    for _, of_tap in units.groupby("tap", sort=False):
        counts = {"n_units": len(of_tap), "n_sinks": int(of_tap["is_sink"].sum())}
        length = {"follow_length": follows[of_tap.index].mean(), "undefined": undefined}
        rows.append(_largest(of_tap.drop(columns="is_sink"), "ratio") | counts | length | reading)
    return SINKS.frame(rows)


def _largest(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return the row with the largest number in a column. nan is smaller than all numbers."""
    row = table.iloc[int(table[column].fillna(-np.inf).to_numpy().argmax())]
    return {str(name): value for name, value in row.items()}


def sinks_of_studies(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each model and study: the share of attention sinks, and of units that follow 1 / tokens.

    The row is that of the tap with the unit that is most like a sink, except that `n_units`, `n_sinks` and
    `follow_length` are over all taps.

    Args:
        table: The table `SINKS_OF_MODELS`.
    """
    rows = []
    for _, taps in table.groupby(["model", "stimuli"], sort=False):
        n_units, n_sinks = int(taps["n_units"].sum()), int(taps["n_sinks"].sum())
        follow_length = float((taps["follow_length"] * taps["n_units"]).sum(min_count=1)) / n_units
        counts = {"n_units": n_units, "n_sinks": n_sinks, "follow_length": follow_length}
        rows.append(_largest(taps, "ratio") | counts)
    return rows


def sink_notes(table: pd.DataFrame) -> list[str]:
    """Return sentences that name the worst sink of each model, and say what to do. Without sinks there are none.

    Args:
        table: The table `SINKS_OF_MODELS`.
    """
    notes = []
    studies = pd.DataFrame(sinks_of_studies(table), columns=list(SINKS_OF_MODELS.columns))
    for model, rows in studies.groupby("model", sort=False):
        sinks_of_model = rows[rows["n_sinks"] > 0]
        if len(sinks_of_model):
            worst = _largest(sinks_of_model, "ratio")
            notes.append(
                f"{model}, {worst['stimuli']}: {worst['n_sinks']:,} of {worst['n_units']:,} units are attention sinks "
                f"(more than {RATIO:g} times as active at one token as at the others). The worst is in {worst['tap']}, "
                f"row {worst['y']}, column {worst['x']}: {worst['at_position']:,.1f} at token {worst['position'] + 1} "
                f"of the texts, {worst['elsewhere']:,.2f} elsewhere. {_advice(worst)}"
            )
        most = _largest(rows, "follow_length")
        if most["follow_length"] > _MANY:
            advice = "" if len(sinks_of_model) else f". {_REMOVE_LENGTH}"
            notes.append(
                f"{model}, {most['stimuli']}: the responses of {100 * most['follow_length']:.1f} % of the units follow "
                f"1 / number of tokens (r2 > {FOLLOWS:g}){advice}"
            )
    return notes


_REMOVE_LENGTH = (
    "Compare texts with equal numbers of tokens, or remove this number from the responses (--confounds tokens)"
)


def _advice(row: Mapping[str, Any]) -> str:
    """Return what to do about a sink."""
    if row["position"] or row["skip_first"]:
        return _REMOVE_LENGTH
    before = "with a token before them (--bos TOKEN), or " if row["bos"] == NO_BOS else ""
    return f"Read the texts {before}without their first token (--skip-first)"
