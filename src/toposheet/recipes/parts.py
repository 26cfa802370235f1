"""The parts of a recipe: one frozen dataclass for each part. The fields are also options of `toposheet train`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import tyro

from toposheet.errors import UserError
from toposheet.settings import Layout, Metric, check_between_0_and_1, check_max_samples, check_spacing, check_vocabulary
from toposheet.topography.objectives import OBJECTIVES

Schedule = Literal["constant", "linear", "cosine"]
Window = Literal["open", "closed"]
Decay = Literal["cosine", "linear"]
Precision = Literal["fp32", "bf16"]
Parallel = Literal["ddp", "fsdp2"]
MechanismName = Literal["topoformer"]


@dataclass(frozen=True)
class Model:
    """The model: its architecture and its sizes.

    Args:
        architecture: The family of the model. gpt2: as in TopoLM (arXiv:2410.11516), without biases and dropout, with
            exact GELU. qwen3: a newer family. Plug-ins can register further families.
        layers: Number of transformer blocks.
        heads: Number of attention heads in each block.
        width: Number of units of the residual stream. Each tap has the same number of units.
        mlp_width: Number of hidden units of each MLP. None: four times the width.
        context: Number of tokens that the model reads at once. The text is cut into blocks of this length.
        vocabulary: Number of different tokens.
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
    """The sheets.

    Args:
        taps: Paths of modules in the model; `*` matches any one part of a path (transformer.h.*.attn). None: the
            default taps of the family, which are the attention and the MLP of every layer. A path that ends with
            >residual (transformer.h.*.attn>residual) stands for the residual stream after this module.
        layout: per_tap: each tap has a sheet of its own, as in TopoLM. bands: one sheet on which the taps lie side by
            side in bands of whole columns. interleaved: one sheet on which the units of all taps are mixed evenly.
            free: one sheet on which each unit has a random place. If a subject is trained further, its sheets decide:
            this is the layout of each of them, or free if they have other layouts or different ones.
        sheet_shape: Number of rows and of columns of each sheet. None: in per_tap a square with one cell for each unit;
            in bands as many rows as a sheet of the first tap has; otherwise about as many rows as columns.
        spacing_mm: Distance between neighbouring cells, in mm.
    """

    taps: tuple[str, ...] | None = None
    layout: Layout = "per_tap"
    sheet_shape: tuple[int, int] | None = None
    spacing_mm: float = 1.0

    def __post_init__(self) -> None:
        if self.sheet_shape is not None and min(self.sheet_shape) < 1:
            raise UserError(f"sheet_shape is {self.sheet_shape}: it must have at least one row and one column")
        check_choices(self, {"layout": Layout})
        check_spacing(self.spacing_mm)


