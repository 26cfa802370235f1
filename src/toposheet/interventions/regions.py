"""Regions: sets of units on the sheets of a subject. A region is a value, which is resolved when it is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from toposheet.cortex.layout import check_coordinates
from toposheet.errors import UserError, check_type, did_you_mean
from toposheet.settings import check_choice
from toposheet.sheet import Sheet
from toposheet.subject import Subject
from toposheet.topography import Topography
from toposheet.wording import counted

# The current of a stimulated disc ends where it is below this fraction of the current in the centre.
_LEAST_CURRENT = 0.01

Units = dict[str, Bool[np.ndarray, " units"]]
"""The units of a region: {tap: a boolean for each unit}. Taps without a unit of the region are left out."""


class Region(ABC):
    """A set of units of a subject.

    Regions can be combined: `a | b` has the units of both, `a & b` the units that are in both, and `a - b` the units of
    a that are not in b.

    Example:
        disc = ts.Disc("transformer.h.2.mlp", y=8, x=8, radius_mm=3)
        ring = disc - ts.Disc("transformer.h.2.mlp", y=8, x=8, radius_mm=1)
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in tables and figures."""

    @abstractmethod
    def _masks(self, subject: Subject) -> Units:
        """Return the units of the region, as `units` does. Taps may be left in that have no unit of the region."""

    @final
    def units(self, subject: Subject) -> Units:
        """Return the units of the region: {tap: a boolean for each unit of the tap}.

        Args:
            subject: The subject.

        Raises:
            UserError: The subject does not have the sheet, the tap or the units of the region. Or no unit is in it.
        """
        check_type("subject", subject, Subject, "a toposheet.Subject, for example from toposheet.load(...)")
        units = {tap: mask for tap, mask in self._masks(subject).items() if mask.any()}
        if not units:
            raise UserError(f"the region {self.name} has no unit of {subject.name}: choose a larger region")
        return units

    @final
    def is_empty(self, subject: Subject) -> bool:
        """Return whether no unit of the subject is in the region, as in a disc on a hole of a sheet."""
        return not any(mask.any() for mask in self._masks(subject).values())

    def current(self, subject: Subject) -> dict[str, Float[np.ndarray, " units"]]:
        """Return the current that a stimulation of strength 1 gives to each unit: 1 in the region, and 0 elsewhere."""
        return {tap: mask.astype(np.float64) for tap, mask in self.units(subject).items()}

    def __or__(self, other: Region) -> Region:
        return Combined(self, other, "|")

    def __and__(self, other: Region) -> Region:
        return Combined(self, other, "&")

    def __sub__(self, other: Region) -> Region:
        return Combined(self, other, "-")


def check_region(region: object) -> None:
    """Refuse what is no region."""
    check_type("region", region, Region, "a region such as toposheet.Disc(sheet, y, x, radius_mm)")


@final
@dataclass(frozen=True)
class Disc(Region):
    """The units of a sheet within a radius. On a sheet with several taps, a disc may have units of several taps.

    Args:
        sheet: Name of the sheet.
        y: Row of the centre, in cells. It may lie between two cells.
        x: Column of the centre, in cells.
        radius_mm: Radius in mm. Units at exactly this distance are in the disc. If the disc is stimulated, the current
            falls off like a Gaussian, and is half as strong at this distance as in the centre.
    """

    sheet: str
    y: float | int
    x: float | int
    radius_mm: float | int

    def __post_init__(self) -> None:
        check_type("sheet", self.sheet, str, "the name of a sheet")
        for what, value in (("y", self.y), ("x", self.x), ("radius_mm", self.radius_mm)):
            check_type(what, value, (int, float, np.number), "a number")
            if not np.isfinite(value):
                raise UserError(f"{what} of a disc is {value}: it must be a finite number")
        if self.radius_mm < 0:
            raise UserError(f"the radius of a disc is {self.radius_mm:g} mm: it must not be negative")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        return f"disc of {self.radius_mm:g} mm at ({self.y:g}, {self.x:g}) on {self.sheet}"

    def _masks(self, subject: Subject) -> Units:
        return {tap: distance <= self.radius_mm + 1e-9 for tap, distance in self._distances(subject).items()}

    def current(self, subject: Subject) -> dict[str, Float[np.ndarray, " units"]]:
        """Return the current that a stimulation of strength 1 gives to each unit.

        It is exp(-ln(2) (d / radius)^2) at a distance d from the centre, and 0 where this is below 0.01, which is at
        2.6 radii. A disc with radius 0 stimulates the units in its centre only.
        """
        self.units(subject)
        current = {}
        for tap, distance in self._distances(subject).items():
            radii = np.where(distance > 0, np.inf, 0.0) if self.radius_mm == 0 else distance / self.radius_mm
            strength = np.exp2(-(radii**2))
            if (strength >= _LEAST_CURRENT).any():
                current[tap] = np.where(strength >= _LEAST_CURRENT, strength, 0.0)
        return current

    def _distances(self, subject: Subject) -> dict[str, Float[np.ndarray, " units"]]:
        """Return the distance of each unit of the sheet from the centre, in mm: {tap: distances}.

        Raises:
            UserError: There is no such sheet, or the centre is not on it.
        """
        sheet = sheet_of(subject.topography, self.sheet)
        height, width = sheet.shape
        if not (-0.5 <= self.y <= height - 0.5 and -0.5 <= self.x <= width - 0.5):
            raise UserError(
                f"the centre of the disc, row {self.y:g} and column {self.x:g}, is not on the sheet {self.sheet}: its "
                f"rows are 0 to {height - 1}, its columns 0 to {width - 1}"
            )
        centre = np.array([self.y, self.x])
        return {tap: sheet.spacing_mm * np.hypot(*(places - centre).T) for tap, places in sheet.places.items()}


@final
@dataclass(frozen=True)
class WholeSheet(Region):
    """All units of a sheet.

    Args:
        sheet: Name of the sheet.
    """

    sheet: str

    def __post_init__(self) -> None:
        check_type("sheet", self.sheet, str, "the name of a sheet")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        return f"sheet {self.sheet}"

    def _masks(self, subject: Subject) -> Units:
        places = sheet_of(subject.topography, self.sheet).places
        return {tap: np.ones(len(of_tap), dtype=bool) for tap, of_tap in places.items()}


@final
@dataclass(frozen=True)
class WholeTap(Region):
    """All units of a tap, for example one band of a sheet with several taps.

    Args:
        tap: Name of the tap.
    """

    tap: str

    def __post_init__(self) -> None:
        check_type("tap", self.tap, str, "the name of a tap")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        return f"tap {self.tap}"

    def _masks(self, subject: Subject) -> Units:
        widths = subject.topography.widths
        if self.tap not in widths:
            raise UserError(
                f"{subject.name} has no tap {self.tap!r}; its taps are: {', '.join(widths)}."
                f"{did_you_mean(self.tap, widths)}"
            )
        return {self.tap: np.ones(widths[self.tap], dtype=bool)}


@final
@dataclass(frozen=True, eq=False)
class Mask(Region):
    """Units that are named one by one: the network of a localizer, a cluster, or the units with the largest t.

    Args:
        label: Name in tables and figures.
        selected: A boolean for each unit of each tap: {tap: array}. Taps may be left out.
        model: Fingerprint of the subject with which the units were selected. Empty: the subject cannot be checked.
    """

    label: str
    selected: Mapping[str, Bool[np.ndarray, " units"]]
    model: str = ""

    @classmethod
    def of(cls, mask: xr.DataArray | xr.Dataset, label: str = "", model: str = "") -> Mask:
        """Return the units that a mask selects.

        Args:
            mask: A boolean for each unit, over `unit`, with the coordinate `tap`. Or a localizer from `localize` or
                `load_localizer`.
            label: Name in tables and figures. Empty: the contrast of the localizer, or `mask`.
            model: Fingerprint of the subject with which the units were selected. Empty: that of the localizer, if any.

        Raises:
            UserError: It is no mask over units.

        Example:
            network = ts.Mask.of(ts.localize(comparison, percent=1))
            cluster = ts.Mask.of(ts.grow_clusters(comparison) == 1, "first cluster")
        """
        check_coordinates(mask, "tap")
        label = label or str(mask.attrs.get("contrast", "mask"))
        if isinstance(mask, xr.Dataset):
            model = model or str(mask.attrs.get("model", ""))
            mask = mask["mask"]
        if mask.dims != ("unit",) or mask.dtype != bool:
            raise UserError(
                f"the mask is an array of {mask.dtype} with the dimensions {tuple(map(str, mask.dims))}: it must hold "
                "a boolean for each unit, with the dimension 'unit'"
            )
        taps = mask["tap"].values
        return cls(label, {tap: mask.values[taps == tap] for tap in dict.fromkeys(taps.tolist())}, model)

    @classmethod
    def top(cls, values: xr.DataArray, percent: float | int, label: str = "") -> Mask:
        """Return the units with the largest values, of all taps together.

        Args:
            values: A number for each unit, for example `comparison.t`. Units that are nan are never selected.
            percent: The percentage of all units that is selected.
            label: Name in tables and figures. Empty: `top PERCENT %`.

        Raises:
            UserError: The percentage is out of range, or so small that no unit is selected.
        """
        check_coordinates(values, "tap")
        check_type("percent", percent, (int, float), "a number")
        n_units = values.sizes["unit"]
        n_selected = round(percent / 100 * n_units) if 0 < percent <= 100 else 0
        if not n_selected:
            raise UserError(
                f"percent is {percent:g}: it must be at most 100, and select at least one of {n_units:,} units"
            )
        order = np.argsort(-np.nan_to_num(values.values, nan=-np.inf), kind="stable")[:n_selected]
        mask = np.isin(np.arange(n_units), order) & ~np.isnan(values.values)
        return cls.of(values.copy(data=mask), label or f"top {percent:g} %")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        return self.label

    def _masks(self, subject: Subject) -> Units:
        if self.model and self.model not in (subject.fingerprint, subject.intact.fingerprint):
            raise UserError(
                f"the units of {self.label} were selected with another model (fingerprint {self.model[:12]}, that of "
                f"{subject.name}: {subject.intact.fingerprint[:12]}): select them with this model"
            )
        widths = subject.topography.widths
        for tap, mask in self.selected.items():
            if tap not in widths:
                raise UserError(f"{self.label} has units of {tap}, a tap that {subject.name} does not have")
            if np.shape(mask) != (widths[tap],):
                raise UserError(
                    f"{self.label} is for {counted(len(mask), 'unit')} of {tap}, but {subject.name} has {widths[tap]}"
                )
        return {tap: np.asarray(mask, dtype=bool) for tap, mask in self.selected.items()}


@final
@dataclass(frozen=True)
class Combined(Region):
    """Two regions together.

    Args:
        first: A region.
        second: Another region.
        how: `|`: the units of both. `&`: the units that are in both. `-`: the units of the first only.
    """

    first: Region
    second: Region
    how: str

    def __post_init__(self) -> None:
        check_choice("how", self.how, ("|", "&", "-"))
        for region in (self.first, self.second):
            check_type(f"a part of a {self.how} b", region, Region, "a region such as toposheet.Disc(...)")

    @property
    def name(self) -> str:
        """Name in tables and figures."""
        words = {"|": "and", "&": "within", "-": "without"}
        first, second = (f"({r.name})" if isinstance(r, Combined) else r.name for r in (self.first, self.second))
        return f"{first} {words[self.how]} {second}"

    def current(self, subject: Subject) -> dict[str, Float[np.ndarray, " units"]]:
        """Return the current that a stimulation of strength 1 gives to each unit.

        `|`: the larger of the two currents. `&`: the smaller one. `-`: the current of the first region, but 0 in the
        units of the second.
        """
        self.units(subject)
        first, second = self.first.current(subject), self.second.current(subject)
        cut = self.second._masks(subject)
        currents = {}
        for tap in dict.fromkeys([*first, *second]):
            nothing = np.zeros(subject.topography.widths[tap])
            a, b = first.get(tap, nothing), second.get(tap, nothing)
            outside = ~cut.get(tap, nothing.astype(bool))
            currents[tap] = {"|": np.maximum(a, b), "&": np.minimum(a, b), "-": a * outside}[self.how]
        return {tap: current for tap, current in currents.items() if current.any()}

    def _masks(self, subject: Subject) -> Units:
        first, second = self.first._masks(subject), self.second._masks(subject)
        units = {}
        for tap in dict.fromkeys([*first, *second]):
            nothing = np.zeros(subject.topography.widths[tap], dtype=bool)
            a, b = first.get(tap, nothing), second.get(tap, nothing)
            units[tap] = {"|": a | b, "&": a & b, "-": a & ~b}[self.how]
        return units


def sheet_of(topography: Topography, name: str) -> Sheet:
    """Return a sheet by its name.

    Raises:
        UserError: There is no such sheet. The message lists the sheets.
    """
    if name not in topography.sheets:
        raise UserError(
            f"there is no sheet {name!r}; the sheets are: {', '.join(topography.sheets)}."
            f"{did_you_mean(name, topography.sheets)}"
        )
    return topography.sheets[name]
