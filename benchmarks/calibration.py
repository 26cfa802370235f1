"""Claim: every p of a map test holds its level, also for smooth, unequal and dependent data, or says that it does not.

Each cell is a way in which data without an effect, without an ordered effect, or with an ordered effect are made. In
each cell many data sets are made and tested. The rate is the fraction with p <= 0.05: the size of the test where its
claim is false, its power where its claim is true. `python -m benchmarks.calibration` writes docs/calibration.md; cells
that are measured already are kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import stats

import toposheet as ts
from benchmarks.timing import machine
from toposheet.cortex.draws import label_draws
from toposheet.stats import against_null, gaussian_readout, morans_i

DATASETS, PERMUTATIONS, SIDE, FWHM_MM = 400, 99, 16, (0.0, 2.0)
DOCS = Path(__file__).parents[1] / "docs"
PAGE, RESULTS = DOCS / "calibration.md", DOCS / "calibration.json"
Effect = Callable[[np.random.Generator], np.ndarray]


def no_effect(rng: np.random.Generator) -> np.ndarray:
    """Return no effect."""
    return np.zeros((SIDE, SIDE))


def white(rng: np.random.Generator) -> np.ndarray:
    """Return an effect of each unit, drawn independently of its place."""
    return 0.7 * rng.normal(size=(SIDE, SIDE))


def sparse(rng: np.random.Generator) -> np.ndarray:
    """Return a large effect of every tenth unit, at random places."""
    return np.where(rng.random((SIDE, SIDE)) < 0.1, 2.0 * rng.normal(size=(SIDE, SIDE)), 0.0)


def ordered(rng: np.random.Generator) -> np.ndarray:
    """Return an effect that is smooth over the sheet, with the smoothness of noise of 4 cells."""
    return 0.7 * _noise(rng, 1, 4.0)[0]


EFFECTS: dict[str, Effect] = {"none": no_effect, "white": white, "sparse": sparse, "ordered": ordered}
TRUE_CLAIMS = {  # the tests whose claim is true, by the effect of a cell
    "none": (),
    "white": ("clusters",),
    "sparse": ("clusters",),
    "ordered": ("organisation", "smoother", "Moran's I", "clusters"),
}


@dataclass(frozen=True)
class Cell:
    """A way to make data.

    Args:
        name: What is special about the data.
        effect: The effect of condition A on a sheet: a name in `EFFECTS`.
        n: Number of texts of each condition.
        fwhm: Smoothness of the noise of each condition (FWHM, cells).
        sd: Standard deviation of the noise of each condition.
        taps: Number of taps. All have the same places and the same effect.
        skewed: Whether the noise is log-normal.
        gains: Whether each unit has a gain of its own, smooth over the sheet, for its effect and its noise.
        group_sizes: For each condition, the number of texts of each of its groups, in turn. Empty: no groups.
        paired: Whether the texts are pairs whose partners share most of their responses.
    """

    name: str
    effect: str = "none"
    n: tuple[int, int] = (30, 30)
    fwhm: tuple[float, float] = (4.0, 4.0)
    sd: tuple[float, float] = (1.0, 1.0)
    taps: int = 1
    skewed: bool = False
    gains: bool = False
    group_sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    paired: bool = False


UNEQUAL = (30, 90)
CELLS = (
    Cell("white noise", fwhm=(0.0, 0.0)),
    Cell("smooth noise"),
    Cell("n 30:90", n=UNEQUAL),
    Cell("n 30:90, the few are smooth (FWHM 4:0)", n=UNEQUAL, fwhm=(4.0, 0.0)),
    Cell("n 30:90, the many are smooth (FWHM 0:4)", n=UNEQUAL, fwhm=(0.0, 4.0)),
    Cell("n 30:90, sd 3:1", n=UNEQUAL, fwhm=(2.0, 2.0), sd=(3.0, 1.0)),
    Cell("n 30:90, sd 1:3", n=UNEQUAL, fwhm=(2.0, 2.0), sd=(1.0, 3.0)),
    Cell("skewed noise", skewed=True, fwhm=(2.0, 2.0)),
    Cell("skewed noise, n 30:90", skewed=True, n=UNEQUAL, fwhm=(2.0, 2.0)),
    Cell("groups of 1 to 5 texts", n=(60, 60), group_sizes=((1, 2, 5, 1, 3), (1, 2, 5, 1, 3))),
    Cell("groups of 3 texts against single texts", n=(60, 40), group_sizes=((3,), (1,))),
    Cell("pairs", paired=True),
    Cell("n 10:10", n=(10, 10)),
    Cell("n 10:20", n=(10, 20)),
    Cell("no effect, three taps with the same places", taps=3, fwhm=(2.0, 2.0)),
    Cell("unordered effect, smooth noise", "white"),
    Cell("unordered effect, n 30:90, FWHM 4:0", "white", n=UNEQUAL, fwhm=(4.0, 0.0)),
    Cell("sparse effect, smooth noise", "sparse"),
    Cell("sparse effect, n 30:90, sd 3:1", "sparse", n=UNEQUAL, fwhm=(2.0, 2.0), sd=(3.0, 1.0)),
    Cell("unordered effect, smooth gains, n 30:90, FWHM 0:4", "white", n=UNEQUAL, fwhm=(0.0, 4.0), gains=True),
    Cell("unordered effect, three taps with the same places", "white", taps=3, fwhm=(2.0, 2.0)),
    Cell("ordered effect, smooth noise", "ordered"),
    Cell("ordered effect, n 30:90, FWHM 4:0", "ordered", n=UNEQUAL, fwhm=(4.0, 0.0)),
    Cell("ordered effect, pairs", "ordered", paired=True),
)


def comparison_of(cell: Cell, rng: np.random.Generator) -> ts.Comparison:
    """Return the comparison of one data set of a cell."""
    effect, n_units = EFFECTS[cell.effect](rng), cell.taps * SIDE**2
    gain = np.exp(0.7 * _noise(rng, 1, 6.0)[0]) if cell.gains else np.ones((SIDE, SIDE))
    groups = [_group_numbers(n, sizes) for n, sizes in zip(cell.n, cell.group_sizes or ((1,), (1,)), strict=True)]
    parts = []
    for n, width, sd, group in zip(cell.n, cell.fwhm, cell.sd, groups, strict=True):
        noise = np.stack([_noise(rng, n, width, cell.skewed) for _ in range(cell.taps)], axis=1)
        if cell.group_sizes:  # texts of a group share most of their responses
            shared = np.stack([_noise(rng, group.max() + 1, width) for _ in range(cell.taps)], axis=1)
            noise = np.sqrt(0.8) * shared[group] + np.sqrt(0.2) * noise
        parts.append(sd * noise)
    if cell.paired:
        shared = _noise(rng, cell.n[0], 4.0)[:, None]
        parts = [np.sqrt(0.8) * shared + np.sqrt(0.2) * part for part in parts]
    parts[0] = parts[0] + effect
    values = (gain * np.concatenate(parts)).reshape(sum(cell.n), n_units)
    y, x = (np.tile(cells.ravel(), cell.taps) for cells in np.mgrid[:SIDE, :SIDE])
    taps = np.repeat([f"tap {number}" for number in range(cell.taps)], SIDE**2)
    units = {"tap": taps, "sheet": taps, "y": y, "x": x, "spacing_mm": np.ones(n_units)}
    texts = {"condition": np.repeat(["a", "b"], cell.n)}
    if cell.group_sizes:
        texts["shared_words"] = np.concatenate([groups[0], groups[1] + groups[0].max() + 1])
    if cell.paired:
        texts["pair"] = np.tile(np.arange(cell.n[0]), 2)
    coordinates = {name: ("unit", column) for name, column in units.items()}
    coordinates |= {name: ("stimulus", column) for name, column in texts.items()}
    responses = xr.DataArray(values.astype(np.float32), dims=("stimulus", "unit"), coords=coordinates)
    return ts.Comparison(responses, "a", "b", pairs="pair" if cell.paired else None)


def p_values(comparison: ts.Comparison, seed: int) -> dict[str, float]:
    """Return the p of each test of one data set: {test: p}."""
    organisation = ts.organisation(comparison, fwhm_mm=FWHM_MM, permutations=PERMUTATIONS, seed=seed)
    p = {}
    for row in organisation[organisation["tap"] == "*"].to_dict("records"):
        p[f"organisation, {row['fwhm_mm']:g} mm"] = row["p"]
        p[f"smoother, {row['fwhm_mm']:g} mm"] = row["smoother_p"]
    p["Moran's I, label-null"] = _morans_i_p(comparison, seed)
    for forming_p in (0.001, 0.05):
        clusters, _ = ts.selective_clusters(comparison, permutations=PERMUTATIONS, seed=seed, forming_p=forming_p)
        p[f"clusters, forming p {forming_p:g}"] = float(clusters["p"].min()) if len(clusters) else 1.0
    return p


def measure_cell(cell: Cell, datasets: int) -> dict[str, float]:
    """Return the rate of p <= 0.05 of each test in a cell."""
    seeds = [[CELLS.index(cell), number] for number in range(datasets)]
    tables = [p_values(comparison_of(cell, np.random.default_rng(seed)), seed[1]) for seed in seeds]
    return {test: float(np.mean([table[test] <= 0.05 for table in tables])) for test in tables[0]}


def main(datasets: int = DATASETS) -> None:
    """Measure all cells that are not measured yet, and write the page."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"machine": machine(), "datasets": datasets}
    assert results["datasets"] == datasets, f"{RESULTS} has {results['datasets']} data sets a cell: remove it first"
    for cell in CELLS:
        if cell.name not in results.setdefault("cells", {}):
            results["cells"][cell.name] = measure_cell(cell, datasets)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(cell.name, results["cells"][cell.name], flush=True)
    PAGE.write_text(page(results))


