"""Every run we know, as frozen data: one dataclass for what a run is, one function for each run."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from toposheet.errors import UserError
from toposheet.files import write_file

Objective = Literal["correlation", "shuffled_correlation", "squared_difference", "topoloss", "all_tnn"]
Schedule = Literal["constant", "linear", "cosine"]
Metric = Literal["chebyshev", "euclidean"]
Window = Literal["open", "closed"]
Architecture = Literal["gpt2", "qwen3"]
Decay = Literal["cosine", "linear"]
Precision = Literal["fp32", "bf16"]
Parallel = Literal["ddp", "fsdp2"]
_CHOICES = {
    "architecture": get_args(Architecture),
    "objective": get_args(Objective),
    "alpha_schedule": get_args(Schedule),
    "metric": get_args(Metric),
    "window": get_args(Window),
    "decay": get_args(Decay),
    "precision": get_args(Precision),
    "parallel": get_args(Parallel),
}

_QWEN3_TAPS = ("model.layers.*.self_attn", "model.layers.*.mlp")


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run computes; equal recipes and equal text give equal models.

    Units: lengths of text in tokens, places in cells of the sheet, `spacing_mm` in millimetres.
    """

    name: str
    seed: int = 0

    # Model: "gpt2" without biases and dropout, exact GELU, as in TopoLM (arXiv:2410.11516), or "qwen3".
    architecture: Architecture = "gpt2"
    layers: int = 4
    heads: int = 4
    width: int = 256
    mlp_width: int | None = None  # none: four times the width
    context: int = 64
    vocabulary: int = 4096

    # Sheets: one for each tap. No shape means the square sheet that the width fills.
    taps: tuple[str, ...] = ("transformer.h.*.attn", "transformer.h.*.mlp")
    sheet_shape: tuple[int, int] | None = None
    spacing_mm: float = 1.0

    # Objective: loss = cross-entropy + strength * sum over sheets of the spatial loss (`toposheet.spatial_losses`).
    # The strength rises linearly from 0 to alpha in the warm-up, then stays ("constant") or goes to final_alpha.
    objective: Objective = "correlation"
    alpha: float = 2.5
    alpha_schedule: Schedule = "constant"
    final_alpha: float | None = None
    alpha_warmup_updates: int = 0
    neighborhoods: int | Literal["all", "auto"] = 5
    radius: int = 5
    metric: Metric = "chebyshev"
    window: Window = "open"
    max_samples: int | None = None

    # Optimisation. An update sees `batch` blocks of text, `micro_batch` of them at a time (none: all): the objective
    # is that of a micro-batch, and the micro-batches of an update are shared among the processes.
    updates: int = 1200
    batch: int = 8
    micro_batch: int | None = None

    # AdamW; with a muon_learning_rate, Muon for the matrices inside the blocks. Linear warm-up, then a decay to
    # final_learning_rate over the last decay_updates (none: all that are left).
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-4
    muon_learning_rate: float | None = None
    warmup_updates: int = 60
    decay: Decay = "cosine"
    decay_updates: int | None = None
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0

    # When a run ends before all its updates: after so many validations in a row that each went up, or at an update.
    patience: int | None = None
    stop_after: int | None = None

    # How it is computed.
    precision: Precision = "fp32"
    compile: bool = False
    parallel: Parallel = "ddp"

    # Text and bookkeeping.
    validation_fraction: float = 0.05
    validation_blocks: int = 128
    validate_every: int = 100
    checkpoint_every: int = 200
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            UserError: a count below one, a negative strength, heads that do not divide the width.
        """
        for field in ("layers", "heads", "width", "mlp_width", "context", "vocabulary", "radius", "batch",
                      "micro_batch", "updates", "decay_updates", "patience", "stop_after", "validation_blocks",
                      "validate_every", "checkpoint_every", "snapshot_every"):  # fmt: skip
            count = getattr(self, field)
            if count is not None and (not isinstance(count, int) or count < 1):
                raise UserError(f"{field} is {count!r}: it must be a whole number of at least 1")
        for field in ("seed", "warmup_updates", "alpha_warmup_updates"):
            if not isinstance(getattr(self, field), int):
                raise UserError(f"{field} is {getattr(self, field)!r}: it must be a whole number")
        for field in ("alpha", "learning_rate", "final_learning_rate", "weight_decay", "warmup_updates",
                      "alpha_warmup_updates", "seed"):  # fmt: skip
            if not 0 <= getattr(self, field) < math.inf:
                raise UserError(f"{field} is {getattr(self, field)}: it must be a number of at least 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"betas is {self.betas}: both must lie between 0 and 1")
        if self.sheet_shape is not None and min(self.sheet_shape) < 1:
            raise UserError(f"sheet_shape is {self.sheet_shape}: a sheet has at least one row and one column")
        if not (self.clip > 0 and self.spacing_mm > 0):
            raise UserError(f"clip ({self.clip}) and spacing_mm ({self.spacing_mm}) must be positive")
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise UserError(f"{field} is {getattr(self, field)!r}: it must be {' or '.join(choices)}")
        if self.neighborhoods not in ("all", "auto") and not (
            isinstance(self.neighborhoods, int) and self.neighborhoods >= 1
        ):
            raise UserError(f"neighborhoods is {self.neighborhoods!r}: it must be at least 1, or 'all' or 'auto'")
        if self.max_samples is not None and self.max_samples < 2:
            raise UserError(f"max_samples is {self.max_samples}: a correlation takes at least 2 tokens")
        if (self.alpha_schedule == "constant") != (self.final_alpha is None):
            raise UserError(
                f"alpha_schedule is {self.alpha_schedule!r} and final_alpha {self.final_alpha}: a strength that "
                "changes ('linear', 'cosine') needs a final_alpha to end at, e.g. 0, and a constant one has none"
            )
        if self.final_alpha is not None and not 0 <= self.final_alpha < math.inf:
            raise UserError(f"final_alpha is {self.final_alpha}: it must be a number of at least 0")
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"validation_fraction is {self.validation_fraction}: it must lie between 0 and 1")
        if self.vocabulary < 257 or self.vocabulary > 65536:
            raise UserError(
                f"vocabulary is {self.vocabulary}: it must hold the 256 bytes and the end-of-text token, "
                "and fit 16 bits (257 to 65536)"
            )
        if self.width % self.heads:
            raise UserError(f"width {self.width} does not divide into {self.heads} heads of equal size")
        if self.architecture == "qwen3" and self.width // self.heads % 2:
            raise UserError(
                f"width {self.width} in {self.heads} heads makes heads of {self.width // self.heads}: rotary positions "
                "turn pairs of units, so their size must be even"
            )
        if self.batch % self.micro_batch_size:
            raise UserError(f"batch {self.batch} does not divide into micro-batches of {self.micro_batch}")
        if self.muon_learning_rate is not None and not 0 <= self.muon_learning_rate < math.inf:
            raise UserError(f"muon_learning_rate is {self.muon_learning_rate}: it must be a number of at least 0")
        whole = "Muon" if self.muon_learning_rate is not None else self.objective
        if self.parallel == "fsdp2" and whole in ("Muon", "topoloss", "all_tnn"):
            raise UserError(f"parallel is 'fsdp2', but {whole} needs whole matrices: use 'ddp'")

    def control(self) -> Recipe:
        """Return the same run without topography: strength 0, all else equal."""
        final_alpha = None if self.final_alpha is None else 0.0
        return dataclasses.replace(self, name=f"{self.name}_control", alpha=0.0, final_alpha=final_alpha)

    @property
    def is_control(self) -> bool:
        """Whether the run has no topography to learn."""
        return self.alpha == 0 and not self.final_alpha

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

    def save(self, path: Path) -> None:
        """Write the recipe as JSON."""
        write_file(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Return the recipe stored at `path`, read strictly.

        Raises:
            UserError: the file is not a recipe of this version; the message names the field.
        """
        try:
            stored = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not a recipe: {error}") from None
        fields = _fields()
        if not isinstance(stored, dict) or set(stored) != set(fields):
            odd = sorted(set(stored) ^ set(fields)) if isinstance(stored, dict) else "no fields"
            raise UserError(f"{path} is not a recipe of this version of toposheet (differs in: {odd})")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"{path} is not a recipe: a field has a value of the wrong kind ({error})") from None

    def differences(self, other: Recipe) -> list[str]:
        """Return one `field: ours, theirs` line for each field in which two recipes differ."""
        return differences(self, other)


