"""Figure of a map on the surface of the brain."""

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

_LINE = 85  # most characters in a line of the title


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
    """Return a figure of a map on a mesh of the cortex, in a lateral and a medial view.

    The colour scale is symmetric around 0 and ends at the 99.5th percentile of |value|. The package nilearn draws the
    map and must be installed.

    Args:
        values: A value for each vertex. A vertex with nan has no data and shows the background.
        coordinates: Position of each vertex, in mm.
        faces: Indices of the three vertices of each triangle.
        background: A grey level for each vertex, from 0 (light) to 1.
        hemisphere: `"left"` or `"right"`.
        name: Name of the values, for the colour bar.
        title: Title of the figure.
    """
    from nilearn import plotting

    limit = float(np.nanpercentile(np.abs(values), 99.5))
    coordinates = coordinates - coordinates.mean(axis=0)  # nilearn centres them too, but changes the array
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
            # nilearn does not set equal scales for the three axes.
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
