"""The same stimuli in responses and in a recording: which row belongs to which, and which passage it belongs to."""

from __future__ import annotations

import numpy as np
import xarray as xr
from jaxtyping import Int

from toposheet.cortex.layout import ALL_TAPS, check_coordinates, tap_layouts
from toposheet.errors import UserError, check_type, did_you_mean, listed
from toposheet.provenance import reading_of
from toposheet.stimuli.labels import plain_label


def matched(responses: xr.DataArray, recording: xr.DataArray) -> xr.DataArray:
    """Return the responses to the stimuli of a recording, in the order of the recording.

    Stimuli are equal if they agree in all columns that both arrays have, for example `text` and `passage`. Responses to
    stimuli that were not recorded are left out.

    Args:
        responses: Responses from `respond`.
        recording: The recording.

    Raises:
        UserError: The arrays share no column, a stimulus of the recording has no responses, or two stimuli are equal.
    """
    check_coordinates(responses, "tap", "text")
    columns = [str(name) for name in _columns(recording) if name in _columns(responses)]
    if not columns:
        raise UserError(
            f"the recording and the stimuli share no column (the recording: {listed(_columns(recording)) or 'none'}; "
            f"the stimuli: {listed(_columns(responses))}): name the stimuli in the recording by their text or an id"
        )
    rows: dict[tuple[str, ...], int] = {}
    for row, key in enumerate(_keys(responses, columns)):
        if key in rows:
            raise UserError(_twice("stimuli", key, columns))
        rows[key] = row
    wanted = _keys(recording, columns)
    if repeated := [key for number, key in enumerate(wanted) if key in wanted[:number]] if _repeats(wanted) else []:
        raise UserError(_twice("recording", repeated[0], columns))
    if missing := [key for key in wanted if key not in rows]:
        raise UserError(
            f"{len(missing)} of {len(wanted)} stimuli of the recording are not among the stimuli that the model read, "
            f"such as {_named(missing[0])} ({', '.join(columns)}): add them to the stimuli, or leave them out"
        )
    return responses.transpose("stimulus", "unit").isel(stimulus=[rows[key] for key in wanted])


def passage_numbers(
    responses: xr.DataArray, recording: xr.DataArray, column: str | None
) -> Int[np.ndarray, " stimuli"] | None:
    """Return the number of the passage of each stimulus, from 0, in the order of presentation. None: no passages.

    Args:
        responses: The responses, in the order of the recording.
        recording: The recording.
        column: Name of the column of the recording, or else of the stimuli, that names passages. None: no passages.

    Raises:
        UserError: There is no such column, or a passage is interrupted by another one.
    """
    if column is None:
        return None
    check_type("passages", column, str, "the name of a column, such as 'story'")
    holder = recording if column in _columns(recording) else responses
    if column not in _columns(holder):
        existing = list(dict.fromkeys([*_columns(recording), *_columns(responses)]))
        raise UserError(
            f"neither the recording nor the stimuli have a column {column!r} of passages; there are: "
            f"{listed(existing)}.{did_you_mean(column, existing)}"
        )
    names = [plain_label(name) for name in holder[column].values.tolist()]
    starts = [row for row, name in enumerate(names) if row == 0 or name != names[row - 1]]
    begun: set[str] = set()
    for row in starts:
        if names[row] in begun:
            raise UserError(
                f"the passage {listed([names[row]])} comes back at stimulus {row + 1} after another passage: order the "
                "rows of the recording as the stimuli were presented, with each passage in one piece"
            )
        begun.add(names[row])
    return np.searchsorted(starts, np.arange(len(names)), side="right") - 1


def units_of_taps(responses: xr.DataArray) -> dict[str, np.ndarray]:
    """Return the units of each tap, and those of all taps together (`*`) if there are several taps.

    Args:
        responses: Responses from `respond`.
    """
    taps = {tap.name: tap.units for tap in tap_layouts(responses)}
    return taps if len(taps) == 1 else taps | {ALL_TAPS: np.arange(responses.sizes["unit"])}


def usable(responses: xr.DataArray, name: str) -> xr.DataArray:
    """Return responses, if they can be used.

    Args:
        responses: The responses.
        name: Name of the argument, for the error message.

    Raises:
        UserError: A value is nan or infinite, or a response depends on other texts (`Reading.mixes_texts`).
    """
    if (reading := reading_of(responses)) is not None and reading.mixes_texts:
        raise UserError(f"{name} were averaged over padding, so they depend on other texts: read with another pooling")
    if not np.isfinite(responses.values).all():
        raise UserError(f"{name} has values that are not finite (nan, inf): repair the model, or leave the texts out")
    return responses


def _columns(values: xr.DataArray) -> list[str]:
    return [str(name) for name, coordinate in values.coords.items() if coordinate.dims == ("stimulus",)]


def _keys(values: xr.DataArray, columns: list[str]) -> list[tuple[str, ...]]:
    labels = [[plain_label(value) for value in values[name].values.tolist()] for name in columns]
    return list(zip(*labels, strict=True))


def _repeats(keys: list[tuple[str, ...]]) -> bool:
    return len(set(keys)) < len(keys)


def _named(key: tuple[str, ...]) -> str:
    return repr(listed(key))


def _twice(where: str, key: tuple[str, ...], columns: list[str]) -> str:
    return (
        f"two rows of the {where} are the same stimulus, {_named(key)} ({', '.join(columns)}): tell them apart by an "
        "id that both tables have"
    )
