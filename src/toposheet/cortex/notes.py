"""Notes on a contrast: what its tests cannot know, and what a user should do about it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toposheet.cortex.design import Design
from toposheet.stimuli.confounds import confounds_note, nearly_the_condition_note
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.dependence import dependence_notes, few_items_note
from toposheet.stimuli.naming import is_made

MIXED_TEXTS = (
    "responses were averaged over padding, so they depend on the other texts of a batch: the texts are not "
    "independent, and no p holds (significant units are counted only to reproduce published numbers)"
)
"""The note on responses whose reading mixes texts (`Reading.mixes_texts`)."""


def contrast_notes(
    stimuli: pd.DataFrame,
    contrast: Contrast,
    design: Design,
    groups: str | None,
    confounds: Sequence[str],
    *,
    mixes_texts: bool = False,
) -> tuple[str, ...]:
    """Return sentences about a contrast that a user should read before its p-values. Without problems it is empty.

    There are notes on undeclared dependence of texts (`dependence_notes`), on conditions with fewer than 10 independent
    items, on confounds that are nearly the condition, and on confounds that may be estimates.

    Args:
        stimuli: The texts of both conditions. The column `condition` holds the two labels of the contrast. Without a
            column `text`, dependence is not looked for. The documentation says how few groups the set `pairs` has, so
            there is no note on them.
        contrast: The contrast.
        design: The design of the contrast.
        groups: Name of the column that defines the groups. None: all texts are independent.
        confounds: The confounds that are removed from the responses.
        mixes_texts: Whether the response to a text depends on other texts (`Reading.mixes_texts`).
    """
    notes = dependence_notes(stimuli, groups) if "text" in stimuli else []
    few = "" if is_made(stimuli, "pairs") else few_items_note(design.number_of_items(contrast), design.kind_of_items)
    near = nearly_the_condition_note(stimuli, contrast, confounds)
    mixed = MIXED_TEXTS if mixes_texts else ""
    return tuple(note for note in (mixed, *notes, few, near, confounds_note(confounds)) if note)
