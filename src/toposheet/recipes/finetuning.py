"""What a fine-tuning can choose, with the published settings as defaults, and the recipe that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toposheet.errors import UserError, check_type
from toposheet.recipes.parts import Bookkeeping, Model, Objective, Optimisation, Precision
from toposheet.recipes.recipe import Recipe
from toposheet.settings import check_seed

SEPARATOR = "$"


@dataclass(frozen=True)
class Finetuning:
    """How a subject is fine-tuned.

    The defaults are those of the published code of TopoLM (github.com/epflneuroailab/topolm, commit a26d68e): AdamW
    with a constant learning rate, 10 micro-batches of 64 examples in an update, dropout 0.1, a validation every 25
    updates, and the weights with the lowest validation loss. The early end is after three increases in a row, as in the
    paper; the published code ends after four.

    Four things differ from the published code. It reads shorter examples at their padding; here they are read at their
    last token. It correlates the activations of padding too, and its tokens see later ones; here the objective sees no
    padding, and the model stays causal. It validates on one random batch, with the sum of task loss and spatial loss;
    here a validation reads all examples, and the task loss alone decides.

    Args:
        alpha: Strength of the objective. None: that of the recipe with which the subject was trained, or 2.5 if it has
            none. 0: no objective. The published code multiplies 2.5 by 0, 0.1 or 1.
        learning_rate: Learning rate of AdamW. It is constant.
        batch: Number of examples in one update.
        micro_batch: Number of examples that go through the model at once. The objective is computed for each of them.
        updates: Largest number of updates.
        validate_every: Number of updates from one validation to the next. A checkpoint is written after each.
        patience: The fine-tuning ends when the validation loss increased in this many validations in a row.
        weight_decay: Strength of the weight decay, which pulls matrices towards zero.
        dropout: The probability of dropout in the layers of the model that have it.
        precision: fp32: compute in float32. bf16: compute in bfloat16 (autocast); the weights stay in float32.
        separator: The text between the two texts of a pair.
        bos: The token that stands before every example. none: no token. None: the token that the tokenizer puts there,
            or else its beginning-of-text token, or else its end-of-text token.
        seed: Seed of the first weights of the classifier, of the order of the examples, of dropout and of the windows.
    """

    alpha: float | None = None
    learning_rate: float = 2e-5
    batch: int = 640
    micro_batch: int = 64
    updates: int = 10_000
    validate_every: int = 25
    patience: int = 3
    weight_decay: float = 0.1
    dropout: float = 0.1
    precision: Precision = "fp32"
    separator: str = SEPARATOR
    bos: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: A value is not allowed. The message names the field.
        """
        check_seed(self.seed)
        check_type("separator", self.separator, str, "a text, such as '$'")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}: it must be at least 0 and below 1")
        self.recipe(Objective())

    def recipe(self, objective: Objective) -> Recipe:
        """Return the recipe of a fine-tuning, without its subject.

        Args:
            objective: The objective with which the subject was trained. Its strength stays if `alpha` is None.
        """
        if self.alpha is not None:
            objective = replace(objective, alpha=self.alpha)
        return Recipe(
            name="finetuning",
            seed=self.seed,
            model=Model(),
            objective=replace(objective, alpha_schedule="constant", final_alpha=None, alpha_warmup_updates=0),
            optimisation=Optimisation(
                updates=self.updates, batch=self.batch, micro_batch=self.micro_batch,
                learning_rate=self.learning_rate, final_learning_rate=self.learning_rate, warmup_updates=0,
                weight_decay=self.weight_decay, patience=self.patience, precision=self.precision,
            ),
            bookkeeping=Bookkeeping(validate_every=self.validate_every, checkpoint_every=self.validate_every),
        )  # fmt: skip
