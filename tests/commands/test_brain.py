import re

import nibabel
import numpy as np
import xarray as xr

from toposheet.brain.meshes import mesh_of


def test_sheets_are_exported_as_surfaces(ran, tmp_path, folder, sentences):
    out = tmp_path / "surfaces"
    printed = ran("brain", "export", folder, "--stimuli", sentences, "--contrast", "S:N", "--out", out)
    assert "reading: mean over tokens, no token before each text\n" in printed
    assert len(list(out.glob("*.surf.gii"))) == len(list(out.glob("*.func.gii"))) == 4
    assert len(nibabel.load(next(out.glob("*.func.gii"))).darrays[0].data) == 36


def test_morans_i_is_printed_and_on_demand_its_null(ran, refused, tmp_path):
    values = mesh_of(10_242, "left").coordinates[:, 1].copy()
    xr.Dataset({"t_values": ("vertex", values)}).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    assert re.search(r"^Moran's I = 0\.99\d$", ran("brain", "moran", tmp_path / "map.nc"), re.MULTILINE)
    figure = tmp_path / "f" / "m.png"
    printed = ran("brain", "moran", tmp_path / "map.nc", "--permutations", "19", "--figure", figure)
    assert "null of 19 shuffles: " in printed
    assert "p = 0.05" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    xr.Dataset({"t_values": ("vertex", np.ones(10_242))}).to_netcdf(tmp_path / "flat.nc", engine="h5netcdf")
    printed = ran("brain", "moran", tmp_path / "flat.nc", "--permutations", "5")
    assert "Moran's I = – (undefined: the map is constant" in printed
    assert "null of" not in printed
    xr.Dataset({"t_values": ("vertex", np.ones(5))}).to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
    line = refused("brain", "moran", tmp_path / "bad.nc")
    assert (
        "bad.nc has 5 vertices; the known meshes are fs_LR 32k (32,492 vertices per hemisphere) and fsaverage5 (10,242)"
        in line
    )


def test_a_map_is_masked_by_its_p_values_and_has_the_weights_that_are_asked_for(ran, refused, tmp_path):
    values = mesh_of(10_242, "left").coordinates[:, 1].copy()
    p = np.where(values > 0, 1e-6, 0.9)
    path = tmp_path / "map.nc"
    xr.Dataset({"t_values": ("vertex", values), "p_values": ("vertex", p)}).to_netcdf(path, engine="h5netcdf")
    printed = ran("brain", "moran", path, "--q", "0.05", "--weights", "row", "--permutations", "19")
    n = f"{(values > 0).sum():,}"
    assert (
        f"\n{n} finite non-zero vertices with a false discovery rate below 0.05 of 10,242 (fsaverage5, left, row "
        in printed
    )
    assert "null of 19 shuffles" in printed
    assert "q is 2.0: it must be larger than 0 and at most 1" in refused("brain", "moran", path, "--q", "2")
    xr.Dataset({"t_values": ("vertex", values)}).to_netcdf(path, engine="h5netcdf")
    line = refused("brain", "moran", path, "--q", "0.05")
    assert "q is 0.05, but the map has no p values: give a NetCDF file (.nc) with the variable p_values" in line
