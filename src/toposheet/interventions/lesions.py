"""Lesions: the units of a region put out nothing, their mean, or noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool

from toposheet.architectures import architecture_of
from toposheet.errors import UserError, check_type
from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.regions import Region
from toposheet.progress import Progress
from toposheet.settings import READING, Reading, check_choice, check_seed
from toposheet.subject import Effect, Intervention, Subject
from toposheet.topography.taps import Point, module_path, on_following_input

To = Literal["zero", "mean", "noise"]


def lesion(
    subject: Subject,
    region: Region,
    *,
    to: To = "zero",
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    seed: int = 0,
    as_published: bool = False,
    progress: Progress | None = None,
) -> Subject:
    """Return a subject in which the units of a region no longer say anything about the text.

    The lesion replaces what the tap puts out, exactly at the chosen units. All other units of the tap put out what they
    did. The model itself is never changed: the lesion acts while the returned subject runs.

    Args:
        subject: The subject. Its own interventions act before the lesion.
        region: The units, for example `ts.Disc(sheet, y, x, radius_mm)`.
        to: What the units put out. `"zero"`: 0. `"mean"`: always their mean over the tokens of `texts`. `"noise"`:
            normal noise with their mean and standard deviation. It depends on the seed, on the unit and on the position
            of a token in its text; it does not depend on other texts.
        texts: Texts over which the means are computed. None: the sentences among the stimuli of the subject. They are
            not needed for `"zero"`.
        reading: How these texts are read, see `unit_activity`.
        seed: Seed of the noise.
        as_published: Whether the lesion is that of TopoLM's published code, for comparison. It sets to 0 what the next
            module reads in place of the units. The units themselves still reach all later modules through the residual
            stream, so this lesion silences the reading of a single module. Only with `to="zero"`.
        progress: A function that is called with the number of texts read so far. None: no calls.

    Raises:
        UserError: The subject does not have the region. Or `to` is unknown. Or `as_published` is not possible: with
            `to` other than zero, or in a model whose MLP does not read what its attention puts out.

    Example:
        lesioned = ts.lesion(subject, ts.Disc("model.layers.2.mlp", y=8, x=8, radius_mm=3))
    """
    check_type("region", region, Region, "a region such as toposheet.Disc(sheet, y, x, radius_mm)")
    check_choice("to", to, get_args(To))
    check_seed(seed)
    units = region.units(subject)
    if as_published and to != "zero":
        raise UserError(f"to is {to!r}, but the published lesion sets units to zero: leave out one of the two")
    point: Point = "input" if as_published else "output"
    if as_published:
        for tap in units:
            _check_read_next(subject, tap)
    activity = None if to == "zero" else unit_activity(subject, texts, reading=reading, progress=progress)
    return subject.intervened(lesion_of(region.name, units, activity, noise=to == "noise", seed=seed, point=point))


def lesion_of(
    name: str,
    units: Mapping[str, Bool[np.ndarray, " units"]],
    activity: Activity | None = None,
    *,
    noise: bool = False,
    seed: int = 0,
    point: Point = "output",
) -> Intervention:
    """Return the intervention that replaces what units put out.

    Args:
        name: Name of the region.
        units: The units, from `Region.units`.
        activity: The activity of the units. They are held at their mean. None: they are silenced.
        noise: Whether noise with their standard deviation is added to the mean.
        seed: Seed of the noise.
        point: Where the lesion acts, see `Effect`.
    """
    if activity is None:
        effects = {tap: Effect.silence(mask, point) for tap, mask in units.items()}
        return Intervention(f"{name} {'silenced' if point == 'output' else 'not read by the next module'}", effects)
    effects = {}
    for tap, mask in units.items():
        sd = np.where(mask, activity.sd[tap], 0.0) if noise else None
        effects[tap] = Effect(np.where(mask, 0.0, 1.0), np.where(mask, activity.mean[tap], 0.0), sd, seed, point)
    return Intervention(f"{name} {'replaced by noise' if noise else 'held at its mean'}", effects)


def _check_read_next(subject: Subject, tap: str) -> None:
    """Refuse a tap whose activation does not reach the module that follows (GPT-NeoX computes both at once).

    The model reads two tokens twice, with and without the activation of the tap.
    """
    inputs: list[torch.Tensor] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        inputs.append(x.clone())
        return x

    width = subject.topography.widths[tap]
    silent = Intervention(tap, {tap: Effect.silence(np.ones(width, dtype=bool))})
    for read_by in (subject, subject.intervened(silent)):
        with read_by.running() as model, torch.no_grad():
            handles = on_following_input(model, tap, keep)
            try:
                model(torch.tensor([[0, 1]], device=model.device))
            finally:
                for handle in handles:
                    handle.remove()
    if torch.equal(*inputs):
        kind = architecture_of(subject.intact.model).kind_of(tap) or "tap"
        raise UserError(
            f"the module after {module_path(tap)} does not read what this {kind} puts out, so there is no published "
            "lesion of it: leave out as_published"
        )
