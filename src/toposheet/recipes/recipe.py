"""A recipe: everything that decides what a training run computes, except the text."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from toposheet.architectures import FAMILIES
from toposheet.errors import UserError
from toposheet.fields import differences
from toposheet.recipes.parts import Bookkeeping, Mechanism, Model, Objective, Optimisation, Sheets, check_numbers
from toposheet.topography.objectives import OBJECTIVES

PARTS: dict[str, Any] = {
    "model": Model,
    "sheets": Sheets,
    "objective": Objective,
    "mechanism": Mechanism,
    "optimisation": Optimisation,
    "bookkeeping": Bookkeeping,
}
"""The parts of a recipe, in the order in which files and tables list them."""


CONTROL = "control"
"""The method of a run that nothing makes topographic."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes, except the text. Equal recipes and equal text give equal models.

    Args:
        name: Name of the run.
        seed: Seed of the first weights, of the places of the units, of the order of the text and of the windows.
        subject: Fingerprint of the subject that is trained further. `model` and `sheets` then describe this subject.
            None: a new model is built.
        model: The architecture and the sizes of the model.
        sheets: The taps and their sheets.
        objective: The objective that makes neighbouring units similar, and its strength.
        mechanism: The constraints on the weights of attention, if there are any.
        optimisation: The optimizers and the number of updates.
        bookkeeping: The held-out text, and how often validations, checkpoints and snapshots come.

    Raises:
        UserError: A value is not allowed. The message names the field.
    """

    name: str
    seed: int = 0
    subject: Annotated[str | None, tyro.conf.Suppress] = None
    model: Model = field(default_factory=Model)
    sheets: Sheets = field(default_factory=Sheets)
    objective: Objective = field(default_factory=Objective)
    mechanism: Mechanism = field(default_factory=Mechanism)
    optimisation: Optimisation = field(default_factory=Optimisation)
    bookkeeping: Bookkeeping = field(default_factory=Bookkeeping)

    def __post_init__(self) -> None:
        check_numbers(self, ("seed",), whole=True)
        if self.subject is None:
            _check_model(self.model)
        if self.objective.skip_first and self.model.context == 1:
            raise UserError("context is 1, and skip_first leaves out the first token of each block: use longer blocks")
        if self.mechanism.name is not None:
            _check_mechanism(self)
        objective, lora = self.objective.name, self.optimisation.lora_rank is not None
        if lora and OBJECTIVES[objective].on_weights:
            raise UserError(
                f"objective is {objective!r}, which acts on the weights, but with lora_rank they are frozen: use an "
                "objective on responses, such as 'correlation', or leave lora_rank out"
            )
        if lora and self.optimisation.parallel == "fsdp2":
            raise UserError("parallel is 'fsdp2', but low-rank changes (lora_rank) need 'ddp'")
        if self.optimisation.parallel == "fsdp2":
            muon = self.optimisation.muon_learning_rate is not None
            whole = "Muon" if muon else self.objective.name if OBJECTIVES[self.objective.name].on_weights else None
            if whole is not None:
                raise UserError(f"parallel is 'fsdp2', but {whole} needs whole matrices in every process: use 'ddp'")

    def changed(self, **fields: Any) -> Recipe:
        """Return a copy of the recipe with new values for some fields. A field can be in any part of the recipe.

        Args:
            fields: New values. The names of the fields are the names of the options of `toposheet train`.

        Raises:
            UserError: There is no field with this name, or the value is not allowed. For a wrong name, the message
                suggests the most similar name.

        Example:
            recipe.changed(updates=40, alpha=0.5, objective="topoloss")
        """
        by_part: dict[str, Any] = {}
        for option, value in fields.items():
            part, name = _part_and_field(option)
            if part is None:
                by_part[name] = value
            else:
                by_part.setdefault(part, {})[name] = value
        changed_parts = {
            part: dataclasses.replace(getattr(self, part), **by_part[part]) for part in PARTS if part in by_part
        }
        return dataclasses.replace(self, **by_part | changed_parts)

    def control(self) -> Recipe:
        """Return the recipe of the control, which has another name.

        Alpha is 0, and so is final_alpha if it is set. The control has no mechanism.
        """
        final_alpha = None if self.objective.final_alpha is None else 0.0
        nothing = {"alpha": 0.0, "final_alpha": final_alpha, "mechanism": None, "mechanism_radius": None}
        return self.changed(name=f"{self.name}_control", **nothing)

    @property
    def has_objective(self) -> bool:
        """Whether the objective acts: alpha is above 0 in some update."""
        return self.objective.alpha > 0 or bool(self.objective.final_alpha)

    @property
    def is_control(self) -> bool:
        """Whether the run is a control: nothing makes its units topographic, neither objective nor mechanism."""
        return not self.has_objective and self.mechanism.name is None

    @property
    def method(self) -> str:
        """What makes the units topographic: the names of the mechanism and of the objective, or `control`."""
        mechanism = [] if self.mechanism.name is None else [self.mechanism.name]
        return " + ".join([*mechanism, *[self.objective.name] * self.has_objective]) or CONTROL

    @property
    def strength(self) -> float:
        """How strong the method is: the largest alpha of the objective, or else the radius of the mechanism in cells.

        A control has the strength 0.
        """
        if self.has_objective:
            return max(self.objective.alpha, self.objective.final_alpha or 0.0)
        return self.mechanism.mechanism_radius or 0.0

    def fields(self) -> dict[str, Any]:
        """Return the values of all fields, by the names of the options of `toposheet train`."""
        values: dict[str, Any] = {"name": self.name, "seed": self.seed, "subject": self.subject}
        for part in PARTS:
            for name, value in vars(getattr(self, part)).items():
                values[_option(part, name)] = value
        return values

    def differences(self, asked: Recipe) -> list[str]:
        """Return a text `field is STORED there, but REQUESTED now` for each field that differs."""
        return differences(self.fields(), asked.fields())


def _check_model(model: Model) -> None:
    """Refuse a model that toposheet cannot build."""
    FAMILIES.check(model.architecture)
    family = FAMILIES[model.architecture]
    if family.build is None:
        whole = [name for name, family in FAMILIES.items() if family.build is not None]
        raise UserError(
            f"architecture is {model.architecture!r}, but a recipe cannot build it: use {' or '.join(whole)}"
        )
    if model.width % model.heads:
        raise UserError(f"width is {model.width} and heads is {model.heads}: width must be a multiple of heads")
    family.check(model)


def _check_mechanism(recipe: Recipe) -> None:
    """Refuse a recipe whose model cannot have its mechanism."""
    mechanism, model = recipe.mechanism.name, recipe.model
    if recipe.subject is not None:
        raise UserError(
            f"mechanism is {mechanism!r}, but only a new model can have a mechanism: leave it out to train a subject "
            "further"
        )
    if FAMILIES[model.architecture].projections is None:
        able = [name for name, family in FAMILIES.items() if family.build and family.projections]
        raise UserError(
            f"mechanism is {mechanism!r} and architecture is {model.architecture!r}, whose queries are rotated or "
            f"normed after their weights, so the weights cannot pool them: use the architecture {' or '.join(able)}"
        )
    if model.heads != 1:
        raise UserError(
            f"mechanism is {mechanism!r} and heads is {model.heads}, but a patch of the sheet needs all units in one "
            "head: set heads to 1"
        )
    if recipe.optimisation.parallel == "fsdp2":
        raise UserError(f"parallel is 'fsdp2', but {mechanism} needs whole matrices in every process: use 'ddp'")


def _option(part: str, name: str) -> str:
    """Return the option name of a field: the name of the field, but `objective` and `mechanism` for their names."""
    return part if name == "name" else name


def _part_and_field(option: str) -> tuple[str | None, str]:
    """Return the part and the field that an option names. The part is None for a field of the recipe itself.

    Raises:
        UserError: There is no such option. The message suggests the most similar option.
    """
    places: dict[str, tuple[str | None, str]] = {name: (None, name) for name in ("name", "seed", "subject")}
    for part, kind in PARTS.items():
        names = (field.name for field in dataclasses.fields(kind))
        places |= {_option(part, name): (part, name) for name in names}
    if option not in places:
        nearest = difflib.get_close_matches(option, places, n=1)
        guess = f" Did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"a recipe has no field {option!r}.{guess}")
    return places[option]
