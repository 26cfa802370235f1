"""`toposheet lesion` and what it shares with `toposheet stimulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._interventions import TaskOptions, To, prepare
from toposheet.commands._stimuli import AS_USUAL, Model, Options, StimulusOptions
from toposheet.errors import UserError
from toposheet.settings import READING, Reading, check_count

Task = Annotated[TaskOptions, tyro.conf.arg(name="")]
BLIMP = TaskOptions()


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
    act_on(model, out, region, task, to, None, draws, stimuli, contrast, network, reading, options, seed)


def act_on(
    model: str,
    out: Path,
    region: tuple[str, ...],
    task: TaskOptions,
    to: To,
    strength: float | None,
    draws: int,
    stimuli: str | None,
    contrast: str | None,
    network: tuple[str, ...],
    reading: Reading,
    options: StimulusOptions,
    seed: int,
) -> None:
    """Lesion or stimulate regions, write what it does to a task, and print it. The arguments are those of `lesion`."""
    if not region:
        raise UserError("--region names no region: give at least one, such as --region disc:SHEET:ROW:COLUMN:RADIUS")
    check_count("draws", draws, 2)
    task.check()
    check_out(out)
    from toposheet.progress import shown

    with shown() as progress:
        from toposheet.cache import cache_folder
        from toposheet.cortex import load_localizer
        from toposheet.evaluation.outcomes import RegionOutcome
        from toposheet.interventions import intervention_effects
        from toposheet.interventions.named import read_region

        regions = [read_region(text) for text in region]
        prepared = prepare(
            model, task, reading, stimuli, options, progress, needs_activity=to != "zero" or strength is not None,
            contrast=contrast, compares=True, checked=lambda subject: [one.units(subject) for one in regions],
        )  # fmt: skip
        subject = prepared.subject
        effects = intervention_effects(
            subject, regions, prepared.measure, to=to, strength=strength, draws=draws, comparison=prepared.comparison,
            networks=[load_localizer(name, subject.fingerprint) for name in network], texts=prepared.texts,
            reading=reading, seed=seed, cache=cache_folder(), progress=progress,
        )  # fmt: skip
        outcome = RegionOutcome(
            effects, prepared.facts | {"to": to, "strength": strength, "draws": draws, "seed": seed}
        )
        outcome.write(out)
    print(outcome)
    print(f"\nThe effects: {out.resolve()} ({outcome.definition.file}, figures)")


COMMAND = Command(position=66, parser=lesion, goes_on=True)
