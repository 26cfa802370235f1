"""A model is named by its folder, whatever the name looks like: a seed, a number, nan."""

import json
import shutil

import pandas as pd
import pytest

from toposheet.model_folders import SHIPPED
from toposheet.report import folder as report_folder
from toposheet.report.against_published import LEDGER
from toposheet.report.groups import SIDE_BY_SIDE

ODD = ("0", "007", "2.5", "nan", "None", "True")


@pytest.fixture
def models(tmp_path, monkeypatch, folder):
    """The same model in folders of many names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("run0", *ODD):
        shutil.copytree(folder, name)


def read(out, name):
    """Return every table of a report, in which a model is called `run0`."""
    tables = {table.file: table.read(out) for table in report_folder.tables() if (out / table.file).is_file()}
    return {file: table.replace({"model": {name: "run0"}}) for file, table in tables.items()}


@pytest.mark.slow
def test_maps_and_reports_have_the_same_tables_whatever_the_model_is_called(ran, tmp_path, models, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "3", "--no-negative-controls", "--out"]
    ran("report", "run0", *arguments, "of-run0")
    plain, page = read(tmp_path / "of-run0", "run0"), (tmp_path / "of-run0" / "report.html").read_text()
    assert len(plain) >= 6
    for name, command in (("007", "map"), ("nan", "report")):
        printed = ran(command, name, *arguments, f"of-{name}")
        assert f" {name} " in printed
        tables = read(tmp_path / f"of-{name}", name)
        assert set(tables) == set(plain)
        for file, table in tables.items():
            pd.testing.assert_frame_equal(table, plain[file])
        assert list(json.loads((tmp_path / f"of-{name}" / "analysis.json").read_text())["models"]) == [name]
        if command == "report":
            single_page = (tmp_path / f"of-{name}" / "report.html").read_text()
            assert f">{name}</td>" in single_page
            assert single_page.count("<figure>") == page.count("<figure>")


@pytest.mark.slow
def test_models_are_compared_whatever_they_are_called(ran, tmp_path, models, sentences):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "3", "--no-negative-controls"]
    printed = ran("compare", "run0", *ODD, *arguments, "--out", "out")
    table = SIDE_BY_SIDE.read(tmp_path / "out").set_index("group")
    assert set(table.index) == {"run0", *ODD}
    for name in ODD:
        assert table.loc[name, "value"].tolist() == table.loc["run0", "value"].tolist()
        assert table.loc[name, "n_models"].eq(1).all()
        assert f" {name} " in printed


@pytest.mark.slow
def test_the_ledger_has_the_numbers_of_a_model_whatever_it_is_called(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = {}
    for name in ("run0", "0", "nan"):
        shutil.copytree(SHIPPED / "small", name)
        arguments = ["--permutations", "3", "--no-negative-controls", "--out", f"of-{name}"]
        assert f"{name}: quantity | readout" in ran("ledger", name, *arguments)
        tables[name] = LEDGER.read(tmp_path / f"of-{name}").replace({"model": {name: "run0"}})
        pd.testing.assert_frame_equal(tables[name], tables["run0"])
    assert tables["run0"]["measured"].notna().any()
