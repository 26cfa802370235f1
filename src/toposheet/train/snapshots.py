"""The maps of a model while it learns: Moran's I of the language contrast with its nulls, and one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from toposheet.cortex.analysis import analyse
from toposheet.cortex.respond import respond
from toposheet.figures.maps import contrast_maps
from toposheet.files import folder_aside, write_file
from toposheet.stimuli.build import sentences_and_nonwords
from toposheet.topography import Topography

TABLE = "snapshots.csv"
PICTURES = "snapshots"
_CONDITIONS = ("sentence", "nonword")
_PER_CONDITION, _AT_LEAST = 50, 20


def snapshot_stimuli(
    held_out: list[str], train: list[str], tokenizer: PreTrainedTokenizerBase, context: int, seed: int
) -> pd.DataFrame:
    """Return sentences of held-out text and non-word lists made of them: the same for every run of a seed and text.

    Args:
        held_out: Documents that are not trained on.
        train: Documents that are, or enough of them to know which words there are.
        tokenizer: Of the model.
        context: How many tokens the model reads; pairs of which one is longer are left out.
        seed: Decides which sentences and non-words.

    Raises:
        ValueError: the text holds too few sentences that fit.
    """
    rng = np.random.default_rng(seed)
    pairs = zip(*sentences_and_nonwords(held_out, train, _PER_CONDITION, rng), strict=True)
    fitting = [pair for pair in pairs if all(len(ids) <= context for ids in tokenizer(list(pair)).input_ids)]
    if len(fitting) < _AT_LEAST:
        raise ValueError(
            f"{len(fitting)} of {_PER_CONDITION} sentences and their non-words fit a context of {context} tokens, "
            f"{_AT_LEAST} are needed"
        )
    rows = [(text, condition) for pair in fitting for text, condition in zip(pair, _CONDITIONS, strict=True)]
    return pd.DataFrame(rows, columns=["text", "condition"])


class Snapshots:
    """The table `snapshots.csv` of a run and a picture for each of its rows' updates.

    Args:
        out: The model folder. What is there of updates that are not done is dropped.
        updates_done: How many updates the run goes on from.
    """

    def __init__(self, out: Path, updates_done: int) -> None:
        self._out = out
        there = read_snapshots(out)
        self._rows = there[there["update"] <= updates_done]

    def take(
        self, update: int, model: PreTrainedModel, topo: Topography, stimuli: pd.DataFrame,
        tokenizer: PreTrainedTokenizerBase, seed: int, write: bool = True,
    ) -> None:  # fmt: skip
        """Map the language contrast as the model has it after an update, and add it to table and pictures.

        Args:
            update: How many updates are done.
            model: The model, as it is.
            topo: Its topography.
            stimuli: From `snapshot_stimuli`.
            tokenizer: The model's.
            seed: Of the nulls.
            write: Whether this process is the one that writes.
        """
        responses = respond(model, topo, stimuli, tokenizer)
        if not write:
            return
        found = analyse(responses, topo, [_CONDITIONS], fwhm_mm=(0.0,), seed=seed)
        rows = found.summary.assign(update=update)[["update", *found.summary.columns]]
        self._rows = pd.concat([self._rows, rows], ignore_index=True) if len(self._rows) else rows
        name = f"after {update:,} updates"
        t = found.maps["t"].isel(contrast=0, fwhm_mm=0).expand_dims(model=[name])
        values = {(name, sheet): i for sheet, i in zip(rows["sheet"], rows["morans_i"], strict=True)}
        with folder_aside(self._out / PICTURES) as aside:
            figure = contrast_maps(t, values, "sentence:nonword")
            figure.savefig(aside / f"update-{update:08d}.png", dpi=120)
        write_file(self._out / TABLE, self._rows.to_csv(index=False))


def read_snapshots(out: Path) -> pd.DataFrame:
    """Return the snapshots of a run: the columns of `map_statistics` after `update`; no rows where none was taken."""
    path = out / TABLE
    return pd.read_csv(path) if path.is_file() else pd.DataFrame({"update": []})
