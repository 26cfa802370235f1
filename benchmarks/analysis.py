"""Claim: every analysis of a model of the paper's size, on the published stimuli, takes minutes on a laptop.

There are three measurements for a model of the paper's size with random weights:

1. The whole report: responses, contrasts, nulls, negative controls, clusters, profiles and figures.
2. The responses, compared with the published method. That method also computes the language-model head and the loss, on
   batches of 12 texts that are padded to the longest text.
3. Many place-null draws of one contrast, with the readout.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from benchmarks.objective import topography
from benchmarks.timing import command, paired
from benchmarks.tokenising import tokenizer_of_size_of_gpt2
from toposheet import recipes
from toposheet.cortex import Comparison
from toposheet.cortex.draws import place_draws
from toposheet.settings import Reading
from toposheet.stats import morans_i
from toposheet.stimuli.stimulus_set import stimulus_set
from toposheet.subject import load, respond, save
from toposheet.train.model import new_subject

TEXTS, DRAWS, PUBLISHED_BATCH = 480, 999, 12


def measure() -> list[dict[str, Any]]:
    """Return one row for each measurement. The last two need published stimuli (`TOPOSHEET_DATA`)."""
    rows = [_place_null()]
    if "TOPOSHEET_DATA" not in os.environ:
        print("no published stimuli: set TOPOSHEET_DATA to their folder to measure the responses and the whole report")
        return rows
    with tempfile.TemporaryDirectory() as name:
        model, out = Path(name) / "model", Path(name) / "report"
        _write_model(model, tokenizer_of_size_of_gpt2(Path(name) / "tokenizer"))
        rows.append(_responses(model))
        os.environ["TOPOSHEET_CACHE"] = str(Path(name) / "cache")
        arguments = [
            "report",
            str(model),
            "--bos",
            "none",
            "--permutations",
            "99",
            "--stimuli",
            "published",
            "--out",
            str(out),
        ]
        seconds, peak = command(arguments)
        rows.append({"what": "report", "seconds": seconds, "at_most": 300, "peak_gb": peak / 1e9, "at_most_gb": 4})
    return rows


def _write_model(folder: Path, tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    save(folder, new_subject(recipes.named("paper"), AutoTokenizer.from_pretrained(tokenizer)))


def _place_null() -> dict[str, Any]:
    topo, rng = topography(24), np.random.default_rng(0)
    values = rng.normal(size=(TEXTS, 24 * 784)).astype(np.float32)
    coordinates = {"condition": ("stimulus", ["a", "b"] * (TEXTS // 2)), **topo.unit_coordinates()}
    responses = xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates)
    comparison = Comparison(responses, "a", "b").readout(2.0)
    started = time.perf_counter()
    for maps in place_draws(comparison, DRAWS, rng):
        morans_i(maps.t.reshape(len(maps.t), 24, 28, 28))
    return {"what": "place-null", "seconds": time.perf_counter() - started, "at_most": 90}


def _responses(folder: Path) -> dict[str, Any]:
    subject, stimuli = load(folder), stimulus_set("fedorenko2010")
    tokenizer = subject.tokenizer

    def published() -> None:
        texts = stimuli["text"].tolist()
        for start in range(0, len(texts), PUBLISHED_BATCH):
            batch = tokenizer(texts[start : start + PUBLISHED_BATCH], return_tensors="pt", padding=True)
            with torch.no_grad(), subject.record() as activations:
                subject.model(**batch, labels=batch.input_ids)
            torch.cat([activations[tap].mean(dim=1) for tap in subject.topography.taps], dim=1)

    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    alike = Reading(bos="none")  # as the published method reads texts
    pair = paired(lambda: respond(subject, stimuli, reading=alike), published, pairs=3, warm_up=1)
    return {
        "what": "responses",
        "seconds": pair.first,
        "published_seconds": pair.second,
        "faster": pair.ratio,
        "at_least": 1.5,
    }
