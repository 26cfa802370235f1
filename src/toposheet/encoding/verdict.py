"""The result of an encoding analysis in words. It claims no more than its tests allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.verdicts import not_tested
from toposheet.encoding.baselines import UNTRAINED
from toposheet.encoding.ceiling import LEAST_CEILING
from toposheet.results import paragraph, rows_with, text_table
from toposheet.wording import counted, equals_p, interval, number, p_value

_CLAIMS = {
    "r": "the model predicts the recording better than chance",
    "unique_r2": "the model adds to the prediction of its baselines",
}


def verdict(scores: pd.DataFrame, tests: pd.DataFrame, voxels: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """Return the result in words: what was analysed, a table of taps, and what the tests say.

    Args:
        scores: The table `scores`.
        tests: The table `tests`.
        voxels: The table `voxels`.
        facts: What determines the numbers.
    """
    tap = tests["tap"].iloc[-1]
    said = [*_sentences(tests, tap, facts), *_notes(scores, voxels, tap, facts)]
    return "\n".join([paragraph(_analysed(facts)), "", _table(scores, tests), "", *map(paragraph, said)])


def _analysed(facts: Mapping[str, Any]) -> str:
    left_out = f" ({facts['n_excluded']:,} without variance left out)" if facts["n_excluded"] else ""
    parts = [
        counted(facts["n_stimuli"], "stimulus", "stimuli"),
        counted(facts["n_voxels"], "voxel") + left_out,
        *([counted(facts["n_blocks"], "passage")] if facts["passages"] else []),
        f"{facts['folds']} {'random folds of single stimuli' if facts['shuffled'] else 'contiguous folds'}",
        *([f"gap of {counted(facts['gap'], 'stimulus', 'stimuli')}"] if facts["gap"] else []),
    ]
    null = "" if facts["shuffled"] else f"; null: {facts['null']}, {counted(facts['permutations'], 'draw')}"
    return ", ".join(parts) + null


def _table(scores: pd.DataFrame, tests: pd.DataFrame) -> str:
    columns: dict[str, list[str]] = {}
    for tap in dict.fromkeys(tests["tap"]):
        r2 = rows_with(scores, tap=tap).set_index("features")["r2"]
        r, unique = (rows_with(tests, tap=tap, quantity=name).iloc[0] for name in _CLAIMS)
        row = {
            "tap": "all taps" if tap == ALL_TAPS else str(tap),
            "r": number(r["value"], 3),
            "95 % interval": interval(r["low"], r["high"]),
            "p": p_value(r["p_corrected"]),
            "r2": number(float(r2["model"]), 3),
            "baselines' r2": number(float(r2["baselines"]), 3),
            "added r2": number(unique["value"], 3),
            "p added": p_value(unique["p_corrected"]),
        }
        for name, cell in row.items():
            columns.setdefault(name, []).append(cell)
    return text_table(columns, texts=["tap"])


def _sentences(tests: pd.DataFrame, tap: str, facts: Mapping[str, Any]) -> list[str]:
    """Return what the two tests of a tap, or of all taps together, say."""
    where = "all taps together" if tap == ALL_TAPS else tap
    if facts["shuffled"]:
        return [
            f"{where}: not tested, because folds are random. Neighbours in time of a test stimulus train, so anything "
            "that is smooth in time scores high: compare model with oasm, and use contiguous folds for a claim"
        ]
    if reason := not_tested(facts["permutations"]):
        return [f"{where}: {reason}"]
    sentences = []
    for quantity, claim in _CLAIMS.items():
        row = rows_with(tests, tap=tap, quantity=quantity).iloc[0]
        if np.isnan(row["p_corrected"]):
            sentences.append(
                f"{where}: not tested, whether {claim} ({quantity.replace('_', ' ')} {number(row['value'], 3)}). This "
                "test needs at least 6 passages: with shifts its p is too small"
            )
            continue
        shown = row["p_corrected"] <= SIGNIFICANT and row["value"] > 0
        sentences.append(
            f"{where}: {'' if shown else 'it is not shown that '}{claim} ({quantity.replace('_', ' ')} "
            f"{number(row['value'], 3)}, {equals_p(row['p_corrected'], facts['permutations'])}; q < {SIGNIFICANT:g} in "
            f"{row['n_significant']:,} of {counted(int(row['n_voxels']), 'voxel')})"
        )
    return sentences


def _notes(scores: pd.DataFrame, voxels: pd.DataFrame, tap: str, facts: Mapping[str, Any]) -> list[str]:
    notes = []
    if UNTRAINED not in set(scores["features"]):
        notes.append(
            "no untrained model is among the baselines: what the model adds may come from its architecture and its "
            "tokens, and not from what it learned"
        )
    if facts["n_repetitions"] < 2:
        notes.append("no noise ceiling: the recording has one repetition, so nothing says how much of it is noise")
    else:
        ceiling = rows_with(voxels, tap=tap)["ceiling"].to_numpy(dtype=float)
        score = rows_with(scores, tap=tap, features="model")["normalised_r"].to_numpy(dtype=float)[0]
        notes.append(
            f"noise ceiling of the mean of {facts['n_repetitions']} repetitions: mean r of {number(ceiling.mean())}; "
            f"{int((ceiling >= LEAST_CEILING).sum()):,} of {counted(len(ceiling), 'voxel')} have at least "
            f"{LEAST_CEILING:g}, and in these the mean of r / ceiling is {number(score)}"
        )
    return [f"note: {note}" for note in notes]
