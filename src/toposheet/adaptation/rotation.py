"""Rotations of the units of a tap: orthogonal matrices that make the responses of near units alike.

The spatial loss of TopoLM depends on responses only through the covariances C of the units. A rotation Q of the units
turns C into Q C Q'. Write C = V L V' with principal components V and variances L. Then Q C Q' = U L U' with U = Q V,
and U can be any orthogonal matrix. So the smallest loss that a rotation reaches depends only on the variances L of the
principal components. It does not depend on what a network computes.

If the variances fall, a smooth U is a good choice: its columns are waves on the sheet, long waves first. Each principal
component becomes a wave, and the largest components become the longest waves. Then near units have similar weights on
all components that matter, so they respond alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toposheet.progress import SILENT, Progress
from toposheet.topography.objectives.evaluation import View, evaluate
from toposheet.topography.objectives.known.correlation import OBJECTIVE as CORRELATION
from toposheet.topography.objectives.moments import Moments
from toposheet.topography.objectives.windows import Windows

_STEP = 0.25  # of the first update, times the square root of the number of units
_FIRST, _SECOND = 0.9, 0.99  # how much of the means of gradients and of their squares an update keeps, as in Adam
_LEAST = 1e-6  # an entry whose gradient is a smaller part of the root mean square is rounding, and gets small steps


def smooth_modes(cells: Int[np.ndarray, "units 2"]) -> Float[np.ndarray, "units units"]:
    """Return orthonormal patterns on the cells of a tap, from smooth to rough. Column k is the pattern k.

    On the smallest rectangle that holds all cells, they are the two-dimensional cosine waves of the discrete cosine
    transform (DCT-II, Ahmed et al. 1974, doi:10.1109/T-C.1974.223784), in the order of their spatial frequency. If the
    tap has only some cells of the rectangle, the waves are restricted to these cells, and each is made orthogonal to
    the waves before it.

    Args:
        cells: Row and column of each unit of the tap.
    """
    cells = cells - cells.min(axis=0)
    height, width = (cells.max(axis=0) + 1).tolist()
    ky, kx = np.divmod(np.arange(height * width), width)
    order = np.lexsort((kx, ky, (ky / height) ** 2 + (kx / width) ** 2))
    along_y, along_x = _cosines(height), _cosines(width)
    modes = along_y[cells[:, 0]][:, ky[order]] * along_x[cells[:, 1]][:, kx[order]]
    if len(cells) == height * width:
        return modes
    modes, triangle = np.linalg.qr(modes)
    return modes * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def _cosines(n: int) -> Float[np.ndarray, "n n"]:
    """Return the orthonormal waves of the one-dimensional DCT-II. Column k has the frequency k."""
    waves = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * np.arange(n) / n) * np.sqrt(2 / n)
    waves[:, 0] /= np.sqrt(2)
    return waves


def principal_components(products: Float[Tensor, "units units"]) -> Float[Tensor, "units units"]:
    """Return the principal components in float64, in the order of falling variance. Column k is the component k.

    The largest weight of each component is positive, so that equal responses give equal components.

    Args:
        products: Covariances of the units, times any factor.
    """
    components = torch.linalg.eigh(products.double().cpu()).eigenvectors.flip(1)
    largest = components.gather(0, components.abs().argmax(dim=0, keepdim=True))
    return (components * largest.sign()).to(products.device)


def losses_of(
    moments: Sequence[Moments], windows: Sequence[Windows]
) -> tuple[Float[Tensor, " sheets"], list[Float[Tensor, "units units"]]]:
    """Return the spatial loss of each sheet, and its gradient with respect to the products of its units.

    Args:
        moments: The moments of the responses of the units of each sheet, as one window.
        windows: The windows of each sheet.
    """
    views = [View((of_sheet,), part.mean.shape[1]) for of_sheet, part in zip(windows, moments, strict=True)]
    losses, gradients = evaluate(views, moments, CORRELATION)
    return losses, [gradient[0] for gradient in gradients]


def rotated(moments: Moments, rotation: Float[Tensor, "units units"]) -> Moments:
    """Return the moments of rotated responses x Q'.

    Args:
        moments: The moments of the responses x of all units of a sheet, as one window.
        rotation: The matrix Q.
    """
    q = rotation.to(moments.products.dtype)
    return Moments(moments.n, moments.mean @ q.T, q @ moments.products @ q.T)


def refined(
    start: Float[Tensor, "units units"],
    sheets: Sequence[Moments],
    windows: Sequence[Windows],
    together: Bool[Tensor, "units units"],
    updates: int,
    progress: Progress = SILENT,
) -> Float[Tensor, "units units"]:
    """Return an orthogonal matrix U whose units have a small mean spatial loss over sheets, found by gradient descent.

    An update is U <- U (I + B / 2) (I - B / 2)^-1 with a skew matrix B (the Cayley transform), so U stays orthogonal. B
    is the gradient in the coordinates that U reads, with the steps of Adam (Kingma and Ba 2015, arXiv:1412.6980) for
    each entry of B. The coordinates should be principal components: the curvature of the loss differs by orders of
    magnitude between pairs of components, and Adam adapts to this. In the coordinates of cells, descent was several
    times slower. The step falls to 0 as a half cosine.

    All windows count in every update, so there is no random choice.

    Args:
        start: The matrix at the start, units by components.
        sheets: The moments of the responses of each sheet, in the coordinates that U reads, as one window each.
        windows: The windows of each sheet. Its units are the rows of U.
        together: Which pairs of coordinates may be mixed. Two taps of one sheet are not mixed.
        updates: Number of updates.
        progress: A function that is called with the number of updates.
    """
    u, eye = start.float(), torch.eye(len(start), device=start.device)
    products = [part.products[0] * (len(u) / part.products[0].trace().clamp_min(1e-30)) for part in sheets]
    first, second = torch.zeros_like(u), torch.zeros_like(u)
    for update in range(updates):
        progress("update", update, updates)
        turned = [Moments(1.0, u.new_zeros(1, len(u)), (u @ one @ u.T)[None]) for one in products]
        by_component = torch.zeros_like(u)
        for gradient, one in zip(losses_of(turned, windows)[1], products, strict=True):
            by_component += (u.T @ (gradient @ u)) @ one
        skew = (by_component - by_component.T) * together
        first.lerp_(skew, 1 - _FIRST)
        second.lerp_(skew.square(), 1 - _SECOND)
        step = _STEP / len(u) ** 0.5 * (1 + np.cos(np.pi * update / updates)) / 2
        mean, square = first / (1 - _FIRST ** (update + 1)), second / (1 - _SECOND ** (update + 1))
        half = -step / 2 * mean / (square.sqrt() + _LEAST * square.mean().sqrt() + 1e-30)
        u = torch.linalg.solve(eye - half, u + u @ half, left=False)
    progress("update", updates, updates)
    exact = u.double()
    return 1.5 * exact - 0.5 * exact @ (exact.T @ exact)  # one step of Newton and Schulz: rounding of u is removed
