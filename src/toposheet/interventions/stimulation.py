"""Stimulation: current is added to the activations of the units of a region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import pandas as pd

from toposheet.errors import UserError, check_type
from toposheet.interventions.activity import Activity
from toposheet.interventions.acts import Act, Weights, acted_on
from toposheet.interventions.regions import Region
from toposheet.progress import Progress
from toposheet.settings import READING, Reading
from toposheet.stats.multiplicity import Alternative
from toposheet.subject import Effect, Intervention, Subject


@final
@dataclass(frozen=True)
class Stimulation(Act):
    """A stimulation, which can be done to any region.

    Args:
        strength: The added current, in standard deviations of each unit. Negative: activations are lowered.

    Raises:
        UserError: The strength is not a finite number.
    """

    strength: float | int

    alternative: ClassVar[Alternative] = "two-sided"

    def __post_init__(self) -> None:
        check_type("strength", self.strength, (int, float, np.number), "a number of standard deviations")
        if not np.isfinite(self.strength):
            raise UserError(f"the strength is {self.strength}: it must be a finite number of standard deviations")

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"stimulation by {self.strength:g} sd"

    @property
    def needs_activity(self) -> bool:
        """Whether the usual activity of the units must be known."""
        return True

    def weights(self, subject: Subject, region: Region) -> Weights:
        """Return the current that a strength of 1 gives to each unit."""
        return region.current(subject)

    def intervention(self, name: str, weights: Weights, activity: Activity | None) -> Intervention:
        """Return the intervention that adds current to the activations of units. See `Act.intervention`.

        Raises:
            UserError: The strength makes activations infinite. Or all units have standard deviation 0.
        """
        assert activity is not None, "a stimulation needs the activity"
        largest = np.finfo(np.float32).max
        effects = {}
        for tap, current in weights.items():
            shift = float(self.strength) * current * activity.sd[tap]
            if not (np.abs(shift) < largest).all():
                raise UserError(
                    f"the strength {self.strength:g} makes activations of {tap} infinite: give a smaller one"
                )
            effects[tap] = Effect(np.ones(len(shift)), shift)
        if self.strength and not any(effect.shift.any() for effect in effects.values()):
            raise UserError(
                f"all units of {name} have standard deviation 0 over the texts, so a strength in standard deviations "
                "changes nothing: choose other units, or other texts"
            )
        return Intervention(f"{name} stimulated by {self.strength:g} sd", effects)


def stimulate(
    subject: Subject,
    region: Region,
    strength: float | int,
    *,
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    progress: Progress | None = None,
) -> Subject:
    """Return a subject in which current is added to the activations of a region, at every token.

    A unit gets strength * current * its standard deviation over the tokens of `texts`. The current is 1 in the region
    and 0 elsewhere; that of a disc is a Gaussian bump around its centre, which spreads over the sheet and, on a sheet
    with several taps, across layers (see `Disc`). The model itself is never changed: the stimulation acts while the
    returned subject runs.

    Args:
        subject: The subject. Its own interventions act before the stimulation.
        region: The units, for example `ts.Disc(sheet, y, x, radius_mm)`.
        strength: The added current, in standard deviations of each unit. Negative: activations are lowered.
        texts: Texts over which the standard deviations are computed. None: the sentences among the stimuli of the
            subject.
        reading: How these texts are read, see `unit_activity`.
        progress: A function that is called with the number of texts read so far. None: no calls.

    Raises:
        UserError: The subject does not have the region. Or the strength is not a finite number, or so large that
            activations are infinite. Or the units of the region have standard deviation 0, as after a lesion.

    Example:
        driven = ts.stimulate(subject, ts.Disc("model.layers.2.mlp", y=8, x=8, radius_mm=2), strength=3)
    """
    return acted_on(subject, region, Stimulation(strength), texts, reading, progress)
