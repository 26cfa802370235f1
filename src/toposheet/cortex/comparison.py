"""The comparison: responses to two conditions, with everything that their statistics share."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from typing import Any, final

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from toposheet.cortex.confounds import without_confounds
from toposheet.cortex.design import compared_responses, contrast_design, stimuli_of
from toposheet.cortex.layout import TapLayout, map_layouts, sheet_layouts, tap_layouts
from toposheet.cortex.notes import contrast_notes
from toposheet.cortex.readout import sampled
from toposheet.errors import UserError, check_type
from toposheet.provenance import reading_attributes, reading_in_words, reading_of
from toposheet.settings import check_count, check_fwhm, check_seed
from toposheet.sheet import on_sheets
from toposheet.stats import TTest, q_values, t_test
from toposheet.stats.intervals import effect_size_interval
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.measures import SHARED_WORDS
from toposheet.wording import count_of_units, readout_name

SIGNIFICANT = 0.05


@final
class Comparison:
    """Responses to two conditions, with everything that all statistics of a contrast need.

    A comparison knows which texts are compared, how they were read (`reading`; None if the responses do not say it),
    which texts belong together, which confounds are removed, and where the units are. Every statistic of a contrast
    takes a comparison. All maps and masks that are made from it have the reading as attributes.

    Args:
        responses: Responses from `respond`.
        a: The first condition. t is positive where the responses to this condition are larger. `a` can also be a
            `Contrast`, which names both conditions.
        b: The second condition. It must be None if `a` is a `Contrast`.
        groups: Name of a column of the stimuli. Texts with equal values form a group: they are not independent, for
            example because they share words. The mean of a group counts as one value in every statistic. All texts
            are independent if `groups` is None, or if it is `shared_words` and the stimuli have no such column.
        pairs: Name of a column of the stimuli. Two texts with equal values are partners of a pair, one in each
            condition. Every statistic then uses the differences within pairs. Pairs that share a group count as one
            pair. None: there are no pairs.
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
        ts.organisation(comparison)                      # is the effect spatially ordered?
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
        self.contrast = contrast
        self.name = contrast.name if name is None else name
        self.negative_control = ""
        self.fwhm_mm = 0.0
        self.reading = reading_of(responses)
        self.confounds = (confounds,) if isinstance(confounds, str) else tuple(confounds)
        self.design = contrast_design(stimuli_of(unadjusted), contrast, groups, pairs)
        self._groups = groups
        self._unadjusted = unadjusted
        self._raw: Comparison | None = None
        self._fitted_before = False
        self._readouts: weakref.WeakValueDictionary[float, Comparison] = weakref.WeakValueDictionary()
        self.responses = without_confounds(unadjusted, contrast, self.confounds, self.half_masks)

    def __repr__(self) -> str:
        name = f"{self.name}, {self.negative_control}" if self.negative_control else self.name
        design = self.design
        reading = "" if self.reading is None else f"  reading: {reading_in_words(self.reading)}\n"
        return (
            f"Comparison({name}, {readout_name(self.fwhm_mm)}): {design.in_a.sum()} texts {self.contrast.a!r} against "
            f"{design.in_b.sum()} {self.contrast.b!r}{design.in_words}\n"
            f"{reading}"
            f"  {count_of_units(self.n_significant, self.n_units)} ({self.n_significant / self.n_units:.1%}, "
            f"q < {SIGNIFICANT:g} over {len(self.layouts)} taps)\n"
            f"  to test whether the effect is spatially ordered: ts.organisation(comparison)"
            + "".join(f"\n  note: {note}" for note in self.notes)
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
        """The t of each unit: Welch's t; with pairs, the t of their differences. It is nan for a silent unit."""
        return self._over_units(self._test.t, "t", "Welch's t" if self.design.pairs is None else "t of the pairs")

    @property
    def p(self) -> xr.DataArray:
        """The two-sided p of each unit."""
        return self._over_units(self._test.p, "p", "two-sided p")

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
        """Cohen's d of each unit: the difference of the means divided by the pooled standard deviation.

        With pairs, it is the mean difference divided by the standard deviation of the differences.
        """
        return self._over_units(self._test.d, "d", "Cohen's d")

    @property
    def d_low(self) -> xr.DataArray:
        """The lower end of the 95 % interval of d (`stats.intervals.effect_size_interval`); nan for a silent unit.

        The interval is that of one unit. It is exact for normal responses with one variance in both conditions.
        """
        return self._over_units(self._d_interval[0], "d_low", "lower end of the 95 % interval of d")

    @property
    def d_high(self) -> xr.DataArray:
        """The upper end of the 95 % interval of d, as `d_low`."""
        return self._over_units(self._d_interval[1], "d_high", "upper end of the 95 % interval of d")

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
        check_fwhm("fwhm_mm", fwhm_mm)
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

        The texts of each condition are counted from 0 in the order of the alphabet, so the order of the table does not
        matter. Groups and pairs are not split.

        Raises:
            UserError: A condition has fewer than 6 texts, pairs or groups.
        """
        self.design.check_halves(self.contrast)
        raw = self.raw
        even, odd = (raw._part(mask, raw.responses).readout(self.fwhm_mm) for mask in self.half_masks)
        return even, odd

    @property
    def has_independent_halves(self) -> bool:
        """False for negative controls of a comparison with confounds, which were fitted with its labels (`halves`)."""
        return not self.raw._fitted_before

    def halves(self, n: int, seed: int = 0) -> Iterator[tuple[Comparison, Comparison]]:
        """Return an iterator over random splits of the texts: pairs of comparisons.

        Each comparison has half of the texts of each condition. Groups and pairs are not split. Confounds are fitted in
        each half separately, so that the two halves are independent.

        Args:
            n: Number of splits.
            seed: Seed of the splits.

        Raises:
            UserError: `n` or the seed is out of range; a condition has fewer than 6 texts, groups or pairs; a half has
                fewer than 20 texts per confound; or this comparison is a negative control of a comparison with
                confounds.
        """
        check_count("n", n, 1, " split")
        check_seed(seed)
        if not self.has_independent_halves:
            raise UserError(
                f"this negative control of {self.name} cannot be split into halves, because the confounds were fitted "
                "with the labels of the comparison: split the comparison first, then call negative_controls on "
                "each half"
            )
        self.design.check_halves(self.contrast)
        masks = (self.design.halves(order) for order in self.random_orders(n, seed))
        return ((self._refitted(first), self._refitted(second)) for first, second in masks)

    def relabelled(
        self, responses: xr.DataArray, contrast: Contrast, negative_control: str, keep_pairs: bool = False
    ) -> Comparison:
        """Return a comparison of the same texts with other labels: a negative control of this comparison.

        Args:
            responses: Responses to the same texts, with the new labels as `condition`.
            contrast: The contrast between two of the new labels.
            negative_control: Name of the negative control in tables.
            keep_pairs: Whether the partners of a pair still have different labels, and the pairs are kept.
        """
        raw, conditions = self.raw, responses["condition"].values
        design = replace(
            raw.design,
            in_a=conditions == contrast.a,
            in_b=conditions == contrast.b,
            pairs=raw.design.pairs if keep_pairs else None,
        )
        return raw._with(
            responses=responses, _unadjusted=responses, contrast=contrast, negative_control=negative_control,
            design=design, confounds=(), _fitted_before=bool(raw.confounds),
        )  # fmt: skip

    # --- what all statistics need ---

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a user should read before the p-values (`contrast_notes`). Negative controls have none."""
        raw = self.raw
        if raw.negative_control:
            return ()
        stimuli = stimuli_of(raw._unadjusted)
        return contrast_notes(
            stimuli, raw.contrast, raw.design, raw._groups, raw.confounds, mixes_texts=self.mixes_texts
        )

    @property
    def mixes_texts(self) -> bool:
        """Whether the response to a text depends on other texts (`Reading.mixes_texts`), so that no p holds."""
        return self.reading is not None and self.reading.mixes_texts

    @cached_property
    def items(self) -> Float[np.ndarray, "items units"]:
        """The value of each independent item: of a text, of a group of texts, or of a pair (`Design.values`)."""
        return self.design.values(self.responses.values)

    @cached_property
    def layouts(self) -> list[TapLayout]:
        """The place of each unit, tap after tap."""
        return tap_layouts(self.responses)

    @cached_property
    def sheet_layouts(self) -> list[TapLayout]:
        """The place of each unit, sheet after sheet."""
        return sheet_layouts(self.responses)

    @cached_property
    def map_layouts(self) -> list[TapLayout]:
        """The place of each unit, tap after tap, and then sheet after sheet for the sheets with several taps."""
        return map_layouts(self.responses)

    @cached_property
    def half_masks(self) -> tuple[Bool[np.ndarray, " stimuli"], Bool[np.ndarray, " stimuli"]]:
        """Two masks: the even texts and the odd texts (`even_and_odd`)."""
        return self.design.halves(self.alphabetical)

    def random_orders(self, n: int, seed: int) -> list[Int[np.ndarray, " items"]]:
        """Return random orders of the items, which do not depend on the order of the texts in the table.

        Args:
            n: Number of orders.
            seed: Seed of the orders.
        """
        rng, items = np.random.default_rng(seed), self.alphabetical
        return [rng.permutation(items) for _ in range(n)]

    @cached_property
    def alphabetical(self) -> Int[np.ndarray, " items"]:
        """The items in the order of the alphabet. Responses without texts keep their order."""
        item = self.design.item
        known = self._unadjusted.coords
        texts = known["text"].values.astype(str) if "text" in known else np.arange(len(item))
        rank, first = np.empty(len(item), dtype=int), np.full(self.design.n_items, len(item))
        rank[np.argsort(texts, kind="stable")] = np.arange(len(item))
        np.minimum.at(first, item, rank)
        return np.argsort(first)

    @cached_property
    def unit_coordinates(self) -> dict[Any, xr.DataArray]:
        """The coordinates of each unit: tap, sheet, y, x and spacing_mm."""
        return {name: c for name, c in self.responses.coords.items() if c.dims == ("unit",)}

    def test_mean(self, units: Int[np.ndarray, " chosen"]) -> TTest:
        """Return the t test of the mean response of a set of units.

        Args:
            units: Indices of the units.
        """
        return t_test(self.items[:, units].mean(axis=1, keepdims=True), self.design.samples)

    # --- private ---

    @cached_property
    def _test(self) -> TTest:
        return t_test(self.items, self.design.samples)

    @cached_property
    def _d_interval(self) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, " units"]]:
        return effect_size_interval(self._test.d, [int(sample.sum()) for sample in self.design.samples])

    @cached_property
    def _q(self) -> Float[np.ndarray, " units"]:
        return q_values(self._test.p)

    def _over_units(self, values: np.ndarray, name: str, long_name: str) -> xr.DataArray:
        attributes = {"contrast": self.name, "long_name": long_name} | reading_attributes(self.reading)
        return xr.DataArray(values, dims="unit", coords=self.unit_coordinates, name=name, attrs=attributes)

    def _part(self, mask: Bool[np.ndarray, " stimuli"], responses: xr.DataArray) -> Comparison:
        """Return the comparison of a part of the texts."""
        return self._with(
            responses=responses.isel(stimulus=mask),
            _unadjusted=self._unadjusted.isel(stimulus=mask),
            design=self.design.part(mask),
            _raw=None,
        )

    def _refitted(self, mask: Bool[np.ndarray, " stimuli"]) -> Comparison:
        """Return the comparison of a part of the texts, with the confounds fitted to this part alone."""
        raw = self.raw
        part = raw._part(mask, raw._unadjusted if raw.confounds else raw.responses)
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
