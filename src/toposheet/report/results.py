"""The numbers of a report: every analysis of one or more models, as files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from tqdm import tqdm

from toposheet.cortex import respond
from toposheet.cortex.analysis import analyse
from toposheet.files import folder_aside
from toposheet.stats import check_permutations
from toposheet.topography import load, load_topography, local_folder

SUMMARY, MAPS, SETTINGS, RANDOM_LABELS_TABLE = "summary.csv", "maps.nc", "analysis.json", "random_labels.csv"


def compute(
    models: Mapping[str, str | Path],
    stimuli: pd.DataFrame,
    contrasts: Sequence[tuple[str, str]],
    out: Path,
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    random_splits: int = 20,
    seed: int = 0,
) -> None:
    """Write `summary.csv`, `maps.nc`, `random_labels.csv` and `analysis.json` (the settings) of models to a folder.

    Args:
        models: A name for each model and its folder (or hub id).
        stimuli: A table with columns `text` and `condition`.
        contrasts: Pairs of conditions.
        out: The folder; made where it is missing.
        fwhm_mm: Readouts in millimetres; 0 is raw.
        permutations: Draws of each null.
        random_splits: How many random splits of the first contrast's stimuli stand beside it; 0 for none.
        seed: Of all shuffles.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: a folder is no model with sheets, or stimuli and contrasts do not fit.
    """
    settings = settings_of(stimuli, contrasts, fwhm_mm, permutations, random_splits, seed)
    for folder in models.values():
        load_topography(local_folder(folder))  # what is no model is refused before the first is mapped
    summaries, maps, random_labels = [], [], []
    with tqdm(models.items(), desc="maps", unit="model", leave=False, disable=None) as bar:
        for name, folder in bar:
            bar.set_postfix_str(name)
            model, topo, tokenizer = load(folder)
            if tokenizer is None:
                raise ValueError(f"{folder} has no tokenizer: save it with toposheet.save(..., tokenizer)")
            responses = respond(model, topo, stimuli, tokenizer)
            analysis = analyse(responses, topo, contrasts, fwhm_mm, permutations, random_splits, seed)
            summaries.append(_named(analysis.summary, name))
            maps.append(analysis.maps)
            if random_splits:
                random_labels.append(_named(analysis.random_labels, name))
    names = xr.DataArray(list(models), dims="model", name="model")
    with folder_aside(out) as aside:
        xr.concat(maps, dim=names, join="outer").to_netcdf(aside / MAPS, engine="h5netcdf")
        if random_splits:
            pd.concat(random_labels, ignore_index=True).to_csv(aside / RANDOM_LABELS_TABLE, index=False)
        pd.concat(summaries, ignore_index=True).to_csv(aside / SUMMARY, index=False)
        (aside / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")


def settings_of(
    stimuli: pd.DataFrame,
    contrasts: Sequence[tuple[str, str]],
    fwhm_mm: Sequence[float] = (0.0, 2.0),
    permutations: int = 99,
    random_splits: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what decides the numbers of a report, besides the models; stored beside them as `analysis.json`.

    Raises:
        ValueError: a setting is out of range.
    """
    check_permutations(permutations)
    if not all(math.isfinite(fwhm) and fwhm >= 0 for fwhm in fwhm_mm):
        raise ValueError(f"the readout's FWHM is {min(fwhm_mm)}: it must be a length of at least 0")
    return {
        "contrasts": [f"{a}:{b}" for a, b in contrasts],
        "fwhm_mm": list(fwhm_mm),
        "permutations": permutations,
        "random_splits": random_splits,
        "seed": seed,
        "stimuli": hashlib.sha256(stimuli.to_csv(index=False).encode()).hexdigest(),
    }


def _named(table: pd.DataFrame, model: str) -> pd.DataFrame:
    return pd.concat([pd.Series(model, index=table.index, name="model"), table], axis=1)
