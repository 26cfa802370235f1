"""The nine tasks of GLUE: their columns, labels and metrics (Wang et al. 2019, arXiv:1804.07461)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toposheet.errors import UserError, did_you_mean


@dataclass(frozen=True)
class GlueTask:
    """A task of GLUE: one text or a pair of texts gets a label, or a number.

    Args:
        description: The content of the task, in one phrase.
        columns: The columns with the texts, in the schema of the hub (`nyu-mll/glue`).
        labels: The names of the labels, which are the numbers 0, 1, ... Empty: the label is a number (a regression).
        metrics: Names of the metrics (`metrics.METRICS`). The score of the task is their mean, as in GLUE.
        validations: Names of the splits with which a fine-tuned model is scored.
    """

    description: str
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    validations: tuple[str, ...] = ("validation",)

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number, and not a class."""
        return not self.labels

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the classifier: one for each label, or one for a regression."""
        return len(self.labels) or 1


_PAIR = ("sentence1", "sentence2")
_ENTAILS = ("entailment", "not_entailment")
_MNLI = ("entailment", "neutral", "contradiction")
_MATCHED = ("validation_matched", "validation_mismatched")

GLUE: Mapping[str, GlueTask] = {
    "cola": GlueTask("acceptable sentences", ("sentence",), ("unacceptable", "acceptable"), ("matthews",)),
    "sst2": GlueTask("the sentiment of a sentence", ("sentence",), ("negative", "positive"), ("accuracy",)),
    "mrpc": GlueTask("paraphrases", _PAIR, ("not_equivalent", "equivalent"), ("accuracy", "f1")),
    "qqp": GlueTask(
        "questions that ask the same", ("question1", "question2"), ("not_duplicate", "duplicate"), ("accuracy", "f1")
    ),
    "stsb": GlueTask("the similarity of two sentences, from 0 to 5", _PAIR, (), ("pearson", "spearman")),
    "mnli": GlueTask("entailment, three labels", ("premise", "hypothesis"), _MNLI, ("accuracy",), _MATCHED),
    "qnli": GlueTask("sentences that answer a question", ("question", "sentence"), _ENTAILS, ("accuracy",)),
    "rte": GlueTask("entailment", _PAIR, _ENTAILS, ("accuracy",)),
    "wnli": GlueTask("entailment that needs a pronoun", _PAIR, ("not_entailment", "entailment"), ("accuracy",)),
}


def glue_task(name: str) -> GlueTask:
    """Return the task of a name.

    Raises:
        UserError: There is no such task. The message lists all tasks.
    """
    if name not in GLUE:
        raise UserError(f"there is no GLUE task {name!r}; choose from: {', '.join(GLUE)}.{did_you_mean(name, GLUE)}")
    return GLUE[name]
