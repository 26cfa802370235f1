"""Maps on the brain's surface."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from toposheet.figures.style import STYLE, WIDTH

_LINE = 85  # characters of the title


def surface_figure(
    values: Float[np.ndarray, " vertices"],
    coordinates: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    background: Float[np.ndarray, " vertices"],
    *,
    hemisphere: str,
    name: str,
    title: str = "",
) -> Figure:
    """Return a map on a mesh of the cortex, from the side and from the middle, on a symmetric scale.

    The scale ends at the 99.5th percentile of |value|. The package nilearn, which draws it, must be installed.

    Args:
        values: Of the map; nan where it has no data: there the background shows.
        coordinates: Of the vertices, in millimetres.
        faces: The three vertices of each triangle.
        background: A shade of grey for each vertex, from 0 (light) to 1.
        hemisphere: `"left"` or `"right"`.
        name: What the values are, for the colour bar.
        title: Of the figure.
    """
    from nilearn import plotting

    limit = float(np.nanpercentile(np.abs(values), 99.5))
    coordinates = coordinates - coordinates.mean(axis=0)  # as nilearn does, in place
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    reach = (high - low).max() / 2
    lines = textwrap.wrap(title, _LINE)
    with mpl.rc_context(STYLE):
        height = 2.6 + 0.19 * len(lines)
        figure = Figure(figsize=(WIDTH, height))
        figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left", y=1 - 0.06 / height, va="top")
        for column, view in enumerate(("lateral", "medial")):
            axes: Any = figure.add_axes((0.4 * column, 0.0, 0.42, 2.4 / height), projection="3d")
            plotting.plot_surf_stat_map(
                (coordinates, faces),
                values,
                bg_map=background,
                hemi=hemisphere,
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
            axes.set_title(f"{hemisphere} hemisphere, {view}", y=0.95)
        bar = figure.colorbar(
            ScalarMappable(Normalize(-limit, limit), "RdBu_r"),
            cax=figure.add_axes((0.85, 0.5 / height, 0.017, 1.5 / height)),
            extend="both",
        )
        bar.set_label("\n".join(textwrap.wrap(name, 30, max_lines=2, placeholder=" …")))
        bar.outline.set_linewidth(0)
        return figure
