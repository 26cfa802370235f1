"""Acts: what is done to the units of a region, and to those of its controls. They are lesioned, or stimulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from toposheet.errors import UserError
from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.lesions import To, lesion_of
from toposheet.interventions.regions import Region
from toposheet.interventions.stimulation import check_strength, stimulation_of
from toposheet.settings import READING, Reading, check_choice, check_seed
from toposheet.subject import Intervention, Subject

Weights = dict[str, Bool[np.ndarray, " units"] | Float[np.ndarray, " units"]]
"""How strongly each unit is acted on: {tap: array}. A lesion needs booleans, a stimulation the current of each unit."""


@dataclass(frozen=True, eq=False)
class Act:
    """A lesion or a stimulation, which can be done to any region of a subject.

    Args:
        to: What lesioned units put out, see `lesion`.
        strength: The strength of a stimulation, see `stimulate`. None: a lesion.
        activity: The activity of the units. A lesion to zero needs none.
        seed: Seed of the noise of a lesion.
    """

    to: To
    strength: float | None
    activity: Activity | None
    seed: int

    @property
    def name(self) -> str:
        """Name in tables: `lesion to zero`, or `stimulation by 2 sd`."""
        return f"lesion to {self.to}" if self.strength is None else f"stimulation by {self.strength:g} sd"

    def weights(self, subject: Subject, region: Region) -> Weights:
        """Return how strongly each unit of a region is acted on."""
        return dict(region.units(subject)) if self.strength is None else dict(region.current(subject))

    def intervention(self, name: str, weights: Weights) -> Intervention:
        """Return the intervention on units.

        Args:
            name: Name of the region.
            weights: How strongly each unit is acted on.
        """
        if self.strength is None:
            held_at = None if self.to == "zero" else self.activity
            return lesion_of(name, weights, held_at, noise=self.to == "noise", seed=self.seed)
        assert self.activity is not None
        return stimulation_of(name, weights, self.strength, self.activity)


def check_act(to: str, strength: float | int | None) -> None:
    """Refuse a lesion or a stimulation that cannot be done.

    Raises:
        UserError: The strength is not a finite number. Or `to` is unknown, or other than zero with a stimulation.
    """
    check_choice("to", to, get_args(To))
    if strength is None:
        return
    check_strength(strength)
    if to != "zero":
        raise UserError(f"to is {to!r}, but a strength asks for a stimulation: leave out one of the two")


def acts_of(
    subject: Subject,
    to: To,
    strengths: Sequence[float | int | None],
    *,
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    seed: int = 0,
    with_activity: bool = False,
) -> list[Act]:
    """Return an act for each strength. The activity of the units is measured once, if an act needs it.

    Args:
        subject: The subject.
        to: What lesioned units put out.
        strengths: The strength of each stimulation. None: a lesion.
        texts: Texts for the activity of units, see `unit_activity`.
        reading: How these texts are read.
        seed: Seed of the noise of lesions.
        with_activity: Whether the activity is measured even if no act needs it.

    Raises:
        UserError: A strength is not a finite number. Or `to` is unknown, or other than zero with a stimulation.
    """
    check_seed(seed)
    for strength in strengths:
        check_act(to, strength)
    needed = with_activity or to != "zero" or any(strength is not None for strength in strengths)
    activity = unit_activity(subject, texts, reading=reading) if needed else None
    return [Act(to, None if strength is None else float(strength), activity, seed) for strength in strengths]
