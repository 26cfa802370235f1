"""Export of sheets as flat surfaces that neuroimaging programs can open."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Int

from toposheet.brain.meshes import FOR_BRAINS
from toposheet.cortex import Comparison
from toposheet.errors import UserError, check_type
from toposheet.files import folder_aside, free_file_name, path_of
from toposheet.packages import import_package
from toposheet.progress import Progress
from toposheet.provenance import reading_attributes, reading_of
from toposheet.settings import READING, Reading
from toposheet.sheet import Sheet
from toposheet.stimuli.contrasts import Contrast
from toposheet.subject import Subject, respond
from toposheet.topography import Topography


def export_sheet(topo: Topography, values: xr.DataArray, folder: str | Path) -> list[Path]:
    """Write maps of units as GIFTI surfaces, the format of Connectome Workbench, nilearn and FreeSurfer.

    Each sheet gives two files: a flat mesh `SHEET.surf.gii`, and its maps `SHEET.func.gii`. A sheet with several taps
    has a third file, `SHEET.label.gii`, with the tap of each vertex (if units share a cell, the first tap). Each cell
    with a unit, of any tap of the sheet, is a vertex. Vertices are numbered row by row. The vertex of row y and column
    x lies at (x * spacing, -y * spacing, 0) mm, so from above the sheet looks as in our figures, with the first row on
    top. Four units in a square of cells make two triangles; three units make one triangle. Cells without a unit are
    holes. The programs do not know sheets, so the files are labelled `CortexLeft`. The metadata of the maps have the
    reading, if the values have it.

    Args:
        topo: The topography, with the place of each unit.
        values: Values over `unit` with its coordinates, for example `comparison.t` or the result of `respond`. If there
            are other dimensions, each of their entries becomes a data array with the name of the entry. Units that are
            missing in `values` get nan.
        folder: Folder of the files. Existing files with the same names are replaced; other files stay. Each file has
            the name of its sheet, see `free_file_name`.

    Returns:
        The files: mesh and maps of each sheet, and its labels if it has several taps.

    Raises:
        UserError: The values do not belong to units of this topography, or a sheet has no three units in a square of
            four cells.
        NotFound: nibabel is not installed.
    """
    check_type("topo", topo, Topography, "a toposheet.Topography: subject.topography")
    check_type("values", values, xr.DataArray, "an array over units, such as comparison.t")
    if missing := {"unit", "sheet", "y", "x"} - {*values.dims, *values.coords}:
        raise UserError(
            f"the values have no {', '.join(sorted(missing))}: give values over units, e.g. comparison.t or responses"
        )
    folder = path_of(folder)
    gifti = import_package("nibabel", *FOR_BRAINS).gifti
    structure = {"AnatomicalStructurePrimary": "CortexLeft"}
    reading = reading_attributes(reading_of(values))

    def array(data: np.ndarray, intent: str, **meta: str) -> Any:
        kind = "NIFTI_TYPE_FLOAT32" if data.dtype.kind == "f" else "NIFTI_TYPE_INT32"
        data = data.astype(np.float32 if data.dtype.kind == "f" else np.int32)
        return gifti.GiftiDataArray(data, f"NIFTI_INTENT_{intent}", kind, meta=gifti.GiftiMetaData(meta))

    files: dict[str, bytes] = {}
    taken: set[str] = set()
    for sheet, grid in topo.to_grid(values).items():
        occupied = np.zeros(topo.sheets[sheet].shape, dtype=bool)
        occupied[tuple(topo.sheets[sheet].coordinates.T)] = True
        if not len(triangles := _triangles(occupied)):
            raise UserError(f"the sheet {sheet} has no three units in a square of four cells, so it gives no surface")
        y, x = np.nonzero(occupied)
        points = np.stack([x, -y, 0 * x], axis=1) * float(topo.sheets[sheet].spacing_mm)
        points = array(points, "POINTSET", **structure, GeometricType="Flat")
        mesh = gifti.GiftiImage(darrays=[points, array(triangles, "TRIANGLE", TopologicalType="Cut")])
        maps = grid.values[..., occupied].reshape(-1, len(y))
        maps = [array(one, "NORMAL", Name=name) for one, name in zip(maps, _map_names(grid), strict=True)]
        meta = gifti.GiftiMetaData(structure | {name: str(value) for name, value in reading.items()})
        name = free_file_name(sheet, taken)
        files[f"{name}.surf.gii"] = mesh.to_bytes()
        files[f"{name}.func.gii"] = gifti.GiftiImage(darrays=maps, meta=meta).to_bytes()
        if len(topo.sheets[sheet].places) > 1:
            taps = [array(_numbers_of_taps(topo.sheets[sheet])[occupied], "LABEL", Name="tap")]
            table, meta = _label_table(gifti, list(topo.sheets[sheet].places)), gifti.GiftiMetaData(structure)
            files[f"{name}.label.gii"] = gifti.GiftiImage(darrays=taps, labeltable=table, meta=meta).to_bytes()
    with folder_aside(folder) as aside:
        for name, content in files.items():
            (aside / name).write_bytes(content)
    return [folder / name for name in files]


def export_maps(
    subject: Subject,
    stimuli: pd.DataFrame,
    contrasts: Sequence[Contrast],
    out: Path,
    *,
    reading: Reading = READING,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the sheets of a subject as flat surfaces with its t-maps, and return the files.

    Args:
        subject: The subject.
        stimuli: The texts.
        contrasts: The contrasts. Each gives one map.
        out: Folder of the files.
        reading: How the subject reads a text.
        cache: Folder for responses. Stored responses are read again, new ones are written. None: no cache.
        progress: A function that is called with the number of texts read so far. None: no calls.
    """
    import_package("nibabel", *FOR_BRAINS)
    for contrast in contrasts:
        contrast.check(stimuli)
    responses = respond(subject, stimuli, reading=reading, cache=cache, progress=progress)
    maps = [Comparison(responses, contrast).t for contrast in contrasts]
    names = xr.DataArray([contrast.name for contrast in contrasts], dims="contrast", name="contrast")
    return export_sheet(subject.topography, xr.concat(maps, dim=names, combine_attrs="drop_conflicts"), out)


