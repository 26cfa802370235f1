"""Recordings: a measured value for each stimulus and each voxel, read from a file or given as an array."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import xarray as xr

from toposheet.errors import NotFound, UserError, check_type, first_line, listed
from toposheet.files import path_of
from toposheet.stimuli.labels import plain_label
from toposheet.stimuli.rows import read_rows

REPETITION = "repetition"
"""The dimension of a recording in which its stimuli were measured several times, and the column of a file for it."""


def read_recording(path: str | Path, *, labels: Collection[str] = ("text",)) -> xr.DataArray:
    """Return a recording from a file. Its rows must be in the order in which the stimuli were presented.

    A voxel can be anything that was measured for each stimulus: a voxel, a region, an electrode, a reading time.

    Args:
        path: A CSV file with a row for each stimulus and a column for each voxel, or a NetCDF file (`.nc`) with one
            variable of the dimensions `stimulus` and `voxel`, and perhaps `repetition`.
        labels: Names of the columns of a CSV file that describe stimuli, such as the text, an id or a passage. All
            other columns are voxels, except `repetition`: if the file has this column, each stimulus has a row for each
            repetition.

    Returns:
        The recording, with the dimensions `stimulus, voxel`, and `repetition` if there are repetitions. The columns
        that describe stimuli are coordinates of `stimulus`.

    Raises:
        NotFound: The file does not exist.
        UserError: The file cannot be read. A voxel has a cell that is no number. No column describes stimuli, or none
            is a voxel. A repetition of a stimulus is missing or occurs twice.
    """
    file = recording_file(path)
    recording = _from_netcdf(file) if file.suffix == ".nc" else _from_csv(file, {*labels, REPETITION})
    recording.attrs["source"] = str(file)
    return recording


def recording_file(path: str | Path) -> Path:
    """Return the path of the file of a recording. The file is not read.

    Raises:
        NotFound: The file does not exist.
    """
    check_type("path", path, (str, Path), "the path of a CSV or NetCDF file")
    file = path_of(path)
    if not file.is_file():
        raise NotFound(f"there is no recording {file}: check the path")
    return file


def check_recording(recording: xr.DataArray) -> tuple[xr.DataArray, int]:
    """Return a recording whose voxels can be predicted, in float64, and the number of voxels that were left out.

    A voxel is left out if it never varies, or if all its values are nan (as outside a mask).

    Args:
        recording: The recording.

    Raises:
        UserError: It is not an array over stimulus and voxel, a value is not finite, or no voxel varies.
    """
    check_type("recording", recording, xr.DataArray, "a recording, for example from toposheet.read_recording(...)")
    dims = tuple(map(str, recording.dims))
    if set(dims) not in ({"stimulus", "voxel"}, {"stimulus", "voxel", REPETITION}) or recording.dtype.kind not in "fiu":
        raise UserError(
            f"the recording has the dimensions ({', '.join(dims)}) and the type {recording.dtype}: it must have "
            f"numbers over (stimulus, voxel) or (stimulus, voxel, {REPETITION})"
        )
    recording = recording.transpose("stimulus", "voxel", ...).astype(np.float64)
    if not recording.size:
        raise UserError("the recording is empty: it needs stimuli and voxels")
    flat = recording.values.reshape(*recording.shape[:2], -1)
    missing = np.all(np.isnan(flat), axis=(0, 2))
    bad = ~np.isfinite(flat) & ~missing[:, None]
    if bad.any():
        stimulus, voxel, _ = (int(axis[0]) for axis in np.nonzero(bad))
        raise UserError(
            f"{_source(recording)}: stimulus {stimulus + 1} has a value that is not finite (nan or inf) in the voxel "
            f"{voxel_names(recording)[voxel]}, and {int(bad.any(axis=(0, 2)).sum())} voxels have such values: leave "
            "these voxels or these stimuli out"
        )
    varies = np.ptp(np.where(missing[:, None], 0.0, flat), axis=0) > 0  # (voxels, repetitions)
    used = ~missing & np.all(varies, axis=-1)
    if not used.any():
        raise UserError(f"{_source(recording)}: no voxel varies over the stimuli: check the file")
    return recording.isel(voxel=np.flatnonzero(used)), int((~used).sum())


def voxel_names(recording: xr.DataArray) -> list[str]:
    """Return the name of each voxel: its coordinate, or its number from 0 if the recording has no coordinate for it."""
    names = recording["voxel"].values if "voxel" in recording.coords else np.arange(recording.sizes["voxel"])
    return [str(name) for name in names]


def _source(recording: xr.DataArray) -> str:
    return str(recording.attrs.get("source", "the recording"))


def _from_netcdf(path: Path) -> xr.DataArray:
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            stored = file.load()
    except Exception as error:  # h5py and xarray raise many kinds
        raise UserError(f"{path} cannot be read as NetCDF: {first_line(error)}") from None
    fitting = [name for name, variable in stored.data_vars.items() if {"stimulus", "voxel"} <= set(variable.dims)]
    if len(fitting) != 1:
        variables = listed(map(str, stored.data_vars)) or "none"
        raise UserError(
            f"{path} has {len(fitting)} variables with the dimensions stimulus and voxel: it must have one; its "
            f"variables are: {variables}"
        )
    return stored[fitting[0]]


def _from_csv(path: Path, labels: Collection[str]) -> xr.DataArray:
    written, rows = read_rows(path)
    header = [plain_label(name) for name in written]
    if not rows:
        raise UserError(f"{path} has a header but no rows: add a row for each stimulus")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    described = {name: np.array(columns[name], dtype=object) for name in header if name in labels}
    voxels = [name for name in header if name not in labels]
    if not set(described) - {REPETITION} or not voxels:
        kind = "that describes stimuli" if voxels else "that is a voxel"
        raise UserError(
            f"{path} has no column {kind}; its columns are: {listed(header)}; columns of these names describe stimuli, "
            f"all others are voxels: {listed(sorted(labels))}"
        )
    values = np.array([_numbers(path, name, columns[name]) for name in voxels]).T
    repetitions = described.pop(REPETITION, None)
    if repetitions is None:
        coordinates = {name: ("stimulus", column) for name, column in described.items()}
        return xr.DataArray(values, dims=("stimulus", "voxel"), coords={**coordinates, "voxel": voxels})
    return _with_repetitions(path, values, described, repetitions, voxels)


def _with_repetitions(
    path: Path, values: np.ndarray, described: dict[str, np.ndarray], repetitions: np.ndarray, voxels: list[str]
) -> xr.DataArray:
    """Return the recording of a table with a row for each stimulus and repetition."""
    keys = list(zip(*described.values(), strict=True))
    stimuli = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    times = {time: number for number, time in enumerate(dict.fromkeys(map(plain_label, repetitions)))}
    cube = np.full((len(stimuli), len(voxels), len(times)), np.nan)
    filled = np.zeros((len(stimuli), len(times)), dtype=bool)
    for row, (key, time) in enumerate(zip(keys, map(plain_label, repetitions), strict=True)):
        at = stimuli[key], times[time]
        if filled[at]:
            raise UserError(f"{path}, row {row + 2}: the repetition {time} of this stimulus occurs twice: keep one row")
        cube[at[0], :, at[1]], filled[at] = values[row], True
    if not filled.all():
        stimulus, time = np.argwhere(~filled)[0]
        raise UserError(
            f"{path}: the stimulus {listed([next(iter(list(stimuli)[stimulus]))])!r} has no repetition "
            f"{list(times)[time]}: all stimuli need the same repetitions"
        )
    coordinates = {
        name: ("stimulus", np.array([key[column] for key in stimuli], dtype=object))
        for column, name in enumerate(described)
    }
    dims = ("stimulus", "voxel", REPETITION)
    return xr.DataArray(cube, dims=dims, coords={**coordinates, "voxel": voxels, REPETITION: list(times)})


def _numbers(path: Path, name: str, cells: tuple[str, ...]) -> list[float]:
    """Return the values of a voxel. An empty cell is nan."""
    numbers = []
    for row, cell in enumerate(cells):
        try:
            numbers.append(float(cell) if cell.strip() else np.nan)
        except ValueError:
            raise UserError(
                f"{path}, row {row + 2}: the voxel {name!r} has {cell[:40]!r}, which is no number; if this column "
                "describes stimuli, it must have the name of a column of the stimuli"
            ) from None
    return numbers
