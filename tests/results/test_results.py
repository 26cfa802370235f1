import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from toposheet.errors import NotFound, UserError
from toposheet.results import (
    FACTS,
    MAPS,
    Results,
    Table,
    added_to_results,
    files_of_results,
    read_facts,
    read_maps,
    read_results,
)

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
    return Results(tables, maps, {"seed": 3, "fwhm_mm": [2.0], "model": "007"}, {"curve": Figure(figsize=(1, 1))})


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


@pytest.mark.parametrize("where", ["table", "maps", "figure", "facts"])
def test_results_are_written_whole_or_not_at_all(results, tmp_path, monkeypatch, where):
    results.write(tmp_path)
    before = files(tmp_path)

    def trouble(*_args, **_options):
        raise Trouble

    if where == "facts":
        worse = Results({SIZES: SIZES.frame([])}, None, {"model": object()})
    else:
        worse = Results({SIZES: SIZES.frame([])}, results.maps, {"seed": 4}, results.figures)
        writers = {"table": (Table, "write"), "maps": (xr.Dataset, "to_netcdf"), "figure": (Figure, "savefig")}
        monkeypatch.setattr(*writers[where], trouble)
    with pytest.raises((Trouble, TypeError)):
        worse.write(tmp_path)
    assert files(tmp_path) == before


def test_new_results_remove_the_files_of_the_earlier_ones_and_no_other_file(results, tmp_path):
    results.write(tmp_path)
    assert set(files_of_results(tmp_path)) == {SIZES.file, CURVES.file, MAPS, "figures/curve.pdf", "figures/curve.png"}
    assert set(files(tmp_path)) == {FACTS, *files_of_results(tmp_path)}
    mine = {"mine.txt", "items_mine.csv", "figures/mine.png"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    Results({SIZES: results[SIZES]}).write(tmp_path)
    assert files_of_results(tmp_path) == [SIZES.file]
    assert set(files(tmp_path)) == {FACTS, SIZES.file, *mine}
    assert {files(tmp_path)[name] for name in mine} == {b"mine"}


def test_further_files_of_an_analysis_come_and_go_with_its_results(results, tmp_path):
    with results.written_together(tmp_path) as aside:
        (aside / "page.html").write_text("page")
    with added_to_results(tmp_path, replaces=["page.html"]) as aside:
        (aside / "figures").mkdir()
        (aside / "figures" / "added.png").write_text("added")
    assert {"page.html", "figures/added.png"} & set(files(tmp_path)) == {"figures/added.png"}
    assert set(files(tmp_path)) == {FACTS, *files_of_results(tmp_path)}
    assert read_results(tmp_path, [SIZES]).facts == results.facts
    (tmp_path / "page.html").write_text("mine")
    Results({}).write(tmp_path)
    assert set(files(tmp_path)) == {FACTS, "page.html"}


def test_an_error_while_files_are_added_leaves_the_folder_as_it_was(results, tmp_path):
    results.write(tmp_path)
    before = files(tmp_path)

    def add():
        with added_to_results(tmp_path, last="page.html", replaces=[SIZES.file]) as aside:
            (aside / "page.html").write_text("page")
            raise Trouble

    with pytest.raises(Trouble):
        add()
    assert files(tmp_path) == before


def test_files_can_be_added_to_a_folder_without_results(tmp_path):
    with added_to_results(tmp_path / "new") as aside:
        (aside / "page.html").write_text("page")
    assert set(files(tmp_path / "new")) == {"page.html"}


def test_a_file_that_results_did_not_write_is_not_read_as_theirs(results, tmp_path):
    CURVES.write(results[CURVES], tmp_path)
    results.maps.to_netcdf(tmp_path / MAPS, engine="h5netcdf")
    Results({SIZES: results[SIZES]}).write(tmp_path)
    read = read_results(tmp_path, [SIZES, CURVES])
    assert [table.file for table in read.tables] == [SIZES.file]
    assert read.maps is None


HOSTILE = [
    "../outside.txt", "figures/../../outside.txt", "figures/../mine.txt", "./mine.txt", "", ".", "..", "/", "figures",
    "deep/mine.txt", "sizes.csv\0", "\ud800", "x" * 5000, "~", "mine*", 3, None, True, ["mine.txt"], {"mine.txt": 1},
]  # fmt: skip


def test_damaged_names_of_files_remove_nothing(results, tmp_path):
    folder = tmp_path / "results"
    for name in ("outside.txt", "results/mine.txt", "results/deep/mine.txt", "results/figures/mine.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    named = [*HOSTILE, str(tmp_path / "outside.txt"), str(folder / "mine.txt")]
    for content in ({"files": named}, {"files": "mine.txt"}, {"files": {"mine.txt": 1}}, ["mine.txt"], "mine.txt"):
        (folder / FACTS).write_text(json.dumps(content))
        assert files_of_results(folder) == []
        Results({}).write(folder)
        (folder / FACTS).unlink()
        assert files(tmp_path) == before


def test_a_folder_of_figures_that_lies_elsewhere_keeps_its_files(tmp_path):
    folder, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "mine.png").write_text("mine")
    (folder / "figures").symlink_to(elsewhere)
    (folder / FACTS).write_text(json.dumps({"files": ["figures/mine.png"]}))
    Results({}).write(folder)
    assert (elsewhere / "mine.png").read_text() == "mine"


@pytest.mark.parametrize("moved", [0, 1, 2, 3, 5])
def test_a_folder_that_is_left_half_way_holds_no_results_rather_than_a_mixture(results, tmp_path, monkeypatch, moved):
    results.write(tmp_path)
    done, replace = [], Path.replace

    def killed(path, target):
        if target.parent in (tmp_path, tmp_path / "figures"):
            if len(done) == moved:
                raise KeyboardInterrupt
            done.append(path)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Results(results.tables, results.maps, {"seed": 4}, results.figures).write(tmp_path)
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