def differences(one: Any, other: Any) -> list[str]:
    """Return one `field: ours, theirs` line for each field in which two instances of a dataclass differ."""
    mine, theirs = dataclasses.asdict(one), dataclasses.asdict(other)
    return [f"{name}: {mine[name]}, {theirs[name]}" for name in mine if mine[name] != theirs[name]]


def paper() -> Recipe:
    """Return TopoLM as published (arXiv:2410.11516): 128.9 M parameters, 983,040 tokens an update.

    How often to validate is not published; that the run stops after three increases in a row is.
    """
    return Recipe(
        name="paper",
        layers=12,
        heads=16,
        width=784,
        context=1024,
        vocabulary=50304,
        updates=600_000,
        batch=960,
        micro_batch=48,
        learning_rate=6e-4,
        final_learning_rate=6e-5,
        warmup_updates=2000,
        patience=3,
        precision="bf16",
        compile=True,
        validation_fraction=0.0005,
        validation_blocks=960,
        validate_every=500,
        checkpoint_every=500,
        snapshot_every=500,
    )


def paper_control() -> Recipe:
    """Return the published control: `paper` with strength 0, all else equal."""
    return paper().control()


def fast() -> Recipe:
    """Return a modern run with the sheets of `paper`: the same loss from fewer tokens.

    Qwen3's block (arXiv:2505.09388) with about as many parameters, Muon for its matrices (arXiv:2502.16982), and a
    learning rate that warms up, stays and decays to nothing in the last 40 % of the updates (arXiv:2404.06395). 20,000
    updates see the 10 billion tokens of `sample-10BT` once. With fewer updates the maps need a stronger pull: alpha is
    8, which trades some of the task loss that is won for a spatial loss no higher than `paper`'s. Tried beside `paper`
    at 4.2 M parameters only, with 5e-3 and 2.5e-3 for Muon (`tools/compare_recipes.py`); the rates here follow Muon's
    speed records for GPT-2.
    """
    return dataclasses.replace(
        paper(),
        name="fast",
        architecture="qwen3",
        taps=_QWEN3_TAPS,
        heads=14,
        mlp_width=2112,
        alpha=8.0,
        updates=20_000,
        batch=480,
        learning_rate=3e-3,
        final_learning_rate=0.0,
        muon_learning_rate=2.5e-3,
        warmup_updates=400,
        decay="linear",
        decay_updates=8000,
        patience=None,
    )


