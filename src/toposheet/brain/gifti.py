"""Maps in GIFTI files: which of the arrays are statistics, and of which vertices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from toposheet.brain.images import choose_map, open_image
from toposheet.brain.meshes import FOR_BRAINS
from toposheet.errors import UserError
from toposheet.packages import import_package

_LABELS = "a label map: its numbers are names of areas"
_COLOURS = "colours"
_VECTORS = "vectors"
_NO_STATISTICS = {
    "NIFTI_INTENT_POINTSET": "the vertices of a mesh",
    "NIFTI_INTENT_TRIANGLE": "the triangles of a mesh",
    "NIFTI_INTENT_LABEL": _LABELS,
    "NIFTI_INTENT_NEURONAME": _LABELS,
    "NIFTI_INTENT_RGB_VECTOR": _COLOURS,
    "NIFTI_INTENT_RGBA_VECTOR": _COLOURS,
    "NIFTI_INTENT_VECTOR": _VECTORS,
    "NIFTI_INTENT_DISPVECT": _VECTORS,
    "NIFTI_INTENT_QUATERNION": _VECTORS,
    "NIFTI_INTENT_GENMATRIX": "matrices",
    "NIFTI_INTENT_SYMMATRIX": "matrices",
}
"""Arrays of GIFTI that hold no number of interest for each vertex, by their intent."""

_NODES = "NIFTI_INTENT_NODE_INDEX"


def read_gifti(path: Path, hemisphere: str, which: int | None) -> tuple[np.ndarray, str]:
    """Return a map of a GIFTI file and its name. Arrays that are no statistics are passed over.

    Where the file numbers its vertices (NODE_INDEX, as AFNI writes it), the values are put in the order of the mesh.

    Args:
        path: The file.
        hemisphere: `"left"` or `"right"`.
        which: Which of its maps, from 0. None: the only one.

    Raises:
        NotFound: nibabel is not installed.
        UserError: the file cannot be read, has no such map, is of the other hemisphere, or lists some of the vertices.
    """
    image = open_image(path)
    arrays = getattr(image, "darrays", None)
    if arrays is None:
        raise UserError(f"{path} is no GIFTI file: it holds a {type(image).__name__}")
    maps, others = [], []
    for array in arrays:
        kind = _kind(array, image)
        if kind is None:
            maps.append(array)
        elif kind != _NODES:
            others.append(kind)
    if others and not maps:
        raise UserError(
            f"{path} holds no statistic, but {', '.join(dict.fromkeys(others))}: give a file with one number of "
            "interest for each vertex, such as t"
        )
    names = [array.meta.get("Name") or f"data array {number}" for number, array in enumerate(maps)]
    number = choose_map(path, names, which)
    array = maps[number]
    structure = array.meta.get("AnatomicalStructurePrimary", image.meta.get("AnatomicalStructurePrimary", ""))
    other = {"left": "right", "right": "left"}[hemisphere]
    if structure == f"Cortex{other.capitalize()}":
        raise UserError(f"{path} is of the {other} hemisphere, says the file; asked for is the {hemisphere} one")
    nodes = [array.data for array in arrays if _kind(array, image) == _NODES]
    values = np.asarray(array.data)
    return (_in_order_of_mesh(path, values, nodes) if nodes else values), names[number]


def _kind(array: Any, image: Any) -> str | None:
    """Return what an array holds in words, `NODE_INDEX` for numbers of vertices, None for a statistic."""
    intent = import_package("nibabel.nifti1", *FOR_BRAINS).intent_codes.niistring[array.intent]
    if intent == _NODES:
        return _NODES
    whole_numbers = np.asarray(array.data).dtype.kind in "iu"
    if whole_numbers and len(image.labeltable.labels) > 1:  # some programs write areas without saying LABEL
        return _LABELS
    return _NO_STATISTICS.get(intent)


def _in_order_of_mesh(path: Path, values: np.ndarray, nodes: list[np.ndarray]) -> np.ndarray:
    """Return values in the order of the vertices of the mesh.

    Args:
        path: The file, for the message.
        values: In the order of the file.
        nodes: The arrays of the file that number vertices.

    Raises:
        UserError: there are several such arrays, they do not fit the values, or they leave vertices out.
    """
    if len(nodes) > 1:
        raise UserError(f"{path} numbers its vertices {len(nodes)} times (NODE_INDEX): keep one list")
    vertices, values = np.squeeze(nodes[0]), np.squeeze(values)
    if vertices.shape != values.shape[:1]:
        raise UserError(
            f"{path} numbers {vertices.size:,} vertices (NODE_INDEX) and has {len(np.atleast_1d(values)):,} values: "
            "write both anew"
        )
    if not _all_vertices(vertices):
        raise UserError(
            f"{path} lists {len(vertices):,} vertices, not all of a mesh or not each once (NODE_INDEX): a map needs a "
            "value for every vertex. Pad it first, e.g. with ConvertDset -pad_to_node of AFNI"
        )
    ordered = np.empty_like(values)
    ordered[vertices.astype(np.int64)] = values
    return ordered


def _all_vertices(vertices: Int[np.ndarray, " vertices"]) -> bool:
    """Return whether each number from 0 on is there once."""
    return bool(np.array_equal(np.sort(vertices), np.arange(len(vertices))))
