import numpy as np
import pandas as pd
import pytest

from toposheet import stimulus_set
from toposheet.stimuli.checks import check
from toposheet.stimuli.measures import matching, text_length, word_frequency
from toposheet.stimuli.registry import PUBLISHED, SETS, find_files
from toposheet.stimuli.table import read_stimuli


def test_every_set_says_what_it_is():
    assert {"fedorenko2010", "fedorenko2011", "moseley2014", "language", "swjn", "words", "pairs"} == set(SETS)
    for entry in SETS.values():
        assert entry.what
        assert entry.source
        assert entry.licence
        assert entry.conditions
        assert (entry.kind == PUBLISHED) == bool(entry.files) == bool(entry.sha256)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("fedorenko2010", {"S": 240, "N": 240}),
        ("fedorenko2011", {"S": 160, "W": 160, "J": 160, "N": 160}),
        ("moseley2014", {"noun": 80, "verb": 80}),
    ],
)
def test_published_sets_are_read_and_known_by_their_hash(data, name, counts):
    table = stimulus_set(name, data)
    assert table["condition"].value_counts().to_dict() == counts
    assert set(SETS[name].conditions) == set(counts)
    assert set(SETS[name].columns) <= set(table.columns)
    for contrast in SETS[name].contrasts:
        contrast.check(table)


def test_another_file_by_a_published_name_is_refused(data, tmp_path):
    words = (data / "stimuli" / "moseley.csv").read_text()
    (tmp_path / "moseley.csv").write_text(words.replace("dole", "dolt"))
    with pytest.raises(ValueError, match=r"another moseley2014 than the one known \(SHA-256"):
        stimulus_set("moseley2014", tmp_path)


def test_missing_files_say_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_DATA", str(tmp_path / "there"))
    with pytest.raises(FileNotFoundError, match=r"moseley.csv.*/there.*--data DIR or TOPOSHEET_DATA"):
        find_files(SETS["moseley2014"])
    with pytest.raises(FileNotFoundError, match=r"/elsewhere"):
        find_files(SETS["moseley2014"], tmp_path / "elsewhere")


def test_the_localizer_is_found_in_an_installed_brain_score(data, tmp_path, monkeypatch):
    import shutil

    package = tmp_path / "brainscore_language"
    shutil.copytree(data / "stimuli" / "fedorenko10", package / "data" / "fedorenko2010_localization")
    (package / "__init__.py").write_text("raise ImportError('is never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TOPOSHEET_DATA", raising=False)
    assert len(stimulus_set("fedorenko2010")) == 480


def test_an_unknown_set_lists_those_there_are():
    with pytest.raises(ValueError, match="no stimulus set 'nouns'; there are: fedorenko2010, "):
        stimulus_set("nouns")


def test_frequencies_are_those_of_wordfreq_and_letters_are_counted():
    import wordfreq

    expected = (wordfreq.zipf_frequency("the", "en") + wordfreq.zipf_frequency("owl", "en")) / 2
    assert word_frequency(["the owl", "qzxv"]).tolist() == [expected, 0.0]
    assert text_length(["It's a 2nd.", ""]).tolist() == [6, 0]


def test_matching_shows_in_what_conditions_differ(tmp_path):
    rows = ["text,condition"] + [f"{'a' * (3 + i % 4)},a\n{'b' * (13 + i % 5)},b" for i in range(20)]
    (tmp_path / "s.csv").write_text("\n".join(rows))
    table = matching(read_stimuli(tmp_path / "s.csv"), n_tokens=len).set_index("measure")
    assert table.loc["letters", "a"] == "4.50 ± 1.15"
    assert table.loc["letters", "p"] < 1e-6
    assert table.loc["words", "p"] == 1.0
    assert table.loc["tokens", "p"] == pytest.approx(table.loc["letters", "p"])


def test_texts_of_other_writing_systems_are_measured_too():
    texts = ["我们喜欢音乐", "今日は世界", "مرحبا بالعالم", "Привет, мир", "🎉", ""]
    assert text_length(texts).tolist() == [6, 5, 12, 9, 0, 0]
    assert np.isfinite(word_frequency(texts)).all()
    table = matching(pd.DataFrame({"text": texts, "condition": list("aaabbb")}), n_tokens=len)
    assert table["measure"].tolist() == ["letters", "words", "Zipf frequency", "tokens"]
    assert table["p"].between(0, 1).all()


def test_a_check_says_what_could_mislead_and_refuses_what_analyses_refuse(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,condition\n" + "one,a\ntwo,a\ntwo ,a\nfour,a\n four,b\nsix,b\nseven words more,b\n"
    )
    table = read_stimuli(tmp_path / "s.csv")
    notes = " | ".join(check(table))
    assert "rows 5, 6: the text 'four' is in several conditions" in notes
    assert "1 texts stand in their condition more than once, e.g. row 4" in notes
    with pytest.raises(ValueError, match=r"s\.csv, row 8 has 16 tokens, the model reads at most 10"):
        check(table, n_tokens=len, context=10)
    with pytest.raises(ValueError, match=r"s\.csv has 1 texts of the condition 'a'"):
        check(table.iloc[3:])


def test_where_little_text_is_held_out_there_are_fewer_texts_unless_so_many_are_asked_for():
    pytest.importorskip("lemminflect")
    short = {"name": "swjn", "validation_fraction": 0.02}
    assert set(stimulus_set(**short)["condition"].value_counts()) == {22}
    with pytest.raises(ValueError, match="200 are needed"):
        stimulus_set(**short, per_condition=100)
