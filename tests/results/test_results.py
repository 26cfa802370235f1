from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from toposheet.errors import NotFound, UserError
from toposheet.results import FACTS, MAPS, Results, Table, read_facts, read_maps, read_results

SIZES = Table("sizes.csv", {"model": "text", "n_units": "count"}, "a row for each model")
CURVES = Table("curves.csv", {"model": "text", "r": "number"}, "a row for each distance")


@pytest.fixture
def results():
    tables = {SIZES: SIZES.frame([{"model": "007", "n_units": 3}]), CURVES: CURVES.frame([{"model": "nan", "r": 0.1}])}
    grid = np.random.default_rng(0).normal(size=(2, 3, 4))
    grid[0, 1, 2] = np.nan
    maps = xr.Dataset(
        {"t": (("sheet", "y", "x"), grid, {"long_name": "Welch's t"})},
        {"sheet": ["0", "transformer.h.0.mlp"], "y": range(3), "x": range(4), "spacing_mm": ("sheet", [1.0, 0.5])},
    )
    return Results(tables, maps, {"seed": 3, "fwhm_mm": [2.0], "model": "007"})


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_results_are_read_as_they_were_written(results, tmp_path):
    results.write(tmp_path / "new" / "folder")
    read = read_results(tmp_path / "new" / "folder", [SIZES, CURVES])
    for table in (SIZES, CURVES):
        pd.testing.assert_frame_equal(read[table], results[table])
    xr.testing.assert_identical(read.maps, results.maps)
    assert read.facts == results.facts


def test_what_results_do_not_have_is_none_or_refused_by_name(results, tmp_path):
    results.write(tmp_path)
    read = read_results(tmp_path, [SIZES])
    assert read.get(CURVES) is None
    with pytest.raises(NotFound, match=r"these results have no curves\.csv"):
        read[CURVES]


def test_a_table_is_found_by_its_file_whatever_stands_beside_it(results):
    pd.testing.assert_frame_equal(results[SIZES.beside(seed="count")], results[SIZES])


class Trouble(Exception):
    pass


@pytest.mark.parametrize("where", ["table", "maps", "facts"])
def test_results_are_written_whole_or_not_at_all(results, tmp_path, monkeypatch, where):
    results.write(tmp_path)
    before = files(tmp_path)

    def trouble(*_args, **_options):
        raise Trouble

    if where == "facts":
        worse = Results({SIZES: SIZES.frame([])}, None, {"model": object()})
    else:
        worse = Results({SIZES: SIZES.frame([]), CURVES: CURVES.frame([])}, results.maps, {"seed": 4})
        monkeypatch.setattr(Table if where == "table" else xr.Dataset, {"table": "write", "maps": "to_netcdf"}[where],
                            trouble)  # fmt: skip
    with pytest.raises((Trouble, TypeError)):
        worse.write(tmp_path, replaces=["sizes.csv", "curves.csv"])
    assert files(tmp_path) == before


def test_new_results_remove_what_they_replace_and_no_other_file(results, tmp_path):
    for name in ("old.csv", "mine.txt"):
        (tmp_path / name).write_text("")
    results.write(tmp_path)
    fewer = Results({SIZES: results[SIZES]}, None, {})
    fewer.write(tmp_path, replaces=[SIZES.file, CURVES.file, "old.csv", "never-there.csv"])
    assert set(files(tmp_path)) == {"mine.txt", "sizes.csv", FACTS}


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_folder_that_is_left_half_way_holds_no_results_rather_than_a_mixture(results, tmp_path, monkeypatch, moved):
    results.write(tmp_path)
    done, replace = [], Path.replace

    def killed(path, target):
        if target.parent == tmp_path:
            if len(done) == moved:
                raise KeyboardInterrupt
            done.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Results(results.tables, results.maps, {"seed": 4}).write(tmp_path)
    assert len(done) == moved
    with pytest.raises(NotFound, match="has no results"):
        read_results(tmp_path, [SIZES, CURVES])


def test_a_folder_without_results_says_so(tmp_path):
    for missing in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotFound, match="has no results"):
            read_results(missing, [SIZES])


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[1]", b""])
def test_damaged_facts_are_refused_by_their_file(tmp_path, content):
    (tmp_path / FACTS).write_bytes(content)
    with pytest.raises(UserError, match=rf"{FACTS} (cannot be read|is damaged)"):
        read_facts(tmp_path)


def test_damaged_maps_are_refused_by_their_file(results, tmp_path):
    results.write(tmp_path)
    whole = (tmp_path / MAPS).read_bytes()
    for content in (b"", b"no maps", whole[: len(whole) // 2]):
        (tmp_path / MAPS).write_bytes(content)
        with pytest.raises(UserError, match=r"maps\.nc cannot be read as maps"):
            read_results(tmp_path, [SIZES])
    with pytest.raises(UserError, match=r"none\.nc cannot be read as maps"):
        read_maps(tmp_path / "none.nc")


def test_maps_in_memory_outlive_their_file(results, tmp_path):
    results.write(tmp_path)
    read = read_results(tmp_path, [])
    (tmp_path / MAPS).unlink()
    np.testing.assert_array_equal(read.maps["t"], results.maps["t"])
