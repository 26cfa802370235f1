"""Claim: every p of a map test holds its level, also for smooth, unequal and dependent data, or says that it does not.

Each cell is a way in which data without an effect, without an ordered effect, or with an ordered effect are made. In
each cell many data sets are made and tested. The rate is the fraction with p <= 0.05: the size of the test where its
claim is false, its power where its claim is true. A size that is above 0.05 in the first data sets, and not only by
chance (`above`), is measured again with new and more data sets. `python -m benchmarks.calibration` writes
docs/calibration.md. Rates that are in docs/calibration.json are kept.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import special, stats

import toposheet as ts
from benchmarks.timing import machine
from toposheet.cortex.cluster_responses import ABSOLUTE, SIGNED, cluster_responses
from toposheet.cortex.draws import label_draws, place_draws
from toposheet.cortex.profiles import consistency_of, profile_tests_of, profiles_of
from toposheet.stats import (
    against_null,
    gaussian_readout,
    largest_mass,
    morans_i,
    shuffled_labels,
    t_test,
)
from toposheet.stats.intervals import difference_interval, mean_interval
from toposheet.stats.stratified import stratified_t_test

DATASETS, DATASETS_AGAIN, PERMUTATIONS, SIDE, FWHM_MM = 400, 2000, 99, 16, (0.0, 2.0)
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


def shift(rng: np.random.Generator) -> np.ndarray:
    """Return an effect that is equal in all units. With gains it is larger where the gain is larger."""
    return np.ones((SIDE, SIDE))


EFFECTS: dict[str, Effect] = {
    "none": no_effect, "white": white, "sparse": sparse, "shift": shift, "ordered": ordered,
}  # fmt: skip
TRUE_CLAIMS = {  # the tests whose claim is true, by the effect of a cell
    "none": (),
    "white": ("clusters",),
    "sparse": ("clusters",),
    "shift": ("clusters",),
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
        silent: Fraction of the units that do not respond.
        gains: Whether each unit has a gain of its own, smooth over the sheet, for its effect and its noise.
        group_sizes: For each condition, the number of texts of each of its groups, in turn. Empty: no groups.
        paired: Whether the texts are pairs whose partners share most of their responses.
        declared: Whether the analysis is told the groups.
        reliability: A variable differs between the conditions by 1 sd and changes the responses. It is removed as a
            confound that is measured with this reliability. None: there is no such variable.
    """

    name: str
    effect: str = "none"
    n: tuple[int, int] = (30, 30)
    fwhm: tuple[float, float] = (4.0, 4.0)
    sd: tuple[float, float] = (1.0, 1.0)
    taps: int = 1
    skewed: bool = False
    silent: float = 0.0
    gains: bool = False
    group_sizes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    paired: bool = False
    declared: bool = True
    reliability: float | None = None


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
    Cell("skewed noise, sd 3:1", skewed=True, fwhm=(2.0, 2.0), sd=(3.0, 1.0)),
    Cell("confound of the condition, reliability 1", reliability=1.0),
    Cell("confound of the condition, reliability 0.7", reliability=0.7),
    Cell(
        "groups of 1 to 5 texts, not declared",
        n=(60, 60),
        group_sizes=((1, 2, 5, 1, 3), (1, 2, 5, 1, 3)),
        declared=False,
    ),
    Cell("unordered effect, half of the units are silent", "white", silent=0.5, fwhm=(2.0, 2.0)),
    Cell("equal effect of all units, smooth gains", "shift", gains=True, fwhm=(2.0, 2.0)),
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
    if cell.silent:
        values[:, rng.random(n_units) < cell.silent] = 0.0
    y, x = (np.tile(cells.ravel(), cell.taps) for cells in np.mgrid[:SIDE, :SIDE])
    taps = np.repeat([f"tap {number}" for number in range(cell.taps)], SIDE**2)
    units = {"tap": taps, "sheet": taps, "y": y, "x": x, "spacing_mm": np.ones(n_units)}
    texts = {"condition": np.repeat(["a", "b"], cell.n)}
    if cell.group_sizes:
        texts["shared_words"] = np.concatenate([groups[0], groups[1] + groups[0].max() + 1])
    if cell.paired:
        texts["pair"] = np.tile(np.arange(cell.n[0]), 2)
    if cell.reliability is not None:
        confound = rng.normal(size=sum(cell.n)) + np.repeat([0.5, -0.5], cell.n)
        values = values + confound[:, None] * np.tile(0.7 * _noise(rng, 1, 4.0).ravel(), cell.taps)
        texts["confound"] = confound + np.sqrt(1 / cell.reliability - 1) * 1.1 * rng.normal(size=len(confound))
    coordinates = {name: ("unit", column) for name, column in units.items()}
    coordinates |= {name: ("stimulus", column) for name, column in texts.items()}
    responses = xr.DataArray(values.astype(np.float32), dims=("stimulus", "unit"), coords=coordinates)
    return ts.Comparison(
        responses,
        "a",
        "b",
        groups="shared_words" if cell.declared else None,
        pairs="pair" if cell.paired else None,
        confounds=("confound",) if cell.reliability is not None else (),
    )


