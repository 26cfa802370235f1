"""Maps in GIFTI files. A file can have several arrays, and not every array is a map of a statistic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from toposheet.brain.images import choose_map, open_image
from toposheet.brain.meshes import FOR_BRAINS
from toposheet.errors import UserError
from toposheet.packages import import_package

_LABELS = "a label map (its numbers stand for areas)"
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
"""Intents of arrays that are not maps of a statistic, with what such an array has, in words."""

_NODES = "NIFTI_INTENT_NODE_INDEX"


def read_gifti(path: Path, hemisphere: str, which: int | None) -> tuple[np.ndarray, str]:
    """Return a map from a GIFTI file, and the name of the map.

    Arrays that are not maps of a statistic are skipped. If the file has the number of each vertex (an array NODE_INDEX,
    as AFNI writes it), the values are sorted into the order of the mesh.

    Args:
        path: The file.
        hemisphere: `"left"` or `"right"`.
        which: Index of the map, starting at 0. None: the file must have exactly one map.

    Raises:
        NotFound: nibabel is not installed.
        UserError: The file cannot be read, does not have the map, belongs to the other hemisphere, or does not have a
            value for every vertex.
    """
    image = open_image(path)
    arrays = getattr(image, "darrays", None)
    if arrays is None:
        raise UserError(f"{path} is not a GIFTI file: it has a {type(image).__name__}; give a GIFTI file (.gii)")
    maps, others = [], []
    for array in arrays:
        kind = _kind(array, image)
        if kind is None:
            maps.append(array)
        elif kind != _NODES:
            others.append(kind)
    if others and not maps:
        raise UserError(
            f"{path} has no map of a statistic; it has {', '.join(dict.fromkeys(others))}. Give a file with one number "
            "for each vertex, for example t"
        )
    names = [array.meta.get("Name") or f"data array {number}" for number, array in enumerate(maps)]
    number = choose_map(path, names, which)
    array = maps[number]
    structure = array.meta.get("AnatomicalStructurePrimary", image.meta.get("AnatomicalStructurePrimary", ""))
    other = {"left": "right", "right": "left"}[hemisphere]
    if structure == f"Cortex{other.capitalize()}":
        raise UserError(
            f"{path} is a map of the {other} hemisphere, but you chose {hemisphere}: choose the hemisphere {other!r}"
        )
    nodes = [array.data for array in arrays if _kind(array, image) == _NODES]
    values = np.asarray(array.data)
    return (_in_order_of_mesh(path, values, nodes) if nodes else values), names[number]


def _kind(array: Any, image: Any) -> str | None:
    """Return what an array has, in words; None for a map of a statistic, the intent NODE_INDEX for vertex numbers."""
    intent = import_package("nibabel.nifti1", *FOR_BRAINS).intent_codes.niistring[array.intent]
    if intent == _NODES:
        return _NODES
    whole_numbers = np.asarray(array.data).dtype.kind in "iu"
    if whole_numbers and len(image.labeltable.labels) > 1:  # some programs do not write the intent LABEL
        return _LABELS
    return _NO_STATISTICS.get(intent)


def _in_order_of_mesh(path: Path, values: np.ndarray, nodes: list[np.ndarray]) -> np.ndarray:
    """Return values in the order of the vertices of the mesh.

    Args:
        path: The file, for the error message.
        values: The values, in the order of the file.
        nodes: The arrays of the file with the intent NODE_INDEX: the number of the vertex of each value.

    Raises:
        UserError: There are several such arrays, an array does not have as many numbers as there are values, or a
            vertex is missing or listed twice.
    """
    if len(nodes) > 1:
        raise UserError(f"{path} has {len(nodes)} lists of vertex numbers (NODE_INDEX): keep only one list")
    vertices, values = np.squeeze(nodes[0]), np.squeeze(values)
    if vertices.shape != values.shape[:1]:
        raise UserError(
            f"{path} has {vertices.size:,} vertex numbers (NODE_INDEX) but {len(np.atleast_1d(values)):,} values: "
            "write a file with one vertex number for each value"
        )
    if not _all_vertices(vertices):
        raise UserError(
            f"{path} lists {len(vertices):,} vertices (NODE_INDEX), but some vertices of the mesh are missing or are "
            "listed twice. A map needs one value for every vertex. To add missing vertices, use for example "
            "ConvertDset -pad_to_node of AFNI"
        )
    ordered = np.empty_like(values)
    ordered[vertices.astype(np.int64)] = values
    return ordered


def _all_vertices(vertices: Int[np.ndarray, " vertices"]) -> bool:
    """Return True if the numbers are 0 to n - 1, each exactly once."""
    return bool(np.array_equal(np.sort(vertices), np.arange(len(vertices))))
