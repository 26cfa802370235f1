"""Snapshots: maps of the language contrast during training, with Moran's I, its nulls and a figure."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toposheet.cortex import SIGNIFICANT, Comparison, summary_of, topography_statistics
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.maps import comparison_maps
from toposheet.cortex.summary import SUMMARY
from toposheet.errors import UserError
from toposheet.figures.files import write_figure
from toposheet.figures.maps import draw_contrast_maps
from toposheet.files import folder_aside
from toposheet.recipes import Recipe
from toposheet.results import Table, rows_with
from toposheet.settings import Reading
from toposheet.stimuli.making.sentences import sentences_and_nonwords
from toposheet.stimuli.stimulus_set import SYNTHETIC
from toposheet.subject import Subject, respond, token_counter
from toposheet.subject.reading import reading_of_tokenizer
from toposheet.train.batches import RunText
from toposheet.wording import count_of_units, counted

SNAPSHOTS = Table(
    "snapshots.csv",
    {"update": "count", **{name: kind for name, kind in SUMMARY.columns.items() if name != "negative_control"}},
    "the statistics of the map of the language contrast after a number of updates: in one tap, on a sheet with several "
    "taps (tap `*`), or the mean over taps (sheet and tap `*`)",
)
PICTURES = "snapshots"
CONDITIONS = ("sentence", "nonword")
PER_CONDITION, _AT_LEAST = 50, 20
_SAMPLE_TOKENS = 1_000_000  # read from each split, to get its words and sentences


def snapshot_stimuli(text: RunText, recipe: Recipe) -> pd.DataFrame | None:
    """Return the stimuli of the snapshots: sentences from the held-out text, and a list of non-words for each sentence.

    Runs with equal seed and equal text get equal stimuli. A pair is left out if its sentence or its list of non-words
    is longer than the context. If fewer than 20 pairs remain, the function gives a warning and returns None.

    Args:
        text: The text of the run.
        recipe: The recipe of the run.

    Returns:
        A table with the columns `text`, `condition` (`sentence` or `nonword`) and `pair`, at most 50 texts per
        condition. A sentence and the non-words that were made for it have the same number in `pair`.
    """
    tokenizer = text.tokenizer
    held_out, train = (text.blocks.documents(split, _SAMPLE_TOKENS, tokenizer) for split in ("validation", "train"))
    rng, count = np.random.default_rng(recipe.seed), token_counter(tokenizer)
    try:
        pairs = list(zip(*sentences_and_nonwords(held_out, train, PER_CONDITION, rng, count), strict=True))
    except UserError as error:
        logging.getLogger(__name__).warning("no map of sentences against non-words: %s", error)
        return None
    context = recipe.model.context
    fitting = [pair for pair in pairs if all(len(ids) <= context for ids in tokenizer(list(pair)).input_ids)]
    if len(fitting) < _AT_LEAST:
        logging.getLogger(__name__).warning(
            "no map of sentences against non-words: %d pairs of a sentence and a list of non-words fit into a context "
            "of %d tokens, but at least %d pairs are needed",
            len(fitting), context, _AT_LEAST,
        )  # fmt: skip
        return None
    rows = [(text, of, pair) for pair, texts in enumerate(fitting) for text, of in zip(texts, CONDITIONS, strict=True)]
    return pd.DataFrame(rows, columns=["text", "condition", "pair"])


def snapshot_reading(tokenizer: Any, recipe: Recipe) -> Reading:
    """Return how the stimuli of the snapshots are read: their first token counts if it counts in the objective.

    Args:
        tokenizer: The tokenizer of the model.
        recipe: The recipe of the run.
    """
    return replace(reading_of_tokenizer(tokenizer), skip_first=recipe.objective.skip_first)


class Snapshots:
    """The writer of the table `snapshots.csv` and of one figure for each snapshot of a run.

    Args:
        out: The model folder. If it already holds the table, rows that come after `updates_done` updates are removed.
        updates_done: The number of updates that were finished and saved before.
        subject: The subject that is trained.
        stimuli: The table that `snapshot_stimuli` returned. None: no snapshots are taken.
        recipe: The recipe of the run. It decides when snapshots are due, and the seed of the nulls.
        write: Whether this process writes. Only one process may write.
    """

    def __init__(
        self, out: Path, updates_done: int, subject: Subject, stimuli: pd.DataFrame | None, recipe: Recipe, write: bool,
    ) -> None:  # fmt: skip
        self._out, self._subject, self._stimuli = out, subject, stimuli
        self._recipe, self._write = recipe, write
        earlier = read_snapshots(out)
        self._rows = earlier[earlier["update"] <= updates_done]
        self._last = max(
            self._rows["update"].tolist(), default=None
        )  # equal in every process, so that all take the same snapshots

    def are_due(self, update: int, at_the_end: bool = False) -> bool:
        """Return whether a snapshot is due after an update. All processes get the same answer.

        Snapshots are due after 0, 1, 2, 4, 8, ... updates, after every `snapshot_every` updates, and at the end of the
        run. The first ones are close together because topography appears within the first hundreds of updates. No
        snapshot is due twice after the same update, and none is due without stimuli.

        Args:
            update: The number of finished updates.
            at_the_end: Whether the run ends after this update.
        """
        every = self._recipe.bookkeeping.snapshot_every
        if self._stimuli is None or every is None or update == self._last:
            return False
        return at_the_end or update % every == 0 or (update < every and update.bit_count() == 1)

    def take(self, update: int) -> None:
        """Compute the maps of the language contrast in the present model, and add them to the table and the figures.

        Args:
            update: The number of finished updates.
        """
        assert self._stimuli is not None, "without stimuli there is nothing to map"
        reading = snapshot_reading(self._subject.tokenizer, self._recipe)
        responses = respond(self._subject, self._stimuli, reading=reading)
        self._last = update
        if not self._write:
            return
        comparison = Comparison(responses, *CONDITIONS)
        rows = summary_of(topography_statistics(comparison, fwhm_mm=0.0, seed=self._recipe.seed), with_mean=True)
        rows = SNAPSHOTS.frame(rows.drop(columns="negative_control").assign(update=update))
        self._rows = pd.concat([self._rows, rows], ignore_index=True) if len(self._rows) else rows
        name = f"after {counted(update, 'update')}"
        maps = comparison_maps(comparison, self._subject.topography.shapes).isel(contrast=0, negative_control=0)
        maps = maps.expand_dims(panel=[name])
        values = {(name, 0.0, sheet): i for sheet, i in zip(rows["sheet"], rows["morans_i"], strict=True)}
        notes = {(name, 0.0): count_of_units(comparison.n_significant, comparison.n_units)}
        with folder_aside(self._out / PICTURES) as aside:
            figure = draw_contrast_maps(maps["t"], maps["q"] < SIGNIFICANT, notes, values, comparison.name, SIGNIFICANT)
            write_figure(figure, aside / f"update-{update:08d}.png", SYNTHETIC)
        SNAPSHOTS.write(self._rows, self._out)


def read_snapshots(out: Path) -> pd.DataFrame:
    """Return the snapshots of a run, with one row for each update and tap. Without snapshots the table has no rows.

    The columns are `update` and the columns of `map_statistics` except `negative_control`. A sheet with several taps
    has a row too (tap `*`). The row with the sheet `*` and the tap `*` has the mean over taps, with the null of this
    mean; files of earlier versions have no such rows.

    Raises:
        UserError: The table is damaged. The message names the file.
    """
    path = out / SNAPSHOTS.file
    if not path.is_file():
        return SNAPSHOTS.frame([])
    try:
        return SNAPSHOTS.read(out)
    except UserError as error:
        raise UserError(f"{path} is not a table of snapshots: {error}") from None


def means_over_taps(snapshots: pd.DataFrame) -> pd.DataFrame:
    """Return the means over taps in the snapshots of a run, with the place-null of the mean: a row for each update.

    Without a row for the mean (sheet and tap `*`), as in files of earlier versions, the place-null of the mean is not
    known: taps with equal places move together. Then `null_sd` is the mean over taps, which is the largest possible
    value.

    Args:
        snapshots: The table, from `read_snapshots`.

    Returns:
        The columns `morans_i, null_mean, null_sd, label_null_mean, cross_half_i, significant_fraction`, by update.
    """
    columns = ["morans_i", "null_mean", "null_sd", "label_null_mean", "cross_half_i", "significant_fraction"]
    stored = rows_with(snapshots, **MEAN_OVER_TAPS)
    others = snapshots[~snapshots["update"].isin(stored["update"])]
    return pd.concat([stored, others]).groupby("update")[columns].mean()
