"""Maps on the brain's surface."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from toposheet.brain.surface import FS_LR, SurfaceMap, brain_package, mesh_of, read_surface_map, template_files
from toposheet.errors import UserError
from toposheet.figures.style import STYLE, WIDTH

_LINE = 85  # characters of the title


def surface_figure(map: SurfaceMap, title: str = "") -> Figure:
    """Return a map on the inflated cortex, from the side and from the middle, on a symmetric scale.

    The scale ends at the 99.5th percentile of |value|. Where the map has no data (nan, 0) the cortex is grey, its
    sulci darker.

    Args:
        map: From `toposheet.brain.surface.read_surface_map`.
        title: Of the figure.

    Raises:
        UserError: the map fits no known mesh or has no vertex with data.
        NotFound: nilearn or the package with the mesh is not installed.
    """
    mesh = mesh_of(len(map.values), map.hemisphere, "inflated")
    if not map.used.any():
        raise UserError("the map has no vertex that is finite and not 0")
    plotting = brain_package("nilearn.plotting")
    values = np.where(map.used, map.values, np.nan)
    limit = float(np.nanpercentile(np.abs(values), 99.5))
    coordinates = mesh.coordinates - mesh.coordinates.mean(axis=0)  # as nilearn does, in place
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    reach = (high - low).max() / 2
    background, lines = _sulci(map), textwrap.wrap(title, _LINE)
    with mpl.rc_context(STYLE):
        height = 2.6 + 0.19 * len(lines)
        figure = Figure(figsize=(WIDTH, height))
        figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left", y=1 - 0.06 / height, va="top")
        for column, view in enumerate(("lateral", "medial")):
            axes: Any = figure.add_axes((0.4 * column, 0.0, 0.42, 2.4 / height), projection="3d")
            plotting.plot_surf_stat_map(
                (coordinates, mesh.faces),
                values,
                bg_map=background,
                hemi=map.hemisphere,
                view=view,
                engine="matplotlib",
                cmap="RdBu_r",
                vmin=-limit,
                vmax=limit,
                colorbar=False,
                axes=axes,
                figure=figure,
            )
            # One scale for all three axes, which nilearn leaves to the box of matplotlib.
            limits = np.stack([(low + high) / 2 - reach, (low + high) / 2 + reach], axis=1).tolist()
            axes.set(xlim=limits[0], ylim=limits[1], zlim=limits[2])
            axes.set_box_aspect((1, 1, 1), zoom=1.5)
            axes.set_title(f"{map.hemisphere} hemisphere, {view}", y=0.95)
        bar = figure.colorbar(
            ScalarMappable(Normalize(-limit, limit), "RdBu_r"),
            cax=figure.add_axes((0.85, 0.5 / height, 0.017, 1.5 / height)),
            extend="both",
        )
        bar.set_label("\n".join(textwrap.wrap(map.name, 30, max_lines=2, placeholder=" …")))
        bar.outline.set_linewidth(0)
        return figure


def _sulci(map: SurfaceMap) -> Float[np.ndarray, " vertices"]:
    """Return a background for each vertex, from light on the gyri (0.15) to darker in the sulci (0.45)."""
    (file,) = template_files(map.space, map.hemisphere, "sulc")
    depth = read_surface_map(file, map.hemisphere).values * (-1 if map.space == FS_LR else 1)
    return np.nan_to_num(np.interp(depth, np.nanpercentile(depth, (5, 95)), (0.15, 0.45)), nan=0.3)
