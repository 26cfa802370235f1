"""Maps in GIFTI files. A file can have several arrays, and not every array is a map of a statistic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toposheet.brain.images import choose_map, open_image
from toposheet.brain.meshes import FOR_BRAINS
from toposheet.brain.vertices import in_order_of_mesh, is_list_of_vertices
from toposheet.errors import UserError
from toposheet.packages import import_package

_NODES = "the numbers of vertices (NODE_INDEX)"
_INTEGERS = "integers, such as labels of areas (a statistic must be stored as float32)"
_LABELS = "a label map (its numbers stand for areas)"
_COLOURS = "colours"
_VECTORS = "vectors"
_NO_STATISTICS = {
    "NIFTI_INTENT_NODE_INDEX": _NODES,
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

_PADDED = ". To add missing vertices, use for example ConvertDset -pad_to_node of AFNI"


def read_gifti(path: Path, hemisphere: str, which: int | None) -> tuple[np.ndarray, str]:
    """Return a map from a GIFTI file, and the name of the map.

    Arrays that are not maps of a statistic are skipped. An array of an integer type is a map only if its intent names a
    statistic. If the file has the number of each vertex (an array NODE_INDEX, as AFNI writes it, or an array that can
    hold nothing else), the values are sorted into the order of the mesh.

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
    kinds = [_kind(array, image) for array in arrays]
    maps = [array for array, kind in zip(arrays, kinds, strict=True) if kind is None]
    if arrays and not maps:
        what = ", ".join(dict.fromkeys(map(str, kinds)))
        raise UserError(
            f"{path} has no map of a statistic; it has {what}. Give a file with one number for each vertex, "
            "for example t"
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
    lists = [array for array, kind in zip(arrays, kinds, strict=True) if kind == _NODES]
    nodes = [array.data for array in lists if _intent(array) == "NIFTI_INTENT_NODE_INDEX"] or [a.data for a in lists]
    values = np.asarray(array.data)
    if values.dtype.kind in "iu":  # its intent names a statistic
        values = values.astype(np.float64)
    if len(nodes) > 1:
        raise UserError(f"{path} has {len(nodes)} lists of vertex numbers (NODE_INDEX): keep only one list")
    if nodes:
        values = in_order_of_mesh(path, values, nodes[0], "NODE_INDEX", _PADDED)
    return values, names[number]


def _kind(array: Any, image: Any) -> str | None:
    """Return what an array has, in words. None: a map of a statistic."""
    values, intent = np.asarray(array.data), _intent(array)
    if intent in _NO_STATISTICS:
        return _NO_STATISTICS[intent]
    if _has_labels(values, image.labeltable.labels):
        return _LABELS
    if array.intent in _STATISTICS:
        return None
    if is_list_of_vertices(values):
        return _NODES
    return _INTEGERS if values.dtype.kind in "iu" else None


def _intent(array: Any) -> str:
    """Return the intent of an array: the name that NIfTI gives to its code."""
    return import_package("nibabel.nifti1", *FOR_BRAINS).intent_codes.niistring[array.intent]


_STATISTICS = range(2, 25)  # codes of intents that name a statistic, from CORREL to LOG10PVAL (nifti1.h)


def _has_labels(values: np.ndarray, table: Sequence[Any]) -> bool:
    """Return whether an array without the intent LABEL has labels of areas. Some programs write labels as floats.

    Args:
        values: The array.
        table: The table of labels in the file. With one label or none, there are no areas.
    """
    if len(table) < 2:
        return False
    keys = [0, *(label.key for label in table)]  # 0 means no area, even if the table does not say so
    if values.dtype.kind in "iu":
        return True
    known = values[~np.isnan(values)]
    return known.size > 0 and bool(np.isin(known, keys).all())
