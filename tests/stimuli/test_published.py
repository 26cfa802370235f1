import shutil

import pytest

from toposheet import stimulus_set
from toposheet.stimuli.published import find_files
from toposheet.stimuli.stimulus_set import SETS
from toposheet.stimuli.studies import published_battery


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("fedorenko2010", {"S": 240, "N": 240}),
        ("fedorenko2011", {"S": 160, "W": 160, "J": 160, "N": 160}),
        ("moseley2014", {"noun": 80, "verb": 80}),
    ],
)
def test_published_sets_are_read_and_known_by_their_hash(data, name, counts):
    table = stimulus_set(name, data=data)
    assert table["condition"].value_counts().to_dict() == counts
    assert set(SETS[name].conditions) == set(counts)
    assert set(SETS[name].columns) <= set(table.columns)
    for contrast in SETS[name].contrasts:
        contrast.check(table)


def test_the_names_of_topolms_repository_are_accepted(data, tmp_path):
    for ours, theirs in {"fedorenko_swjn.csv": "fedorenko_stimuli.csv", "moseley.csv": "moseley_stimuli.csv"}.items():
        shutil.copy(data / "stimuli" / ours, tmp_path / theirs)
    shutil.copytree(data / "stimuli" / "fedorenko10", tmp_path / "fedorenko10_stimuli")
    for name in ("fedorenko2010", "fedorenko2011", "moseley2014"):
        assert stimulus_set(name, data=tmp_path).equals(stimulus_set(name, data=data))
    assert "pairs" not in [study.name for study in published_battery(tmp_path).studies]
    pairs = "".join(f"the {n} mill{n},noun\nto {n} run{n},verb\n" for n in range(4))
    (tmp_path / "elli_stimuli.csv").write_text(f"pair,class\n{pairs}")
    assert list(published_battery(tmp_path).contrasts())[-1] == "pairs noun:verb"
    (tmp_path / "elli_stimuli.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"elli_stimuli.csv has no column 'text'; it has: a, b.*rename it") as refused:
        published_battery(tmp_path)
    assert "\n" not in str(refused.value)


def test_another_file_by_a_published_name_is_refused(data, tmp_path):
    words = (data / "stimuli" / "moseley.csv").read_text()
    (tmp_path / "moseley.csv").write_text(words.replace("dole", "dolt"))
    with pytest.raises(
        ValueError, match=r"the files of moseley2014 in .* differ from the published files \(their SHA-256"
    ):
        stimulus_set("moseley2014", data=tmp_path)


def test_missing_files_say_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_DATA", str(tmp_path / "there"))
    with pytest.raises(
        FileNotFoundError, match=r"moseley.csv.*/there.*--data DIR \(in Python: data=DIR\) or TOPOSHEET_DATA"
    ):
        find_files("moseley2014", SETS["moseley2014"].files)
    with pytest.raises(FileNotFoundError, match=r"/elsewhere"):
        find_files("moseley2014", SETS["moseley2014"].files, tmp_path / "elsewhere")


def test_the_localizer_is_found_in_an_installed_brain_score(data, tmp_path, monkeypatch):
    package = tmp_path / "brainscore_language"
    shutil.copytree(data / "stimuli" / "fedorenko10", package / "data" / "fedorenko2010_localization")
    (package / "__init__.py").write_text("raise ImportError('is never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TOPOSHEET_DATA", raising=False)
    assert len(stimulus_set("fedorenko2010")) == 480
