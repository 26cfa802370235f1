"""The maps of a model while it learns: Moran's I of the language contrast with its nulls, and one picture."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from toposheet.cortex import Comparison, map_statistics
from toposheet.cortex.maps import comparison_maps
from toposheet.cortex.summary import SUMMARY
from toposheet.errors import UserError
from toposheet.figures.files import write_figure
from toposheet.figures.maps import draw_contrast_maps
from toposheet.files import folder_aside
from toposheet.recipes import Recipe
from toposheet.results import Table
from toposheet.stimuli.making.sentences import sentences_and_nonwords
from toposheet.stimuli.stimulus_set import SYNTHETIC
from toposheet.subject import Subject, respond, token_counter
from toposheet.train.batches import RunText

SNAPSHOTS = Table(
    "snapshots.csv",
    {"update": "count", **{name: kind for name, kind in SUMMARY.columns.items() if name != "negative_control"}},
    "the map of the language contrast in one tap, after so many updates",
)
PICTURES = "snapshots"
_CONDITIONS = ("sentence", "nonword")
PER_CONDITION, _AT_LEAST = 50, 20
_SAMPLE_TOKENS = 1_000_000  # of the text, to know its words and sentences


def snapshot_stimuli(text: RunText, recipe: Recipe) -> pd.DataFrame | None:
    """Return sentences of the held-out text and non-word lists made of them: the same for every run of a seed and text.

    Pairs of which one is longer than the context are left out. None, with a warning, where too few are left.

    Args:
        text: Of the run.
        recipe: The run.
    """
    tokenizer = text.tokenizer
    held_out, train = (text.blocks.documents(split, _SAMPLE_TOKENS, tokenizer) for split in ("validation", "train"))
    rng, count = np.random.default_rng(recipe.seed), token_counter(tokenizer)
    try:
        pairs = list(zip(*sentences_and_nonwords(held_out, train, PER_CONDITION, rng, count), strict=True))
    except UserError as error:
        logging.getLogger(__name__).warning("no snapshots of the maps: %s", error)
        return None
    context = recipe.model.context
    fitting = [pair for pair in pairs if all(len(ids) <= context for ids in tokenizer(list(pair)).input_ids)]
    if len(fitting) < _AT_LEAST:
        logging.getLogger(__name__).warning(
            "no snapshots of the maps: %d sentences and their non-words fit a context of %d tokens, %d are needed",
            len(fitting), context, _AT_LEAST,
        )  # fmt: skip
        return None
    rows = [(text, condition) for pair in fitting for text, condition in zip(pair, _CONDITIONS, strict=True)]
    return pd.DataFrame(rows, columns=["text", "condition"])


class Snapshots:
    """The table `snapshots.csv` of a run and a picture for each of its rows' updates.

    Args:
        out: The model folder. What is there of updates that are not done is dropped.
        updates_done: How many updates the run goes on from.
        subject: What is trained.
        stimuli: From `snapshot_stimuli`; without them no snapshot is taken.
        recipe: The run: when snapshots are due, and the seed of the nulls.
        write: Whether this process is the one that writes.
    """

    def __init__(
        self, out: Path, updates_done: int, subject: Subject, stimuli: pd.DataFrame | None, recipe: Recipe, write: bool,
    ) -> None:  # fmt: skip
        self._out, self._subject, self._stimuli = out, subject, stimuli
        self._recipe, self._write = recipe, write
        earlier = read_snapshots(out)
        self._rows = earlier[earlier["update"] <= updates_done]
        self._last = max(self._rows["update"].tolist(), default=None)  # the same in every process

    def are_due(self, update: int, at_the_end: bool = False) -> bool:
        """Return whether the maps are to be taken after an update, in every process or in none.

        They are after 0, 1, 2, 4, 8, ... and after every `snapshot_every` updates, since topography appears within the
        first hundreds, and at the end of the run; unless they were taken, or there is nothing to map.
        """
        every = self._recipe.bookkeeping.snapshot_every
        if self._stimuli is None or every is None or update == self._last:
            return False
        return at_the_end or update % every == 0 or (update < every and update.bit_count() == 1)

    def take(self, update: int) -> None:
        """Map the language contrast as the model has it after an update, and add it to table and pictures."""
        assert self._stimuli is not None, "without stimuli there is nothing to map"
        responses = respond(self._subject, self._stimuli)
        self._last = update
        if not self._write:
            return
        comparison = Comparison(responses, *_CONDITIONS)
        rows = map_statistics(comparison, fwhm_mm=(0.0,), seed=self._recipe.seed)
        rows = SNAPSHOTS.frame(rows.drop(columns="negative_control").assign(update=update))
        self._rows = pd.concat([self._rows, rows], ignore_index=True) if len(self._rows) else rows
        name = f"after {update:,} updates"
        t = (
            comparison_maps(comparison, self._subject.topography.shapes)["t"]
            .isel(contrast=0, negative_control=0)
            .expand_dims(panel=[name])
        )
        values = {(name, 0.0, sheet): i for sheet, i in zip(rows["sheet"], rows["morans_i"], strict=True)}
        with folder_aside(self._out / PICTURES) as aside:
            figure = draw_contrast_maps(t, values, comparison.name)
            write_figure(figure, aside / f"update-{update:08d}.png", SYNTHETIC)
        SNAPSHOTS.write(self._rows, self._out)


def read_snapshots(out: Path) -> pd.DataFrame:
    """Return the snapshots of a run: the columns of `map_statistics` after `update`; no rows where none was taken.

    Raises:
        UserError: the table is damaged; the message names the file.
    """
    path = out / SNAPSHOTS.file
    if not path.is_file():
        return SNAPSHOTS.frame([])
    try:
        return SNAPSHOTS.read(out)
    except UserError as error:
        raise UserError(f"{path} is no table of snapshots: {error}") from None
