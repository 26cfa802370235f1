"""Lesion `small` and `small-control`, train them further with the lesion kept, and see where their maps change.

    toposheet data prepare builtin --tokenizer small --validation-fraction 0.02 --out TEXT
    python tools/recovery.py TEXT OUT

The tables and a figure of each model go to OUT. If the command is stopped, run it again to continue.
"""

from __future__ import annotations

import functools
import itertools
import operator
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr

import toposheet as ts
from toposheet.cache import cache_folder
from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.maps import comparison_maps
from toposheet.figures.files import write_figure
from toposheet.figures.maps import draw_contrast_maps
from toposheet.interventions import Region
from toposheet.interventions.controls import orders, scattered
from toposheet.recipes import Recipe, named
from toposheet.stats import holm
from toposheet.stimuli.stimulus_set import SYNTHETIC
from toposheet.text.blocks import Blocks
from toposheet.train.loop import train
from toposheet.wording import count_of_units

MODELS = {"small": named("small"), "small-control": named("small").control()}
PLACES = ((3.5, 3.5), (3.5, 11.5), (11.5, 3.5), (11.5, 11.5))  # the middles of the quarters of a sheet
RADIUS_MM, RING_MM = 3.0, 4.5  # radius of a lesion, and outer radius of the ring around it; rings do not overlap
LESIONS = len(PLACES)  # each quarter of each sheet is lesioned once
TRAINING = {
    "updates": 100, "warmup_updates": 10, "decay_updates": 90, "learning_rate": 3e-4, "muon_learning_rate": None,
    "precision": "fp32", "validate_every": 100, "checkpoint_every": 25, "snapshot_every": None,
}  # fmt: skip
READING = ts.Reading(bos="none")  # as the shipped models were trained
INTACT, FOCAL, SCATTERED = "intact", "focal", "scattered"
BEFORE, AFTER = "before training", "after training"
ORDERS = 9999  # random orders of the lesions of each sheet
DRAWN = 0  # the number of the lesion in the figure


class State(NamedTuple):
    """A model with a lesion, before or after it was trained further.

    Args:
        lesion: `intact`, `focal` (a disc on every sheet is silent) or `scattered` (as many units of every sheet).
        number: The number of the lesion.
        stage: Before or after training.
    """

    lesion: str
    number: int
    stage: str


def main(text: Path, out: Path) -> None:
    """Train both models further with all lesions, and print and write what became of them."""
    blocks = torch.from_numpy(Blocks(text, context=named("small").model.context, seed=0).validation(256)).long()
    rows, tests = [], []
    for name, recipe in MODELS.items():
        stimuli, comparisons = ts.load(name).stimuli(), {}
        for state, subject in states(ts.load(name), recipe, text, out / name):
            comparisons[state] = comparison_of(subject, stimuli)
            rows.append({"model": name, **state._asdict(), "loss": loss(subject, blocks)})
            print(name, *state, f"{rows[-1]['loss']:.3f}", flush=True)
        tests += [{"model": name, **test} for test in tests_of_rings(ts.load(name), comparisons)]
        draw(name, comparisons, out)
    table, rings = pd.DataFrame(rows), pd.DataFrame(tests)
    rings["p_holm"] = holm(rings["p"].to_numpy())
    table.to_csv(out / "losses.csv", index=False)
    rings.to_csv(out / "rings.csv", index=False)
    print(table.groupby(["model", "stage", "lesion"])["loss"].agg(["mean", "min", "max"]).round(3).to_string())
    print(rings.round(3).to_string(index=False))


def states(subject: ts.Subject, recipe: Recipe, text: Path, out: Path) -> Iterator[tuple[State, ts.Subject]]:
    """Yield the subject with each lesion, before and after training."""
    for lesion, number in [(INTACT, 0), *itertools.product((FOCAL, SCATTERED), range(LESIONS))]:
        yield State(lesion, number, BEFORE), lesioned(subject, lesion, number)
        folder = out / f"{lesion}-{number}"
        fresh = lesioned(ts.load(subject.name), lesion, number)  # training changes the weights of its subject
        train(recipe.changed(**TRAINING), text, folder, subject=fresh)
        yield State(lesion, number, AFTER), lesioned(ts.load(folder), lesion, number)


def lesioned(subject: ts.Subject, lesion: str, number: int) -> ts.Subject:
    """Return the subject with a lesion."""
    if lesion == INTACT:
        return subject
    focal = functools.reduce(operator.or_, (disc(s, p, RADIUS_MM) for s, p in places(subject, number).items()))
    if lesion == FOCAL:
        return ts.lesion(subject, focal)
    (order,) = orders(subject, 1, seed=number)
    act = ts.Lesion()
    return subject.intervened(act.intervention(f"{SCATTERED} {number}", scattered(act.weights(subject, focal), order)))


def places(subject: ts.Subject, number: int) -> dict[str, int]:
    """Return the place of a lesion on each sheet. On each sheet, the lesions have all places, in a random order."""
    rng = np.random.default_rng(0)
    return {sheet: int(rng.permutation(LESIONS)[number]) for sheet in subject.topography.sheets}