def page(results: dict) -> str:
    """Return docs/calibration.md."""
    tests = list(results["cells"][CELLS[0].name])
    n = results["datasets"]
    lines = [f"| data | {' | '.join(tests)} |", f"|{'---|' * (1 + len(tests))}"]
    for cell in CELLS:
        rates = results["cells"][cell.name]
        true = TRUE_CLAIMS[cell.effect]
        shown = [f"*{rates[test]:.2f}*" if test.startswith(true) else _size(rates[test], n) for test in tests]
        lines.append(f"| {cell.name} | {' | '.join(shown)} |")
    return _HEAD.format(n=n, permutations=PERMUTATIONS, side=SIDE, machine=results["machine"]) + "\n".join(lines) + "\n"


_HEAD = """# Do the tests hold their level?

Each row is a kind of simulated data, each column a test at the level 0.05. There are {n} data sets in each row,
{permutations} draws for each null, a sheet of {side} x {side} cells, and 30 texts for each condition where a row does
not say otherwise. A number is the fraction of data sets with p <= 0.05. Where the claim of the test is false, this is
its size, which should be 0.05. Where the claim is true, the number is in italics: it is the power. A size whose
one-sided 95 % interval lies above 0.05 is bold.

`python -m benchmarks.calibration` writes this page ({machine}). [The analyses](analyses.md) explain the tests.

"""


