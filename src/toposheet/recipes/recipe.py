"""A recipe: all that decides what a run computes, in parts."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from toposheet.architectures import FAMILIES
from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.recipes.parts import Bookkeeping, Model, Objective, Optimisation, Sheets, check_numbers
from toposheet.topography.objectives import OBJECTIVES

PARTS: dict[str, Any] = {
    "model": Model,
    "sheets": Sheets,
    "objective": Objective,
    "optimisation": Optimisation,
    "bookkeeping": Bookkeeping,
}
"""The parts of a recipe, in the order in which they are stored and shown."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run computes; equal recipes and equal text give equal models.

    Args:
        name: What the run is called.
        seed: Decides the first weights, the places, the order of the text and the windows.
        subject: Fingerprint of the subject whose model is trained further; `model` and `sheets` then describe it. None:
            a new model is built.
        model: Which architecture, of which size.
        sheets: Where units get places.
        objective: What makes near units alike.
        optimisation: How the weights are changed.
        bookkeeping: How often losses, checkpoints and maps are taken.

    Raises:
        UserError: a value that no run can have; the message names the field.
    """

    name: str
    seed: int = 0
    subject: Annotated[str | None, tyro.conf.Suppress] = None
    model: Model = field(default_factory=Model)
    sheets: Sheets = field(default_factory=Sheets)
    objective: Objective = field(default_factory=Objective)
    optimisation: Optimisation = field(default_factory=Optimisation)
    bookkeeping: Bookkeeping = field(default_factory=Bookkeeping)

    def __post_init__(self) -> None:
        check_numbers(self, ("seed",), whole=True)
        if self.subject is None:
            _check_whole(self.model)
        if self.optimisation.parallel == "fsdp2":
            muon = self.optimisation.muon_learning_rate is not None
            whole = "Muon" if muon else self.objective.name if OBJECTIVES[self.objective.name].on_weights else None
            if whole is not None:
                raise UserError(f"parallel is 'fsdp2', but {whole} needs whole matrices: use 'ddp'")

    def changed(self, **fields: Any) -> Recipe:
        """Return the recipe with some fields changed, whichever part they are in.

        Args:
            fields: New values by the names of the options of `toposheet train`.

        Raises:
            UserError: there is no such field; the message names the nearest.

        Example:
            recipe.changed(updates=40, alpha=0.5, objective="topoloss")
        """
        by_part: dict[str, Any] = {}
        for option, value in fields.items():
            part, name = _place(option)
            if part is None:
                by_part[name] = value
            else:
                by_part.setdefault(part, {})[name] = value
        changed_parts = {
            part: dataclasses.replace(getattr(self, part), **by_part[part]) for part in PARTS if part in by_part
        }
        return dataclasses.replace(self, **by_part | changed_parts)

    def control(self) -> Recipe:
        """Return the same run without topography: strength 0, all else equal."""
        final_alpha = None if self.objective.final_alpha is None else 0.0
        return self.changed(name=f"{self.name}_control", alpha=0.0, final_alpha=final_alpha)

    @property
    def is_control(self) -> bool:
        """Whether the run has no topography to learn."""
        return self.objective.alpha == 0 and not self.objective.final_alpha

    def fields(self) -> dict[str, Any]:
        """Return all values by the names of the options of `toposheet train`, part after part."""
        values: dict[str, Any] = {"name": self.name, "seed": self.seed, "subject": self.subject}
        for part in PARTS:
            for name, value in vars(getattr(self, part)).items():
                values[_option(part, name)] = value
        return values

    def differences(self, asked: Recipe) -> list[str]:
        """Return one `field: there, asked for` line for each field in which another recipe is asked for."""
        return differences(self.fields(), asked.fields())


def _check_whole(model: Model) -> None:
    """Refuse a model that cannot be built."""
    FAMILIES.check(model.architecture)
    family = FAMILIES[model.architecture]
    if family.build is None:
        whole = [name for name, family in FAMILIES.items() if family.build is not None]
        raise UserError(f"architecture is {model.architecture!r}, which no recipe builds: use {' or '.join(whole)}")
    if model.width % model.heads:
        raise UserError(f"width {model.width} does not divide into {model.heads} heads of equal size")
    family.check(model)


def _option(part: str, name: str) -> str:
    """Return the option of a field of a part: its name, but `objective` for the name of the objective."""
    return part if name == "name" else name


def _place(option: str) -> tuple[str | None, str]:
    """Return in which part the field of an option is, None for the recipe itself, and what it is called there."""
    places: dict[str, tuple[str | None, str]] = {name: (None, name) for name in ("name", "seed", "subject")}
    for part, kind in PARTS.items():
        names = (field.name for field in dataclasses.fields(kind))
        places |= {_option(part, name): (part, name) for name in names}
    if option not in places:
        nearest = difflib.get_close_matches(option, places, n=1)
        guess = f" Did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"a recipe has no field {option!r}.{guess}")
    return places[option]
