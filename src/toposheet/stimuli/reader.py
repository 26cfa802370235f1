"""The reader: facts about the model for which stimuli are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from toposheet.progress import SILENT, Progress
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents


@dataclass(frozen=True, eq=False)
class Reader:
    """Facts about the model that will read synthetic stimuli.

    Args:
        validation_fraction: Fraction of the built-in text that was held out from the training of the model. Stimuli are
            made from this held-out text.
        seed: Seed of the choice of the held-out text.
        count_tokens: A function that returns the number of tokens of a text for this model. Conditions are matched in
            this number. None: the number of tokens is ignored.
        shipped: The stimuli that were saved with the model. None: there are none.
        progress: A function that is called while stimuli are made, with the number of steps done so far.
    """

    validation_fraction: float = 0.05
    seed: int = 0
    count_tokens: Callable[[str], int] | None = None
    shipped: pd.DataFrame | None = None
    progress: Progress = SILENT

    def documents(self) -> tuple[list[str], list[str]]:
        """Return the documents of the built-in text in two lists: training documents and held-out documents.

        Raises:
            NotFound: A package with the text is not installed.
        """
        self.progress("reading the built-in text", 0, 1)
        return split_documents(builtin_documents(), self.validation_fraction, self.seed)
