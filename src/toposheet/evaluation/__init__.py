"""Tasks, and the accuracy of subjects in them."""

from toposheet.evaluation.accuracy import ACCURACY, accuracy
from toposheet.evaluation.difference import ACCURACY_DIFFERENCE, accuracy_difference
from toposheet.evaluation.evaluate import evaluate
from toposheet.evaluation.measures import task_measure
from toposheet.evaluation.task import TASKS, Item, Task, items_table

__all__ = [
    "ACCURACY",
    "ACCURACY_DIFFERENCE",
    "TASKS",
    "Item",
    "Task",
    "accuracy",
    "accuracy_difference",
    "evaluate",
    "items_table",
    "task_measure",
]