@dataclass(frozen=True)
class Objective:
    """The objective: loss = task loss + alpha * sum over sheets of the spatial loss (`ts.spatial_losses`).

    Args:
        name: Name of the objective. correlation: the spatial loss of TopoLM; neighbouring units get correlated
            responses. shuffled_correlation: the same with shuffled distances, as a control. squared_difference: the
            cosine similarity of two units approaches their nearness (arXiv:2211.13152). topoloss: the weights approach
            their blur over the sheet, so that neighbouring units get similar weights (arXiv:2501.16396). all_tnn: units
            in adjacent cells get similar weights (doi:10.1038/s41562-025-02220-7). Plug-ins can register more.
        alpha: Strength of the objective: the spatial loss, summed over taps, is multiplied by alpha. The loss of a
            sheet with several taps counts once for each of them. TopoLM used 2.5; 0 trains a control.
        alpha_schedule: How alpha changes after its warm-up. constant: it does not change. linear, cosine: it moves
            along this curve to final_alpha.
        final_alpha: Value of alpha in the last update. Only for linear and cosine.
        alpha_warmup_updates: Number of updates in which alpha rises linearly from 0 to its value. 0: no warm-up.
        neighborhoods: Number of windows that are drawn at random for each tap, in each micro-batch (TopoLM used 5). On
            a sheet with several taps, windows lie anywhere. all: use all windows, which is exact but slower on large
            sheets. auto: use all windows on sheets with at most 16 windows, and 5 for each tap on larger sheets.
        radius: Radius of a window, in cells (TopoLM used 5).
        metric: Distance between two places. chebyshev: the larger of the row distance and the column distance, as in
            the paper of TopoLM. euclidean: the straight line, as in the published code of TopoLM.
        window: Side of a window. open: 2 * radius - 1 cells, as in the published code of TopoLM. closed: 2 * radius + 1
            cells, as the paper literally says.
        max_samples: Largest number of tokens of a micro-batch that the objective uses. Fewer tokens cost less time but
            give a noisier loss. None: use all tokens, as in TopoLM.
        skip_first: Whether the objective leaves out the first token of each block. In pretrained models it often has
            activations that are much larger than all others (an attention sink), and they would decide the loss.
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
    skip_first: bool = False

    def __post_init__(self) -> None:
        OBJECTIVES.check(self.name)
        check_counts(self, ("radius",))
        check_numbers(self, ("alpha", "final_alpha"))
        check_numbers(self, ("alpha_warmup_updates",), whole=True)
        check_choices(self, {"alpha_schedule": Schedule, "metric": Metric, "window": Window})
        if self.neighborhoods not in ("all", "auto") and not _is_count(self.neighborhoods):
            raise UserError(
                f"neighborhoods is {self.neighborhoods!r}: it must be a whole number of at least 1, or 'all' or 'auto'"
            )
        if self.max_samples is not None:
            check_max_samples(self.max_samples)
        if (self.alpha_schedule == "constant") != (self.final_alpha is None):
            raise UserError(
                f"alpha_schedule is {self.alpha_schedule!r} and final_alpha is {self.final_alpha}: the schedules "
                "'linear' and 'cosine' need a final_alpha, for example 0; the schedule 'constant' must not have one"
            )


@dataclass(frozen=True)
class Mechanism:
    """The mechanism: constraints on the weights of attention, which make its units topographic without an objective.

    Args:
        name: Name of the mechanism. topoformer: the queries of every layer are pooled over patches of the sheet, and
            the output of attention is a sum over patches with weights of at least 0 (arXiv:2510.18745). It needs a new
            model of the family gpt2 with one head, and is meant for alpha 0. None: no mechanism.
        mechanism_radius: Radius of a patch, in cells, by the straight line between cells. A smaller radius makes
            attention more local. None: there is no mechanism.
    """

    name: Annotated[MechanismName | None, tyro.conf.arg(name="mechanism")] = None
    mechanism_radius: float | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_choices(self, {"name": MechanismName})
        check_numbers(self, ("mechanism_radius",))
        if (self.name is None) != (self.mechanism_radius is None):
            raise UserError(
                f"mechanism is {self.name!r} and mechanism_radius is {self.mechanism_radius}: give both, for example "
                "'topoformer' and 3, or none"
            )
        if self.mechanism_radius is not None and self.mechanism_radius < 1:
            raise UserError(
                f"mechanism_radius is {self.mechanism_radius}: it must be at least 1, the distance between two "
                "neighbouring cells"
            )


@dataclass(frozen=True)
class Optimisation:
    """The optimisation: the optimizers, the number of updates, and how the updates are computed.

    Args:
        updates: Number of updates of the run.
        batch: Number of blocks of text in one update.
        micro_batch: Number of blocks that go through the model at once. None: the whole batch. The objective is
            computed for each micro-batch. The processes share the micro-batches of an update.
        learning_rate: Highest learning rate of AdamW. The rate rises to it linearly during the warm-up.
        final_learning_rate: Learning rate of AdamW at the end of the decay.
        muon_learning_rate: Highest learning rate of Muon, which changes the matrices inside the blocks. None: Muon is
            not used, and AdamW changes all weights.
        warmup_updates: Number of updates in which the learning rates rise from 0.
        decay: Curve along which the learning rates decay at the end of the run.
        decay_updates: Number of updates in which the learning rates decay. They are the last of all `updates`. None:
            all updates after the warm-up.
        weight_decay: Strength of the weight decay, which pulls matrices towards zero.
        betas: Decay rates of the two moments in AdamW.
        clip: Largest norm of the gradient. A larger gradient is scaled down to this norm.
        distillation: Share of the task that is to predict as the original did, the subject before the run:
            (1 - distillation) * cross-entropy + distillation * KL divergence of the next-token probabilities from those
            of the original (Hinton et al. 2015, arXiv:1503.02531). It is between 0 and 1, and only for a subject that
            is trained further.
        lora_rank: Rank of the low-rank changes (LoRA, arXiv:2106.09685) that are trained instead of the weights. Only
            for a subject that is trained further. None: the weights are trained (in `adapt` with the mode lora: 16).
        lora_alpha: Strength of the low-rank changes: a weight matrix W becomes W + lora_alpha / lora_rank * B A. None:
            twice the rank.
        lora_layers: Names of the linear layers that get low-rank changes, for example q_proj, or attn.c_proj. None: all
            linear layers inside the blocks; in Mamba models all but out_proj, which peft refuses.
        patience: The run ends when the task loss increased in this many validations in a row. None: no early end.
        stop_after: The run ends after this many updates. Learning rates and alpha follow the same curves as in a run
            that makes all `updates`. None: the run makes all `updates`.
        precision: fp32: compute in float32. bf16: compute in bfloat16 (autocast); the weights stay in float32.
        compile: Whether `torch.compile` compiles the model.
        parallel: ddp: every process has a copy of all weights. fsdp2: the weights are divided among the processes,
            which saves memory.
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
    distillation: float = 0.0
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_layers: tuple[str, ...] | None = None
    patience: int | None = None
    stop_after: int | None = None
    precision: Precision = "fp32"
    compile: bool = False
    parallel: Parallel = "ddp"

    def __post_init__(self) -> None:
        check_counts(self, ("updates", "batch", "micro_batch", "decay_updates", "lora_rank", "patience", "stop_after"))
        check_numbers(self, ("learning_rate", "final_learning_rate", "muon_learning_rate", "weight_decay"))
        check_numbers(self, ("warmup_updates",), whole=True)
        check_choices(self, {"decay": Decay, "precision": Precision, "parallel": Parallel})
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas is {self.betas}: it must be two numbers of at least 0 and below 1")
        if not self.clip > 0:
            raise UserError(f"clip is {self.clip}: it must be positive")
        if not (isinstance(self.distillation, int | float) and 0 <= self.distillation <= 1):
            raise UserError(f"distillation is {self.distillation!r}: it must be a number between 0 and 1")
        if self.lora_alpha is not None and not 0 < self.lora_alpha < math.inf:
            raise UserError(f"lora_alpha is {self.lora_alpha!r}: it must be positive")
        if self.batch % self.micro_batch_size:
            raise UserError(
                f"batch is {self.batch} and micro_batch is {self.micro_batch}: batch must be a multiple of micro_batch"
            )

    @property
    def micro_batch_size(self) -> int:
        """Number of blocks that go through the model at once."""
        return self.micro_batch or self.batch

    @property
    def micro_batches(self) -> int:
        """Number of micro-batches in one update, over all processes."""
        return self.batch // self.micro_batch_size

    @property
    def last_update(self) -> int:
        """Number of updates of the run, unless `patience` ends it earlier."""
        return min(self.updates, self.stop_after or self.updates)


