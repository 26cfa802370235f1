"""Give the taps of a model bases in which near units respond alike. The weights, and what the model says, stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from toposheet.adaptation.activations import activations_on
from toposheet.adaptation.place import PLACEMENT, Placed
from toposheet.adaptation.rotation import losses_of, principal_components, refined, rotated, smooth_modes
from toposheet.errors import UserError, check_type
from toposheet.progress import Progress, part_of
from toposheet.recipes.adapting import Share
from toposheet.settings import Metric, check_choice, check_count, check_seed
from toposheet.sheet import Sheet
from toposheet.subject import Subject
from toposheet.topography import Topography
from toposheet.topography.objectives.moments import Moments, Scratch, moments
from toposheet.topography.objectives.windows import Windows, windows_of

_MOST_UNITS = 10_000  # of a sheet: with more, each of several matrices takes more than 0.4 GB


def rebase(
    subject: Subject,
    fitted: Int[Tensor, "fitted time"],
    other: Int[Tensor, "other time"],
    *,
    share: str = "tap",
    radius: int = 5,
    metric: Metric = "chebyshev",
    window: Literal["open", "closed"] = "open",
    skip_first: bool = True,
    shuffled: bool = False,
    seed: int = 0,
    updates: int = 20,
    progress: Progress | None = None,
) -> Placed:
    """Return the subject with bases of its taps in which near units respond alike. Its model is unchanged to the bit.

    A unit is then a mixture of the network's own coordinates. The basis of a tap is an orthogonal matrix, so it adds
    nothing and loses nothing. First, the principal components of the activations become waves on the sheet, the largest
    ones the longest waves (`smooth_modes`). Then gradient descent on the spatial loss of all windows refines the matrix
    (`refined`).

    This shows what linear algebra alone can do. Any responses whose variance falls over principal components become
    smooth on a sheet after a rotation, also those of an untrained network, or noise with such variances. So a smooth
    map of a rebased model is no evidence that the network has a topography. It is the null for everything trained: what
    training adds is the difference to a rebased model. The loss on other text is higher than on the fitted text,
    because principal components are estimates. With more tokens in the fitted text, it is lower. Activations are in
    float32: if the spread of one unit is 200 times that of the others, the losses are correct to some thousandths only,
    because rotated units are mixtures with it.

    Args:
        subject: The subject. If taps have bases already, the new bases replace them.
        fitted: Token ids of the text on which bases are fitted. It should have several times as many tokens as a tap
            has units.
        other: Token ids of other text, on which the loss is computed as well.
        share: Which taps share a basis.
            - `"tap"`: each tap has a basis of its own, and units keep their places.
            - `"width"`: all taps of one width have the same basis, which makes the mean loss of their sheets small.
              Their units get the places of the first of these taps. Each sheet must have one tap. Where units move,
              stored windows are left out (`Sheet.moved`), from both losses.
        radius: Size of the windows of the spatial loss that is made small, in cells, see `spatial_loss`.
        metric: Distance between two places.
        window: Which cells belong to a window.
        skip_first: Whether the first token of each block is left out, see `activations_on`.
        shuffled: Whether nearness on the sheet is shuffled among the pairs of cells (the null "shuffled distances").
            Gradient descent then begins at a random rotation, without waves.
        seed: Seed of this random rotation.
        updates: Number of updates of gradient descent. 0: only waves. With more than 20, the loss on the fitted text
            falls further, but the loss on other text hardly does. A shared basis gains up to about 40.
        progress: A function that is called with what is done. None: no calls.

    Raises:
        UserError: An option is out of range, the subject has interventions, a sheet has more than 10,000 units, or
            taps cannot share a basis.
    """
    check_type("subject", subject, Subject, "what toposheet.load or toposheet.attach returns")
    check_share(share)
    check_seed(seed)
    check_count("updates", updates, 0)
    check_sheets(subject, share)
    if subject.interventions:
        raise UserError(
            f"{subject.name} has interventions, and new bases would give their units another meaning: rebase the "
            "subject without them, and intervene afterwards"
        )
    old = subject.topography
    sheets = _with_shared_places(old.sheets) if share == "width" else dict(old.sheets)
    device = next(subject.model.parameters()).device
    options = (radius, metric, window)
    olds = {name: replace(sheet, windows=sheets[name].windows) for name, sheet in old.sheets.items()}
    before, after = ({n: windows_of(s, *options, False, device) for n, s in of.items()} for of in (olds, sheets))
    wanted = {n: windows_of(s, *options, shuffled, device) for n, s in sheets.items()}
    reading, learning, scoring = (part_of(progress, number, 3) for number in range(3))

    measured = _moments(subject, fitted, skip_first, device, reading)
    groups = [[name] for name in sheets]
    if share == "width":
        widths = {name: sheet.n_units for name, sheet in sheets.items()}
        groups = [[name for name in sheets if widths[name] == width] for width in dict.fromkeys(widths.values())]
    rotations: dict[str, Tensor] = {}
    rng = np.random.default_rng(seed)
    for number, group in enumerate(groups):
        of_group = part_of(learning, number, len(groups), f"learning bases, {group[0]}")
        of_sheets, windows = [measured[name] for name in group], [wanted[name] for name in group]
        rotation = _rotation(sheets[group[0]], of_sheets, windows, rng if shuffled else None, updates, of_group)
        rotations |= dict.fromkeys(group, rotation)
    bases = _bases(old, rotations)
    columns: dict[str, list[float]] = {}
    for text, of_text in (("_fitted", measured), ("", _moments(subject, other, skip_first, device, scoring))):
        turned = {name: rotated(part, rotations[name]) for name, part in of_text.items()}
        for when, parts, windows in (("", turned, after), ("_before", of_text, before)):
            columns[f"loss{text}{when}"] = [float(losses_of([parts[n]], [windows[n]])[0]) for n in sheets]
    table = pd.DataFrame({"sheet": list(sheets), "method": f"rebase {share}"} | columns)
    return Placed(subject.with_topography(Topography(sheets, bases)), PLACEMENT.frame(table))


def check_sheets(subject: Subject, share: str) -> None:
    """Refuse a subject whose sheets cannot get bases.

    Raises:
        UserError: A sheet has more than 10,000 units. Or all taps of a width are to share a basis, and a sheet has
            several taps, or taps of one width are on sheets of different shapes.
    """
    for name, sheet in subject.topography.sheets.items():
        if sheet.n_units > _MOST_UNITS:
            raise UserError(
                f"the sheet {name} has {sheet.n_units:,} units, but bases are learned for at most {_MOST_UNITS:,} "
                "units of a sheet, because their matrices have a row and a column for each unit: give each tap a sheet "
                "(layout per_tap), or use the mode place"
            )
    if share == "width":
        _with_shared_places(subject.topography.sheets)


def check_share(share: str) -> None:
    """Refuse a choice of which taps share a basis that does not exist."""
    check_choice("share", share, get_args(Share))


def _with_shared_places(sheets: Mapping[str, Sheet]) -> dict[str, Sheet]:
    """Return sheets on which the units of taps of one width have the same places: those of the first tap.

    Raises:
        UserError: A sheet has several taps, or taps of one width are on sheets of different shapes.
    """
    shared: dict[str, Sheet] = {}
    first: dict[int, Sheet] = {}
    for name, sheet in sheets.items():
        if len(sheet.places) != 1:
            raise UserError(
                f"the sheet {name} has {len(sheet.places)} taps, whose units cannot have the same places: use "
                "share='tap', or give each tap a sheet"
            )
        like = first.setdefault(sheet.n_units, sheet)
        if like.shape != sheet.shape:
            raise UserError(
                f"taps of {sheet.n_units} units are on sheets of {like.shape} and of {sheet.shape} cells, and can "
                "share a basis only on sheets of one shape: use share='tap'"
            )
        shared[name] = sheet.moved(dict.fromkeys(sheet.places, like.coordinates), like.shared_cells)
    return shared


def _moments(
    subject: Subject, blocks: Int[Tensor, "blocks time"], skip_first: bool, device: torch.device, progress: Progress
) -> dict[str, Moments]:
    """Return the moments of the responses of the units of each sheet, all units as one window."""
    scratch, measured = Scratch(), {}
    for name, of_taps in activations_on(subject, blocks, skip_first=skip_first, progress=progress):
        measured[name] = moments([[x.to(device) for x in of_taps.values()]], None, None, scratch)
    return measured


def _rotation(
    sheet: Sheet,
    measured: list[Moments],
    windows: list[Windows],
    rng: np.random.Generator | None,
    updates: int,
    progress: Progress,
) -> Float[Tensor, "units units"]:
    """Return the rotation of the units of a sheet, or of several sheets that share it. Taps are not mixed.

    Args:
        sheet: The sheet, or the first of the sheets.
        measured: The moments of each sheet.
        windows: The windows of each sheet.
        rng: Generator of a random rotation with which gradient descent begins. None: it begins with waves.
        updates: Number of updates.
        progress: A function that is called with the number of updates.
    """
    shares = [part.products[0] / part.products[0].trace().clamp_min(1e-30) for part in measured]
    mean = torch.stack(shares).mean(dim=0)
    components, modes, of_tap = [], [], []
    for number, cells in enumerate(sheet.places.values()):
        tap = slice(len(of_tap), len(of_tap) + len(cells))
        components.append(principal_components(mean[tap, tap]))
        start = smooth_modes(cells) if rng is None else np.linalg.qr(rng.normal(size=(len(cells),) * 2))[0]
        modes.append(torch.from_numpy(start).to(mean.device))
        of_tap += [number] * len(cells)
    taps = torch.tensor(of_tap, device=mean.device)
    v = torch.block_diag(*components)
    in_components = [rotated(part, v.T) for part in measured]
    return refined(torch.block_diag(*modes), in_components, windows, taps[:, None] == taps, updates, progress) @ v.T


def _bases(topography: Topography, rotations: Mapping[str, Float[Tensor, "units units"]]) -> dict[str, np.ndarray]:
    """Return the bases of taps after the units of each sheet were rotated. Equal bases are one array.

    Args:
        topography: The topography before, whose taps may have bases.
        rotations: The rotation of the units of each sheet.
    """
    bases, known = {}, {}
    for name, sheet in topography.sheets.items():
        first = 0
        for tap, places in sheet.places.items():
            key = id(rotations[name]), first, topography.digests_of_bases.get(tap)
            if key not in known:
                q = rotations[name][first : first + len(places), first : first + len(places)].cpu().numpy()
                before = topography.bases.get(tap)
                known[key] = (q if before is None else q @ before.astype(np.float64)).astype(np.float32)
            bases[tap] = known[key]
            first += len(places)
    return bases
