"""The section of effect sizes: maps of Cohen's d for each contrast, with the units whose interval excludes 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from toposheet.cortex.comparison import SIGNIFICANT
from toposheet.figures.maps import draw_contrast_maps
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, Section
from toposheet.wording import counted

PARTIAL = """
<h2>Effect sizes</h2>
<p class="lead">How large is the effect in each unit? The maps show Cohen's d of the raw responses: the difference of the means in standard deviations of the texts (or groups); with pairs, the mean difference in standard deviations of the differences.
Red units respond more to the condition that is named first. Outlined units (on small maps: those in full colour) have a 95 % interval of d that excludes 0. Below each map is the median of |d|. The interval is that of one unit and is not corrected for the number of units: without any effect,
about 5 % of the units are marked so, and the median of |d| is above 0. So these maps say how large effects are, and the maps of t above say which units are significant. <i>maps.nc</i> has d and the ends of its interval (<i>d_low</i>, <i>d_high</i>), also for readouts.</p>
{% for picture in pictures %}
<h4>{{ picture.title }}</h4>
{{ figure(picture) }}
{% endfor %}
"""

_SENTENCE = "Cohen's d of each unit, raw. Units that are outlined, or alone in full colour, have a 95 % interval of d that excludes 0."
_MARKED = ("the 95 % interval of d excludes 0", "in no unit")


def _view(analysis: Analysis) -> Mapping[str, Any] | None:
    return None if analysis.results.maps is None else {}


def _drawings(analysis: Analysis) -> Iterable[Drawing]:
    if analysis.results.maps is None:
        return
    raw = analysis.results.maps.sel(negative_control="", drop=True).sel(fwhm_mm=[0.0])
    for contrast in raw["contrast"].values.tolist():
        figure = _figure(raw.sel(contrast=contrast, drop=True).rename(model="panel"), contrast)
        yield Drawing(f"effect-sizes-{contrast}", f"{contrast}: effect sizes", _SENTENCE, figure)


def _figure(maps: xr.Dataset, contrast: str) -> Figure:
    """Return the figure of one contrast.

    Args:
        maps: d, d_low and d_high over (panel, fwhm_mm, sheet, y, x).
        contrast: Name of the contrast.
    """
    excludes_0, notes, medians = (maps["d_low"] > 0) | (maps["d_high"] < 0), {}, {}
    for model in maps["panel"].values.tolist():
        d = maps["d"].sel(panel=model, fwhm_mm=0.0)
        notes[model, 0.0] = (
            f"{int(excludes_0.sel(panel=model).sum()):,} of {counted(int(d.notnull().sum()), 'unit')} marked"
        )
        of_sheets = abs(d).median(dim=("y", "x")).to_series().dropna()
        medians |= {(model, 0.0, sheet): median for sheet, median in of_sheets.items()}
    return draw_contrast_maps(
        maps["d"], excludes_0, notes, medians, f"{contrast}, effect sizes", SIGNIFICANT, "Cohen's d", _MARKED,
        "median of |d|",
    )  # fmt: skip


SECTION = Section(position=42, partial=PARTIAL, view=_view, drawings=_drawings)
