"""Stimulation: current is added to the activations of the units of a region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from toposheet.errors import UserError, check_type
from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.regions import Region
from toposheet.progress import Progress
from toposheet.settings import READING, Reading
from toposheet.subject import Effect, Intervention, Subject


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
    check_type("region", region, Region, "a region such as toposheet.Disc(sheet, y, x, radius_mm)")
    check_strength(strength)
    current = region.current(subject)
    activity = unit_activity(subject, texts, reading=reading, progress=progress)
    return subject.intervened(stimulation_of(region.name, current, float(strength), activity))


def check_strength(strength: float | int) -> None:
    """Refuse a strength that is not a finite number."""
    check_type("strength", strength, (int, float, np.number), "a number of standard deviations")
    if not np.isfinite(strength):
        raise UserError(f"the strength is {strength}: it must be a finite number of standard deviations")


def stimulation_of(
    name: str, current: Mapping[str, Float[np.ndarray, " units"]], strength: float, activity: Activity
) -> Intervention:
    """Return the intervention that adds current to the activations of units.

    Args:
        name: Name of the region.
        current: The current that a strength of 1 gives to each unit, from `Region.current`.
        strength: The strength, in standard deviations of each unit.
        activity: The activity of the units.
    """
    largest = np.finfo(np.float32).max
    effects = {}
    for tap, of_tap in current.items():
        shift = strength * of_tap * activity.sd[tap]
        if not (np.abs(shift) < largest).all():
            raise UserError(f"the strength {strength:g} makes activations of {tap} infinite: give a smaller one")
        effects[tap] = Effect(np.ones(len(shift)), shift)
    if strength and not any(effect.shift.any() for effect in effects.values()):
        raise UserError(
            f"all units of {name} have standard deviation 0 over the texts, so a strength in standard deviations "
            "changes nothing: choose other units, or other texts"
        )
    return Intervention(f"{name} stimulated by {strength:g} sd", effects)
