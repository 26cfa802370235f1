"""The result of an encoding analysis: tables of scores, of tests and of voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.cortex.layout import ALL_TAPS
from toposheet.encoding.ceiling import LEAST_CEILING, normalised
from toposheet.encoding.scores import Sums, mean_interval, resamples
from toposheet.encoding.similarity import SIMILARITY
from toposheet.encoding.verdict import verdict
from toposheet.figures.encoding import encoding_scores
from toposheet.results import Results, Table
from toposheet.stats import Null, against_null, familywise_p, q_values

SCORES = Table(
    "scores.csv",
    {"tap": "text", "features": "text", "n_voxels": "count", "r": "number", "r_low": "number", "r_high": "number",
     "r2": "number", "r2_low": "number", "r2_high": "number", "normalised_r": "number"},
    "the score of features in one tap, mean over voxels: of the model, each baseline, all baselines, and all together",
)  # fmt: skip
TESTS = Table(
    "tests.csv",
    {"tap": "text", "quantity": "text", "value": "number", "low": "number", "high": "number", "null_mean": "number",
     "null_sd": "number", "z": "number", "p": "number", "p_corrected": "number", "n_significant": "count",
     "n_voxels": "count"},
    "the test of the score of the model in one tap, and the test of what it adds to its baselines",
)  # fmt: skip
VOXELS = Table(
    "voxels.csv",
    {"tap": "text", "voxel": "text", "r": "number", "p": "number", "q": "number", "r2": "number",
     "baselines_r2": "number", "unique_r2": "number", "unique_p": "number", "unique_q": "number", "ceiling": "number",
     "normalised_r": "number"},
    "the score of the model in one voxel, and what it adds to its baselines",
)  # fmt: skip
R, UNIQUE = "r", "unique_r2"


@dataclass(frozen=True, eq=False)
class TapFit:
    """The scores of one tap.

    Args:
        sums: The sums of the predictions of each set of features: `model`, each baseline, `baselines` and `joint`.
        r_draws: The r of the model in each draw of the null of the score.
        unique_draws: What the model adds to the r2 of its baselines, in each draw of the null of this quantity. There
            are none if this quantity is not tested.
    """

    sums: Mapping[str, Sums]
    r_draws: Float[np.ndarray, "permutations voxels"]
    unique_draws: Float[np.ndarray, "tested voxels"]

    def values(self, quantity: str) -> Float[np.ndarray, " voxels"]:
        """Return a tested quantity in each voxel: `r`, or `unique_r2`."""
        return self.sums["model"].r if quantity == R else self.sums["joint"].r2 - self.sums["baselines"].r2

    def draws(self, quantity: str) -> Float[np.ndarray, "draws voxels"]:
        """Return a tested quantity in each draw of its null."""
        return self.r_draws if quantity == R else self.unique_draws

    def interval(self, quantity: str, counts: Float[np.ndarray, "resamples blocks"]) -> tuple[float, float]:
        """Return the ends of the interval of a tested quantity, mean over voxels, see `mean_interval`."""
        if quantity == R:
            return mean_interval(lambda sums: sums[0].r, [self.sums["model"]], counts)
        of = [self.sums["joint"], self.sums["baselines"]]
        return mean_interval(lambda sums: sums[0].r2 - sums[1].r2, of, counts)


@dataclass(frozen=True, eq=False)
class Encoding:
    """How well the responses of a model predict a recording.

    Args:
        scores: A row for each tap and each set of features: r and r2, means over voxels, with 95 % intervals over
            blocks. The sets are `model`, each baseline, `baselines` (all of them) and `joint` (the model and all
            baselines). `normalised_r` is the mean of r divided by its ceiling, over voxels with a ceiling of at least
            0.3; nan without repetitions.
        tests: A row for each tap and each tested quantity: `r` of the model, and `unique_r2`, what the model adds to
            the r2 of its baselines (p is nan with fewer than 6 passages). p is one-sided, of the mean over voxels;
            `p_corrected` is corrected for the number of taps (`familywise_p`). `n_significant` voxels have a false
            discovery rate below 0.05 over the voxels of the row.
        voxels: A row for each tap and each voxel, with its p and q of both quantities.
        facts: What determines the numbers: sizes, folds, nulls and options.
    """

    scores: pd.DataFrame
    tests: pd.DataFrame
    voxels: pd.DataFrame
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return verdict(self.scores, self.tests, self.voxels, self.facts)

    def plot(self) -> Figure:
        """Return a figure: the score of the model in each tap, beside its baselines, and what it adds to them."""
        return encoding_scores(self.scores, self.tests, float(self.voxels["ceiling"].to_numpy().mean()))

    def write(
        self, out: str | Path, *, similarity: pd.DataFrame | None = None, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Write the tables, the figure and the facts to a folder (`Results.write`).

        Args:
            out: The folder. It is created if it does not exist.
            similarity: The tables of `rsa` and `cka`, one after the other. None: they are not written.
            facts: Facts on the model and the recording that are written beside those of the analysis.
        """
        tables = {SCORES: self.scores, TESTS: self.tests, VOXELS: self.voxels}
        tables |= {} if similarity is None else {SIMILARITY: similarity}
        Results(tables, facts={**(facts or {}), **self.facts}, figures={"encoding": self.plot()}).write(out)


