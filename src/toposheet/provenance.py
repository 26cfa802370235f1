"""How the texts of responses were read: attributes of the responses, and of all arrays that are made from them."""

from __future__ import annotations

from dataclasses import asdict

import xarray as xr

from toposheet.errors import UserError
from toposheet.settings import NO_BOS, READING, Reading

_POOLINGS = {
    "mean": "mean over tokens",
    "sum": "sum over tokens",
    "last": "last token",
    "padded-mean": "mean over tokens and padding",
}


def reading_attributes(reading: Reading | None) -> dict[str, str | int]:
    """Return a reading as attributes of an array: `pooling`, `bos`, and `skip_first` as 0 or 1 (NetCDF has no flags).

    Args:
        reading: The reading, whose `bos` is known. None: the reading is not known, and there are no attributes.
    """
    return {} if reading is None else asdict(reading) | {"skip_first": int(reading.skip_first)}


def reading_of(values: xr.DataArray | xr.Dataset) -> Reading | None:
    """Return the reading of the texts from which an array was made; None if the array does not have it.

    Args:
        values: Responses from `respond`, or what was made from them. Arrays that were made by hand have no reading.

    Raises:
        UserError: The attributes of the array are not those of a reading.
    """
    attributes = values.attrs
    if any(name not in attributes for name in asdict(READING)):
        return None
    return Reading(attributes["pooling"], attributes["bos"], bool(attributes["skip_first"]))


def reading_in_words(reading: Reading) -> str:
    """Return a reading in words: `mean over tokens, <|endoftext|> before each text, first token left out`.

    Args:
        reading: The reading, whose `bos` is known.
    """
    before = "no token" if reading.bos == NO_BOS else reading.bos
    skipped = ["first token left out"] if reading.skip_first else []
    return ", ".join([_POOLINGS[reading.pooling], f"{before} before each text", *skipped])


def check_same_reading(made: xr.DataArray | xr.Dataset, what: str, responses: xr.DataArray) -> None:
    """Refuse a mask or clusters that were made with another reading than the responses to which they are applied.

    An array without a reading is accepted.

    Args:
        made: What is applied to the responses.
        what: Its name for the error message.
        responses: The responses.

    Raises:
        UserError: Both arrays have a reading, and the readings differ.
    """
    reading, wanted = reading_of(made), reading_of(responses)
    if reading is not None and wanted is not None and reading != wanted:
        raise UserError(
            f"{what} and the responses have different readings ({reading_in_words(reading)}; "
            f"{reading_in_words(wanted)}): make both with the same toposheet.Reading"
        )
