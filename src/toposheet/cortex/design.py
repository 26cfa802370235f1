"""The design of a contrast: which stimuli are compared, which are not independent, and what a null may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.cortex.layout import check_coordinates
from toposheet.errors import UserError, check_type
from toposheet.stats import centred, halves, random_signs, shuffled_labels
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.dependence import dependent_stimuli
from toposheet.stimuli.finite import check_finite_responses
from toposheet.stimuli.labels import plain_label
from toposheet.stimuli.measures import SHARED_WORDS
from toposheet.stimuli.naming import labels
from toposheet.wording import counted


def compared_responses(responses: xr.DataArray, contrast: Contrast) -> xr.DataArray:
    """Return the responses to the stimuli of both conditions of a contrast.

    The coordinate `condition` of the result names the condition of each stimulus.

    Args:
        responses: Responses from `respond`.
        contrast: The contrast.

    Raises:
        UserError: A column or a condition does not exist (the message lists the existing ones), a condition has fewer
            than 3 stimuli, or a response is nan or infinite (the message names the tap and the first such stimulus).
    """
    check_type("responses", responses, xr.DataArray, "what toposheet.respond returns")
    check_coordinates(responses, contrast.column, *(contrast.where or ())[:1])
    if set(responses.dims) != {"stimulus", "unit"}:
        raise UserError(
            f"the responses have the dimensions {', '.join(map(str, responses.dims)) or 'none'}: they must be stimulus "
            "and unit, as toposheet.respond returns them"
        )
    stimuli = stimuli_of(responses)
    in_a, in_b = contrast.masks(stimuli)
    responses = responses.transpose("stimulus", "unit").isel(stimulus=in_a | in_b)
    _check_finite(responses, stimuli[in_a | in_b])
    conditions = np.where(in_a, contrast.a, contrast.b)[in_a | in_b]
    return responses.assign_coords(condition=("stimulus", conditions))


def stimuli_of(responses: xr.DataArray) -> pd.DataFrame:
    """Return the columns of the stimuli of responses, as a table."""
    columns = {str(name): c.values for name, c in responses.coords.items() if c.dims == ("stimulus",)}
    return pd.DataFrame(columns, index=range(responses.sizes["stimulus"]))


def check_finite(responses: xr.DataArray) -> None:
    """Refuse responses that are nan or infinite (`check_finite_responses`).

    Raises:
        UserError: A response is nan or infinite (the message names the tap and the first such stimulus), or the
            responses have no coordinate `tap`.
    """
    check_coordinates(responses, "tap")
    _check_finite(responses, stimuli_of(responses))


def _check_finite(responses: xr.DataArray, stimuli: pd.DataFrame) -> None:
    check_coordinates(responses, "tap")
    check_finite_responses(responses.transpose("stimulus", "unit").values, stimuli, responses["tap"].values)


@dataclass(frozen=True, eq=False)
class Design:
    """The items of a contrast: what is independent, what is counted, and what a null may change.

    An item is a text. If texts are grouped, an item is a group, and its value is the mean over its texts. With pairs,
    an item is a pair, or several pairs that share groups, and its value is the mean of its texts of condition A minus
    the mean of its texts of condition B.

    Args:
        in_a: True for each text of condition A.
        in_b: True for each text of condition B. Each text is in one of the conditions.
        groups: A number for each text. Texts of one group are not independent. None: there are no groups.
        pairs: A number for each text. Texts with one number exchange their labels together. None: there are no pairs.
    """

    in_a: Bool[np.ndarray, " texts"]
    in_b: Bool[np.ndarray, " texts"]
    groups: Int[np.ndarray, " texts"] | None = None
    pairs: Int[np.ndarray, " texts"] | None = None

    @cached_property
    def item(self) -> Int[np.ndarray, " texts"]:
        """The number of the item of each text. Items are numbered from 0, in the order of their first text."""
        numbers = self.groups if self.pairs is None else self.pairs
        if numbers is None:
            return np.arange(len(self.in_a))
        _, first, item = np.unique(numbers, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[item]

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.item.max()) + 1

    @cached_property
    def samples(self) -> tuple[Bool[np.ndarray, " items"], ...]:
        """The samples that are compared: the items of A and the items of B; with pairs, one sample of differences."""
        if self.pairs is not None:
            return (np.ones(self.n_items, dtype=bool),)
        in_a = np.zeros(self.n_items, dtype=bool)
        in_a[self.item[self.in_a]] = True
        return in_a, ~in_a

    @property
    def in_words(self) -> str:
        """What the items are, in words: ` in 12 and 14 groups`, ` in 20 pairs`. Empty: the items are the texts."""
        if self.pairs is not None:
            return f" in {self.n_items} independent pairs"
        if self.groups is None:
            return ""
        return " in {} and {} groups".format(*(int(sample.sum()) for sample in self.samples))

    def values(self, x: Float[np.ndarray, "texts units"]) -> Float[np.ndarray, "items units"]:
        """Return the value of each item, in float64: a mean over texts, or with pairs a difference of two means.

        Args:
            x: Responses of each unit to each text.
        """
        if self.pairs is not None:
            return self._means(x, self.in_a) - self._means(x, self.in_b)
        means = x if self.groups is None else self._means(x, self.in_a | self.in_b)
        return centred(means)

    def _means(self, x: np.ndarray, members: np.ndarray) -> np.ndarray:
        weights = np.zeros((self.n_items, len(x)))
        weights[self.item[members], np.flatnonzero(members)] = 1
        # Texts with equal responses get this response exactly, so that a silent unit stays silent.
        offset = x[:1].astype(np.float64)
        return offset + (weights @ (x - offset)) / weights.sum(axis=1, keepdims=True)

    def halves(self, order: Int[np.ndarray, " items"]) -> tuple[np.ndarray, np.ndarray]:
        """Return two masks of the texts: in each sample, the even items and the odd items (`half_items`).

        Args:
            order: The order in which the items are counted.
        """
        even, odd = half_items(self.samples, order)
        return even[self.item], odd[self.item]

    def part(self, mask: Bool[np.ndarray, " texts"]) -> Design:
        """Return the design of a part of the texts."""
        groups, pairs = (None if numbers is None else numbers[mask] for numbers in (self.groups, self.pairs))
        return Design(self.in_a[mask], self.in_b[mask], groups, pairs)

    @property
    def exchanges_labels(self) -> bool:
        """Whether a null shuffles the labels of the items: there are no pairs, and both samples have one size."""
        return self.pairs is None and len({int(sample.sum()) for sample in self.samples}) == 1

    @property
    def n_relabellings(self) -> int:
        """Number of different draws of the null."""
        return comb(self.n_items, int(self.samples[0].sum())) if self.exchanges_labels else 2**self.n_items

    def null(
        self,
        values: Float[np.ndarray, "items units"],
        permutations: int,
        rng: np.random.Generator,
        order: Int[np.ndarray, " items"] | None = None,
    ) -> tuple[Float[np.ndarray, "items units"], list[Shaped[np.ndarray, "permutations items"]]]:
        """Return draws of the null that the contrast has no effect: values of the items, and their weights in a draw.

        - Two samples of one size: the labels of the items are shuffled. This is exact if the labels are exchangeable.
        - Pairs: the differences get random signs. This is exact if the differences are symmetric.
        - Two samples of different sizes: shuffled labels would mix the noise of both conditions in wrong proportions,
          and a map of the smaller or the smoother condition would look special. The deviations of the items from the
          mean of their condition get random signs instead (a wild bootstrap, Davidson & Flachaire 2008,
          doi:10.1016/j.jeconom.2008.08.003), times n / (n - 1), which holds the level better than its root in small
          samples (MacKinnon 2013, doi:10.1007/978-1-4614-1653-1_17). Each condition keeps its noise.

        Args:
            values: The value of each item, from `values`.
            permutations: Number of draws.
            rng: Generator of the random draws.
            order: The order in which labels or signs are dealt to the items. None: the order of their first texts.

        Returns:
            The values, and the weights of each item in each sample and draw, for `stats.t_test`.

        Raises:
            UserError: `check_draws` refuses the number of draws.
        """
        self.check_draws(permutations)
        order = np.arange(self.n_items) if order is None else order
        rank = np.argsort(order)
        if self.exchanges_labels:
            in_a = shuffled_labels(self.samples[0][order], permutations, rng)[:, rank]
            return values, [in_a, ~in_a]
        if self.pairs is None:
            values = self.residuals(values) * np.sqrt(self.inflation)[:, None]
        signs = random_signs(permutations, self.n_items, rng)[:, rank]
        return values, [signs * sample for sample in self.samples]

    def check_draws(self, permutations: int) -> None:
        """Refuse more draws of a null than there are different ones.

        Raises:
            UserError: The message says how many draws are possible.
        """
        if permutations > self.n_relabellings:
            raise UserError(
                f"{permutations} draws of a null are wanted, but {self.n_items} independent items have only "
                f"{self.n_relabellings} different ones: give at most --permutations {self.n_relabellings} (in Python: "
                f"permutations={self.n_relabellings}), or add texts"
            )

    def residuals(self, values: Float[np.ndarray, "items units"]) -> Float[np.ndarray, "items units"]:
        """Return the deviation of each item from the mean of its sample, times sqrt(n / (n - 1)).

        With random signs, the mean over a sample then has the variance of the mean of the sample.

        Args:
            values: The value of each item, from `values`.
        """
        left = values.copy()
        for sample in self.samples:
            left[sample] -= values[sample].mean(axis=0)
        return left * np.sqrt(self.inflation)[:, None]

    @cached_property
    def inflation(self) -> Float[np.ndarray, " items"]:
        """The factor n / (n - 1) of each item, n the size of its sample.

        Deviations from the mean of a sample are too small by its root.
        """
        sizes = np.sum([sample * sample.sum() for sample in self.samples], axis=0)
        return sizes / (sizes - 1)

    def check_halves(self, contrast: Contrast) -> None:
        """Refuse a design whose halves would have fewer than 3 items of a condition.

        Args:
            contrast: The contrast, whose conditions the message names.

        Raises:
            UserError: A condition has fewer than 6 items.
        """
        self.check_number(contrast, 2 * MIN_TEXTS, "two halves need")

    def check_number(self, contrast: Contrast, least: int, needs: str) -> None:
        """Refuse a condition with too few items.

        Args:
            contrast: The contrast, whose conditions the message names.
            least: The smallest number of items of each condition.
            needs: Words for what needs them, with its verb, for example `two halves need`.

        Raises:
            UserError: A condition has fewer items.
        """
        for condition, n in self.number_of_items(contrast).items():
            if n < least:
                what = self.kind_of_items
                raise UserError(
                    f"the condition {condition!r} has {counted(n, f'independent {what[:-1]}')}: "
                    f"{needs} at least {least}, so add {what}"
                )

    @property
    def kind_of_items(self) -> str:
        """What the items are: `pairs`, `groups` or `texts`."""
        return "pairs" if self.pairs is not None else "groups" if self.groups is not None else "texts"

    def number_of_items(self, contrast: Contrast) -> dict[str, int]:
        """Return the number of items of each condition: {condition: number}."""
        conditions = ((contrast.a, self.in_a), (contrast.b, self.in_b))
        return {condition: len(np.unique(self.item[mask])) for condition, mask in conditions}


def half_items(
    samples: Sequence[Bool[np.ndarray, " items"]], order: Int[np.ndarray, " items"]
) -> tuple[Bool[np.ndarray, " items"], Bool[np.ndarray, " items"]]:
    """Return two masks of the items: the even items and the odd items of each sample, counted from 0.

    Args:
        samples: For each sample, True for its items.
        order: The order in which the items are counted.
    """
    even, odd = (np.empty(len(order), dtype=bool) for _ in range(2))
    even[order], odd[order] = halves([sample[order] for sample in samples])
    return even, odd


def contrast_design(
    stimuli: pd.DataFrame, contrast: Contrast, groups: str | None = SHARED_WORDS, pairs: str | None = None
) -> Design:
    """Return the design of a contrast.

    Args:
        stimuli: The texts of both conditions. The column `condition` holds the two labels of the contrast.
        contrast: The contrast.
        groups: Name of the column that defines the groups. None: all texts are independent.
        pairs: Name of the column that defines the pairs. None: there are no pairs.

    Raises:
        UserError: A column does not exist, a group has texts of both conditions, a condition has fewer than 3 groups or
            pairs (the message says so if one group covers a condition), or a pair does not have one text of each
            condition (the message names the first such pair).
    """
    conditions = stimuli["condition"].to_numpy()
    in_a, in_b = conditions == contrast.a, conditions == contrast.b
    numbers, partners = dependent_stimuli(stimuli, groups), dependent_stimuli(stimuli, pairs)
    if numbers is not None and np.intersect1d(numbers[in_a], numbers[in_b]).size:
        mixed = np.isin(numbers, np.intersect1d(numbers[in_a], numbers[in_b]))
        value = str(stimuli[groups].to_numpy()[mixed][0])[:60]
        raise UserError(
            f"the conditions {contrast.a!r} and {contrast.b!r} share the value {value!r} of the column {groups!r}: "
            "texts with one value form a group, and a group must be in one condition. Give each condition values of "
            "its own, or remove the column"
        )
    if numbers is not None:
        for condition, mask in ((contrast.a, in_a), (contrast.b, in_b)):
            if (n_texts := int(mask.sum())) > 1 and len(np.unique(numbers[mask])) == 1:
                raise UserError(
                    f"all {n_texts} texts of the condition {condition!r} have the same value in the column {groups!r}, "
                    "so they count as one text: name a column that divides each condition into at least "
                    f"{MIN_TEXTS} groups"
                )
    if partners is not None:
        n_a, n_b = (np.bincount(partners[mask], minlength=partners.max() + 1) for mask in (in_a, in_b))
        incomplete = np.flatnonzero((n_a != 1) | (n_b != 1))
        empty = np.flatnonzero((in_a | in_b) & (labels(stimuli, str(pairs)) == ""))
        if len(empty):
            raise UserError(
                f"the column {pairs!r} is empty in {counted(len(empty), 'text')} of the contrast, the first is number "
                f"{empty[0] + 1}: fill it in, or remove such texts"
            )
        if len(incomplete):
            first = incomplete[0]
            value = plain_label(stimuli[pairs].to_numpy()[partners == first][0])[:60]
            numbers_of_texts = " and ".join(
                f"{counted(int(n[first]), 'text')} of {condition!r}"
                for n, condition in ((n_a, contrast.a), (n_b, contrast.b))
            )
            raise UserError(
                f"{len(incomplete)} of {len(n_a)} pairs of the column {pairs!r} are not complete: a pair is one text "
                f"of each condition, and the two have the same value in this column. The value {value!r} has "
                f"{numbers_of_texts}: correct the column, or remove these texts"
            )
    design = Design(in_a, in_b, numbers, linked_pairs(partners, numbers))
    design.check_number(contrast, MIN_TEXTS, "a contrast needs")
    return design


def linked_pairs(
    pairs: Int[np.ndarray, " stimuli"] | None, groups: Int[np.ndarray, " stimuli"] | None
) -> Int[np.ndarray, " stimuli"] | None:
    """Return a number for each stimulus. Pairs that share a group get the same number.

    Stimuli with the same number exchange their labels together, and are in the same half of the texts.

    Args:
        pairs: A number for each stimulus. The two partners of a pair have the same number. None: there are no pairs.
        groups: A number for each stimulus. Stimuli of one group, which are not independent of each other, have the same
            number. None: there are no groups.
    """
    if pairs is None or groups is None:
        return pairs
    n_pairs, n_groups = int(pairs.max()) + 1, int(groups.max()) + 1
    n = n_pairs + n_groups
    links = coo_array((np.ones(len(pairs)), (pairs, n_pairs + groups)), shape=(n, n))
    return np.unique(connected_components(links, directed=False)[1][pairs], return_inverse=True)[1]