def organisation_p(comparison: ts.Comparison, seed: int) -> dict[str, float]:
    """Return the p's of the spatial organisation, raw and with readout."""
    table = ts.organisation(comparison, fwhm_mm=FWHM_MM, permutations=PERMUTATIONS, seed=seed)
    rows = table[table["tap"] == "*"].to_dict("records")
    return {f"{name}, {row['fwhm_mm']:g} mm": row[p] for row in rows for name, p in _ORGANISATION}


_ORGANISATION = (("organisation", "p"), ("smoother", "smoother_p"))


def label_null_p(comparison: ts.Comparison, seed: int) -> dict[str, float]:
    """Return the p of Moran's I of the raw map, mean over taps, from the label-null."""
    draws = label_draws(comparison, PERMUTATIONS, np.random.default_rng(seed))
    morans = np.concatenate([_mean_over_taps(comparison, morans_i, maps.t) for maps in draws])
    return {"Moran's I, label-null": _p(_mean_over_taps(comparison, morans_i, comparison.t.values), morans)}


def clusters_p(comparison: ts.Comparison, seed: int) -> dict[str, float]:
    """Return the smallest p of a cluster. It is nan where the software gives no p."""
    p = {}
    for forming_p in _FORMING:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            clusters, _ = ts.selective_clusters(comparison, permutations=PERMUTATIONS, seed=seed, forming_p=forming_p)
        smallest = float(clusters["p"].min()) if len(clusters) else 1.0
        p[f"clusters, forming p {forming_p:g}"] = float("nan") if warned else smallest
    return p


_FORMING = (0.001, 0.05)


def former_p(comparison: ts.Comparison, seed: int) -> dict[str, float]:
    """Return the p's of former tests: Moran's I against shuffled places, and tests that always shuffle labels.

    With equal numbers of independent texts, shuffled labels are the null of today, and their p is nan here.
    """
    places = place_draws(comparison, PERMUTATIONS, np.random.default_rng(seed))
    morans = np.concatenate([_mean_over_taps(comparison, morans_i, maps.t) for maps in places])
    p = {"Moran's I, shuffled places": _p(_mean_over_taps(comparison, morans_i, comparison.t.values), morans)}
    names = ("Moran's I, shuffled labels", "clusters, shuffled labels")
    if comparison.design.exchanges_labels:
        return p | dict.fromkeys(names, float("nan"))
    unpaired = ts.Comparison(comparison.responses, "a", "b")
    design = unpaired.design
    in_a = shuffled_labels(design.samples[0], PERMUTATIONS, np.random.default_rng(seed))
    draws = t_test(unpaired.items, [in_a, ~in_a]).t
    threshold = float(stats.t.isf(0.0005, design.n_items - 2))

    def largest(t: np.ndarray) -> np.ndarray:
        return np.max([largest_mass(tap.map(t), threshold) for tap in unpaired.layouts], axis=0)

    values = [
        (_mean_over_taps(unpaired, morans_i, t), largest(t if t.ndim > 1 else t[None]))
        for t in (unpaired.t.values, draws)
    ]
    p_labels = [_p(value if np.ndim(value) == 0 else value[0], null) for value, null in zip(*values, strict=True)]
    p_labels[1] = p_labels[1] if values[0][1][0] > 0 else 1.0  # there is no cluster
    return p | dict(zip(names, p_labels, strict=True))


