"""The topography of a model: its sheets, the taps on each sheet, the place of each unit, and the bases of taps."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import get_args

import numpy as np
import torch
import xarray as xr
from jaxtyping import Float
from torch import Tensor, nn

from toposheet.architectures import architecture_of
from toposheet.errors import UserError, check_type
from toposheet.settings import Layout, check_choice, check_seed
from toposheet.sheet import Sheet, check_shape, on_sheets, one_sheet, random_places, square_shape
from toposheet.topography.bases import checked_bases, units_of
from toposheet.topography.taps import Activations, find_taps, module_path, output_weights, record, tap_widths
from toposheet.wording import counted

CORTEX = "cortex"
"""The name of the sheet that holds all taps of a model."""


@dataclass(frozen=True, eq=False, repr=False)
class Topography:
    """The sheets of one model, with the taps on each sheet, the places of their units, and the bases of taps.

    Args:
        sheets: The sheets: {name: sheet}. Each tap is on exactly one sheet.
        bases: The bases of some taps: {tap: orthogonal matrix Q}. Row i of Q holds the weights of unit i over the
            network's own coordinates. The units of a tap without a basis are the network's own coordinates. Several
            taps may share one matrix. The matrices are kept in float32, and cannot be written to.

    Raises:
        UserError: A tap is on more than one sheet, a basis is not an orthogonal matrix of the width of its tap, or an
            argument has the wrong type.
    """

    sheets: Mapping[str, Sheet]
    bases: Mapping[str, Float[np.ndarray, "units units"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_type("sheets", self.sheets, Mapping, "a dict {name: toposheet.Sheet}")
        for name, sheet in self.sheets.items():
            check_type(f"the sheet {name}", sheet, Sheet, "a toposheet.Sheet")
        taps = [tap for sheet in self.sheets.values() for tap in sheet.places]
        for tap in taps:
            if taps.count(tap) > 1:
                raise UserError(f"the tap {tap} is on more than one sheet: put each tap on exactly one sheet")
        object.__setattr__(self, "bases", checked_bases(self.bases, self.widths))

    def __repr__(self) -> str:
        n_units, n_taps = sum(self.widths.values()), len(self.taps)
        bases = f"; {counted(len(self.bases), 'tap')} with a basis" if self.bases else ""
        return f"Topography({counted(n_units, 'unit')} of {counted(n_taps, 'tap')} on {self._sheets_in_words()}{bases})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"

    def _sheets_in_words(self) -> str:
        """Return the number of sheets of each shape and spacing, in words."""
        kinds = Counter((*sheet.shape, sheet.spacing_mm) for sheet in self.sheets.values())
        words = [
            f"{counted(number, 'sheet')} of {height}x{width} cells {spacing:g} mm apart"
            for (height, width, spacing), number in kinds.most_common(3)
        ]
        more = len(kinds) - len(words)
        return ", ".join(words) + (f" and {counted(more, 'other shape')}" if more else "")

    @classmethod
    def per_tap(
        cls,
        model: nn.Module,
        taps: Sequence[str] | None = None,
        shape: tuple[int, int] | None = None,
        spacing_mm: float = 1.0,
        seed: int = 0,
    ) -> Topography:
        """Return a topography with one sheet for each tap. The units get random places, as in TopoLM.

        Args:
            model: Any network that runs on a batch of token ids.
            taps: Paths of the modules that get sheets, see `of`.
            shape: Height and width of each sheet, in cells. None: a square with exactly one cell for each unit, which
                needs a square number of units.
            spacing_mm: Distance between adjacent cells, in mm.
            seed: Seed of the random places.

        Raises:
            UserError: No module matches a path in `taps`, or the units of a tap do not fit on the sheet.
        """
        return cls.of(model, taps, shape, spacing_mm=spacing_mm, seed=seed)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        taps: Sequence[str] | None = None,
        shape: tuple[int, int] | None = None,
        *,
        layout: Layout = "per_tap",
        spacing_mm: float = 1.0,
        seed: int = 0,
    ) -> Topography:
        """Return a topography of a model. The units get random places.

        Args:
            model: Any network that runs on a batch of token ids.
            taps: Paths of the modules that get sheets. `*` stands for one step of a path, for example
                `transformer.h.*.attn`. A path that ends with `>residual` stands for the residual stream after the
                output of the module was added to it. None: attention and MLP of every layer; toposheet knows the names
                of these modules from the family of the model. A warning in the log says which layers lack one of them.
                In a model with encoder and decoder, the layers are those of the encoder.
            shape: Height and width of each sheet, in cells. None: the layout chooses.
            layout: Which sheets there are, and which cells belong to which tap.
                - `"per_tap"`: one sheet for each tap, as in TopoLM. Without a shape it is a square with exactly one
                  cell for each unit, which needs a square number of units.
                - `"bands"`: one sheet, named `cortex`, on which the taps lie side by side in bands of whole columns,
                  in the order of the network. Windows cross the borders between bands.
                - `"interleaved"`: one sheet on which the units of all taps are mixed evenly.
                - `"free"`: one sheet on which each unit gets a random cell.
            spacing_mm: Distance between adjacent cells, in mm.
            seed: Seed of the random places.

        Raises:
            UserError: No module matches a path in `taps`, the layout is unknown, or the units or bands do not fit on
                the sheet.
        """
        check_type("model", model, nn.Module, "a network; toposheet.attach reads one from a folder")
        check_type("taps", taps, (list, tuple, type(None)), "a list of module paths, such as ['model.layers.*.mlp']")
        if shape is not None:
            check_shape("shape", shape)
        check_seed(seed)
        check_choice("layout", layout, get_args(Layout))
        rng = np.random.default_rng(seed)
        patterns = architecture_of(model).taps(model) if taps is None else taps
        widths = tap_widths(model, find_taps(model, patterns))
        if layout != "per_tap":
            return cls({CORTEX: one_sheet(widths, layout, shape, spacing_mm, rng)})
        sheets = {}
        for tap, width in widths.items():
            try:
                tap_shape = shape or square_shape(width)
                places = {tap: random_places(width, tap_shape, rng)}
            except UserError as error:
                raise UserError(f"{tap}: {error}") from None
            sheets[tap] = Sheet(shape=tap_shape, places=places, spacing_mm=spacing_mm)
        return cls(sheets=sheets)

    @property
    def taps(self) -> list[str]:
        """The names of the taps, sheet after sheet. Arrays over units have the units of the taps in this order."""
        return [tap for sheet in self.sheets.values() for tap in sheet.places]

    @property
    def widths(self) -> dict[str, int]:
        """Number of units of each tap."""
        return {tap: len(places) for sheet in self.sheets.values() for tap, places in sheet.places.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each sheet, in cells."""
        return {name: sheet.shape for name, sheet in self.sheets.items()}

    def record(self, model: nn.Module) -> AbstractContextManager[Activations]:
        """Give a dict that each forward pass fills with the activations of the taps: {tap: (batch, time, units)}.

        The dict stays filled after the context. Each new forward pass empties it first. If a tap has a basis, the
        activations are those of its units. Gradients flow through the basis, and the model is unchanged.

        Raises:
            UserError: A tap runs more than once in a forward pass, or its basis has another width. The forward pass
                raises the error, and the message names the tap.
        """
        return record(model, self.taps, self.bases_for(model))

    def bases_for(self, model: nn.Module) -> dict[str, Float[Tensor, "_ _"]]:
        """Return the bases as tensors in float32, each on the device of its tap. A device gets each basis once.

        Args:
            model: The model of this topography.
        """
        tensors = {}
        for tap, basis in self.bases.items():
            weights = [*model.get_submodule(module_path(tap)).parameters(), *model.parameters()]
            device = weights[0].device if weights and not weights[0].is_meta else torch.device("cpu")
            if (id(basis), device) not in self._on_device:
                with torch.inference_mode(False):  # autograd cannot use tensors that were made in inference mode
                    self._on_device[id(basis), device] = torch.tensor(basis, device=device)
            tensors[tap] = self._on_device[id(basis), device]
        return tensors

    @cached_property
    def _on_device(self) -> dict[tuple[int, torch.device], Tensor]:
        """The tensor of each basis, by the id of its array and by device."""
        return {}

    @cached_property
    def digests_of_bases(self) -> dict[str, bytes]:
        """The SHA-256 hash of the numbers of each basis: {tap: hash}. Equal bases have equal hashes."""
        digests = {id(basis): hashlib.sha256(basis.tobytes()).digest() for basis in self.bases.values()}
        return {tap: digests[id(basis)] for tap, basis in self.bases.items()}

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the input weights of the units of each tap: {tap: (inputs, units)}. Objectives on weights take them.

        These are the weights of the last linear layer inside the tap that has as many outputs as the tap has units. If
        the tap has a basis Q, these weights W (inputs, coordinates) become those of its units, W Q'.

        Raises:
            UserError: A tap contains no such linear layer, or it is a residual stream. The message names the tap.
        """
        weights = output_weights(model, self.widths)
        for tap, basis in self.bases_for(model).items():
            weights[tap] = units_of(weights[tap], basis)
        return weights

    def check(self, model: nn.Module) -> None:
        """Refuse a model that this topography does not fit. The model runs on two short texts.

        Raises:
            UserError: The model lacks a tap, or a tap has another number of units. The message names the tap.
        """
        self.check_taps(model)
        for tap, width in tap_widths(model, self.taps).items():
            if width != self.widths[tap]:
                raise UserError(f"the topography has {self.widths[tap]} units of {tap}, but the model has {width}")

    def check_taps(self, model: nn.Module) -> None:
        """Refuse a model that lacks a tap of this topography. The model is not run.

        Raises:
            UserError: The model lacks a tap. The message names the tap.
        """
        module_names = {name for name, _ in model.named_modules()}
        if unknown := [tap for tap in self.taps if module_path(tap) not in module_names]:
            raise UserError(f"the topography has a tap {unknown[0]}, which {type(model).__name__} does not have")

    def unit_coordinates(self) -> dict[str, tuple[str, np.ndarray]]:
        """Return the coordinates of all units for xarray: `tap`, `sheet`, `y`, `x` (cells) and `spacing_mm`."""
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
        """Return values of units as one map for each sheet: {sheet: (..., y, x)}.

        Args:
            values: An array with the dimension `unit` and the coordinates of units, for example `comparison.t` or the
                result of `respond`. It may lack some units of a sheet.

        Returns:
            A map for each sheet. A cell is nan if it has no unit, or if `values` lacks its unit. A cell that several
            units share shows their mean, or their largest number if the values are integers or booleans (labels and
            masks).

        Raises:
            UserError: `values` has units on a sheet that this topography does not have.
        """
        check_type("values", values, xr.DataArray, "an array over units, such as comparison.t")
        for name in dict.fromkeys(values["sheet"].values.tolist()):
            if name not in self.sheets:
                raise UserError(f"the values have a sheet {name!r}; the topography has the sheets {list(self.sheets)}")
        return on_sheets(values, self.shapes, "mean" if values.dtype.kind == "f" else "largest")
