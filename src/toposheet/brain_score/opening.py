"""The subject that Brain-Score asks for, and the units in each of its regions."""

from __future__ import annotations

import re
import runpy
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from toposheet.errors import NotFound, RunError, UserError, named
from toposheet.files import path_of
from toposheet.interventions import Region
from toposheet.interventions.described import subject_of_arguments
from toposheet.interventions.named import read_region
from toposheet.settings import READING, Reading
from toposheet.subject import Subject

SCRIPT = ".py"


def opened(model: str, bos: str | None, options: Mapping[str, Any]) -> Subject:
    """Return the subject that Brain-Score asks for.

    Args:
        model: A model folder, a hub id, the name of a shipped model, or a Python script that makes a variable
            `subject`.
        bos: The token that stands before texts. None: what the tokenizer itself puts there.
        options: `device`, `dtype`, `lesion`, `lesion_to`, `stimulate` and `strength`, see `subject_of_arguments`. A
            script takes none of them.

    Raises:
        UserError: The model cannot be opened, an option has a wrong value, or the script makes no subject.
        NotFound: There is no such script.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if model.endswith(SCRIPT):
        if given:
            raise UserError(f"{next(iter(given))} is given, but {model} is a script: let the script do it")
        return _of_script(path_of(model))
    if (device := given.pop("device", None)) is not None:
        _check_device(device)
    return subject_of_arguments(model, device, given, READING if bos is None else Reading(bos=bos))


def _of_script(path: Path) -> Subject:
    if not path.is_file():
        raise NotFound(f"there is no script {path}")
    sys.path.insert(0, str(path.resolve().parent))  # the script may import files beside it, as if it were run
    try:
        made = runpy.run_path(str(path)).get("subject")
    except (UserError, RunError):
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        raise UserError(f"{path}{'' if line is None else f', line {line}'}: {named(error)}") from None
    except SystemExit as stop:
        raise UserError(f"{path} ends with sys.exit({stop.code!r}): it must make a variable `subject`") from None
    if not isinstance(made, Subject):
        what = "makes no variable `subject`" if made is None else f"makes `subject`, which is a {type(made).__name__}"
        raise UserError(f"{path} {what}: write subject = toposheet.load(...), or another toposheet.Subject")
    return made


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise UserError(f"device is {device!r}: {named(error)}") from None


def units_in(subject: Subject, name: str, places: Sequence[str] | None) -> Int[np.ndarray, " units"]:
    """Return the numbers of the units of a region of Brain-Score, in the order of the topography.

    Args:
        subject: The subject.
        name: Name of the region, for messages.
        places: Taps, and regions as `toposheet.interventions.named` reads them. None: all units.

    Raises:
        UserError: The subject does not have one of them.
        NotFound: There is no localizer at a path.
    """
    widths = subject.topography.widths
    chosen = {tap: np.full(width, places is None) for tap, width in widths.items()}
    for place in places or ():
        try:
            for tap, mask in _region(place).units(subject).items():
                chosen[tap] |= mask
        except UserError as error:
            raise type(error)(f"the region {name}: {error}") from None
    return np.flatnonzero(np.concatenate([chosen[tap] for tap in widths]))


def _region(place: str) -> Region:
    return read_region(place if re.match(r"\w+:", place) else f"tap:{place}")


def neuroids(subject: Subject) -> dict[str, Any]:
    """Return what Brain-Score is told of all units of a subject, in the order of the topography.

    Returns:
        `layer` (the tap), `neuron_number_in_layer`, `sheet`, and the place on the sheet in mm: `tissue_x` is column
        times spacing, and `tissue_y` is row times spacing.
    """
    coordinates = {name: values for name, (_, values) in subject.topography.unit_coordinates().items()}
    return {
        "layer": coordinates["tap"].tolist(),
        "neuron_number_in_layer": [unit for width in subject.topography.widths.values() for unit in range(width)],
        "sheet": coordinates["sheet"].tolist(),
        "tissue_x": (coordinates["x"] * coordinates["spacing_mm"]).astype(np.float64),
        "tissue_y": (coordinates["y"] * coordinates["spacing_mm"]).astype(np.float64),
    }
