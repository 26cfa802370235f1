"""Lesions: the units of a region put out nothing, their mean, or noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import numpy as np
import pandas as pd
import torch

from toposheet.architectures import architecture_of
from toposheet.errors import UserError
from toposheet.interventions.activity import Activity
from toposheet.interventions.acts import Act, Weights, acted_on
from toposheet.interventions.regions import Region, Units, check_region
from toposheet.progress import Progress
from toposheet.settings import READING, Reading, check_choice, check_seed
from toposheet.stats.multiplicity import Alternative
from toposheet.subject import Effect, Intervention, Subject
from toposheet.topography.taps import module_path, on_following_input

To = Literal["zero", "mean", "noise"]


@final
@dataclass(frozen=True)
class Lesion(Act):
    """A lesion, which can be done to any region.

    Args:
        to: What the units put out. `"zero"`: 0. `"mean"`: always their mean over the tokens of texts. `"noise"`: normal
            noise with their mean and standard deviation. It depends on the seed, on the unit and on the position of a
            token in its text; it does not depend on other texts.
        seed: Seed of the noise.

    Raises:
        UserError: `to` or the seed is not possible.
    """

    to: To = "zero"
    seed: int = 0

    alternative: ClassVar[Alternative] = "less"

    def __post_init__(self) -> None:
        check_choice("to", self.to, get_args(To))
        check_seed(self.seed)

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"lesion to {self.to}"

    @property
    def needs_activity(self) -> bool:
        """Whether the usual activity of the units must be known."""
        return self.to != "zero"

    def weights(self, subject: Subject, region: Region) -> Weights:
        """Return the units of a region."""
        return region.units(subject)

    def intervention(self, name: str, weights: Weights, activity: Activity | None = None) -> Intervention:
        """Return the intervention that replaces what units put out. See `Act.intervention`."""
        if self.to == "zero":
            return Intervention(f"{name} silenced", {tap: Effect.silence(mask) for tap, mask in weights.items()})
        assert activity is not None, "a lesion to mean or noise needs the activity"
        effects = {}
        for tap, mask in weights.items():
            sd = np.where(mask, activity.sd[tap], 0.0) if self.to == "noise" else None
            effects[tap] = Effect(np.where(mask, 0.0, 1.0), np.where(mask, activity.mean[tap], 0.0), sd, self.seed)
        return Intervention(f"{name} {'replaced by noise' if self.to == 'noise' else 'held at its mean'}", effects)


LESION = Lesion()


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
        to: What the units put out, see `Lesion`.
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
    if as_published:
        check_region(region)
        if to != "zero":
            raise UserError(f"to is {to!r}, but the published lesion sets units to zero: leave out one of the two")
        return subject.intervened(_not_read(subject, region.name, region.units(subject)))
    return acted_on(subject, region, Lesion(to, seed), texts, reading, progress)


def _not_read(subject: Subject, name: str, units: Units) -> Intervention:
    """Return the lesion of TopoLM's published code: what the next module reads in place of the units is 0."""
    for tap in units:
        _check_read_next(subject, tap)
    effects = {tap: Effect.silence(mask, "input") for tap, mask in units.items()}
    return Intervention(f"{name} not read by the next module", effects)


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
