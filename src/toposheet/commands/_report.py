"""Shared by the commands that analyse models: compute the results, and print a table of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from toposheet.progress import Progress
    from toposheet.report import Analysis, StudiedModel
    from toposheet.results import Results
    from toposheet.settings import Settings
    from toposheet.stimuli.studies import Battery


def analysed(models: Sequence[StudiedModel], battery: Battery, settings: Settings, progress: Progress) -> Analysis:
    """Compute and return an analysis (`report.compute`)."""
    from toposheet.cache import cache_folder
    from toposheet.report import compute

    return compute(models, battery, settings=settings, cache=cache_folder(), progress=progress)


def print_summary(results: Results) -> None:
    """Print the medians over taps for each contrast, model and readout, and the verdicts of the tests."""
    from toposheet.cortex.summary import medians, of_sheets, without_negative_controls
    from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, SUMMARY_OF_MODELS
    from toposheet.report.verdicts import verdict_lines
    from toposheet.results import text_table
    from toposheet.wording import number, p_value

    summary = without_negative_controls(results[SUMMARY_OF_MODELS])
    rows = medians(summary)
    print("\nMedians over taps:")
    print(text_table(_summary_columns(rows), ("contrast", "model")))
    print()
    if not (sheets := of_sheets(summary)).empty:
        names = ["model", "contrast", "negative_control", "sheet", "tap", "fwhm_mm"]
        sheets = sheets.merge(results[ORGANISATION_OF_MODELS], on=names, suffixes=("", "_ordered"))
        columns = _summary_columns(sheets) | {
            "organi- sation": [number(value) for value in sheets["value"]],
            "p": [p_value(p) for p in sheets["p_ordered"]],
        }
        print("Whole sheets, with the units of all their taps:")
        print(text_table({"sheet": sheets["sheet"].tolist()} | columns, ("sheet", "contrast", "model")))
        print()
    for line in verdict_lines(results, {name: [name] for name in dict.fromkeys(rows["model"])}):
        print(line)
    print_notes(results)


def _summary_columns(summary: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of a printed table of map statistics."""
    from toposheet.wording import mean_and_sd, number, readout_name

    rows = summary.to_dict("records")
    return {
        "contrast": [row["contrast"] for row in rows],
        "read- out": [readout_name(row["fwhm_mm"], "") for row in rows],
        "model": [row["model"] for row in rows],
        "sig. units": [f"{row['significant_fraction']:.1%}" for row in rows],
        "Moran I": [number(row["morans_i"]) for row in rows],
        "place-null": [mean_and_sd(row["null_mean"], row["null_sd"]) for row in rows],
        "label-null": [mean_and_sd(row["label_null_mean"], row["label_null_sd"]) for row in rows],
        "cross- half I": [number(row["cross_half_i"]) for row in rows],
    }


def print_notes(results: Results) -> None:
    """Print how texts were read, and what was left out; on stderr print notes about contrasts and attention sinks."""
    from toposheet.report.readings import readings_in_words
    from toposheet.report.sinks import SINKS_OF_MODELS, sink_notes
    from toposheet.results import paragraph

    print(f"\n{paragraph(f'reading: {readings_in_words(results.facts)}')}")
    contrasts_of: dict[str, list[str]] = {}
    for contrast, notes in results.facts["notes"].items():
        for note in notes:
            contrasts_of.setdefault(note, []).append(contrast)
    for note, contrasts in contrasts_of.items():
        print(f"note: {', '.join(contrasts)}: {note}", file=sys.stderr)
    for note in sink_notes(results[SINKS_OF_MODELS]):
        print(f"note: {note}", file=sys.stderr)
    for note in results.facts["texts_left_out"].values():
        print(f"note: {note}")
    for fact in ("stimuli_left_out", "negative_controls_left_out"):
        if note := results.facts[fact]:
            print(f"note: {note}")  # in one line, so that the user can copy a command in it
