"""A test of spatial organisation: is an effect ordered in space, more than the same effect at random places?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from toposheet.cortex.comparison import Comparison, check_comparison
from toposheet.cortex.design import Design
from toposheet.cortex.layout import ALL_TAPS, shuffled_places
from toposheet.cortex.readout import sheet_readouts
from toposheet.progress import Progress, part_of
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed, readouts_of
from toposheet.stats import against_null, familywise_p, morans_i, morans_i_parts, random_signs, t_test
from toposheet.wording import readout_name

ORGANISATION = Table(
    "organisation.csv",
    {
        "tap": "text",
        "fwhm_mm": "number",
        "value": "number",
        "p": "number",
        "p_familywise": "number",
        "smoother_p": "number",
    },
    "the spatial organisation of the effect of a contrast, in one tap and readout",
)
_NOISE_QUANTILE = 0.95
_COLLINEAR = 1e-6  # two shifts count as one if their difference is smaller than this part of them


def organisation(
    comparison: Comparison,
    *,
    fwhm_mm: float | Sequence[float] = (0.0, 2.0),
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return whether the effect of a contrast is ordered in space, for each tap and readout: two claims, two p's.

    - `p` tests the claim *the effect is spatially ordered*: neighbouring units have similar effects, more than if the
      same effects were at random places, with the noise of these texts in its place and with this readout.
    - `smoother_p` tests another claim, *the map is smoother than differences between such texts by chance*: the
      Moran's I of the t-map against maps of noise. An effect may be ordered, and no smoother than the noise.

    The statistic. d is the difference of the mean responses, before the readout. With R the readout, H the subtraction
    of the mean over the tap, and W the weights of neighbours (queen contiguity, scaled so that Moran's I is z'Wz/z'z):

        value = (d'Md - tr(MS)) / (d'Cd),  M = R'HWHR,  C = R'HR,
        S = sum over conditions of sum_i r_i r_i' / (n (n - 1)),  r_i the deviation of item i from its condition's mean

    d'Md contains the autocorrelation of the noise in d, and tr(MS) estimates it. So the numerator is 0 on average
    without effect; the value itself is below 0 on average if the noise is smooth. The numerator is the mean cross-half
    product over all splits of the items into halves; the denominator is the variance of the map. A constant that is
    added to the effect of every unit changes nothing.

    The null. Each draw keeps the noise: each deviation r_i gets a random sign, times sqrt(n / (n - 1)). S is computed
    anew from the items of the draw, because S is an estimate in the observed value too. And each draw
    deals the effects of the units to random places of their tap: the effects are taken in units of each unit's
    standard deviation, reduced to the variance that noise does not explain,
    and multiplied by the standard deviation of the unit at the new place. Two parts of the effect stay in place: a
    shift that is equal in all units, and a shift that is equal in units of the standard deviation. So units with large
    responses that lie together are no ordered effect. The standard deviations are estimates. So the second shift has an
    error, which makes the maps of the draws less smooth than the observed map. It is kept as noise: each draw also has
    the error of its own texts, and what both errors add on average to numerator and denominator is subtracted. Without
    this, a large equal effect was called ordered in 10 % of simulated data sets. Taps with equal places share the
    dealing. Then comes the readout.

    Many tests. `p` is not corrected for the number of taps and readouts; `p_familywise` is. In each draw the largest
    value of all taps and readouts of this call is taken, each value standardised (maxT, `stats.familywise_p`). So the
    chance that any tap in any readout has `p_familywise` <= 0.05 without effect is at most 0.05. The mean over taps is
    another family: in the rows with the tap `*` the largest value is over readouts alone.

    What is random are the texts. The model has one placement of its units; neither p says anything about other models.

    Args:
        comparison: The comparison. Its items (texts, groups, or pairs) are what is independent.
        fwhm_mm: One width or several widths of readouts, in mm; 0 is raw.
        permutations: Number of draws.
        seed: Seed of the draws. All readouts use the same draws.
        progress: A function that is called with the number of readouts done so far. None: no calls.

    Returns:
        A row for each readout and tap, and a row with the tap `*` for the mean over taps, with the columns `tap,
        fwhm_mm, value, p, p_familywise, smoother_p`. Each p is one-sided: (1 + b) / (1 + B). They are nan if a map is
        constant.

    Raises:
        UserError: A width, the seed or the number of permutations is out of range, or there are fewer different draws.

    Example:
        ts.organisation(ts.Comparison(responses, "sentence", "nonword"))
    """
    check_comparison(comparison)
    check_permutations(permutations)
    check_seed(seed)
    comparison.design.check_draws(permutations)
    readouts, raw, tables, values = readouts_of(fwhm_mm), comparison.raw, [], []
    effect = _Effect.of(raw, permutations, np.random.default_rng(seed))
    for number, fwhm in enumerate(readouts):
        tell = part_of(progress, number, len(readouts), readout_name(fwhm))
        tell("organisation", 0, 1)
        ordered, smoother = effect.tested(raw, fwhm)
        names = [*(tap.name for tap in raw.layouts), ALL_TAPS]
        columns = {"tap": names, "fwhm_mm": fwhm, "value": ordered[0]}
        p, smoother_p = (against_null(of_draws[0], of_draws[1:]).p for of_draws in (ordered, smoother))
        tables.append(pd.DataFrame(columns | {"p": p, "smoother_p": smoother_p}))
        values.append(ordered)
        tell("organisation", 1, 1)
    table = pd.concat(tables, ignore_index=True)
    for rows in (table["tap"] != ALL_TAPS, table["tap"] == ALL_TAPS):
        table.loc[rows, "p_familywise"] = familywise_p(np.concatenate(values, axis=1)[:, rows])
    return ORGANISATION.frame(table)