FAMILIES: dict[str, Callable[[ts.Comparison, int], dict[str, float]]] = {
    "organisation": organisation_p,
    "label-null": label_null_p,
    "clusters": clusters_p,
    "former": former_p,
}
COLUMNS = {
    "organisation": [f"{name}, {fwhm:g} mm" for fwhm in FWHM_MM for name, _ in _ORGANISATION],
    "label-null": ["Moran's I, label-null"],
    "clusters": [f"clusters, forming p {p:g}" for p in _FORMING],
    "former": ["Moran's I, shuffled places", "Moran's I, shuffled labels", "clusters, shuffled labels"],
}
TODAY = [column for family in ("organisation", "label-null", "clusters") for column in COLUMNS[family]]


@dataclass(frozen=True)
class ProfileCell:
    """A way to make the responses of two clusters to two or more conditions that do not differ.

    Args:
        name: What is special about the data.
        group_sizes: For each condition, the number of texts of each of its groups.
        declared: Whether the analysis is told the groups.
        paired: Whether texts of different conditions are partners that share most of their responses.
        sd: Standard deviation of the noise of each condition.
    """

    name: str
    group_sizes: tuple[tuple[int, ...], ...]
    declared: bool = True
    paired: bool = False
    sd: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)


PROFILE_CELLS = (
    ProfileCell("independent texts", ((1,) * 24,) * 4),
    ProfileCell("independent texts, unequal numbers", ((1,) * 12, (1,) * 36, (1,) * 24, (1,) * 24)),
    ProfileCell("groups of 1 to 5 texts", ((1, 2, 5, 1, 3) * 4,) * 4),
    ProfileCell("groups of 3 texts against single texts", ((3,) * 12, (1,) * 30, (3,) * 12, (1,) * 30)),
    ProfileCell("pairs", ((1,) * 24,) * 4, paired=True),
    ProfileCell("groups of 1 to 5 texts, not declared", ((1, 2, 5, 1, 3) * 4,) * 4, declared=False),
    ProfileCell("independent texts, sd 1:1:1:3", ((1,) * 24,) * 4, sd=(1.0, 1.0, 1.0, 3.0)),
    ProfileCell("unequal numbers, sd 0.5:2:2:2", ((1,) * 12, (1,) * 36, (1,) * 24, (1,) * 24), sd=(0.5, 2.0, 2.0, 2.0)),
)
_TRUTH = {ABSOLUTE: 20.0, SIGNED: 0.0}  # the response to each condition
PROFILE_TESTS = [
    f"{test}, {measure}"
    for measure in _TRUTH
    for test in ("S > W or W > S", "95 % intervals that miss", "consistency of clusters")
]


