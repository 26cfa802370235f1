"""The comparison: responses to two conditions, with everything that their statistics share."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from html import escape
from typing import Any, final

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from toposheet.cortex.confounds import without_confounds
from toposheet.cortex.design import check_pairs, compared_responses, dependent_stimuli, linked_pairs
from toposheet.cortex.layout import TapLayout, tap_layouts
from toposheet.cortex.readout import sampled
from toposheet.errors import UserError, check_type
from toposheet.figures.numbers import count_of_units, readout_name
from toposheet.sheet import on_sheets
from toposheet.stats import Welch, check_groups, flipped_pairs, grouped_p, halves, q_values, shuffled_labels, welch_t
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.measures import SHARED_WORDS

SIGNIFICANT = 0.05


@final
class Comparison:
    """Responses to two conditions, with everything that all statistics of a contrast need.

    A comparison knows which texts are compared, which texts belong together, which confounds are removed, and where the
    units are. Every statistic of a contrast takes a comparison.

    Args:
        responses: Responses from `respond`.
        a: The first condition. t is positive where the responses to this condition are larger. `a` can also be a
            `Contrast`, which names both conditions.
        b: The second condition. It must be None if `a` is a `Contrast`.
        groups: Name of a column of the stimuli. Texts with equal values form a group: they are not independent, for
            example because they share words. All texts of a group get the same label when labels are shuffled, they are
            in the same half of the texts, and they count as one value in p and q. All texts are independent if
            `groups` is None, or if it is `shared_words` and the stimuli have no such column.
        pairs: Name of a column of the stimuli. Two texts with equal values are partners of a pair, one in each
            condition. Labels are then shuffled within pairs. If pairs share a group, their labels are exchanged
            together. None: there are no pairs.
        confounds: What a linear regression removes from the responses: `length`, `frequency`, `tokens`, or a numeric
            column of the stimuli. The even and the odd texts have separate regressions.
        name: Name of the comparison in tables. None: the name of the contrast, `A:B`.

    Raises:
        UserError: A condition or a column does not exist (the message lists the existing ones), a condition has fewer
            than 3 stimuli or groups, a group has texts of both conditions, a pair does not have one text of each
            condition, or a response is not finite.

    Example:
        comparison = ts.Comparison(responses, "sentence", "nonword")
        comparison.t                                     # Welch's t of every unit
        ts.map_statistics(comparison)                    # is its map organised?
        comparison.readout(2.0).maps()                   # as voxels would see it
    """

    def __init__(
        self,
        responses: xr.DataArray,
        a: str | Contrast,
        b: str | None = None,
        *,
        groups: str | None = SHARED_WORDS,
        pairs: str | None = None,
        confounds: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        if isinstance(a, Contrast) == (b is not None):
            raise UserError("name two conditions, as in Comparison(responses, a, b), or give one Contrast")
        contrast = a if isinstance(a, Contrast) else Contrast(str(a), str(b))
        unadjusted = compared_responses(responses, contrast)
        conditions = unadjusted["condition"].values
        self.contrast = contrast
        self.name = contrast.name if name is None else name
        self.negative_control = ""
        self.fwhm_mm = 0.0
        self.confounds = (confounds,) if isinstance(confounds, str) else tuple(confounds)
        self.in_a: Bool[np.ndarray, " stimuli"] = conditions == contrast.a
        self.in_b: Bool[np.ndarray, " stimuli"] = conditions == contrast.b
        self.groups = dependent_stimuli(unadjusted, groups)
        check_groups(self.in_a, self.in_b, self.groups, str(groups))
        partners = dependent_stimuli(unadjusted, pairs)
        check_pairs(partners, self.in_a, self.in_b)
        self.pairs = linked_pairs(partners, self.groups)
        self._unadjusted = unadjusted
        self._raw: Comparison | None = None
        self._fitted_before = False
        self._readouts: weakref.WeakValueDictionary[float, Comparison] = weakref.WeakValueDictionary()
        self.responses = without_confounds(unadjusted, contrast, self.confounds, self.half_masks)

    def __repr__(self) -> str:
        name = f"{self.name}, {self.negative_control}" if self.negative_control else self.name
        return (
            f"Comparison({name}, {readout_name(self.fwhm_mm)}): {self.in_a.sum()} texts {self.contrast.a!r} against "
            f"{self.in_b.sum()} {self.contrast.b!r}\n"
            f"  {count_of_units(self.n_significant, self.n_units)} ({self.n_significant / self.n_units:.1%}, "
            f"q < {SIGNIFICANT:g} over {len(self.layouts)} taps)\n"
            f"  to test whether the map is organised: ts.map_statistics(comparison)"
        )

    def _repr_html_(self) -> str:
        lines = escape(repr(self)).splitlines()
        return f"<b>{lines[0]}</b><br>" + "<br>".join(line.strip() for line in lines[1:])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_readouts"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_readouts": weakref.WeakValueDictionary()})

    # --- the effect in every unit ---

    @property
    def t(self) -> xr.DataArray:
        """Welch's t of each unit. It is nan for a silent unit."""
        return self._over_units(self._welch[0].t, "t", "Welch's t")

    @property
    def p(self) -> xr.DataArray:
        """The two-sided p of each unit. If texts are grouped, p tests the means of the groups (`stats.grouped_p`)."""
        return self._over_units(self._welch[1], "p", "two-sided p")

    @property
    def q(self) -> xr.DataArray:
        """The false discovery rate (Benjamini-Hochberg) of each unit, over all units of all taps, as in TopoLM."""
        return self._over_units(self._q, "q", "false discovery rate over all taps")

    @property
    def n_units(self) -> int:
        """Number of units of all taps."""
        return self.responses.sizes["unit"]

    @property
    def n_significant(self) -> int:
        """Number of significant units: q < 0.05 over all taps."""
        return int((self._q < SIGNIFICANT).sum())

    @property
    def d(self) -> xr.DataArray:
        """Cohen's d of each unit: the difference of the means divided by the pooled standard deviation."""
        return self._over_units(self._welch[0].d, "d", "Cohen's d")

    def maps(self) -> dict[str, xr.DataArray]:
        """Return t as one map for each sheet: {sheet: (y, x)}. Cells without a unit are nan."""
        return on_sheets(self.t)

    # --- other comparisons of the same texts ---

    @property
    def raw(self) -> Comparison:
        """The same comparison without readout."""
        return self if self._raw is None else self._raw

    def readout(self, fwhm_mm: float = 2.0) -> Comparison:
        """Return the same comparison as fMRI voxels would see it, with one voxel at the place of each unit.

        A Gaussian samples the responses of each sheet; the contrast is computed afterwards (arXiv:2410.11516).

        Args:
            fwhm_mm: Full width at half maximum of the Gaussian, in mm. 0 gives the raw comparison.

        Raises:
            UserError: The width is negative or not finite.
        """
        raw = self.raw
        if fwhm_mm == 0:
            return raw
        readout = raw._readouts.get(fwhm_mm)  # a weak reference: an unused readout frees its memory
        if readout is None:
            responses = sampled(raw.responses, fwhm_mm)
            readout = raw._readouts[fwhm_mm] = raw._with(responses=responses, fwhm_mm=float(fwhm_mm), _raw=raw)
        return readout

    def even_and_odd(self) -> tuple[Comparison, Comparison]:
        """Return the comparison of the even texts, and the comparison of the odd texts.

        The texts of each condition are counted from 0, in order. Groups and pairs are not split.

        Raises:
            UserError: A condition has fewer than 6 texts, pairs or groups.
        """
        self._check_halves()
        raw = self.raw
        even, odd = (raw._part(mask, raw.responses).readout(self.fwhm_mm) for mask in self.half_masks)
        return even, odd

    def halves(self, n: int, seed: int = 0) -> Iterator[tuple[Comparison, Comparison]]:
        """Yield random splits of the texts: two comparisons, each with half of the texts of each condition.

        Groups and pairs are not split. Confounds are fitted in each half separately, so that the two halves are
        independent.

        Args:
            n: Number of splits.
            seed: Seed of the splits.

        Raises:
            UserError: A condition has fewer than 6 texts, groups or pairs; or a half has fewer than 20 texts per
                confound; or this comparison is a negative control of a comparison with confounds.
        """
        if self.raw._fitted_before:
            raise UserError(
                f"this negative control of {self.name} cannot be split into halves, because the confounds were fitted "
                "with the labels of the comparison: split the comparison first, then call negative_controls on "
                "each half"
            )
        self._check_halves()
        rng = np.random.default_rng(seed)
        for _ in range(n):
            order = rng.permutation(len(self.in_a))
            masks = self._alternating(order)
            yield self._refitted(masks[0]), self._refitted(masks[1])

    def relabelled(self, responses: xr.DataArray, contrast: Contrast, negative_control: str) -> Comparison:
        """Return a comparison of the same texts with other labels: a negative control of this comparison.

        Args:
            responses: Responses to the same texts, with the new labels as `condition`.
            contrast: The contrast between two of the new labels.
            negative_control: Name of the negative control in tables.
        """
        raw = self.raw
        conditions = responses["condition"].values
        in_a, in_b = conditions == contrast.a, conditions == contrast.b
        changes = {"in_a": in_a, "in_b": in_b, "pairs": None, "confounds": (), "_fitted_before": bool(raw.confounds)}
        return raw._with(
            responses=responses, _unadjusted=responses, contrast=contrast, negative_control=negative_control,
            **changes,
        )  # fmt: skip

    # --- what all statistics need ---

    @property
    def x(self) -> Float[np.ndarray, "stimuli units"]:
        """The responses as an array (stimuli, units)."""
        return self.responses.values

    @cached_property
    def layouts(self) -> list[TapLayout]:
        """The place of each unit, tap after tap."""
        return tap_layouts(self.responses)

    @cached_property
    def half_masks(self) -> tuple[Bool[np.ndarray, " stimuli"], Bool[np.ndarray, " stimuli"]]:
        """Two masks: the even texts and the odd texts.

        The texts of each condition are counted from 0, in order. Groups and pairs are not split.
        """
        return self._alternating(np.arange(len(self.in_a)))

    def shuffled_labels(
        self, permutations: int, rng: np.random.Generator
    ) -> tuple[Bool[np.ndarray, "permutations stimuli"], Bool[np.ndarray, "permutations stimuli"]]:
        """Return random labellings of the texts.

        Groups keep one label. With pairs, only the partners of a pair exchange their labels.

        Args:
            permutations: Number of labellings.
            rng: Generator of the random draws.

        Returns:
            Two masks: the texts of condition A, and the texts of condition B, in each labelling.
        """
        if self.pairs is not None:
            return flipped_pairs(self.in_a, self.in_b, permutations, rng, self.pairs)
        return shuffled_labels(self.in_a, self.in_b, permutations, rng, self.groups)

    @cached_property
    def unit_coordinates(self) -> dict[Any, xr.DataArray]:
        """The coordinates of each unit: tap, sheet, y, x and spacing_mm."""
        return {name: c for name, c in self.responses.coords.items() if c.dims == ("unit",)}

    def test(
        self, in_a: Bool[np.ndarray, "*labellings stimuli"], in_b: Bool[np.ndarray, "*labellings stimuli"]
    ) -> tuple[Welch, Float[np.ndarray, "*labellings units"]]:
        """Return Welch's test of each unit and its p, for one labelling or for many.

        If texts are grouped, p tests the means of the groups.

        Args:
            in_a: True for each text of condition A. Leading axes are alternative labellings.
            in_b: True for each text of condition B.
        """
        return self._test(self.x, in_a, in_b)

    def test_mean(self, units: Int[np.ndarray, " chosen"]) -> tuple[Welch, Float[np.ndarray, " 1"]]:
        """Return Welch's test of the mean response of a set of units, and its p; see `test`.

        Args:
            units: Indices of the units.
        """
        return self._test(self.x[:, units].mean(axis=1, keepdims=True), self.in_a, self.in_b)

    # --- private ---

    def _test(self, x: np.ndarray, in_a: np.ndarray, in_b: np.ndarray) -> tuple[Welch, np.ndarray]:
        welch = welch_t(x, in_a, in_b)
        return welch, welch.p if self.groups is None else grouped_p(x, in_a, in_b, self.groups)

    @cached_property
    def _welch(self) -> tuple[Welch, Float[np.ndarray, " units"]]:
        return self.test(self.in_a, self.in_b)

    @cached_property
    def _q(self) -> Float[np.ndarray, " units"]:
        return q_values(self._welch[1])

    def _over_units(self, values: np.ndarray, name: str, long_name: str) -> xr.DataArray:
        attributes = {"contrast": self.name, "long_name": long_name}
        return xr.DataArray(values, dims="unit", coords=self.unit_coordinates, name=name, attrs=attributes)

    def _part(self, mask: Bool[np.ndarray, " stimuli"], responses: xr.DataArray) -> Comparison:
        """Return the comparison of a part of the texts."""
        return self._with(
            responses=responses.isel(stimulus=mask),
            _unadjusted=self._unadjusted.isel(stimulus=mask),
            in_a=self.in_a[mask],
            in_b=self.in_b[mask],
            groups=None if self.groups is None else self.groups[mask],
            pairs=None if self.pairs is None else np.unique(self.pairs[mask], return_inverse=True)[1],
            _raw=None,
        )

    def _alternating(self, order: Int[np.ndarray, " stimuli"]) -> tuple[np.ndarray, np.ndarray]:
        """Return two masks that split the texts into halves.

        In each condition, every second text is in the first half. With groups or pairs, every second group or pair is.

        Args:
            order: The order in which the texts are counted.
        """
        back = np.argsort(order)
        if self.pairs is not None:
            _, first = np.unique(self.pairs[order], return_index=True)
            even = (np.argsort(np.argsort(first)) % 2 == 0)[self.pairs]
            return even, ~even
        groups = None if self.groups is None else self.groups[order]
        even, odd = halves(self.in_a[order], self.in_b[order], groups)
        return even[back], odd[back]

    def _check_halves(self) -> None:
        """Refuse a condition with fewer than 6 texts, groups or pairs: each half needs 3."""
        every = np.arange(len(self.in_a))
        kinds = {"stimuli": every, "independent pairs": self.pairs, "groups of stimuli": self.groups}
        for what, numbers in kinds.items():
            for condition, mask in ((self.contrast.a, self.in_a), (self.contrast.b, self.in_b)):
                if numbers is not None and (n := len(np.unique(numbers[mask]))) < 2 * MIN_TEXTS:
                    raise UserError(
                        f"the condition {condition!r} has {n} {what}: two halves need at least {2 * MIN_TEXTS}"
                    )

    def _refitted(self, mask: Bool[np.ndarray, " stimuli"]) -> Comparison:
        """Return the comparison of a part of the texts, with the confounds fitted to this part alone."""
        raw = self.raw
        part = raw._part(mask, raw._unadjusted if raw.confounds else raw.responses)
        check_groups(part.in_a, part.in_b, part.groups)
        part.responses = without_confounds(part.responses, raw.contrast, raw.confounds, part.half_masks)
        return part.readout(self.fwhm_mm)

    def _with(self, **changes: Any) -> Comparison:
        """Return a copy with changed fields. Cached values are dropped, so that they are computed again."""
        other = object.__new__(Comparison)
        derived = {name for name, value in vars(Comparison).items() if isinstance(value, cached_property)}
        kept = {name: value for name, value in self.__dict__.items() if name not in derived}
        other.__dict__.update(kept | {"_readouts": weakref.WeakValueDictionary()} | changes)
        return other


def check_comparison(comparison: object) -> None:
    """Refuse a value that is not a comparison.

    Raises:
        UserError: The value has another type. The message says how to make a comparison.
    """
    check_type("comparison", comparison, Comparison, "a toposheet.Comparison(responses, a, b)")
