"""Subjects that are described by arguments: a model, and the lesion and the stimulation of regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from toposheet.errors import UserError, check_type
from toposheet.interventions.lesions import lesion
from toposheet.interventions.named import read_region
from toposheet.interventions.stimulation import stimulate
from toposheet.settings import READING, Reading
from toposheet.subject import Subject, load


def subject_of_arguments(
    pretrained: str, device: str | None, options: dict[str, Any], reading: Reading = READING
) -> Subject:
    """Return the subject that arguments describe. lm-evaluation-harness and Brain-Score give such arguments.

    Args:
        pretrained: A model folder, a hub id, or the name of a shipped model.
        device: The device. None: the CPU.
        options: All other arguments. Those that describe the subject are taken out: `dtype`, the data type of the
            weights, such as `bfloat16`; `lesion`, a region that is lesioned, as `toposheet.interventions.named` reads
            it, and `lesion_to` (zero, mean or noise); `stimulate`, a region that is stimulated, and `strength`, in
            standard deviations of each unit; `bos`, the token before the texts over which means and standard deviations
            are computed.
        reading: How the texts are read over which means and standard deviations are computed.

    Raises:
        UserError: The model cannot be opened, or an argument has a wrong value.

    Example:
        lm_eval --model toposheet --model_args pretrained=small,lesion=disc:model.layers.2.mlp:8:8:3 --tasks hellaswag
    """
    check_type("pretrained", pretrained, str, "a toposheet.Subject, a model folder, a hub id or a shipped model")
    name = str(options.pop("dtype", "float32")).removeprefix("torch.")
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise UserError(f"dtype is {name!r}: it must be a data type of torch, such as float32 or bfloat16")
    subject = load(pretrained, dtype=dtype, device=device)
    if "bos" in options:
        reading = replace(reading, bos=options.pop("bos"))
    lesioned, to = options.pop("lesion", None), options.pop("lesion_to", "zero")
    stimulated, strength = options.pop("stimulate", None), options.pop("strength", None)
    if lesioned is None and to != "zero":
        raise UserError(f"lesion_to is {to!r}, but there is no lesion: give lesion, such as lesion=disc:SHEET:8:8:3")
    if lesioned is not None:
        subject = lesion(subject, read_region(str(lesioned)), to=to, reading=reading)
    if (stimulated is None) != (strength is None):
        raise UserError("stimulate and strength go together: give both, such as stimulate=disc:SHEET:8:8:3,strength=2")
    if stimulated is not None:
        strength = _number("strength", strength)
        subject = stimulate(subject, read_region(str(stimulated)), strength, reading=reading)
    return subject


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name} is {value!r}: it must be a number") from None
