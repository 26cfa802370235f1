"""Positions of units in the format of TopoLM's published code: one pickle for each tap."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from toposheet.errors import NotFound, UserError, listed
from toposheet.importing.pickled_arrays import NAMES, array_of
from toposheet.importing.pickles import Made, read_pickle
from toposheet.importing.places import LARGEST, check_within, whole_numbers
from toposheet.importing.unreadable import Unreadable, shown
from toposheet.sheet import Sheet
from toposheet.sheet.neighborhoods import table_of_windows
from toposheet.wording import counted

_RECORD = "positions.LayerPositions"
KINDS = ("attn", "mlp")


def read_positions(folder: Path, layers: int, width: int, taps: dict[str, str]) -> dict[str, Sheet]:
    """Return the sheet of each tap: {tap: sheet}. Nothing in the files is run.

    The first coordinate is the row, the second the column, as in the published figures. Units may share a cell. The
    stored windows (`neighborhood_indices`) become those of the sheet.

    Args:
        folder: The folder with a file `layer.N.attn.pkl` and a file `layer.N.mlp.pkl` for each layer N.
        layers: Number of layers of the model.
        width: Number of units of each tap of the model.
        taps: The tap of each file: {name of the file without .pkl: tap}.

    Raises:
        NotFound: The folder does not exist, or it lacks files.
        UserError: The folder has positions of other taps, or a file is damaged, does not fit the model, or holds other
            objects than positions.
    """
    if not folder.is_dir():
        raise NotFound(
            f"there is no folder {folder}: give the folder with the files layer.N.attn.pkl and layer.N.mlp.pkl"
        )
    present = {path.name.removesuffix(".pkl") for path in folder.glob("*.pkl")}
    if missing := [f"{name}.pkl" for name in taps if name not in present]:
        raise NotFound(
            f"{folder} lacks {counted(len(missing), 'file')} for a model of {counted(layers, 'layer')}: "
            f"{listed(missing, at_most=4)}"
        )
    if others := sorted(present - set(taps)):
        layer = any(re.fullmatch(rf"layer\.\d+\.({'|'.join(KINDS)})", name) for name in others)
        what = f"positions of more than the {layers} layers of the model" if layer else "other positions than expected"
        raise UserError(f"{folder} holds {what}: {listed([f'{name}.pkl' for name in others], at_most=4)}")
    return {tap: _read_sheet(folder / f"{name}.pkl", name, width, tap) for name, tap in taps.items()}


def _read_sheet(path: Path, name: str, width: int, tap: str) -> Sheet:
    """Return the sheet that a file of positions describes.

    Args:
        path: The file.
        name: The name that the positions must have.
        width: Number of units of the tap in the model.
        tap: The tap.
    """
    if not path.is_file():  # a pipe would wait for ever
        what = "a folder" if path.is_dir() else "no file"
        raise UserError(f"{path} is {what}: there must be the file of positions that has this name")
    try:
        fields = _fields(read_pickle(path.read_bytes(), NAMES | {_RECORD}))
        if fields["name"] != name:
            raise Unreadable(f"holds the positions of {shown(fields['name'])}: it must hold those of {name!r}")
        coordinates = array_of(fields["coordinates"])
        if coordinates.shape != (width, 2):
            raise Unreadable(
                f"has coordinates of shape {coordinates.shape}, but the model has {width} units in each tap: they must "
                f"be ({width}, 2)"
            )
        places, shape = _places(coordinates, fields.get("dims"))
        windows = None
        if fields["neighborhood_indices"] is not None:
            windows = _windows(array_of(fields["neighborhood_indices"]), width)
    except Unreadable as error:
        raise UserError(f"{path} {error}") from None
    shared = len(np.unique(places, axis=0)) < width
    try:
        return Sheet(shape, {tap: places}, shared_cells=shared, windows=windows)
    except UserError as error:
        raise UserError(f"{path} cannot be imported: {error}") from None


def _fields(record: Any) -> dict[str, Any]:
    """Return the fields of the record of positions."""
    if not isinstance(record, Made) or record.maker != _RECORD or not isinstance(record.state, dict):
        raise Unreadable(f"holds no record of the class {_RECORD}")
    if missing := [name for name in ("name", "coordinates", "neighborhood_indices") if name not in record.state]:
        raise Unreadable(f"lacks {missing[0]}, which positions must have")
    return record.state


def _places(coordinates: Num[np.ndarray, "units 2"], dims: Any) -> tuple[Int[np.ndarray, "units 2"], tuple[int, int]]:
    """Return the places of the units, and the height and width of their sheet.

    Args:
        coordinates: The stored coordinates, which may be floating-point numbers.
        dims: The stored height and width of the sheet. Anything else, such as the shape of a convolution: the sheet is
            a square with as many cells as units, as in the published code. If their number is not a square, it
            ends at the largest coordinates.
    """
    places = whole_numbers(coordinates, "coordinates")
    side = math.isqrt(len(places))
    if isinstance(dims, tuple | list) and len(dims) == 2 and all(type(n) is int and n > 0 for n in dims):
        if max(dims) >= LARGEST:
            raise Unreadable("has dims that are too large")
        shape = (dims[0], dims[1])
    elif side * side == len(places):
        shape = (side, side)
    else:
        shape = (int(places[:, 0].max()) + 1, int(places[:, 1].max()) + 1)
    check_within(places, shape, len(places))
    return places, shape


def _windows(stored: Num[np.ndarray, ...], width: int) -> Int[np.ndarray, "windows units"]:
    """Return stored windows as numbers of units, with -1 where a window has fewer units than others.

    Args:
        stored: For each window a mask over the units (as the published code writes them), or the numbers of its units.
        width: Number of units.
    """
    if stored.ndim != 2 or 0 in stored.shape:
        raise Unreadable(f"has windows (neighborhood_indices) of shape {stored.shape}: they must be (windows, units)")
    numbers = whole_numbers(stored, "windows (neighborhood_indices)")
    if numbers.shape[1] != width or not np.isin(numbers, (0, 1)).all():
        ordered = np.sort(numbers, axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
            raise Unreadable("has a window (neighborhood_indices) that names a unit twice")
        return numbers
    return table_of_windows([np.flatnonzero(mask) for mask in numbers])