def _triangles(occupied: Bool[np.ndarray, "y x"]) -> Int[np.ndarray, "faces 3"]:
    """Return the triangles of a sheet, counter-clockwise as seen from above, so that the normals point up."""
    vertex = np.where(occupied, np.cumsum(occupied).reshape(occupied.shape) - 1, -1)
    corners = [vertex[:-1, :-1], vertex[1:, :-1], vertex[1:, 1:], vertex[:-1, 1:]]
    squares = np.stack(corners, axis=-1).reshape(-1, 4)
    corners = (squares >= 0).sum(axis=1)
    whole, cut = squares[corners == 4], squares[corners == 3]
    return np.concatenate([whole[:, [0, 1, 2]], whole[:, [0, 2, 3]], cut[cut >= 0].reshape(-1, 3)])


def _numbers_of_taps(sheet: Sheet) -> Int[np.ndarray, "y x"]:
    """Return the number of the tap of each cell of a sheet, from 1; 0 where no unit is."""
    numbers = np.zeros(sheet.shape, dtype=np.int64)
    for number, places in reversed(list(enumerate(sheet.places.values(), 1))):
        numbers[tuple(places.T)] = number
    return numbers


def _label_table(gifti: Any, taps: Sequence[str]) -> Any:
    """Return a table with the name and a colour of each number: the taps from 1, and 0 for none."""
    table = gifti.GiftiLabelTable()
    for number, name in enumerate(["???", *taps]):  # Workbench calls what has no label ???
        rgb = colorsys.hsv_to_rgb((number - 1) / len(taps), 0.6, 0.9) if number else (1.0, 1.0, 1.0)
        label = gifti.GiftiLabel(number, *rgb, 1.0 if number else 0.0)
        label.label = name
        table.labels.append(label)
    return table


def _map_names(grid: xr.DataArray) -> list[str]:
    """Return a name for each map of a stack (..., y, x)."""
    leading = [[str(label) for label in grid[dim].values] for dim in grid.dims[:-2]]
    return [", ".join(labels) for labels in itertools.product(*leading)] if leading else [str(grid.name or "value")]