def profile_p(cell: ProfileCell, seed: Sequence[int]) -> list[float]:
    """Return the p of S against W, 0 if the interval of S misses the truth (otherwise 1), and the p of consistency.

    These three numbers are first those of the absolute responses, then those of the signed responses.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(sum(map(len, cell.group_sizes))), np.concatenate(cell.group_sizes))
    conditions = np.repeat(list("SWJN"), [sum(sizes) for sizes in cell.group_sizes])
    shared = rng.normal(size=(len(groups), 2))[groups]
    if cell.paired:
        shared = np.tile(shared[: len(groups) // 4], (4, 1))
    noise = np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(size=(len(groups), 2))
    values = 20 + np.repeat(cell.sd, [sum(sizes) for sizes in cell.group_sizes])[:, None] * noise
    taps = np.array(["tap"] * 2)
    units = {"tap": taps, "sheet": taps, "y": [0, 0], "x": [0, 1], "spacing_mm": [1.0, 1.0]}
    texts = {"condition": conditions} | ({"shared_words": groups} if cell.declared else {})
    if cell.paired:
        texts = {"condition": conditions, "pair": np.tile(np.arange(len(groups) // 4), 4)}
    coordinates = {name: ("unit", column) for name, column in units.items()}
    coordinates |= {name: ("stimulus", column) for name, column in texts.items()}
    responses = xr.DataArray(values, dims=("stimulus", "unit"), coords=coordinates)
    clusters = xr.DataArray([1, 2], dims="unit", coords={name: ("unit", column) for name, column in units.items()})
    pairs = "pair" if cell.paired else None
    measured = cluster_responses(responses, clusters)
    tests = profile_tests_of(measured, pairs=pairs)
    p = tests[~tests["matched"]].set_index(["measure", "larger", "smaller"])["p"]
    first = profiles_of(measured).groupby("measure").first()[["low", "high"]].T.to_dict("list")
    alike = consistency_of(measured, pairs=pairs, permutations=PERMUTATIONS, seed=int(seed[-1])).set_index("measure")
    found = []
    for measure, truth in _TRUTH.items():
        low, high = first[measure]
        two_sided = 2 * min(p[measure, "S", "W"], p[measure, "W", "S"])
        found += [two_sided, float(low <= truth <= high), float(alike["p"][measure])]
    return found


SEEDS, SEED_TAPS, DATASETS_OF_SEEDS = (3, 5, 10), 12, 10_000
SEED_CELLS = {"only seeds differ": (0.1, 0.0), "taps differ more than seeds": (0.02, 1.0)}  # sd over seeds, over taps


def seed_coverage(of_seeds: float, of_taps: float, n: int) -> tuple[float, float]:
    """Return how often 95 % intervals of `compare` cover the truth: for the mean of n models, and for a difference.

    Args:
        of_seeds: Standard deviation over models of the part of a statistic that all taps of a model share.
        of_taps: Standard deviation over taps of the part that all models share.
        n: Number of models in each of two groups.
    """
    rng = np.random.default_rng(n)
    of_each_tap = of_taps * rng.normal(size=(SEED_TAPS, DATASETS_OF_SEEDS))
    seeds = of_seeds * rng.normal(size=(2 * n, 1, DATASETS_OF_SEEDS))
    values = of_each_tap + seeds + 0.05 * rng.normal(size=(2 * n, SEED_TAPS, DATASETS_OF_SEEDS))
    means, truth = values.mean(axis=1), of_each_tap.mean(axis=0)
    ends = mean_interval(means[:n])
    differences = np.array([difference_interval(a, b) for a, b in zip(means[:n].T, means[n:].T, strict=True)]).T
    covered = [(low <= x) & (x <= high) for (low, high), x in ((ends, truth), (differences, 0))]
    return float(covered[0].mean()), float(covered[1].mean())


MATCHED_DESIGNS, MATCHED_SETS = 50, 200
MATCHED_CELLS = {  # numbers of items of each condition, and standard deviations of their texts
    "10 and 10 items": ((10, 10), (1.0, 1.0)),
    "24 and 24 items": ((24, 24), (1.0, 1.0)),
    "24 and 24 items, sd 3 : 1": ((24, 24), (3.0, 1.0)),
    "12 and 36 items": ((12, 36), (1.0, 1.0)),
    "12 and 36 items, sd 3 : 1": ((12, 36), (3.0, 1.0)),
    "12 and 36 items, sd 1 : 3": ((12, 36), (1.0, 3.0)),
}
MATCHED_DATA = {  # number of different numbers of tokens, and the correlation within groups of 1 to 5 texts
    "texts, 3 numbers of tokens": (3, None),
    "texts, 30 numbers": (30, None),
    "groups, 3 numbers": (3, 0.6),
    "groups, 30 numbers": (30, 0.6),
}


def matched_rates(
    items: tuple[int, int], sd: tuple[float, float], numbers: int, correlation: float | None
) -> tuple[float, float]:
    """Return the size of the one-sided test within equal numbers of tokens, and the coverage of its 95 % interval.

    Args:
        items: Number of items of each condition: texts, or groups of 1 to 5 texts.
        sd: Standard deviation of the texts of each condition.
        numbers: How many different numbers of tokens the texts have.
        correlation: Correlation of the texts of a group. None: the texts are independent.
    """
    rng, p = np.random.default_rng(0), []
    while len(p) < MATCHED_DESIGNS:
        n_texts = np.ones(sum(items), dtype=int) if correlation is None else rng.integers(1, 6, sum(items))
        group = np.repeat(np.arange(sum(items)), n_texts)
        in_a, tokens = group < items[0], rng.integers(0, numbers, len(group))
        kept = np.isin(tokens, np.intersect1d(tokens[in_a], tokens[~in_a]))
        if min(len(np.unique(group[kept & sample])) for sample in (in_a, ~in_a)) < 3:
            continue
        shared, own = (rng.normal(size=(len(group), MATCHED_SETS)) for _ in range(2))
        share = correlation or 0.0
        x = np.sqrt(share) * shared[group] + np.sqrt(1 - share) * own
        x = x * np.where(in_a, *sd)[:, None] + tokens[:, None]
        test = stratified_t_test(x[kept], in_a[kept], tokens[kept], group[kept])
        p.append((special.stdtr(test.df, -test.t), test.p))
    one_sided, two_sided = np.stack(p, axis=1)
    return float(np.mean(one_sided <= 0.05)), float(np.mean(two_sided > 0.05))


def measure(cell: Cell, family: str, seeds: Iterable[Sequence[int]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the rate of p <= 0.05 of each test of a family in a cell, and the fraction of data sets without a p."""
    test = FAMILIES[family]
    tables = [test(comparison_of(cell, np.random.default_rng(seed)), seed[1]) for seed in seeds]
    rates = {name: float(np.mean([table[name] <= 0.05 for table in tables])) for name in tables[0]}
    return rates, {name: float(np.mean([np.isnan(table[name]) for table in tables])) for name in tables[0]}


