"""What a recipe is made of: a frozen dataclass for each part of a run. Their fields are options of the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import tyro

from toposheet.errors import UserError
from toposheet.settings import Metric, check_between_0_and_1, check_max_samples, check_vocabulary
from toposheet.topography.objectives import OBJECTIVES

Schedule = Literal["constant", "linear", "cosine"]
Window = Literal["open", "closed"]
Decay = Literal["cosine", "linear"]
Precision = Literal["fp32", "bf16"]
Parallel = Literal["ddp", "fsdp2"]


@dataclass(frozen=True)
class Model:
    """The model: which architecture, of which size.

    Args:
        architecture: gpt2 (without biases and dropout, exact GELU, as in TopoLM, arXiv:2410.11516), qwen3, or a family
            registered from outside.
        layers: How many blocks.
        heads: Attention heads in each block.
        width: How many units the residual stream has, and each tap.
        mlp_width: How many units each MLP has inside. None: four times the width.
        context: How many tokens a block of text has.
        vocabulary: How many different tokens there are.
    """

    architecture: str = "gpt2"
    layers: int = 4
    heads: int = 4
    width: int = 256
    mlp_width: int | None = None
    context: int = 64
    vocabulary: int = 4096

    def __post_init__(self) -> None:
        check_counts(self, ("layers", "heads", "width", "mlp_width", "context", "vocabulary"))
        check_vocabulary(self.vocabulary)


@dataclass(frozen=True)
class Sheets:
    """The sheets: one for each tap.

    Args:
        taps: Module paths, `*` standing for one step. None: attention and MLP of every layer, as the family has them.
        sheet_shape: Rows and columns of each sheet. None: the square that the units of a tap fill.
        spacing_mm: Distance between adjacent cells.
    """

    taps: tuple[str, ...] | None = None
    sheet_shape: tuple[int, int] | None = None
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        if self.sheet_shape is not None and min(self.sheet_shape) < 1:
            raise UserError(f"sheet_shape is {self.sheet_shape}: a sheet has at least one row and one column")
        if not self.spacing_mm > 0:
            raise UserError(f"spacing_mm is {self.spacing_mm}: it must be positive")


@dataclass(frozen=True)
class Objective:
    """The objective: loss = cross-entropy + strength * sum over sheets of the spatial loss (`ts.spatial_losses`).

    Args:
        name: correlation, shuffled_correlation, squared_difference, topoloss, all_tnn, or one registered from outside.
        alpha: The strength of the objective. It rises linearly from 0 during the warm-up.
        alpha_schedule: What the strength does after the warm-up: it stays (constant), or it goes to final_alpha.
        final_alpha: The strength in the last update.
        alpha_warmup_updates: How many updates the warm-up of the strength has.
        neighborhoods: How many windows are drawn on each sheet in each micro-batch. all: every window is used; auto:
            every window is used on small sheets, five on others.
        radius: Radius of the windows, in cells.
        metric: How the distance between two places is measured.
        window: The side of a window is 2 radius - 1 cells (open) or 2 radius + 1 (closed).
        max_samples: The objective uses at most this many tokens of a micro-batch. None: all of them.
    """

    name: Annotated[str, tyro.conf.arg(name="objective")] = "correlation"
    alpha: float = 2.5
    alpha_schedule: Schedule = "constant"
    final_alpha: float | None = None
    alpha_warmup_updates: int = 0
    neighborhoods: int | Literal["all", "auto"] = 5
    radius: int = 5
    metric: Metric = "chebyshev"
    window: Window = "open"
    max_samples: int | None = None

    def __post_init__(self) -> None:
        OBJECTIVES.check(self.name)
        check_counts(self, ("radius",))
        check_numbers(self, ("alpha", "final_alpha"))
        check_numbers(self, ("alpha_warmup_updates",), whole=True)
        check_choices(self, {"alpha_schedule": Schedule, "metric": Metric, "window": Window})
        if self.neighborhoods not in ("all", "auto") and not _is_count(self.neighborhoods):
            raise UserError(f"neighborhoods is {self.neighborhoods!r}: it must be at least 1, or 'all' or 'auto'")
        if self.max_samples is not None:
            check_max_samples(self.max_samples)
        if (self.alpha_schedule == "constant") != (self.final_alpha is None):
            raise UserError(
                f"alpha_schedule is {self.alpha_schedule!r} and final_alpha {self.final_alpha}: a strength that "
                "changes ('linear', 'cosine') needs a final_alpha to end at, e.g. 0, and a constant one has none"
            )


@dataclass(frozen=True)
class Optimisation:
    """The optimisation: what changes the weights, how often, and how it is computed.

    Args:
        updates: How many updates the run makes.
        batch: How many blocks of text an update sees.
        micro_batch: How many blocks go through the model at a time. None: all. The objective is computed for each
            micro-batch. The processes share the micro-batches of an update.
        learning_rate: The highest learning rate of AdamW, after a linear warm-up.
        final_learning_rate: The learning rate of AdamW at the end of the decay.
        muon_learning_rate: The highest learning rate of Muon, which changes the matrices inside the blocks. None: AdamW
            changes these too.
        warmup_updates: How many updates the warm-up of the learning rates has.
        decay: The curve by which learning rates fall.
        decay_updates: In how many of the last updates they fall. None: in all after the warm-up.
        weight_decay: How strongly matrices are drawn to zero.
        betas: The two decay rates of the moments in AdamW.
        clip: Gradients with a norm above this are scaled down to it.
        patience: The run ends when so many validations in a row each had a higher loss. None: it does not end early.
        stop_after: The run ends at this update. None: it makes all updates.
        precision: fp32, or bf16 (autocast; the weights stay in float32).
        compile: Whether the model goes through `torch.compile`.
        parallel: Whether each process has a copy of the weights (ddp) or a share of them (fsdp2).
    """

    updates: int = 1200
    batch: int = 8
    micro_batch: int | None = None
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-4
    muon_learning_rate: float | None = None
    warmup_updates: int = 60
    decay: Decay = "cosine"
    decay_updates: int | None = None
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    patience: int | None = None
    stop_after: int | None = None
    precision: Precision = "fp32"
    compile: bool = False
    parallel: Parallel = "ddp"

    def __post_init__(self) -> None:
        check_counts(self, ("updates", "batch", "micro_batch", "decay_updates", "patience", "stop_after"))
        check_numbers(self, ("learning_rate", "final_learning_rate", "muon_learning_rate", "weight_decay"))
        check_numbers(self, ("warmup_updates",), whole=True)
        check_choices(self, {"decay": Decay, "precision": Precision, "parallel": Parallel})
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas is {self.betas}: both must lie between 0 and 1")
        if not self.clip > 0:
            raise UserError(f"clip is {self.clip}: it must be positive")
        if self.batch % self.micro_batch_size:
            raise UserError(f"batch {self.batch} does not divide into micro-batches of {self.micro_batch}")

    @property
    def micro_batch_size(self) -> int:
        """How many blocks go through the model at a time."""
        return self.micro_batch or self.batch

    @property
    def micro_batches(self) -> int:
        """How many micro-batches an update has, over all processes."""
        return self.batch // self.micro_batch_size

    @property
    def last_update(self) -> int:
        """The update at which the run ends, if its patience does not end it before."""
        return min(self.updates, self.stop_after or self.updates)


@dataclass(frozen=True)
class Bookkeeping:
    """Held-out text, and how often losses, checkpoints and maps are taken.

    Args:
        validation_fraction: How large a part of the documents is held out.
        validation_blocks: How many blocks of held-out text a validation reads.
        validate_every: A validation comes after every so many updates.
        checkpoint_every: A checkpoint is saved after every so many updates.
        snapshot_every: The maps are computed after every so many updates. None: never.
    """

    validation_fraction: float = 0.05
    validation_blocks: int = 128
    validate_every: int = 100
    checkpoint_every: int = 200
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        check_counts(self, ("validation_blocks", "validate_every", "checkpoint_every", "snapshot_every"))
        check_between_0_and_1("validation_fraction", self.validation_fraction)


def check_counts(part: Any, fields: Iterable[str]) -> None:
    """Refuse fields that are neither None nor a whole number of at least 1.

    Raises:
        UserError: the message names the field.
    """
    for field in fields:
        if (count := getattr(part, field)) is not None and not _is_count(count):
            raise UserError(f"{field} is {count!r}: it must be a whole number of at least 1")


def check_numbers(part: Any, fields: Iterable[str], whole: bool = False) -> None:
    """Refuse fields that are neither None nor a finite number of at least 0.

    Args:
        part: Of a recipe.
        fields: Their names.
        whole: Whether they must be whole numbers too.

    Raises:
        UserError: the message names the field.
    """
    for field in fields:
        number = getattr(part, field)
        if whole and not isinstance(number, int):
            raise UserError(f"{field} is {number!r}: it must be a whole number")
        if number is not None and not (isinstance(number, int | float) and 0 <= number < math.inf):
            raise UserError(f"{field} is {number!r}: it must be a number of at least 0")


def check_choices(part: Any, choices: dict[str, Any]) -> None:
    """Refuse fields that have none of the values that their types list.

    Args:
        part: Of a recipe.
        choices: The literal type of each field.

    Raises:
        UserError: the message names the field and the values.
    """
    for field, literal in choices.items():
        if (value := getattr(part, field)) not in get_args(literal):
            raise UserError(f"{field} is {value!r}: it must be {' or '.join(get_args(literal))}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1
