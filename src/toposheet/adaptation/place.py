"""Give the units of a model places that make near units respond alike. The weights, and what the model says, stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.adaptation.activations import activations_on
from toposheet.adaptation.placement import HowToPlace, correlations_of, pair_gains, reassigned, spectral
from toposheet.adaptation.shared_sheet import placed_together
from toposheet.errors import UserError, check_type
from toposheet.progress import Progress, part_of
from toposheet.results import Table
from toposheet.settings import Metric, check_choice, check_seed
from toposheet.sheet import Sheet
from toposheet.subject import Subject
from toposheet.topography import Topography, spatial_losses

PLACEMENT = Table(
    "placement.csv",
    {"sheet": "text", "method": "text", "loss_fitted": "number", "loss_fitted_before": "number", "loss": "number",
     "loss_before": "number"},
    "the spatial loss of a sheet before and after its units were placed or rotated, on the fitted and on other text",
)  # fmt: skip


_METHODS: dict[str, HowToPlace] = {
    "assignment": HowToPlace("spectral", 192, 100),
    "spectral": HowToPlace("spectral"),
    "swaps": HowToPlace("random", 2, 1000),
    "random": HowToPlace("random"),
    "shared": HowToPlace("shared"),
}
BY_DISTANCE = tuple(name for name, how in _METHODS.items() if how.rounds)
"""The methods that use distances on the sheet. The null with shuffled distances exists only for them."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A subject whose units were placed, or whose taps got bases.

    Args:
        subject: The subject with its new topography. Its model is the model of the subject before.
        table: A row for each sheet, the columns of `PLACEMENT`: the spatial loss (all windows) before and after, on the
            text on which the topography was fitted, and on other text. The windows are the same before and after: those
            of the sheet after. Where units moved, these are squares, also if the sheet had stored windows before.
    """

    subject: Subject
    table: pd.DataFrame


def place(
    subject: Subject,
    fitted: Int[Tensor, "fitted time"],
    other: Int[Tensor, "other time"],
    *,
    method: str = "assignment",
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    skip_first: bool = True,
    shuffled: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Placed:
    """Return the subject with places at which near units respond alike. Its model is unchanged to the bit.

    This shows how much topography a model has already, without any training: the units of a trained network are
    correlated, and some arrangement of them is smooth. So it is the baseline of every training that starts from a
    trained model, and a placed model is no evidence that training has found a topography.

    Args:
        subject: The subject. A unit stays on its sheet. Sheets keep their shape, but lose stored windows, which fit the
            old places only (`Sheet.moved`). On a sheet with several taps, the units of a tap keep the cells of this
            tap, so bands remain bands.
        fitted: Token ids of the text on which places are fitted.
        other: Token ids of other text, on which the loss is computed as well.
        method: How places are found.
            - `"assignment"`: `spectral`, then blocks of 192 random units exchange their cells as is best.
            - `"spectral"`: an embedding of the correlations in two dimensions (Laplacian eigenmaps).
            - `"swaps"`: random places, then random pairs of units swap if this helps (as in TDANN).
            - `"random"`: random places (as in TopoLM).
            - `"shared"`: the same random places on all sheets of one size (the ablation of the TopoLM paper).
        radius: Size of the windows of the spatial loss that is made small, in cells, see `spatial_loss`.
        metric: Distance between two places.
        window: Which cells belong to a window.
        skip_first: Whether the first token of each block is left out, see `activations_on`.
        shuffled: Whether nearness on the sheet is shuffled among the pairs of cells (the null "shuffled distances").
            The method must be `"assignment"` or `"swaps"`, and both then begin at random places.
        seed: Seed of all random choices.
        progress: A function that is called with what is done. None: no calls.

    Raises:
        UserError: The method is unknown, or it does not use the distances that are shuffled.
    """
    check_type("subject", subject, Subject, "what toposheet.load or toposheet.attach returns")
    check_seed(seed)
    check_method(method)
    if shuffled and method not in BY_DISTANCE:
        raise UserError(
            f"shuffled is True, but the method {method} does not depend on distances: use {' or '.join(BY_DISTANCE)}"
        )
    how = _METHODS[method]
    how = how._replace(start="random") if shuffled else how
    gains: dict[tuple[int, int], np.ndarray] = {}
    sheets, olds, rows = dict(subject.topography.sheets), dict[str, Sheet](), []

    def loss(name: str, sheet: Sheet, activations: Mapping[str, Tensor]) -> float:
        batch = {tap: values[None] for tap, values in activations.items()}
        return float(spatial_losses(batch, Topography({name: sheet}), "all", radius, metric, window)[name])

    rngs = dict(zip(sheets, np.random.default_rng(seed).spawn(len(sheets)), strict=True))
    reading = part_of(progress, 0, 2)
    for number, (name, activations) in enumerate(
        activations_on(subject, fitted, skip_first=skip_first, progress=reading)
    ):
        sheet = sheets[name]
        rng = np.random.default_rng(seed) if how.start == "shared" else rngs[name]
        if len(sheet.places) > 1:
            sheets[name] = placed_together(
                sheet, activations, how, rng, radius=radius, metric=metric, window=window, shuffled=shuffled
            )
        else:
            if sheet.shape not in gains and how.rounds:
                gains[sheet.shape] = pair_gains(sheet.shape, radius, metric, window, shuffled)
            sheets[name] = _placed(sheet, activations, how, gains.get(sheet.shape), rng)
        olds[name] = replace(sheet, windows=sheets[name].windows)
        before, after = (loss(name, one, activations) for one in (olds[name], sheets[name]))
        rows.append({"sheet": name, "method": method, "loss_fitted": after, "loss_fitted_before": before})
        part_of(progress, 1, 2)("placing units, sheet", number + 1, 2 * len(sheets))
    table = pd.DataFrame(rows).set_index("sheet", drop=False)
    for number, (name, activations) in enumerate(activations_on(subject, other, skip_first=skip_first)):
        for column, one in (("loss_before", olds[name]), ("loss", sheets[name])):
            table.loc[name, column] = loss(name, one, activations)
        part_of(progress, 1, 2)("other text, sheet", len(sheets) + number + 1, 2 * len(sheets))
    placed = subject.with_topography(replace(subject.topography, sheets=sheets))
    return Placed(placed, PLACEMENT.frame(table.reset_index(drop=True)))


def check_method(method: str) -> None:
    """Refuse a method of placing that does not exist."""
    check_choice("method", method, tuple(_METHODS))


def _placed(
    sheet: Sheet,
    activations: Mapping[str, Float[Tensor, "tokens _"]],
    how: HowToPlace,
    gains: Float[np.ndarray, "cells cells"] | None,
    rng: np.random.Generator,
) -> Sheet:
    """Return a sheet with the units of its tap at other cells, one in each cell. All cells of the grid may be used.

    Raises:
        UserError: The sheet has fewer cells than units, because units share cells.
    """
    height, width = sheet.shape
    if height * width < sheet.n_units:
        raise UserError(
            f"a sheet of {height}x{width} cells has {sheet.n_units} units that share cells, and placing gives each "
            "unit a cell: give the model larger sheets"
        )
    cell = rng.permutation(height * width)[: sheet.n_units]
    if how.start == "spectral" or how.rounds:
        (x,) = activations.values()
        r = correlations_of(x.numpy())
        if how.start == "spectral":
            cell = spectral(r, sheet.shape, rng)
        if gains is not None:
            cell = reassigned(r, gains, cell, rng, block=how.block_of(len(gains)), rounds=how.rounds)
    places = dict.fromkeys(sheet.places, np.stack(np.divmod(cell, width), axis=1))
    return sheet.moved(places, shared_cells=False)