@dataclass(frozen=True)
class Bookkeeping:
    """The held-out text, and how often validations, checkpoints and snapshots come.

    Args:
        validation_fraction: Fraction of the documents that is held out, between 0 and 1. It is for the built-in text,
            if the run prepares it. Prepared text is already divided.
        validation_blocks: Largest number of blocks of held-out text that a validation reads.
        validate_every: Number of updates from one validation to the next.
        checkpoint_every: Number of updates from one checkpoint to the next.
        snapshot_every: Number of updates from one snapshot of the maps to the next. None: no snapshots.
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
    """Refuse a value that is neither None nor a whole number of at least 1.

    Args:
        part: A part of a recipe.
        fields: Names of the fields to check.

    Raises:
        UserError: The message names the field.
    """
    for field in fields:
        if (count := getattr(part, field)) is not None and not _is_count(count):
            raise UserError(f"{field} is {count!r}: it must be a whole number of at least 1")


def check_numbers(part: Any, fields: Iterable[str], whole: bool = False) -> None:
    """Refuse a value that is neither None nor a finite number of at least 0.

    Args:
        part: A recipe, or a part of a recipe.
        fields: Names of the fields to check.
        whole: Whether the value must be a whole number. None is then refused too.

    Raises:
        UserError: The message names the field.
    """
    for field in fields:
        number = getattr(part, field)
        if whole and not isinstance(number, int):
            raise UserError(f"{field} is {number!r}: it must be a whole number")
        if number is not None and not (isinstance(number, int | float) and 0 <= number < math.inf):
            raise UserError(f"{field} is {number!r}: it must be a number of at least 0")


def check_choices(part: Any, choices: dict[str, Any]) -> None:
    """Refuse a value that is not one of the allowed values of its field.

    Args:
        part: A part of a recipe.
        choices: The `Literal` type of each field to check. It lists the allowed values.

    Raises:
        UserError: The message names the field and its allowed values.
    """
    for field, literal in choices.items():
        if (value := getattr(part, field)) not in get_args(literal):
            raise UserError(f"{field} is {value!r}: it must be {' or '.join(get_args(literal))}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1