def above(rate: float, datasets: int) -> bool:
    """Return whether a rate is above 0.05, and not only by chance: its one-sided 95 % lower bound is above 0.05."""
    return stats.binomtest(round(rate * datasets), datasets).proportion_ci(0.9).low > 0.05


def is_size(cell: Cell, column: str) -> bool:
    """Return whether the claim of a test is false in a cell, and its assumptions hold, so that its rate is a size."""
    known = cell.declared and cell.reliability in (None, 1.0)
    return known and not column.startswith(TRUE_CLAIMS[cell.effect])


def is_power(cell: Cell, column: str) -> bool:
    """Return whether the claim of a test is true in a cell, so that its rate is a power."""
    as_smooth = cell.fwhm == (4.0, 4.0) and column.startswith(("smoother", "Moran's I"))  # as smooth as the noise
    return column.startswith(TRUE_CLAIMS[cell.effect]) and not as_smooth


@dataclass(frozen=True)
class Measured:
    """The rates that are measured so far. Each new rate is written to docs/calibration.json at once.

    Args:
        results: The content of this file.
    """

    results: dict

    @classmethod
    def read(cls) -> Measured:
        """Return the rates in the file."""
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"machine": machine(), "datasets": DATASETS}
        assert results["datasets"] == DATASETS, f"{RESULTS} has {results['datasets']} data sets a cell: remove it first"
        kinds = ("cells", "refused", "again", "profiles", "profiles_again", "seeds", "matched")
        return cls({kind: {} for kind in kinds} | results)

    def keep(self, *what: object) -> None:
        """Write the file, and print what is new."""
        RESULTS.write_text(json.dumps(self.results, indent=1) + "\n")
        print(*what, flush=True)

    def profiles(self, cell: ProfileCell) -> None:
        """Measure the tests of profiles in a cell, and the sizes that are above 0.05 again, with new data sets."""

        def rates(first: int, datasets: int) -> dict[str, float]:
            seeds = [[1000 + PROFILE_CELLS.index(cell), first + number] for number in range(datasets)]
            p = np.array([profile_p(cell, seed) for seed in seeds])
            return dict(zip(PROFILE_TESTS, np.mean(p <= 0.05, axis=0).tolist(), strict=True))

        if cell.name not in self.results["profiles"]:
            self.results["profiles"][cell.name] = rates(0, DATASETS)
            self.keep(cell.name, self.results["profiles"][cell.name])
        doubtful = [test for test, rate in self.results["profiles"][cell.name].items() if above(rate, DATASETS)]
        if cell.declared and doubtful and cell.name not in self.results["profiles_again"]:
            again = rates(1_000_000, DATASETS_AGAIN)
            self.results["profiles_again"][cell.name] = {test: again[test] for test in doubtful}
            self.keep("again", cell.name, self.results["profiles_again"][cell.name])

    def seeds(self, name: str) -> None:
        """Measure the coverage of the intervals over models in a cell."""
        if name not in self.results["seeds"]:
            self.results["seeds"][name] = {str(n): seed_coverage(*SEED_CELLS[name], n) for n in SEEDS}
            self.keep(name, self.results["seeds"][name])

    def matched(self, name: str) -> None:
        """Measure the tests within equal numbers of tokens in a cell."""
        if name not in self.results["matched"]:
            rates = {data: matched_rates(*MATCHED_CELLS[name], *MATCHED_DATA[data]) for data in MATCHED_DATA}
            self.results["matched"][name] = rates
            self.keep(name, rates)

    def first(self, cell: Cell) -> None:
        """Measure the tests of maps in a cell."""
        rates, without_p = (self.results[kind].setdefault(cell.name, {}) for kind in ("cells", "refused"))
        for family, columns in COLUMNS.items():
            if not set(columns) <= set(rates):
                measured, missing = measure(cell, family, [[CELLS.index(cell), number] for number in range(DATASETS)])
                rates |= measured
                without_p |= {name: fraction for name, fraction in missing.items() if fraction}
                self.keep(cell.name, family, measured, missing)

    def again(self, cell: Cell) -> None:
        """Measure the sizes of a cell that are above 0.05 again, with new data sets."""
        rates, repeated = self.results["cells"].get(cell.name, {}), self.results["again"].setdefault(cell.name, {})
        for family in ("organisation", "label-null", "clusters"):
            doubtful = [c for c in COLUMNS[family] if is_size(cell, c) and above(rates.get(c, 0.0), DATASETS)]
            if set(doubtful) - set(repeated):
                seeds = [[CELLS.index(cell), 1_000_000 + number] for number in range(DATASETS_AGAIN)]
                measured, _ = measure(cell, family, seeds)
                repeated |= {name: measured[name] for name in doubtful}
                self.keep("again", cell.name, repeated)


