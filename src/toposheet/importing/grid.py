"""Sheets of one's own: a file with the coordinates of the units of each tap, all on one sheet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from toposheet.errors import NotFound, UserError
from toposheet.files import path_of
from toposheet.importing.places import check_within, whole_numbers
from toposheet.importing.unreadable import Unreadable, shown
from toposheet.sheet import Sheet, check_shape
from toposheet.subject import Subject
from toposheet.subject.checkpoint import attach_topography
from toposheet.topography import Topography, find_taps
from toposheet.topography.topography import CORTEX

_LONGEST_PATH = 200


def import_grid(model: str | Path, coordinates: str | Path, *, shape: tuple[int, int] | None = None) -> Subject:
    """Return a subject: a causal language model, with one sheet, named `cortex`, on which all of its taps lie.

    The taps get the order of the network, whatever their order in the file is.

    Args:
        model: A folder, the id of a model on the Hugging Face hub, or a GGUF file of llama.cpp.
        coordinates: A safetensors file with an array for each tap: its name is the path of the module
            (`model.layers.3`), and its rows hold row and column of each unit, as whole numbers (units, 2). Several
            units may share a cell; maps then show their mean.
        shape: Height and width of the sheet, in cells. None: the sheet ends at the largest coordinates.

    Raises:
        NotFound: The file or the model does not exist, or the hub cannot be reached.
        UserError: The file is no such file or is damaged, coordinates are no cells of the sheet, or a tap or its number
            of units does not fit the model. The message names the tap.

    Example:
        subject = ts.import_grid("Qwen/Qwen2.5-3B", "coordinates.safetensors")
        ts.save("one-sheet", subject)
    """
    if shape is not None:
        check_shape("shape", shape)
    path = path_of(coordinates, "coordinates")
    if not path.is_file():
        raise NotFound(f"there is no file {path}: give a safetensors file with coordinates for each tap")
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError):
        raise UserError(f"{path} is no safetensors file, or it is damaged: copy or write it again") from None
    try:
        sheet = _sheet(arrays, shape)
    except Unreadable as error:
        raise UserError(f"{path} {error}") from None
    subject = attach_topography(model, Topography({CORTEX: sheet}))
    with subject.running() as network:
        taps = find_taps(network, list(sheet.places))
    in_order = replace(sheet, places={tap: sheet.places[tap] for tap in taps})
    return subject.with_topography(Topography({CORTEX: in_order}))


def _sheet(arrays: dict[str, np.ndarray], shape: tuple[int, int] | None) -> Sheet:
    """Return the sheet on which the units of all taps have their coordinates."""
    for tap, array in arrays.items():
        if not tap.isprintable() or len(tap) > _LONGEST_PATH:
            raise Unreadable(f"has an array {shown(tap)}, which is no path of a module")
        if array.ndim != 2 or array.shape[1] != 2 or not len(array) or array.dtype.kind not in "iuf":
            raise Unreadable(
                f"has an array {tap} of {array.dtype} of shape {array.shape}: it must be whole numbers (units, 2), row "
                "and column of each unit of the tap"
            )
    if not arrays:
        raise Unreadable("holds no coordinates")
    places = {tap: whole_numbers(array, f"coordinates of {tap}") for tap, array in arrays.items()}
    all_places = np.concatenate(list(places.values()))
    height, width = (all_places.max(axis=0) + 1).tolist() if shape is None else shape
    check_within(all_places, (height, width), len(all_places))
    shared = len(np.unique(all_places, axis=0)) < len(all_places)
    return Sheet((height, width), places, shared_cells=shared)
