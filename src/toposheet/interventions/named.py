"""Regions that are written as text, as on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import xarray as xr

from toposheet.cortex import grow_clusters, load_localizer
from toposheet.errors import UserError
from toposheet.interventions.regions import Combined, Disc, Mask, Region, WholeSheet, WholeTap

FORMS = {
    "disc": "disc:SHEET:ROW:COLUMN:RADIUS_MM",
    "sheet": "sheet:NAME",
    "tap": "tap:NAME",
    "localizer": "localizer:PATH",
    "cluster": "cluster:PATH:NUMBER",
}
_OPERATOR = re.compile(r"\s+([|&-])\s+")


def read_region(text: str) -> Region:
    """Return the region that a text describes.

    The forms are `disc:SHEET:ROW:COLUMN:RADIUS_MM`, `sheet:NAME`, `tap:NAME`, `localizer:PATH` (the units that
    `toposheet localize` selected) and `cluster:PATH:NUMBER` (a cluster of these units, counted from 1). Regions are
    combined with ` | ` (the units of both), ` & ` (the units that are in both) and ` - ` (without the units of the
    second), from left to right.

    Raises:
        UserError: The text has none of these forms.
        NotFound: There is no localizer at the path.

    Example:
        read_region("disc:model.layers.2.mlp:8:8:3 - disc:model.layers.2.mlp:8:8:1")
    """
    first, *rest = _OPERATOR.split(text.strip())
    region = _one(first, text)
    for how, other in zip(rest[::2], rest[1::2], strict=True):
        region = Combined(region, _one(other, text), how)
    return region


def _one(part: str, whole: str) -> Region:
    kind, _, rest = part.partition(":")
    if kind not in _READERS or not rest:
        raise UserError(f"{whole!r} is no region: write one of {', '.join(FORMS.values())}")
    if re.search(r"[|&]", rest):
        raise UserError(f"{part!r} has an operator without spaces: write A | B, A & B or A - B, with spaces")
    try:
        return _READERS[kind](rest)
    except (ValueError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{part!r} is no region: write {FORMS[kind]}") from None


def _disc(rest: str) -> Region:
    sheet, y, x, radius = rest.rsplit(":", 3)
    return Disc(sheet, float(y), float(x), float(radius))


def _localizer(path: str) -> Region:
    localizer = load_localizer(path)
    return Mask.of(localizer, _name(localizer, path))


def _cluster(rest: str) -> Region:
    path, number = rest.rsplit(":", 1)
    localizer, wanted = load_localizer(path), int(number)
    clusters = grow_clusters(localizer)
    if not 1 <= wanted <= int(clusters.max()):
        raise UserError(f"there is no cluster {wanted} in {path}: it has {int(clusters.max())}, counted from 1")
    name = f"cluster {wanted} of {_name(localizer, path)}"
    return Mask.of(clusters == wanted, name, str(localizer.attrs.get("model", "")))


def _name(localizer: xr.Dataset, path: str) -> str:
    """Return the name of the network of a localizer. Networks of different files have different names."""
    return f"network {localizer.attrs.get('contrast', '')} ({path})"


_READERS: dict[str, Callable[[str], Region]] = {
    "disc": _disc,
    "sheet": WholeSheet,
    "tap": WholeTap,
    "localizer": _localizer,
    "cluster": _cluster,
}