def _size(rate: float, n: int) -> str:
    low = stats.binomtest(round(rate * n), n).proportion_ci(0.9).low
    return f"**{rate:.3f}**" if low > 0.05 else f"{rate:.3f}"


def _noise(rng: np.random.Generator, n: int, fwhm: float, skewed: bool = False) -> np.ndarray:
    """Return noise maps (n, SIDE, SIDE) of variance 1 with a smoothness."""
    margin = int(2 * fwhm)
    grids = gaussian_readout(rng.normal(size=(n, SIDE + 2 * margin, SIDE + 2 * margin)), fwhm)
    grids = grids[:, margin : margin + SIDE, margin : margin + SIDE]
    if fwhm:
        sigma = fwhm / 2.3548
        weights = np.exp(-((np.arange(-20, 21)) ** 2) / (2 * sigma**2))
        grids = grids / ((weights**2).sum() / weights.sum() ** 2)
    return (np.exp(grids) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e) if skewed else grids


def _group_numbers(n: int, sizes: tuple[int, ...]) -> np.ndarray:
    numbers: list[int] = []
    while len(numbers) < n:
        group = numbers[-1] + 1 if numbers else 0
        numbers += [group] * sizes[group % len(sizes)]
    return np.array(numbers[:n])


def _morans_i_p(comparison: ts.Comparison, seed: int) -> float:
    """Return the p of Moran's I of the raw map, mean over taps, from the label-null."""

    def mean_over_taps(t: np.ndarray) -> np.ndarray:
        return np.mean([morans_i(tap.map(t)) for tap in comparison.layouts], axis=0)

    draws = [mean_over_taps(maps.t) for maps in label_draws(comparison, PERMUTATIONS, np.random.default_rng(seed))]
    return float(against_null(mean_over_taps(comparison.t.values), np.concatenate(draws)).p)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