def main() -> None:
    """Measure all rates that are not measured yet, and write the page."""
    measured = Measured.read()
    for profile_cell in PROFILE_CELLS:
        measured.profiles(profile_cell)
    for name in SEED_CELLS:
        measured.seeds(name)
    for name in MATCHED_CELLS:
        measured.matched(name)
    for cell in CELLS:
        measured.first(cell)
    for cell in CELLS:
        measured.again(cell)
    PAGE.write_text(page(measured.results))


def page(results: dict) -> str:
    """Return docs/calibration.md, as far as the rates are measured."""
    n, again = results["datasets"], DATASETS_AGAIN
    every = [(cell, column) for cell in CELLS for column in TODAY if is_size(cell, column)]
    first = [(cell, column) for cell, column in every if above(results["cells"].get(cell.name, {}).get(column, 0.0), n)]
    second = [(cell, column, results["again"].get(cell.name, {}).get(column)) for cell, column in first]
    still = [f"{column} in *{cell.name}* ({rate:.3f})" for cell, column, rate in second if rate and above(rate, again)]
    measured = [set(TODAY + COLUMNS["former"]) <= set(results["cells"].get(cell.name, {})) for cell in CELLS]
    facts = {
        "n": n,
        "permutations": PERMUTATIONS,
        "side": SIDE,
        "machine": results["machine"],
        "again": again,
        "sizes": len(every),
        "first": len(first),
        "repeated": sum(rate is not None for _, _, rate in second),
        "missing": " Empty cells are not measured yet." if not all(measured) else "",
        "by_chance": round(0.05 * len(every)),
        "still": f"{len(still)}: {'; '.join(still)}" if still else "none",
        "today": _table(results, TODAY),
        "former": _table(results, COLUMNS["former"]),
        "profiles": _profile_table(results["profiles"], results["profiles_again"]),
        "seed_sets": DATASETS_OF_SEEDS,
        "seeds": _seed_table(results["seeds"]),
        "matched_sets": MATCHED_DESIGNS * MATCHED_SETS,
        "matched": _matched_table(results["matched"]),
    }
    return _PAGE.format(**facts)


