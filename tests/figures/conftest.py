import numpy as np
import pandas as pd
import pytest
import xarray as xr

from toposheet.figures.style import DPI, STYLE


@pytest.fixture(autouse=True)
def fine_figures(monkeypatch):
    """Draw as users see it."""
    monkeypatch.setattr("toposheet.figures.files.DPI", DPI)
    monkeypatch.setitem(STYLE, "pdf.fonttype", 42)


@pytest.fixture
def tables():
    """A report's tables: so many models, layers and contrasts, numbers drawn at random."""

    def made(models=("topographic", "control"), layers=12, contrasts=("sentence:nonword",), kinds=("attn", "mlp")):
        rng = np.random.default_rng(0)
        taps = [f"transformer.h.{layer}.{kind}" for layer in range(layers) for kind in kinds]
        index = pd.MultiIndex.from_product(
            [models, contrasts, (0.0, 2.0), taps], names=["model", "contrast", "fwhm_mm", "tap"]
        )
        columns = ["morans_i", "null_mean", "null_sd", "label_null_mean", "label_null_sd"]
        table = pd.DataFrame(rng.uniform(0.05, 0.2, (len(index), 5)), index=index, columns=columns).reset_index()
        return table.assign(sheet=table["tap"], negative_control="")

    return made


@pytest.fixture
def maps():
    """Maps over (panel, fwhm_mm, sheet, y, x) for a summary, and the Moran's I of each."""

    def made(summary, side=6):
        panels, readouts, sheets = (list(dict.fromkeys(summary[name])) for name in ("model", "fwhm_mm", "sheet"))
        t = xr.DataArray(
            np.random.default_rng(1).normal(size=(len(panels), len(readouts), len(sheets), side, side)),
            dims=("panel", "fwhm_mm", "sheet", "y", "x"),
            coords={"panel": panels, "fwhm_mm": readouts, "sheet": sheets},
        )
        return t, summary.set_index(["model", "fwhm_mm", "sheet"])["morans_i"].to_dict()

    return made
