"""A localizer of one model, and a model's maps as surfaces, as files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr

from toposheet.brain.export import export_sheet
from toposheet.cache import cache_folder
from toposheet.cortex import contrast, cross_validated, grow_clusters, localize
from toposheet.cortex.analysis import responses_to
from toposheet.cortex.localizer import LOCALIZER, save_localizer
from toposheet.figures.files import save_figure, stamp
from toposheet.figures.network import localizer_map
from toposheet.files import folder_aside
from toposheet.settings import DEFAULT, READING, Reading, Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.subject import load, respond
from toposheet.topography import Topography


@dataclass(frozen=True)
class Found:
    """What a localizer found, in numbers: which rule, how many units, and the effect in items that did not select.

    The effect is nan where the odd items select no unit, or none that tells the even items apart.
    """

    rule: str
    n_selected: int
    n_units: int
    d: float
    t: float
    p: float

    @property
    def held_out(self) -> str:
        """The effect in items that did not select, in words."""
        if math.isnan(self.t):
            return "not cross-validated: the odd items select no unit that the even items could measure"
        return f"odd items select, even items measure: d = {self.d:.2f}, t = {self.t:.1f}, p = {self.p:.2g}"


def write_localizer(
    source: str | Path,
    stimuli: pd.DataFrame,
    wanted: Contrast,
    out: Path,
    name: str,
    percent: float | None = None,
    q: float = 0.05,
    settings: Settings = DEFAULT,
) -> Found:
    """Write `localizer.nc`, `cross_validated.csv` and figures of a model to a folder, and return what was found.

    Args:
        source: The model.
        stimuli: The localizer's texts.
        wanted: Its contrast, the preferred condition first.
        out: The folder.
        name: Of the stimuli, for the figure.
        percent: See `cortex.localize`.
        q: See `cortex.localize`.
        settings: How: its `pooling`, `contiguity` and `min_size`.
    """
    responses, topo, identity = _responses(source, stimuli, settings.reading)
    data = responses_to(responses, wanted)
    localizer = localize(data, wanted.a, wanted.b, percent, q, model=identity)
    table = cross_validated(data, wanted.a, wanted.b, percent, q)
    localizer = localizer.assign(
        cluster=grow_clusters(localizer, min_size=settings.min_size, contiguity=settings.contiguity)
    )
    figure = localizer_map(topo.to_grid(localizer["t"]), topo.to_grid(localizer["mask"].astype(float)), wanted.name)
    with folder_aside(out / "figures") as aside:
        save_figure(figure, aside, "localizer", stamp(stimuli, name))
    with folder_aside(out) as aside:
        save_localizer(localizer, aside / LOCALIZER)
        table.to_csv(aside / "cross_validated.csv", index=False)
    whole = table.iloc[-1]
    return Found(
        rule=localizer.attrs["rule"],
        n_selected=int(localizer["mask"].sum()),
        n_units=localizer.sizes["unit"],
        d=float(whole["d"]),
        t=float(whole["t"]),
        p=float(whole["p"]),
    )


def export_maps(source: str | Path, stimuli: pd.DataFrame, wanted: Sequence[Contrast], out: Path) -> list[Path]:
    """Write the sheets of a model as flat surfaces with its t-maps, and return the files.

    Args:
        source: The model.
        stimuli: The texts.
        wanted: A map for each of these contrasts.
        out: The folder.
    """
    responses, topo, _ = _responses(source, stimuli)
    maps = [contrast(responses_to(responses, one), one.a, one.b)["t"] for one in wanted]
    names = xr.DataArray([one.name for one in wanted], dims="contrast", name="contrast")
    return export_sheet(topo, xr.concat(maps, dim=names), out)


def _responses(
    source: str | Path, stimuli: pd.DataFrame, reading: Reading = READING
) -> tuple[xr.DataArray, Topography, str]:
    subject = load(source)
    responses = respond(subject, stimuli, reading=reading, progress=True, cache=cache_folder())
    return responses, subject.topography, subject.fingerprint
