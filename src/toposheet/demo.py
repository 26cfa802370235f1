"""The whole path in one call: text, two models, their maps, a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from toposheet.cortex.analysis import RANDOM_LABELS
from toposheet.files import write_file
from toposheet.recipes import Recipe, demo
from toposheet.report import compute, write_report
from toposheet.report.page import PAGE, Check
from toposheet.report.results import MAPS, RANDOM_LABELS_TABLE, SETTINGS, SUMMARY, settings_of
from toposheet.stats import check_permutations
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.table import read_stimuli
from toposheet.text.corpora import builtin_documents
from toposheet.text.pipeline import prepare_builtin
from toposheet.text.split import split_documents
from toposheet.topography import local_folder
from toposheet.train.claims import RESULT, claim, stopping_with
from toposheet.train.loop import train

CONTRASTS = (("sentence", "nonword"), ("noun", "verb"))
LANGUAGE = "sentence:nonword"
STIMULI = "stimuli.csv"


def run(
    recipe: Recipe,
    out: Path,
    permutations: int = 99,
    per_condition: int = 100,
    say: Callable[[str], None] = lambda line: None,
) -> list[Check]:
    """Train the models of a recipe, with and without topography, map both and write the report.

    Everything lies under `out`: `text/`, `stimuli.csv`, the model folders `topographic/` and `control/`,
    `summary.csv`, `maps.nc`, `figures/` and `report.html`. A stage that is finished, and whose inputs are
    not newer, is not repeated; a training that was stopped goes on.

    Args:
        recipe: Of the topographic model; the control is the same with alpha 0.
        out: The folder.
        permutations: Draws of each null.
        per_condition: How many stimuli each condition has.
        say: Told what is happening, a line at a time.

    Returns:
        What the run should show, and whether it does.

    Raises:
        FileNotFoundError: a corpus or lexicon package is not installed.
        ValueError: the folder holds another run; the message says what differs.
        KeyboardInterrupt: the run was interrupted; calling again goes on.
    """
    folders = {name: out / name for name in ("topographic", "control")}
    text, stimuli_file = out / "text", out / STIMULI
    check_permutations(permutations)
    out.mkdir(parents=True, exist_ok=True)

    claim(folders["topographic"], recipe)
    if recipe.patience is None:  # else the first run decides when the second stops
        claim(folders["control"], recipe.control())

    say("1/5 text: corpus, tokenizer, tokens")
    prepare_builtin(text, recipe)

    say("2/5 stimuli: sentences, non-words, nouns, verbs")
    stimuli = read_stimuli(stimuli_file) if stimuli_file.is_file() else pd.DataFrame({"condition": []})
    if not stimuli["condition"].value_counts().eq(per_condition).all() or stimuli.empty:
        write_file(stimuli_file, builtin_stimuli(recipe, per_condition).to_csv(index=False))
        stimuli = read_stimuli(stimuli_file)
    settings = settings_of(stimuli, CONTRASTS, permutations=permutations, seed=recipe.seed)

    say("3/5 training: the topographic model and its control")
    train(recipe, text, folders["topographic"], on_other_machine=True)
    train(stopping_with(recipe.control(), folders["topographic"]), text, folders["control"], on_other_machine=True)

    say("4/5 maps: responses, contrasts, nulls")
    trained = [folder / RESULT for folder in folders.values()]
    computed = [out / name for name in (SUMMARY, MAPS, RANDOM_LABELS_TABLE, SETTINGS)]
    if _stale(computed, trained) or json.loads((out / SETTINGS).read_text()) != settings:
        compute(folders, stimuli, CONTRASTS, out, permutations=permutations, seed=recipe.seed)

    say("5/5 report")
    checks = expectations(out)
    if _stale([out / PAGE], computed):
        write_report(folders, stimuli, out, checks)
    return checks


def builtin_stimuli(recipe: Recipe, per_condition: int = 100) -> pd.DataFrame:
    """Return stimuli for the models of a recipe: built from the built-in text that they are not trained on."""
    training, held_out = split_documents(builtin_documents(), recipe.validation_fraction, recipe.seed)
    return build_stimuli(held_out, training, per_condition, recipe.seed)


def stimuli_for(model: str) -> pd.DataFrame:
    """Return the stimuli that come with a model, or those that are built for its recipe, the demo's if it has none.

    Args:
        model: A model folder, the name of a shipped model, or a hub id.

    Returns:
        A table with columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

    Raises:
        FileNotFoundError: there is no such model, or a package of the extra `demo`, which building needs, is missing.
    """
    folder = local_folder(model)
    if (folder / STIMULI).is_file():
        return read_stimuli(folder / STIMULI)
    stored = folder / "recipe.json"
    return builtin_stimuli(Recipe.load(stored) if stored.is_file() else demo())


def expectations(out: Path) -> list[Check]:
    """Return what a finished demo should show, with the measured values.

    Moran's I is raw, medians and means are over taps, nulls are place-nulls.
    """
    summary = pd.read_csv(out / SUMMARY).query("fwhm_mm == 0")
    random_labels = pd.read_csv(out / RANDOM_LABELS_TABLE).query("fwhm_mm == 0 and model == 'topographic'")
    result = {name: json.loads((out / name / RESULT).read_text()) for name in ("topographic", "control")}
    checks = []

    def check(claim: str, value: float, sign: str, bound: float) -> None:
        holds = {"<": value < bound, "≤": value <= bound, ">": value > bound, "≥": value >= bound}[sign]
        checks.append(Check(claim, float(value), f"{sign} {bound:g}", bool(holds)))

    def rows(model: str, contrast: str) -> pd.DataFrame:
        return summary.query("model == @model and contrast == @contrast")

    check("topographic: spatial loss, mean over taps", result["topographic"]["validation_spatial_loss"], "<", 0.10)
    for name in (f"{a}:{b}" for a, b in CONTRASTS):
        z = np.median(rows("topographic", name)["z"])
        check(f"topographic: Moran's I of {name}, null sd above the place-null, median over taps", float(z), ">", 10.0)
        z = np.median(rows("control", name)["z"])
        check(f"control: Moran's I of {name}, null sd from the place-null, median over taps", abs(float(z)), "≤", 3.0)
    language = rows("topographic", LANGUAGE)
    check(
        f"topographic: cross-half I of {LANGUAGE}, median over taps",
        float(np.median(language["cross_half_i"])),
        ">",
        0.5,
    )
    check(f"topographic: fraction of all units significant in {LANGUAGE}", _fraction(language), "≥", 0.5)
    n_splits = len(set(random_labels["split"]))
    claim = f"topographic: fraction of all units significant with {RANDOM_LABELS}, mean of {n_splits} splits"
    check(claim, _fraction(random_labels), "≤", 0.01)
    ratio = result["topographic"]["validation_task_loss"] / result["control"]["validation_task_loss"]
    check("task loss, topographic over control", ratio, "≤", 1.10)
    return checks


def _fraction(rows: pd.DataFrame) -> float:
    """Return the fraction of all units that are significant."""
    return float(np.average(rows["significant_fraction"], weights=rows["n_units"]))


def _stale(outputs: Iterable[Path], inputs: Iterable[Path]) -> bool:
    """Return whether an output is missing or older than an input."""
    outputs = list(outputs)
    if not all(path.is_file() for path in outputs):
        return True
    return min(p.stat().st_mtime_ns for p in outputs) < max(p.stat().st_mtime_ns for p in inputs)
