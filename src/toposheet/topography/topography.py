"""The topography of a model: which taps live on which sheets, and where each unit sits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape

import numpy as np
import xarray as xr
from torch import Tensor, nn

from toposheet.architectures import architecture_of
from toposheet.errors import UserError, check_type
from toposheet.sheet import Sheet, check_shape, on_sheets, random_places, square_shape
from toposheet.topography.taps import Activations, find_taps, output_weights, record, tap_widths


@dataclass(frozen=True, eq=False, repr=False)
class Topography:
    """The taps and sheets of one model.

    Args:
        sheets: The sheets by name. A tap lives on exactly one of them.

    Raises:
        UserError: a tap lives on two sheets.
    """

    sheets: Mapping[str, Sheet]

    def __post_init__(self) -> None:
        check_type("sheets", self.sheets, Mapping, "a dict of toposheet.Sheet by name")
        for name, sheet in self.sheets.items():
            check_type(f"the sheet {name}", sheet, Sheet, "a toposheet.Sheet")
        taps = [tap for sheet in self.sheets.values() for tap in sheet.places]
        for tap in taps:
            if taps.count(tap) > 1:
                raise UserError(f"the tap {tap} lives on more than one sheet")

    def __repr__(self) -> str:
        n_units, n_taps = sum(self.widths.values()), len(self.taps)
        return f"Topography({n_units:,} units of {n_taps} taps on {self._sheets_in_words()})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"

    def _sheets_in_words(self) -> str:
        """Return how many sheets there are, of which shape and spacing."""
        kinds = Counter((*sheet.shape, sheet.spacing_mm) for sheet in self.sheets.values())
        words = [
            f"{number} sheet{'s' * (number > 1)} of {height}x{width} cells {spacing:g} mm apart"
            for (height, width, spacing), number in kinds.most_common(3)
        ]
        more = len(kinds) - len(words)
        return ", ".join(words) + (f" and {more} other shapes" if more else "")

    @classmethod
    def per_tap(
        cls,
        model: nn.Module,
        taps: Sequence[str] | None = None,
        shape: tuple[int, int] | None = None,
        spacing_mm: float = 1.0,
        seed: int = 0,
    ) -> Topography:
        """Return a topography with one sheet and one random placement for each tap, as in TopoLM.

        Args:
            model: Any network that runs on a batch of token ids.
            taps: Module path patterns, `*` standing for one step. None: attention and MLP of every layer, as the
                family of the model calls them.
            shape: Height and width of every sheet in cells; none means the square that the units fill.
            spacing_mm: Distance between adjacent cells.
            seed: Decides the places.

        Raises:
            UserError: a pattern matches nothing, or the units of a tap do not fit the sheet.
        """
        check_type("model", model, nn.Module, "a network; toposheet.attach reads one from a folder")
        check_type("taps", taps, (list, tuple, type(None)), "a list of module paths, such as ['model.layers.*.mlp']")
        if shape is not None:
            check_shape("shape", shape)
        rng = np.random.default_rng(seed)
        sheets = {}
        patterns = architecture_of(model).taps(model) if taps is None else taps
        for tap, width in tap_widths(model, find_taps(model, patterns)).items():
            try:
                tap_shape = shape or square_shape(width)
                places = {tap: random_places(width, tap_shape, rng)}
            except UserError as error:
                raise UserError(f"{tap}: {error}") from None
            sheets[tap] = Sheet(shape=tap_shape, places=places, spacing_mm=spacing_mm)
        return cls(sheets=sheets)

    @property
    def taps(self) -> list[str]:
        """The taps, sheet after sheet: the order of units everywhere."""
        return [tap for sheet in self.sheets.values() for tap in sheet.places]

    @property
    def widths(self) -> dict[str, int]:
        """How many units each tap has."""
        return {tap: len(places) for sheet in self.sheets.values() for tap, places in sheet.places.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each sheet, in cells."""
        return {name: sheet.shape for name, sheet in self.sheets.items()}

    def record(self, model: nn.Module) -> AbstractContextManager[Activations]:
        """Record the taps while the model runs: {tap: (batch, time, units)}. See `taps.record`."""
        return record(model, self.taps)

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what each unit of a tap reads: {tap: (inputs, units)}. See `taps.output_weights`."""
        return output_weights(model, self.widths)

    def check(self, model: nn.Module) -> None:
        """Refuse a model that this topography does not fit.

        Raises:
            UserError: the message names the tap that is missing or has another number of units.
        """
        self.check_taps(model)
        for tap, width in tap_widths(model, self.taps).items():
            if width != self.widths[tap]:
                raise UserError(f"the topography places {self.widths[tap]} units of {tap}, the model has {width}")

    def check_taps(self, model: nn.Module) -> None:
        """Refuse a model that lacks a tap of this topography. The model is not run.

        Raises:
            UserError: the message names the tap.
        """
        module_names = {name for name, _ in model.named_modules()}
        if strange := [tap for tap in self.taps if tap not in module_names]:
            raise UserError(f"the topography has a tap {strange[0]}, which {type(model).__name__} does not have")

    def unit_coordinates(self) -> dict[str, tuple[str, np.ndarray]]:
        """Return the xarray coordinates of all units: tap, sheet, y, x (cells) and spacing_mm."""
        rows = [
            (tap, name, y, x, sheet.spacing_mm)
            for name, sheet in self.sheets.items()
            for tap, places in sheet.places.items()
            for y, x in places.tolist()
        ]
        columns = zip(*rows, strict=True)
        names = ("tap", "sheet", "y", "x", "spacing_mm")
        return {name: ("unit", np.asarray(column)) for name, column in zip(names, columns, strict=True)}

    def to_grid(self, values: xr.DataArray) -> dict[str, xr.DataArray]:
        """Return values of units laid out on their sheets: {sheet: (..., y, x)}.

        Args:
            values: Any array with a `unit` dimension and its coordinates (of a `Comparison`, from `respond`); cells
                without a unit, and units that were left out, are nan.

        Raises:
            UserError: the array has units of a sheet that this topography does not have.
        """
        check_type("values", values, xr.DataArray, "an array over units, such as comparison.t")
        for name in dict.fromkeys(values["sheet"].values.tolist()):
            if name not in self.sheets:
                raise UserError(f"the values have a sheet {name!r}; the topography has {list(self.sheets)}")
        return on_sheets(values, self.shapes)