def encoding_of(
    fits: Mapping[str, TapFit],
    voxels: Sequence[str],
    ceiling: Float[np.ndarray, " voxels"],
    facts: Mapping[str, Any],
    rng: np.random.Generator,
) -> Encoding:
    """Return the tables of fits.

    Args:
        fits: The fit of each tap, and of all taps together.
        voxels: The names of the voxels.
        ceiling: The noise ceiling of each voxel; nan if there is none.
        facts: What determines the numbers.
        rng: Generator of the bootstrap samples. All intervals have the same samples.
    """
    counts = resamples(facts["n_blocks"], rng)
    scores, tests, of_voxels = [], [], []
    corrected = {R: _familywise(fits, R), UNIQUE: _familywise(fits, UNIQUE)}
    for tap, fit in fits.items():
        scores += [_score(tap, name, sums, ceiling, counts) for name, sums in fit.sums.items()]
        q = {}
        for name in (R, UNIQUE):
            values, draws = fit.values(name), fit.draws(name)
            q[name] = q_values(_null(values, draws).p)
            low, high = fit.interval(name, counts)
            null = _null(values.mean(), draws.mean(axis=1)).columns()
            tests.append(
                {"tap": tap, "quantity": name, "value": values.mean(), "low": low, "high": high}
                | {column: float(value) for column, value in null.items()}
                | {"p_corrected": corrected[name].get(tap, null["p"]), "n_voxels": len(voxels)}
                | {"n_significant": int((q[name] < SIGNIFICANT).sum())}
            )
        r = fit.values(R)
        columns = {
            "tap": tap, "voxel": voxels, "r": r, "p": _null(r, fit.r_draws).p, "q": q[R], "r2": fit.sums["model"].r2,
            "baselines_r2": fit.sums["baselines"].r2, "unique_r2": fit.values(UNIQUE),
            "unique_p": _null(fit.values(UNIQUE), fit.unique_draws).p, "unique_q": q[UNIQUE], "ceiling": ceiling,
            "normalised_r": normalised(r, ceiling),
        }  # fmt: skip
        of_voxels.append(pd.DataFrame(columns))
    return Encoding(SCORES.frame(scores), TESTS.frame(tests), VOXELS.frame(pd.concat(of_voxels)), facts)


def _familywise(fits: Mapping[str, TapFit], quantity: str) -> dict[str, float]:
    """Return the p of each tap, corrected for the number of taps. All taps together are a test of their own."""
    taps = [tap for tap in fits if tap != ALL_TAPS]
    means = [np.r_[fits[tap].values(quantity).mean(), fits[tap].draws(quantity).mean(axis=1)] for tap in taps]
    if len(means[0]) == 1:
        return dict.fromkeys(taps, np.nan)
    return dict(zip(taps, familywise_p(np.stack(means, axis=1)).tolist(), strict=True))


def _score(tap: str, name: str, sums: Sums, ceiling: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    r_low, r_high = mean_interval(lambda one: one[0].r, [sums], counts)
    r2_low, r2_high = mean_interval(lambda one: one[0].r2, [sums], counts)
    reliable = ceiling >= LEAST_CEILING
    return {
        "tap": tap, "features": name, "n_voxels": len(ceiling), "r": sums.r.mean(), "r_low": r_low, "r_high": r_high,
        "r2": sums.r2.mean(), "r2_low": r2_low, "r2_high": r2_high,
        "normalised_r": normalised(sums.r, ceiling)[reliable].mean() if reliable.any() else np.nan,
    }  # fmt: skip


def _null(values: np.ndarray | float, draws: np.ndarray) -> Null:
    """Return the comparison of values with their null; all is nan if there are no draws, as in random folds."""
    return against_null(values, draws if len(draws) else np.full((1, *np.shape(values)), np.nan))