def _table(results: dict, columns: Sequence[str]) -> str:
    lines = [f"| data | {' | '.join(columns)} |", f"|{'---|' * (1 + len(columns))}"]
    for cell in CELLS:
        shown = [_shown(results, cell, column) for column in columns]
        lines.append(f"| {cell.name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _shown(results: dict, cell: Cell, column: str) -> str:
    rate = results["cells"].get(cell.name, {}).get(column)
    without_p = results["refused"].get(cell.name, {}).get(column, 0.0)
    again = results["again"].get(cell.name, {}).get(column)
    former = column in COLUMNS["former"]
    if rate is None:
        return ""
    if without_p == 1 and former:
        return "as today"
    if without_p >= 0.005 and not former:
        return f"nan, warned ({without_p:.2f})" + (f"; {rate:.3f}" if without_p < 0.99 else "")
    if is_power(cell, column):
        return f"*{rate:.2f}*"
    if column.startswith(TRUE_CLAIMS[cell.effect]):
        return f"{rate:.3f}"
    shown = _bold(rate, results["datasets"])
    return shown if again is None else f"{rate:.3f}, again {_bold(again, DATASETS_AGAIN)}"


def _profile_table(rates: dict, again: dict) -> str:
    def shown(name: str, test: str) -> str:
        repeated = again.get(name, {}).get(test)
        rate = rates[name][test]
        if repeated is None:
            return _bold(rate, DATASETS)
        return f"{rate:.3f}, again {_bold(repeated, DATASETS_AGAIN)}"

    lines = [f"| data | {' | '.join(PROFILE_TESTS)} |", f"|{'---|' * (1 + len(PROFILE_TESTS))}"]
    for name in rates:
        lines.append(f"| {name} | {' | '.join(shown(name, test) for test in PROFILE_TESTS)} |")
    return "\n".join(lines)


def _seed_table(rates: dict) -> str:
    columns = [f"{what}, {n} models" for what in ("mean", "difference") for n in SEEDS]
    lines = [f"| data | {' | '.join(columns)} |", f"|{'---|' * (1 + len(columns))}"]
    for name, row in rates.items():
        shown = [f"{row[str(n)][which]:.3f}" for which in (0, 1) for n in SEEDS]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _matched_table(rates: dict) -> str:
    lines = [f"| data | {' | '.join(MATCHED_DATA)} |", f"|{'---|' * (1 + len(MATCHED_DATA))}"]
    for name, row in rates.items():
        shown = [f"{size:.3f} ({coverage:.3f})" for size, coverage in (row[data] for data in MATCHED_DATA)]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _bold(rate: float, n: int) -> str:
    return f"**{rate:.3f}**" if above(rate, n) else f"{rate:.3f}"


_PAGE = """# Do the tests hold their level?

Each row is a kind of simulated data, each column a test at the level 0.05. There are {n} data sets in each row,
{permutations} draws for each null, a sheet of {side} x {side} cells, and 30 texts for each condition where a row does
not say otherwise. A number is the fraction of data sets with p <= 0.05. Where the claim of the test is false, this is
its size, which should be 0.05. Where the claim is true, the number is in italics: it is the power. A size is bold if
it is above 0.05 and not only by chance: its one-sided 95 % interval lies above 0.05. Two rows have an ordered effect
that is as smooth as the noise: there it is no claim that the map is smoother than noise, and the numbers of *smoother*
and of Moran's I have no mark.

`python -m benchmarks.calibration` writes this page ({machine}). [The analyses](analyses.md) explain the tests.

## The tests of today

{today}

The table has {sizes} sizes of tests whose assumptions hold. About {by_chance} of them (one in twenty) would be above
0.05 by this rule if all true sizes were exactly 0.05. In the first {n} data sets, {first} were. {repeated} of these
were measured again with {again} new data sets (*again*). Above 0.05 also then: {still}.{missing}

*nan, warned* means: the software sees that the test does not hold for these data, and gives no p, with a warning. The
number in brackets is the fraction of data sets with this warning. With a confound of reliability 0.7, and with groups
that are not declared, the assumptions of the tests do not hold, and the p's do not show it: a regression does not fully
remove a confound that is measured with error, and texts that share words are not independent if the column
`shared_words` is missing. Analyses print a note in both cases.

## The tests of before

The same data, and tests that earlier versions used: Moran's I against shuffled places, and shuffled labels also where
the conditions have different numbers of texts, or where texts are pairs. *As today*: the test is the same.

{former}

## Profiles of clusters

Responses of two clusters to four conditions that do not differ. The columns: the two-sided test of S against W
(`profile_tests`), the fraction of 95 % intervals that miss the true response (`profiles`), and the test that the
profiles of clusters are alike (`consistency`), each for absolute and for signed responses.

{profiles}

## Intervals over seeds

The fraction of data sets in which the 95 % interval of `compare` covers the truth: for the mean of a group of models
that differ in their seed, and for the difference of two such groups ({seed_sets:,} data sets for each number, 12 taps a
model).

{seeds}

## Tests within equal numbers of tokens

S against W, and J against N, are also tested within texts of equal numbers of tokens (`stratified_t_test`). The
conditions do not differ; texts with more tokens have larger responses. The size of the one-sided test at 0.05, and in
brackets the fraction of 95 % intervals that cover the truth, {matched_sets:,} data sets each. With 30 different numbers
of tokens, a number of tokens often has one text of each condition. Groups have 1 to 5 texts, which
correlate by 0.6.

{matched}
"""


def _mean_over_taps(comparison: ts.Comparison, statistic: Callable[..., Any], *t: np.ndarray) -> np.ndarray:
    return np.mean([statistic(*(tap.map(one) for one in t)) for tap in comparison.layouts], axis=0)


def _p(value: np.ndarray, draws: np.ndarray) -> float:
    return float(against_null(value, draws).p)


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


if __name__ == "__main__":
    main()
