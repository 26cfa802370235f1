"""Values in the order of the vertices of a mesh, for files that list the number of the vertex of each value."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toposheet.errors import UserError


def in_order_of_mesh(path: Path, values: np.ndarray, vertices: np.ndarray, name: str, advice: str = "") -> np.ndarray:
    """Return values in the order of the vertices of the mesh.

    Args:
        path: The file, for the error message.
        values: The values, in the order of the file.
        vertices: The number of the vertex of each value, from 0.
        name: Name of the list of vertex numbers in the file, for the error message.
        advice: A sentence for the end of the message about missing vertices.

    Raises:
        UserError: The list does not have as many numbers as there are values, or a vertex is missing or listed twice.
    """
    vertices, values = np.atleast_1d(np.squeeze(vertices)), np.atleast_1d(np.squeeze(values))
    if vertices.shape != values.shape[:1]:
        raise UserError(
            f"{path} has {vertices.size:,} vertex numbers ({name}) but {len(values):,} values: "
            "write a file with one vertex number for each value"
        )
    if vertices.dtype.kind not in "iuf" or not np.array_equal(np.sort(vertices), np.arange(len(vertices))):
        raise UserError(
            f"{path} lists {len(vertices):,} vertices ({name}), but some vertices of the mesh are missing or are "
            f"listed twice. A map needs one value for every vertex, with the numbers 0 to {len(vertices) - 1:,}{advice}"
        )
    ordered = np.empty_like(values)
    ordered[vertices.astype(np.int64)] = values
    return ordered
