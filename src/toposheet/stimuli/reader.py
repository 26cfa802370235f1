"""Who stimuli are made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from toposheet.progress import SILENT, Progress
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents


@dataclass(frozen=True, eq=False)
class Reader:
    """What self-made stimuli take into account of the model that will read them.

    Args:
        validation_fraction: How large a part of the built-in text was held out from the training of the model: stimuli
            are made from that part.
        seed: Decides which part that is.
        count_tokens: Returns how many tokens the model makes of a text: stimuli are matched in it. None: they are not.
        shipped: The stimuli that came with the model.
        progress: Told how far the making of stimuli is.
    """

    validation_fraction: float = 0.05
    seed: int = 0
    count_tokens: Callable[[str], int] | None = None
    shipped: pd.DataFrame | None = None
    progress: Progress = SILENT

    def documents(self) -> tuple[list[str], list[str]]:
        """Return the documents of the built-in text: those for the training of the model, and those held out from it.

        Raises:
            NotFound: a package with the text is not installed.
        """
        self.progress("reading the built-in text", 0, 1)
        return split_documents(builtin_documents(), self.validation_fraction, self.seed)
