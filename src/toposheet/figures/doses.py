"""Figure of dose curves: the effect of acting on a place, against the radius or the strength."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toposheet.figures.style import HEIGHT, MUTED, STYLE, WIDTH, broken, colour, keys_below

_ACROSS = 3  # panels in a row


def dose_figure(table: pd.DataFrame) -> Figure:
    """Return a figure of dose curves, with a panel for each part of the measure.

    The dose is the strength if there are several strengths, with a curve for each radius; otherwise it is the radius.

    Args:
        table: `model, measure, part, act, sheet, y, x, radius_mm, strength, change, change_low, change_high, null_mean,
            null_sd, p_corrected`, a row for each part and dose.
    """
    by_strength = table["strength"].nunique() > 1
    dose, other = ("strength", "radius_mm") if by_strength else ("radius_mm", "strength")
    parts, curves = list(dict.fromkeys(table["part"])), list(dict.fromkeys(table[other].fillna(0.0)))
    columns = min(_ACROSS, len(parts))
    rows = -(-len(parts) // columns)
    with mpl.rc_context(STYLE):
        width = WIDTH * max(columns, 1.6) / _ACROSS
        figure = Figure(figsize=(width, min(HEIGHT, 1.9 * rows + 0.7)), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, part in zip(panels.ravel(), parts, strict=False):
            for number, curve in enumerate(curves):
                of_curve = table[(table["part"] == part) & (table[other].fillna(0.0) == curve)].sort_values(dose)
                at, change = of_curve[dose], of_curve["change"]
                error = [change - of_curve["change_low"], of_curve["change_high"] - change]
                axes.errorbar(at, change, yerr=error, fmt="o-", ms=3, lw=1.2, color=colour(2 * number))
                mean, sd = of_curve["null_mean"], of_curve["null_sd"]
                shade = MUTED if len(curves) == 1 else colour(2 * number)
                axes.fill_between(at, mean - 2 * sd, mean + 2 * sd, color=shade, alpha=0.2, lw=0)
                found = of_curve[of_curve["p_corrected"] < 0.05]
                axes.plot(found[dose], found["change"], "o", ms=7, mfc="none", color=colour(2 * number), lw=0)
            axes.axhline(0, color=MUTED, lw=0.6)
            axes.set_title(broken(part, 26, 1), loc="left")
        for axes in panels.ravel()[len(parts) :]:
            axes.set_axis_off()
        first = table.iloc[0]
        for axes in panels.ravel()[max(0, len(parts) - columns) : len(parts)]:  # the lowest panel of each column
            axes.set_xlabel("strength (sd of each unit)" if by_strength else "radius (mm)")
            axes.tick_params(labelbottom=True)
        for axes in panels[:, 0]:
            axes.set_ylabel(broken(f"change of {first['measure']}", 30, 2))
        act = "stimulation" if np.isfinite(first["strength"]) else first["act"]
        place = f"{first['model']}: {act} at ({first['y']:g}, {first['x']:g}) on {first['sheet']}"
        figure.suptitle(broken(place, int(13 * width), 2), fontsize=9, x=0.02, ha="left")
        keys: list[Artist] = [Line2D([], [], color=colour(2 * n), marker="o", ms=3, label=_curve_name(other, curve))
                for n, curve in enumerate(curves)]  # fmt: skip
        if len(curves) == 1:
            keys[0].set_label("this place, 95 % over items")
        keys.append(Patch(color=MUTED, alpha=0.3, lw=0, label="as many scattered units, mean ± 2 sd"))
        keys.append(Line2D([], [], ls="", marker="o", ms=7, mfc="none", color=colour(0), label="p < 0.05, corrected"))
        keys_below(figure, keys)
        return figure


def _curve_name(column: str, value: float) -> str:
    return f"radius {value:g} mm" if column == "radius_mm" else f"strength {value:g}"