def small() -> Recipe:
    """Return the run of the shipped models `small` and `small-control`: the kind of `fast`, 5.0 M parameters."""
    return Recipe(
        name="small",
        architecture="qwen3",
        taps=_QWEN3_TAPS,
        layers=5,
        heads=4,
        width=256,
        mlp_width=688,
        context=128,
        vocabulary=4096,
        updates=10_000,
        batch=16,
        learning_rate=4e-3,
        final_learning_rate=0.0,
        muon_learning_rate=2.5e-3,
        warmup_updates=200,
        decay="linear",
        decay_updates=4000,
        precision="bf16",
        validation_fraction=0.02,
        validation_blocks=512,
        validate_every=500,
        checkpoint_every=500,
        snapshot_every=500,
    )


def demo() -> Recipe:
    """Return the run of `toposheet demo`: 4.2 M parameters, minutes on two CPU cores.

    The objective correlates half of the tokens of a batch, 256, which keeps its cost below a tenth of the step.
    """
    return Recipe(name="demo", max_samples=256, snapshot_every=200)


def tiny() -> Recipe:
    """Return a run of seconds that goes the whole path and shows nothing: for tests and for trying things."""
    return Recipe(
        name="tiny",
        layers=2,
        heads=2,
        width=36,
        context=96,
        vocabulary=1024,
        radius=2,
        updates=20,
        batch=4,
        warmup_updates=5,
        validation_blocks=8,
        validate_every=10,
        checkpoint_every=10,
        snapshot_every=10,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "paper": paper,
    "paper_control": paper_control,
    "fast": fast,
    "small": small,
    "demo": demo,
    "tiny": tiny,
}


def named(name: str, **changes: Any) -> Recipe:
    """Return the recipe called `name`, with some fields changed.

    Raises:
        UserError: there is no such recipe or field; the message names the nearest.
    """
    if name not in RECIPES:
        raise UserError(f"there is no recipe {name!r}.{_nearest(name, RECIPES)} The recipes are: {', '.join(RECIPES)}")
    for field in changes:
        if field not in _fields():
            raise UserError(f"a recipe has no field {field!r}.{_nearest(field, _fields())}")
    return dataclasses.replace(RECIPES[name](), **changes)


def _fields() -> list[str]:
    return [field.name for field in dataclasses.fields(Recipe)]


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""
