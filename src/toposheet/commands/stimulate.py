"""`toposheet stimulate`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._interventions import BLIMP, Task, act_on, check_acting
from toposheet.commands._stimuli import AS_USUAL, Model, Options
from toposheet.settings import READING, Reading


@deferred
def stimulate(
    model: Model,
    out: Path,
    region: tuple[str, ...],
    strength: float,
    task: Task = BLIMP,
    draws: int = 99,
    stimuli: str | None = None,
    contrast: str | None = None,
    network: tuple[str, ...] = (),
    reading: Reading = READING,
    options: Options = AS_USUAL,
    seed: int = 0,
) -> None:
    """Add current to regions of the sheets, and measure what it does to a task, beside as many other units.

    The controls are those of toposheet lesion; they get the same currents. The current of a disc is a Gaussian bump,
    which is half as strong at its radius as in its centre. An interrupted command continues.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for effects.csv and a figure.
        region: The regions, see toposheet lesion.
        strength: The added current, in standard deviations of each unit. It may be negative.
        task: The task that is measured.
        draws: Number of scattered regions, and of regions elsewhere. With 99 draws the smallest p is 0.01.
        stimuli: The stimuli of the contrast: a CSV file, or the name of a set. None: the stimuli that are saved with
            the model. Their first condition gives the texts over which standard deviations are computed.
        contrast: The contrast that says how selective a unit is, written as A:B. None: sentence:nonword, or S:N.
        network: Paths of other localizers, whose networks are controls.
        reading: How the model reads the stimuli. A bos that is given also stands before every text of the task.
        options: How stimuli are read.
        seed: Seed of the random draws.
    """
    check_out(out)
    check_acting(region, draws, task)
    from toposheet.interventions import Stimulation

    act_on(
        model, out, region, task, Stimulation(strength), draws=draws, stimuli=stimuli, contrast=contrast,
        networks=network, reading=reading, options=options, seed=seed,
    )  # fmt: skip


COMMAND = Command(position=68, parser=stimulate, goes_on=True)
