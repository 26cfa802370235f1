"""The demo: prepare text, train two models, compute their maps and write a report, in one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import n_significant, of_taps, raw_rows, without_negative_controls
from toposheet.files import path_of, write_file
from toposheet.recipes import Recipe
from toposheet.recipes.result import RESULT, read_result
from toposheet.report import Analysis, Check, StudiedModel, compute, folder, write_report
from toposheet.report.computing import what_decides
from toposheet.report.draws import with_draws
from toposheet.report.page import REPORT
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS, SUMMARY_OF_MODELS
from toposheet.results import FACTS, MAPS, Results, read_facts, rows_with
from toposheet.settings import Settings
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.studies import CONTRASTS, builtin_stimuli, synthetic_battery
from toposheet.stimuli.table import STIMULI_FILE, read_stimuli
from toposheet.subject import read_tokenizer, token_counter
from toposheet.train.batches import prepare_builtin
from toposheet.train.loop import train
from toposheet.train.preconditions import check_sheets, refuse_other_run, stopping_with

LANGUAGE = "sentence:nonword"


def run(
    recipe: Recipe,
    out: Path,
    *,
    permutations: int | None = None,
    per_condition: int = 100,
    say: Callable[[str], None] = lambda line: None,
) -> list[Check]:
    """Train a topographic model and its control, compute the maps of both, and write a report.

    The folder `out` then holds `text/`, `stimuli.csv`, the model folders `topographic/` and `control/`, `summary.csv`,
    `maps.nc`, `figures/` and `report.html`. A finished stage is not repeated, unless its inputs are newer than its
    results. A stopped training continues.

    Args:
        recipe: The recipe of the topographic model. The control has the same recipe with alpha 0.
        out: The folder for all results.
        permutations: Number of draws of each null. None: as `Settings` chooses.
        per_condition: Number of stimuli in each condition.
        say: A function that receives one line of text at the start of each stage.

    Returns:
        The expected results of the demo. Each check states the measured value and whether the expectation holds.

    Raises:
        NotFound: The package of a corpus or of the lexicon is not installed.
        UserError: The folder holds another run. The message says which values differ. Or the sheets or the objective
            of the recipe do not fit its model.
        KeyboardInterrupt: The user interrupted the run. A second call continues it.
    """
    out = path_of(out)
    folders = {name: out / name for name in ("topographic", "control")}
    models = [StudiedModel(name, path, is_control=name == "control") for name, path in folders.items()]
    text, stimuli_file = out / "text", out / STIMULI_FILE
    settings = Settings(permutations=permutations, seed=recipe.seed)

    refuse_other_run(folders["topographic"], recipe)
    if (
        recipe.optimisation.patience is None
    ):  # with patience, the topographic run decides at which update the control stops
        refuse_other_run(folders["control"], recipe.control())

    check_sheets(recipe)

    say("1/5 text: read the corpora, train the tokenizer, write the tokens")
    prepare_builtin(text, recipe)

    say("2/5 stimuli: sentences, word lists, Jabberwocky, non-words, nouns, verbs")
    tokens = token_counter(read_tokenizer(text / "tokenizer"))
    reader = Reader(recipe.bookkeeping.validation_fraction, recipe.seed, tokens)
    stimuli = read_stimuli(stimuli_file) if stimuli_file.is_file() else pd.DataFrame({"condition": []})
    if not stimuli["condition"].value_counts().eq(per_condition).all() or stimuli.empty:
        write_file(stimuli_file, builtin_stimuli(reader, per_condition).to_csv(index=False))
        stimuli = read_stimuli(stimuli_file)
    battery = synthetic_battery(replace(reader, shipped=stimuli), per_condition)

    say("3/5 training: the topographic model and its control")
    train(recipe, text, folders["topographic"], on_other_machine=True)
    train(stopping_with(recipe.control(), folders["topographic"]), text, folders["control"], on_other_machine=True)

    say("4/5 maps: responses, contrasts, nulls")
    decides = what_decides(battery, with_draws(settings, models, battery))
    trained = [model / RESULT for model in folders.values()]
    computed = [
        out / name for name in (SUMMARY_OF_MODELS.file, MAPS, STATISTICS_OF_MODELS.file, ORGANISATION_OF_MODELS.file)
    ]
    if _missing_or_older([*computed, out / FACTS], trained) or _were_computed_otherwise(decides, read_facts(out)):
        compute(models, battery, settings=settings).results.write(out)

    say("5/5 report: figures and page")
    results = folder.read(out)
    checks = expectations(results, {name: read_result(model) for name, model in folders.items()})
    if _missing_or_older([out / REPORT], computed):  # FACTS names the report, so it is newer than the report
        write_report(Analysis(results, models, checks), out)
    return checks


def expectations(results: Results, trained: Mapping[str, Any]) -> list[Check]:
    """Return the expected results of a finished demo, with the measured values.

    Moran's I is computed from raw maps (no readout). Medians and means are taken over taps. z
    is the distance of Moran's I from the mean of the place-null, in standard deviations of this null.

    Args:
        results: The results of the models `topographic` and `control`.
        trained: The content of `training.json` for each of the two models.
    """
    summary = of_taps(raw_rows(without_negative_controls(results[SUMMARY_OF_MODELS])))
    statistics = raw_rows(without_negative_controls(results[STATISTICS_OF_MODELS])).query("model == 'topographic'")
    checks = []

    def check(claim: str, value: float, sign: str, bound: float) -> None:
        holds = {"<": value < bound, "≤": value <= bound, ">": value > bound, "≥": value >= bound}[sign]
        checks.append(Check(claim, float(value), f"{sign} {bound:g}", bool(holds)))

    def rows(model: str, contrast: str) -> pd.DataFrame:
        return summary.query("model == @model and contrast == @contrast")

    check(
        "topographic model: spatial loss, mean over sheets",
        trained["topographic"]["validation_spatial_loss"],
        "<",
        0.10,
    )
    for name in (contrast.name for contrast in CONTRASTS):
        z = np.median(rows("topographic", name)["z"])
        check(
            f"topographic model: z of Moran's I of {name} against the place-null, median over taps", float(z), ">", 10.0
        )
        z = np.median(rows("control", name)["z"])
        check(f"control: |z| of Moran's I of {name} against the place-null, median over taps", abs(float(z)), "≤", 3.0)
    language = rows("topographic", LANGUAGE)
    ordered = raw_rows(without_negative_controls(results[ORGANISATION_OF_MODELS]))
    for model, sign in (("topographic", "≤"), ("control", ">")):
        (row,) = rows_with(ordered, model=model, contrast=LANGUAGE, **MEAN_OVER_TAPS).to_dict("records")
        name = "topographic model" if model == "topographic" else model
        check(f"{name}: p of the test that the effect of {LANGUAGE} is spatially ordered", row["p"], sign, SIGNIFICANT)
    check(
        f"topographic model: fraction of all units that are significant in {LANGUAGE}",
        _significant_fraction(language),
        "≥",
        0.5,
    )
    language_rows = rows_with(statistics, contrast=LANGUAGE, **MEAN_OVER_TAPS)
    by_chance = language_rows.set_index("statistic")["label_null_mean"]["significant_fraction"]
    check(
        "topographic model: the same fraction with shuffled labels, mean over draws and taps",
        float(by_chance),
        "≤",
        0.01,
    )
    ratio = trained["topographic"]["validation_task_loss"] / trained["control"]["validation_task_loss"]
    check("task loss of the topographic model, divided by the task loss of the control", ratio, "≤", 1.10)
    return checks


def _were_computed_otherwise(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Return whether the stored results were computed with other code, settings or stimuli.

    Args:
        wanted: What determines the numbers of the present call (`what_decides`).
        stored: The stored facts about the results, by name. Further entries are ignored.
    """
    wanted = json.loads(json.dumps(wanted))
    return any(stored.get(name) != value for name, value in wanted.items())


def _significant_fraction(rows: pd.DataFrame) -> float:
    """Return the fraction of significant units over all taps."""
    return n_significant(rows["significant_fraction"], rows["n_units"]) / int(rows["n_units"].sum())


def _missing_or_older(outputs: Iterable[Path], inputs: Iterable[Path]) -> bool:
    """Return whether an output file is missing, or older than an input file."""
    outputs = list(outputs)
    if not all(path.is_file() for path in outputs):
        return True
    return min(p.stat().st_mtime_ns for p in outputs) < max(p.stat().st_mtime_ns for p in inputs)
