"""Every run we know, as frozen data: one dataclass for what a run is, one function for each run."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from toposheet.files import write_file

Objective = Literal["correlation", "shuffled_correlation", "squared_difference", "topoloss", "all_tnn"]
Schedule = Literal["constant", "linear", "cosine"]
Metric = Literal["chebyshev", "euclidean"]
Window = Literal["open", "closed"]
_CHOICES = {
    "objective": get_args(Objective),
    "alpha_schedule": get_args(Schedule),
    "metric": get_args(Metric),
    "window": get_args(Window),
}


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run computes; equal recipes and equal text give equal models.

    Units: lengths of text in tokens, places in cells of the sheet, `spacing_mm` in millimetres.
    """

    name: str
    seed: int = 0

    # Model: a GPT-2 without biases and dropout, exact GELU, as in TopoLM (arXiv:2410.11516).
    layers: int = 4
    heads: int = 4
    width: int = 256
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

    # Optimisation: AdamW, linear warm-up, cosine decay.
    updates: int = 1200
    batch: int = 8
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-4
    warmup_updates: int = 60
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0

    # Text and bookkeeping.
    validation_fraction: float = 0.05
    validation_blocks: int = 128
    validate_every: int = 100
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            ValueError: a count below one, a negative strength, heads that do not divide the width.
        """
        for field in ("layers", "heads", "width", "context", "vocabulary", "radius", "batch",
                      "updates", "validation_blocks", "validate_every", "checkpoint_every"):  # fmt: skip
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}: it must be at least 1")
        for field in ("alpha", "learning_rate", "final_learning_rate", "weight_decay", "warmup_updates",
                      "alpha_warmup_updates", "seed"):  # fmt: skip
            if not 0 <= getattr(self, field) < math.inf:
                raise ValueError(f"{field} is {getattr(self, field)}: it must be a number of at least 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {self.betas}: both must lie between 0 and 1")
        if self.sheet_shape is not None and min(self.sheet_shape) < 1:
            raise ValueError(f"sheet_shape is {self.sheet_shape}: a sheet has at least one row and one column")
        if not (self.clip > 0 and self.spacing_mm > 0):
            raise ValueError(f"clip ({self.clip}) and spacing_mm ({self.spacing_mm}) must be positive")
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise ValueError(f"{field} is {getattr(self, field)!r}: it must be {' or '.join(choices)}")
        if self.neighborhoods not in ("all", "auto") and not (
            isinstance(self.neighborhoods, int) and self.neighborhoods >= 1
        ):
            raise ValueError(f"neighborhoods is {self.neighborhoods!r}: it must be at least 1, or 'all' or 'auto'")
        if self.max_samples is not None and self.max_samples < 2:
            raise ValueError(f"max_samples is {self.max_samples}: a correlation takes at least 2 tokens")
        if (self.alpha_schedule == "constant") != (self.final_alpha is None):
            raise ValueError(
                f"alpha_schedule is {self.alpha_schedule!r} and final_alpha {self.final_alpha}: a strength that "
                "changes ('linear', 'cosine') needs a final_alpha to end at, e.g. 0, and a constant one has none"
            )
        if self.final_alpha is not None and not 0 <= self.final_alpha < math.inf:
            raise ValueError(f"final_alpha is {self.final_alpha}: it must be a number of at least 0")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction is {self.validation_fraction}: it must lie between 0 and 1")
        if self.vocabulary < 257 or self.vocabulary > 65536:
            raise ValueError(
                f"vocabulary is {self.vocabulary}: it must hold the 256 bytes and the end-of-text token, "
                "and fit 16 bits (257 to 65536)"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads of equal size")

    def control(self) -> Recipe:
        """Return the same run without topography: strength 0, all else equal."""
        final_alpha = None if self.final_alpha is None else 0.0
        return dataclasses.replace(self, name=f"{self.name}_control", alpha=0.0, final_alpha=final_alpha)

    @property
    def is_control(self) -> bool:
        """Whether the run has no topography to learn."""
        return self.alpha == 0 and not self.final_alpha

    def save(self, path: Path) -> None:
        """Write the recipe as JSON."""
        write_file(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Return the recipe stored at `path`, read strictly.

        Raises:
            ValueError: the file is not a recipe of this version; the message names the field.
        """
        try:
            stored = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a recipe: {error}") from None
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(stored, dict) or set(stored) != fields:
            odd = sorted(set(stored) ^ fields) if isinstance(stored, dict) else "no fields"
            raise ValueError(f"{path} is not a recipe of this version of toposheet (differs in: {odd})")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"{path} is not a recipe: a field has a value of the wrong kind ({error})") from None

    def differences(self, other: Recipe) -> list[str]:
        """Return one `field: ours, theirs` line for each field in which two recipes differ."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [f"{name}: {mine[name]}, {theirs[name]}" for name in mine if mine[name] != theirs[name]]


def demo() -> Recipe:
    """Return the run of `toposheet demo`: 4.2 M parameters, minutes on two CPU cores.

    The objective correlates half of the tokens of a batch, 256, which keeps its cost below a tenth of the step.
    """
    return Recipe(name="demo", max_samples=256)


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
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"demo": demo, "tiny": tiny}


def named(name: str, **changes: Any) -> Recipe:
    """Return the recipe called `name`, with some fields changed.

    Raises:
        ValueError: there is no such recipe; the message lists those there are.
    """
    if name not in RECIPES:
        nearest = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise ValueError(f"there is no recipe {name!r}.{hint} The recipes are: {', '.join(RECIPES)}")
    return dataclasses.replace(RECIPES[name](), **changes)
