"""`toposheet lesion`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._interventions import BLIMP, Task, To, act_on, check_acting
from toposheet.commands._stimuli import AS_USUAL, Model, Options
from toposheet.settings import READING, Reading


@deferred
def lesion(
    model: Model,
    out: Path,
    region: tuple[str, ...],
    task: Task = BLIMP,
    to: To = "zero",
    draws: int = 99,
    stimuli: str | None = None,
    contrast: str | None = None,
    network: tuple[str, ...] = (),
    reading: Reading = READING,
    options: Options = AS_USUAL,
    seed: int = 0,
) -> None:
    """Lesion regions of the sheets, and measure what it does to a task, beside lesions of as many other units.

    The controls are: units scattered over the same taps (this is the test of the region as a place), compact regions
    elsewhere, the least selective units, units matched in mean activation and selectivity, and the networks of other
    localizers. An interrupted command continues.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for effects.csv and a figure.
        region: The regions, each as disc:SHEET:ROW:COLUMN:RADIUS_MM, sheet:NAME, tap:NAME, localizer:PATH or
            cluster:PATH:NUMBER. "A | B" has the units of both, "A & B" the units in both, "A - B" those of A only.
        task: The task that is measured.
        to: What lesioned units put out. zero: nothing. mean: always their mean. noise: noise with their variance.
        draws: Number of scattered regions, and of regions elsewhere. With 99 draws the smallest p is 0.01.
        stimuli: The stimuli of the contrast: a CSV file, or the name of a set. None: the stimuli that are saved with
            the model. Their first condition gives the texts over which means are computed.
        contrast: The contrast that says how selective a unit is, written as A:B. None: sentence:nonword, or S:N.
        network: Paths of other localizers, whose networks are controls.
        reading: How the model reads the stimuli. A bos that is given also stands before every text of the task.
        options: How stimuli are read.
        seed: Seed of the random draws.
    """
    check_out(out)
    check_acting(region, draws, task)
    from toposheet.interventions import Lesion

    act_on(
        model, out, region, task, Lesion(to, seed), draws=draws, stimuli=stimuli, contrast=contrast,
        networks=network, reading=reading, options=options, seed=seed,
    )  # fmt: skip


COMMAND = Command(position=67, parser=lesion, goes_on=True)