def disc(sheet: str, place: int, radius_mm: float) -> Region:
    """Return the disc at a place of a sheet."""
    y, x = PLACES[place]
    return ts.Disc(sheet, y, x, radius_mm)


@torch.inference_mode()
def loss(subject: ts.Subject, blocks: torch.Tensor) -> float:
    """Return the loss on held-out blocks, in nats per token."""
    losses = []
    for batch in blocks.split(32):
        logits = subject(batch[:, :-1]).transpose(1, 2)
        losses.append(torch.nn.functional.cross_entropy(logits, batch[:, 1:], reduction="none"))
    return float(torch.cat(losses).mean())


def comparison_of(subject: ts.Subject, stimuli: pd.DataFrame) -> ts.Comparison:
    """Return the comparison of sentences with lists of non-words."""
    return ts.Comparison(ts.respond(subject, stimuli, reading=READING, cache=cache_folder()), "sentence", "nonword")


def tests_of_rings(subject: ts.Subject, comparisons: Mapping[State, ts.Comparison]) -> Iterator[dict[str, str | float]]:
    """Test whether the selectivity around a focal lesion changes otherwise than at the other places of its sheet.

    The change of a unit is its |t|, minus its |t| in the intact model of the same stage. A ring has the mean change of
    its living units, minus that of all other living units of the sheet. The statistic is the mean over all lesions and
    sheets of the ring around the lesion. The places of the lesions were drawn at random, on each sheet for itself. If
    they do not matter, every other order of the lesions of a sheet would have given the same changes. So p is the
    share of random orders whose statistic is at least as far from their mean.
    """
    rng, sheets = np.random.default_rng(1), list(subject.topography.sheets)
    drawn = np.array([list(places(subject, number).values()) for number in range(LESIONS)])  # (lesion, sheet)
    for stage in (BEFORE, AFTER):
        intact = abs(comparisons[State(INTACT, 0, stage)].t)
        changes = np.empty((LESIONS, len(sheets), len(PLACES)))
        for number, (sheet, tap) in itertools.product(range(LESIONS), enumerate(sheets)):
            change = (abs(comparisons[State(FOCAL, number, stage)].t) - intact).sel(tap=tap).values
            for place in range(len(PLACES)):
                ring = (disc(tap, place, RING_MM) - disc(tap, place, RADIUS_MM)).units(subject)[tap]
                changes[number, sheet, place] = np.nanmean(change[ring]) - np.nanmean(change[~ring])
        yield {"stage": stage, **compared_with_orders(changes, drawn, rng)}


def compared_with_orders(changes: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Return the mean change around the lesions, and that with other orders of the lesions on each sheet.

    Args:
        changes: The change of each ring, shape (lesions, sheets, places).
        drawn: The place of each lesion on each sheet, shape (lesions, sheets).
        rng: Random numbers for the orders.
    """

    def around(at: np.ndarray) -> float:
        return float(np.take_along_axis(changes, at[:, :, None], axis=2).mean())

    near, null = around(drawn), np.array([around(rng.permuted(drawn, axis=0)) for _ in range(ORDERS)])
    far = np.sum(np.abs(null - null.mean()) >= np.abs(near - null.mean()) - 1e-12)
    return {
        "around lesions": near,
        "orders": float(null.mean()),
        "sd": float(null.std()),
        "p": float((1 + far) / (1 + ORDERS)),
    }


def draw(name: str, comparisons: Mapping[State, ts.Comparison], out: Path) -> None:
    """Draw the sheets of one model: before, lesioned, and after training with the lesion and without it."""
    panels = {
        "before": State(INTACT, 0, BEFORE),
        "lesioned": State(FOCAL, DRAWN, BEFORE),
        "lesioned, trained further": State(FOCAL, DRAWN, AFTER),
        "intact, trained further": State(INTACT, 0, AFTER),
    }
    t_maps: list[xr.DataArray] = []
    q_maps: list[xr.DataArray] = []
    notes, values = {}, {}
    for panel, state in panels.items():
        comparison = comparisons[state]
        of_panel = comparison_maps(comparison, ts.load(name).topography.shapes)
        of_panel = of_panel.isel(contrast=0, negative_control=0, drop=True).expand_dims(panel=[panel])
        t_maps.append(of_panel["t"])
        q_maps.append(of_panel["q"])
        notes[panel, 0.0] = count_of_units(comparison.n_significant, comparison.n_units)
        grids = of_panel["t"].isel(panel=0, fwhm_mm=0)
        values |= {(panel, 0.0, sheet): float(ts.morans_i(grids.sel(sheet=sheet))) for sheet in grids["sheet"].values}
    t, q = xr.concat(t_maps, dim="panel"), xr.concat(q_maps, dim="panel")
    title = f"{name}: sentences against lists of non-words"
    figure = draw_contrast_maps(t, q < SIGNIFICANT, notes, values, title, SIGNIFICANT)
    write_figure(figure, out / f"recovery-{name}.png", SYNTHETIC)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