@dataclass(frozen=True, eq=False)
class _Effect:
    """The effect of a contrast in each unit, and the draws of its null, before any readout.

    Args:
        design: The design of the comparison.
        deviations: The deviation of each item from the mean of its sample, times sqrt(n / (n - 1)).
        signs: The sign of each item in each draw.
        errors: The error that each item adds to the shift that is equal in units of the standard deviation, because
            the standard deviation of a unit is an estimate.
        means: The difference of the means: first the observed one, then the draws.
    """

    design: Design
    deviations: Float[np.ndarray, "items units"]
    signs: Int[np.ndarray, "permutations items"]
    errors: Float[np.ndarray, "items units"]
    means: Float[np.ndarray, "observed_and_draws units"]

    @classmethod
    def of(cls, comparison: Comparison, permutations: int, rng: np.random.Generator) -> _Effect:
        """Return the effect of a comparison with draws of its null."""
        design, taps = comparison.design, comparison.layouts
        for_signs, for_places = rng.spawn(2)
        deviations = design.residuals(comparison.items)
        signs = random_signs(permutations, design.n_items, for_signs)
        effect = _contrast_weights(design) @ comparison.items
        noise = _contrast_weights(design)[:, None] * deviations
        # The variance of each item around the mean of its sample, pooled over samples.
        squares = deviations**2 / design.inflation[:, None] / (design.n_items - len(design.samples))
        sd = np.sqrt(squares.sum(axis=0))
        errors = np.divide(design.residuals(squares), 2 * sd, out=np.zeros_like(squares), where=sd > 0)
        means = np.concatenate([effect[None], np.zeros((permutations, len(effect)))])
        for tap, orders in zip(taps, shuffled_places(taps, permutations, for_places), strict=True):
            units = tap.units
            errors[:, units] *= _shift_in_sd(effect[units], sd[units])
            draws = signs @ (noise[:, units] - errors[:, units])
            means[1:, units] = draws + _dealt(effect[units], draws, sd[units], orders)
        return cls(design, deviations, signs, errors, means)

    def tested(self, raw: Comparison, fwhm_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the value of the organisation, and Moran's I of t, each (1 + draws, taps + 1): first the observed one.

        The last column is the mean over taps.
        """
        deviations = _sampled(raw, self.deviations, fwhm_mm)
        noise = _contrast_weights(self.design)[:, None] * deviations
        weights = [self.signs * sample for sample in self.design.samples]
        draws = t_test(deviations * np.sqrt(self.design.inflation)[:, None], weights).t
        t = np.concatenate([raw.readout(fwhm_mm).t.values[None], draws])
        means, errors = (_sampled(raw, x, fwhm_mm) for x in (self.means, self.errors))
        silent = np.isnan(t[0])  # silent units are holes of all maps
        t, means, noise, errors = (np.where(silent, np.nan, x) for x in (t, means, noise, errors))
        both, ordered, smooth = noise - errors, [], []
        samples = [(sample, int(sample.sum()), (self.signs * sample) @ noise) for sample in self.design.samples]
        for tap in raw.layouts:
            products, squares = morans_i_parts(tap.map(means))
            of_items = np.stack(morans_i_parts(tap.map(noise)))
            of_noise = of_items.sum(axis=1)
            of_errors, of_both = (np.sum(morans_i_parts(tap.map(x)), axis=1) for x in (errors, both))
            products[0] -= of_noise[0]
            # S of a draw is that of its own items: n / (n - 1) times S, less m m' / (n - 1), m the mean of the draw.
            for sample, n, mean in samples:
                products[1:] -= (n * of_items[0, sample].sum() - morans_i_parts(tap.map(mean))[0]) / (n - 1)
            # The draws have the errors of the standard deviations twice: in the shift, and in their noise.
            products[1:] -= of_both[0] - of_noise[0] + of_errors[0]
            squares[1:] -= of_both[1] - of_noise[1] + of_errors[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                ordered.append(products / squares)
            smooth.append(np.asarray(morans_i(tap.map(t))))
        return _with_mean(np.stack(ordered, axis=1)), _with_mean(np.stack(smooth, axis=1))


def _contrast_weights(design: Design) -> Float[np.ndarray, " items"]:
    """Return the weight of each item in the difference of the means: 1 / n_a, -1 / n_b; with pairs 1 / n."""
    signs = (1.0, -1.0)
    return np.sum([sign * sample / sample.sum() for sign, sample in zip(signs, design.samples, strict=False)], axis=0)


def _dealt(
    effect: Float[np.ndarray, " units"],
    noise: Float[np.ndarray, "permutations units"],
    sd: Float[np.ndarray, " units"],
    orders: Int[np.ndarray, "permutations units"],
) -> Float[np.ndarray, "permutations units"]:
    """Return the effects of one tap at random places, without the part of their variance that noise explains.

    Two parts of the effect stay in their place: an equal shift of all units, and an equal shift of all units in units
    of their standard deviation. The rest is dealt in units of the standard deviation. A silent unit has no effect, and
    no effect is dealt to it.

    If the energy of the noise happens to be large, its excess must not be dealt as an effect: this would whiten the
    maps of the null, and the observed map would look ordered. So the noise is taken at its 95 % quantile where the
    effect is no larger than this, and the closer to its mean, the larger the effect is: then the excess matters less,
    and to subtract too much would make the null too narrow.

    Args:
        effect: The effect of each unit.
        noise: The noise of the effect in each draw.
        sd: The standard deviation of each unit over items. A silent unit has 0.
        orders: For each draw and each place, the unit that is dealt to it.
    """
    result, live = np.zeros(orders.shape), sd > 0
    if not live.any():
        return result
    scale = sd[live]
    basis, singular, _ = np.linalg.svd(_shifts(scale), full_matrices=False)
    basis = basis[:, singular > _COLLINEAR * singular[0]]
    size, noise_size = effect[live] / scale, noise[:, live] / scale
    rest, noise_rest = size - basis @ (basis.T @ size), noise_size - (noise_size @ basis) @ basis.T
    energy, of_noise = (rest**2).sum(), (noise_rest**2).sum(axis=1)
    mean, high = of_noise.mean(), np.quantile(of_noise, _NOISE_QUANTILE)
    explained = mean + (high - mean) * high / max(energy, high)
    reliable = np.sqrt(1 - explained / energy) if energy > high else 0.0
    place_of = np.cumsum(live) - 1
    dealt = rest[place_of[orders[live[orders]].reshape(len(orders), -1)]]
    result[:, live] = scale * (size - rest + reliable * dealt)
    return result


def _shift_in_sd(effect: Float[np.ndarray, " units"], sd: Float[np.ndarray, " units"]) -> float:
    """Return the part of an effect that is equal in all units of a tap, in units of their standard deviation."""
    live = sd > 0
    if not live.any():
        return 0.0
    return float(np.linalg.lstsq(_shifts(sd[live]), effect[live] / sd[live], rcond=_COLLINEAR)[0][1])


def _shifts(scale: Float[np.ndarray, " units"]) -> Float[np.ndarray, "units 2"]:
    """Return the two effects that stay in place, in units of the standard deviation of each unit."""
    return np.column_stack([scale.mean() / scale, np.ones_like(scale)])


def _sampled(raw: Comparison, x: Float[np.ndarray, "rows units"], fwhm_mm: float) -> Float[np.ndarray, "rows units"]:
    """Return what a voxel at the place of each unit would see of values of all units."""
    if fwhm_mm == 0:
        return x
    voxels = np.empty(x.shape)
    for units, readout in sheet_readouts(raw.responses, fwhm_mm):
        voxels[:, units] = readout.sample(x[:, units].T).T
    return voxels


def _with_mean(values: Float[np.ndarray, "draws taps"]) -> Float[np.ndarray, "draws all"]:
    """Return values with their mean over the taps in which the observed value is defined, as a last column."""
    defined = np.isfinite(values[0])
    mean = values[:, defined].mean(axis=1) if defined.any() else np.full(len(values), np.nan)
    return np.column_stack([values, mean])
