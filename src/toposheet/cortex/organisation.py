"""A test of spatial organisation: is an effect ordered in space, more than the same effect at random places?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from toposheet.cortex.comparison import Comparison, check_comparison
from toposheet.cortex.design import Design
from toposheet.cortex.layout import ALL_TAPS, TapLayout, row_names, shuffled_places
from toposheet.cortex.readout import tap_readouts
from toposheet.progress import Progress, part_of
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_permutations, check_seed, readouts_of
from toposheet.stats import against_null, familywise_p, morans_i, morans_i_parts, random_signs, t_test
from toposheet.wording import readout_name

ORGANISATION = Table(
    "organisation.csv",
    {
        "sheet": "text",
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
_FEWEST_UNITS = 3  # of a map; any effect in two units lies in the two effects that stay in place
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
    dealing, and their effects are dealt as alike as they are without noise. Then comes the readout.

    Many tests. `p` is not corrected for the number of taps and readouts; `p_familywise` is. In each draw the largest
    value of all taps and readouts of this call is taken, each value standardised (maxT, `stats.familywise_p`). So the
    chance that any tap in any readout has `p_familywise` <= 0.05 without effect is at most 0.05. The mean over taps is
    another family: in its rows the largest value is over readouts alone.

    Sheets with several taps. The map of a whole sheet has the units of all its taps, and its value may be high because
    the map continues across the borders of taps. The draws deal effects within taps, and the shift of each tap stays in
    place, so taps with different means are no ordered effect. Whole sheets belong to the family of the taps.

    What is random are the texts. The model has one placement of its units; neither p says anything about other models.

    Args:
        comparison: The comparison. Its items (texts, groups, or pairs) are what is independent.
        fwhm_mm: One width or several widths of readouts, in mm; 0 is raw.
        permutations: Number of draws.
        seed: Seed of the draws. All readouts use the same draws.
        progress: A function that is called with the number of readouts done so far. None: no calls.

    Returns:
        A row for each readout and tap, for each sheet with several taps (tap `*`), and for the mean over taps (sheet
        and tap `*`), with the columns `sheet, tap, fwhm_mm, value, p, p_familywise, smoother_p`. Each p is one-sided:
        (1 + b) / (1 + B). They are nan if a map is constant, or if texts are not independent (`Reading.mixes_texts`).

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
        columns = {**row_names(raw.map_layouts), "fwhm_mm": fwhm, "value": ordered[0]}
        p, smoother_p = (against_null(of_draws[0], of_draws[1:]).p for of_draws in (ordered, smoother))
        tables.append(pd.DataFrame(columns | {"p": p, "smoother_p": smoother_p}))
        values.append(ordered)
        tell("organisation", 1, 1)
    table = pd.concat(tables, ignore_index=True)
    for rows in (table["sheet"] != ALL_TAPS, table["sheet"] == ALL_TAPS):
        table.loc[rows, "p_familywise"] = familywise_p(np.concatenate(values, axis=1)[:, rows])
    if comparison.mixes_texts:
        table[["p", "p_familywise", "smoother_p"]] = np.nan
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
        orders = shuffled_places(taps, permutations, for_places)
        alike: dict[int, list[int]] = {}  # taps with equal places share their orders
        for number, order in enumerate(orders):
            alike.setdefault(id(order), []).append(number)
        for numbers in alike.values():
            parts = []
            for tap in (taps[number] for number in numbers):
                units = tap.units
                errors[:, units] *= _shift_in_sd(effect[units], sd[units])
                noise[:, units] -= errors[:, units]
                means[1:, units] = signs @ noise[:, units]
                parts.append(_TapEffect.of(effect[units], noise[:, units], means[1:, units], sd[units]))
            for number, part, rest in zip(numbers, parts, _without_noise(parts), strict=True):
                means[1:, taps[number].units] += part.dealt(rest, orders[number])
        return cls(design, deviations, signs, errors, means)

    def tested(self, raw: Comparison, fwhm_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the value of the organisation, and Moran's I of t, each (1 + draws, layouts + 1).

        The first row is the observed one, and the last column is the mean over taps.
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
        for layout in raw.map_layouts:
            products, squares = morans_i_parts(layout.map(means))
            of_items = np.stack(morans_i_parts(layout.map(noise)))
            of_noise = of_items.sum(axis=1)
            of_errors, of_both = (np.sum(morans_i_parts(layout.map(x)), axis=1) for x in (errors, both))
            products[0] -= of_noise[0]
            # S of a draw is that of its own items: n / (n - 1) times S, less m m' / (n - 1), m the mean of the draw.
            for sample, n, mean in samples:
                products[1:] -= (n * of_items[0, sample].sum() - morans_i_parts(layout.map(mean))[0]) / (n - 1)
            # The draws have the errors of the standard deviations twice: in the shift, and in their noise.
            products[1:] -= of_both[0] - of_noise[0] + of_errors[0]
            squares[1:] -= of_both[1] - of_noise[1] + of_errors[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = products / squares
            few = np.count_nonzero(~silent[layout.units]) < _FEWEST_UNITS
            ordered.append(np.full_like(value, np.nan) if few else value)
            smooth.append(np.asarray(morans_i(layout.map(layout.standardised(t)))))
        return _with_mean(np.stack(ordered, axis=1), raw.map_layouts), _with_mean(np.stack(smooth, 1), raw.map_layouts)


def _contrast_weights(design: Design) -> Float[np.ndarray, " items"]:
    """Return the weight of each item in the difference of the means: 1 / n_a, -1 / n_b; with pairs 1 / n."""
    signs = (1.0, -1.0)
    return np.sum([sign * sample / sample.sum() for sign, sample in zip(signs, design.samples, strict=False)], axis=0)


@dataclass(frozen=True, eq=False)
class _TapEffect:
    """The effect of one tap, in units of the standard deviation of each unit, in two parts.

    Two effects stay in their place: an equal shift of all units, and an equal shift of all units in units of their
    standard deviation. The rest is dealt to random places. A silent unit has no effect, and none is dealt to it.

    If the energy of the noise happens to be large, its excess must not be dealt as an effect: this would whiten the
    maps of the null, and the observed map would look ordered. So the noise is taken at its 95 % quantile where the
    effect is no larger than this, and the closer to its mean, the larger the effect is: then the excess matters less,
    and to subtract too much would make the null too narrow.

    Args:
        sd: The standard deviation of each unit over items. A silent unit has 0.
        shift: The part of the effect that stays in place.
        rest: The other part.
        noise: What each item adds to the rest by its noise.
        energy: The energy of the rest without the mean energy of the noise.
        dealt_energy: The energy of the effect that is dealt.
    """

    sd: Float[np.ndarray, " units"]
    shift: Float[np.ndarray, " units"]
    rest: Float[np.ndarray, " units"]
    noise: Float[np.ndarray, "items units"]
    energy: float
    dealt_energy: float

    @classmethod
    def of(
        cls,
        effect: Float[np.ndarray, " units"],
        noise: Float[np.ndarray, "items units"],
        draws: Float[np.ndarray, "permutations units"],
        sd: Float[np.ndarray, " units"],
    ) -> _TapEffect:
        """Return the effect of a tap, given its noise for each item and in each draw."""
        live = sd > 0
        shifts = np.zeros((len(sd), 2))
        if live.any():
            shifts[live] = _shifts(sd[live])
        basis, singular, _ = np.linalg.svd(shifts, full_matrices=False)
        basis = basis[:, singular > _COLLINEAR * singular[0]]

        def in_sd(x: np.ndarray) -> np.ndarray:
            return np.divide(x, sd, out=np.zeros_like(x), where=live)

        def rest_of(x: np.ndarray) -> np.ndarray:
            return x - (x @ basis) @ basis.T

        size = in_sd(effect)
        rest, energies = rest_of(size), (rest_of(in_sd(draws)) ** 2).sum(axis=1)
        energy, mean, high = (rest**2).sum(), energies.mean(), np.quantile(energies, _NOISE_QUANTILE)
        explained = mean + (high - mean) * high / energy if energy > high else energy
        return cls(sd, size - rest, rest, rest_of(in_sd(noise)), energy - mean, energy - explained)

    def dealt(
        self, rest: Float[np.ndarray, " units"], orders: Int[np.ndarray, "permutations units"]
    ) -> Float[np.ndarray, "permutations units"]:
        """Return the effect with its rest at random places.

        Args:
            rest: The rest, without the part that noise explains.
            orders: For each draw and each place, the unit that is dealt to it.
        """
        result, live = np.zeros(orders.shape), self.sd > 0
        if live.any():
            place_of = np.cumsum(live) - 1
            dealt = rest[live][place_of[orders[live[orders]].reshape(len(orders), -1)]]
            result[:, live] = self.sd[live] * (self.shift[live] + dealt)
        return result


def _without_noise(taps: Sequence[_TapEffect]) -> Float[np.ndarray, "taps units"]:
    """Return the effects to be dealt of taps with equal places, without the part that noise explains.

    Noise that each tap has for itself makes the effects of the taps less alike. If each tap were only reduced, the
    null of the mean over taps would be too narrow: it called an effect without order, equal in three taps, ordered in
    5.7 % of simulated data sets. So the effects of the taps are mixed. With A the products of the observed effects of
    any two taps, and B the products without noise, the mixing is the symmetric T with TAT = B, which changes the
    effects least: T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2) (Olkin and Pukelsheim 1982,
    doi:10.1016/0024-3795(82)90112-4).
    """
    rests, noise = np.stack([tap.rest for tap in taps]), np.stack([tap.noise for tap in taps])
    products = rests @ rests.T
    of_effects = products - np.einsum("tiu,siu->ts", noise, noise, optimize=True)
    sizes = np.sqrt([tap.energy if tap.dealt_energy > 0 else np.inf for tap in taps])
    wanted_sizes = np.sqrt([tap.dealt_energy for tap in taps])
    wanted = _nearest_correlations(of_effects / np.outer(sizes, sizes)) * np.outer(wanted_sizes, wanted_sizes)
    root, inverse = _roots(products)
    return inverse @ _roots(root @ wanted @ root)[0] @ inverse @ rests


def _nearest_correlations(estimates: Float[np.ndarray, "taps taps"]) -> Float[np.ndarray, "taps taps"]:
    """Return estimates of correlations as possible ones: 1 on the diagonal, and no negative eigenvalue."""
    estimates = np.clip(estimates, -1.0, 1.0)
    np.fill_diagonal(estimates, 1.0)
    values, vectors = np.linalg.eigh(estimates)
    possible = (vectors * np.maximum(values, 0.0)) @ vectors.T
    lengths = np.sqrt(np.diag(possible))
    return possible / np.outer(lengths, lengths)


def _roots(
    matrix: Float[np.ndarray, "taps taps"],
) -> tuple[Float[np.ndarray, "taps taps"], Float[np.ndarray, "taps taps"]]:
    """Return the symmetric root of a matrix without negative eigenvalues, and the (pseudo-)inverse of the root."""
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.where(values > _COLLINEAR * values[-1], values, 0.0))
    inverses = np.divide(1.0, roots, out=np.zeros_like(roots), where=roots > 0)
    return (vectors * roots) @ vectors.T, (vectors * inverses) @ vectors.T


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
    for units, readout in tap_readouts(raw.responses, fwhm_mm):
        voxels[:, units] = readout.sample(x[:, units].T).T
    return voxels


def _with_mean(
    values: Float[np.ndarray, "draws layouts"], layouts: Sequence[TapLayout]
) -> Float[np.ndarray, "draws _"]:
    """Return values with their mean over the taps in which the observed value is defined, as a last column."""
    defined = np.isfinite(values[0]) & [not layout.is_sheet for layout in layouts]
    mean = values[:, defined].mean(axis=1) if defined.any() else np.full(len(values), np.nan)
    return np.column_stack([values, mean])
