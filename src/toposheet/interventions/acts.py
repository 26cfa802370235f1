"""Acts: what can be done to any region of a subject, and to its controls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from toposheet.errors import check_type
from toposheet.interventions.activity import Activity, unit_activity
from toposheet.interventions.regions import Region, Units, check_region
from toposheet.progress import Progress
from toposheet.settings import READING, Reading
from toposheet.stats.multiplicity import Alternative
from toposheet.subject import Intervention, Subject

Weights = Mapping[str, Bool[np.ndarray, " units"] | Float[np.ndarray, " units"]]
"""How strongly each unit is acted on: {tap: array}. A lesion needs booleans, a stimulation the current of each unit."""


class Act(ABC):
    """What is done to the units of a region: `Lesion` or `Stimulation`."""

    alternative: ClassVar[Alternative]
    """What p is the probability of if nothing else is asked for, see `intervention_effects`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in tables."""

    @property
    @abstractmethod
    def needs_activity(self) -> bool:
        """Whether the usual activity of the units must be known."""

    @abstractmethod
    def weights(self, subject: Subject, region: Region) -> Weights:
        """Return how strongly each unit of a region is acted on."""

    @abstractmethod
    def intervention(self, name: str, weights: Weights, activity: Activity | None) -> Intervention:
        """Return the intervention on units.

        Args:
            name: Name of the region.
            weights: How strongly each unit is acted on.
            activity: The activity of the units, from `unit_activity`. None: the act does not need it.
        """


def check_act(act: object) -> None:
    """Refuse what is no act."""
    check_type("act", act, Act, "a toposheet.Lesion(...) or a toposheet.Stimulation(strength)")


def activity_for(
    acts: Sequence[Act],
    subject: Subject,
    texts: Sequence[str] | pd.DataFrame | None = None,
    reading: Reading = READING,
    progress: Progress | None = None,
) -> Activity | None:
    """Return the activity of the units if an act needs it, else None. See `unit_activity` for the arguments."""
    needed = any(act.needs_activity for act in acts)
    return unit_activity(subject, texts, reading=reading, progress=progress) if needed else None


@dataclass(frozen=True, eq=False)
class Target:
    """A region of a subject with what is done to it.

    Args:
        subject: The subject.
        region: Name of the region.
        act: What is done to it.
        activity: The activity of the units of the subject. None: it is not needed.
        units: The units of the region.
        weights: How strongly each unit is acted on. The current of a disc reaches beyond its units.
    """

    subject: Subject
    region: str
    act: Act
    activity: Activity | None
    units: Units
    weights: Weights

    @classmethod
    def of(cls, subject: Subject, region: Region, act: Act, activity: Activity | None = None) -> Target:
        """Return a region of a subject with what is done to it.

        Raises:
            UserError: The subject does not have the region.
        """
        return cls(subject, region.name, act, activity, region.units(subject), act.weights(subject, region))

    def intervention(self, weights: Weights | None = None, control: str = "") -> Intervention:
        """Return the intervention on the region, or on a control of it.

        Args:
            weights: How strongly each unit of the control is acted on. None: the region itself is acted on.
            control: Kind of the control.
        """
        name = f"{self.region}, {control}" if control else self.region
        return self.act.intervention(name, self.weights if weights is None else weights, self.activity)

    def exchangeable(self) -> tuple[object, ...]:
        """Return a key that two targets share if their scattered units are drawn from the same sets."""
        return self.act, *((tap, np.sort(of_tap).tobytes()) for tap, of_tap in sorted(self.weights.items()))


def acted_on(
    subject: Subject,
    region: Region,
    act: Act,
    texts: Sequence[str] | pd.DataFrame | None,
    reading: Reading,
    progress: Progress | None,
) -> Subject:
    """Return the subject with an act on a region. See `unit_activity` for the last three arguments."""
    check_region(region)
    weights = act.weights(subject, region)  # an unknown region is refused before texts are read
    activity = activity_for([act], subject, texts, reading, progress)
    return subject.intervened(act.intervention(region.name, weights, activity))
