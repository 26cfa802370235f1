"""Fine-tuning of subjects on the tasks of GLUE, with the objective kept on."""

from toposheet.finetuning.finetune import Finetuned, finetune, load_finetuned
from toposheet.finetuning.folder import FINETUNINGS
from toposheet.finetuning.glue import GLUE, GlueTask, glue_task
from toposheet.finetuning.scores import SCORE_DIFFERENCES, SCORES, predictions_table, score_differences
from toposheet.finetuning.scores import scores as glue_scores
from toposheet.finetuning.several import Finetunings, finetune_several
from toposheet.recipes.finetuning import Finetuning

__all__ = [
    "FINETUNINGS",
    "GLUE",
    "SCORES",
    "SCORE_DIFFERENCES",
    "Finetuned",
    "Finetuning",
    "Finetunings",
    "GlueTask",
    "finetune",
    "finetune_several",
    "glue_scores",
    "glue_task",
    "load_finetuned",
    "predictions_table",
    "score_differences",
]
