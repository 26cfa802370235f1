"""`toposheet lesion`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Model, Options, opening, read_contrasts, read_table
from toposheet.errors import NotFound, UserError
from toposheet.settings import READING, Reading, check_count


@deferred
def lesion(
    model: Model,
    out: Path,
    region: tuple[str, ...],
    task: str = "blimp",
    path: Path | None = None,
    limit: int | None = None,
    to: Literal["zero", "mean", "noise"] = "zero",
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
        out: Folder for lesions.csv and a figure.
        region: The regions, each as disc:SHEET:ROW:COLUMN:RADIUS_MM, sheet:NAME, tap:NAME, localizer:PATH or
            cluster:PATH:NUMBER. "A | B" has the units of both, "A & B" the units in both, "A - B" those of A only.
        task: Name of the task: blimp or syntaxgym.
        path: The file or folder of its items. None: see toposheet evaluate.
        limit: Use only so many items of each paradigm or suite: the first ones. None: use all.
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
    if not region:
        raise UserError("--region names no region: give at least one, such as --region disc:SHEET:ROW:COLUMN:RADIUS")
    check_count("draws", draws, 2)
    if limit is not None:
        check_count("limit", limit, 1)
    check_out(out)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("lesioning", 300.0)])
        preparing = stages.begin("preparing")
        opened = opening(model, preparing)
        from toposheet.evaluation import TASKS, measure

        TASKS[task].read(path)  # missing files are named before the model is opened
        from toposheet.cache import cache_folder
        from toposheet.cortex import Comparison, load_localizer
        from toposheet.evaluation.lesioned import Lesioned
        from toposheet.interventions import lesion_effects
        from toposheet.interventions.named import read_region
        from toposheet.stimuli.naming import labels
        from toposheet.subject import respond

        regions = [read_region(text) for text in region]
        subject = opened()
        for one in regions:
            one.units(subject)
        networks = [load_localizer(name, subject.fingerprint) for name in network]
        comparison, texts = None, None
        try:
            table = read_table(stimuli, opened, options, preparing)
        except NotFound as error:
            if stimuli is not None or to != "zero":
                raise
            print(f"note: no least selective and no matched units: {error}", file=sys.stderr)
        else:
            (parsed,) = read_contrasts(table, [contrast] if contrast else [], options, or_language=True)
            comparison = Comparison(respond(subject, table, reading=reading, cache=cache_folder()), parsed)
            texts = table[labels(table, parsed.column) == parsed.a].reset_index(drop=True)
        measured = measure(subject, task, path=path, limit=limit, bos=reading.bos)
        effects = lesion_effects(
            subject, regions, measured, to=to, draws=draws, comparison=comparison, networks=networks, texts=texts,
            reading=reading, seed=seed, cache=cache_folder(), progress=stages.begin("lesioning"),
        )  # fmt: skip
        facts = {"model": {"source": str(subject.source), "fingerprint": subject.fingerprint}, "task": task,
                 "path": None if path is None else str(path), "limit": limit, "bos": reading.bos, "to": to,
                 "draws": draws, "contrast": None if comparison is None else comparison.name, "seed": seed}  # fmt: skip
        lesioned = Lesioned(effects, facts)
        lesioned.write(out)
        stages.end("lesioning")
    print(lesioned)
    print(f"\nThe lesions: {out.resolve()} (lesions.csv, figures)")


COMMAND = Command(position=66, parser=lesion, goes_on=True)
