"""Values in the order of the vertices of a mesh, for files that list the number of the vertex of each value."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toposheet.errors import UserError
from toposheet.wording import counted


def is_list_of_vertices(numbers: np.ndarray) -> bool:
    """Return whether numbers are those of vertices: no statistic and no labels have such values.

    They are whole numbers from 0 on. At least half of them differ, if their type is an integer type. If it is not, they
    are the numbers 0 to n - 1 in any order, or each number is larger than the one before.

    Args:
        numbers: An array of any type and shape.
    """
    numbers = np.atleast_1d(np.squeeze(numbers))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf" or len(numbers) < 2 or not np.isfinite(numbers).all():
        return False
    if (numbers < 0).any() or (numbers % 1 != 0).any():
        return False
    distinct = np.unique(numbers)
    if numbers.dtype.kind in "iu":
        return 2 * len(distinct) >= len(numbers)
    return np.array_equal(distinct, np.arange(len(numbers))) or bool((np.diff(numbers) > 0).all())


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
            f"{path} has {counted(vertices.size, 'vertex number')} ({name}) but {counted(len(values), 'value')}: "
            "write a file with one vertex number for each value"
        )
    if vertices.dtype.kind not in "iuf" or not np.array_equal(np.sort(vertices), np.arange(len(vertices))):
        raise UserError(
            f"{path} lists {counted(len(vertices), 'vertex', 'vertices')} ({name}), but some vertices of the "
            f"mesh are missing or are listed twice. A map needs one value for every vertex, with the numbers 0 to "
            f"{len(vertices) - 1:,}{advice}"
        )
    ordered = np.empty_like(values)
    ordered[vertices.astype(np.int64)] = values
    return ordered
