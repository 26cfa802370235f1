import pandas as pd
import pytest

from toposheet.model_folders import SHIPPED


def test_stimulus_sets_are_listed_shown_built_and_checked(ran, tmp_path):
    listed = ran("stimuli", "list")
    assert all(name in listed for name in ("fedorenko2010", "moseley2014", "swjn", "pairs"))
    assert "10.3758/s13428-013-0403-5" in ran("stimuli", "show", "words", "--texts", "0")
    built = ran("stimuli", "build", "words", "--model", "small", "--out", tmp_path / "sets" / "words.csv")
    assert "noun concrete" in built
    assert "160 texts" in built
    checked = ran("stimuli", "check", tmp_path / "sets" / "words.csv", "--model", "small")
    assert "160 texts; noun 80, verb 80" in checked
    assert "note:" not in checked


def test_check_compares_the_conditions_of_contrasts_and_no_p_is_zero(ran):
    printed = ran("stimuli", "check", "language", "--model", "small")
    assert "\nsentence:nonword:\n" in printed
    assert "< 0.001\n" in printed
    assert " 0.000" not in printed
    printed = ran("stimuli", "check", SHIPPED / "small" / "stimuli.csv", "--contrast", "noun:verb")
    assert "noun:verb:" in printed
    assert "note:" not in printed  # nouns and verbs are matched; sentences are not compared with them


def test_a_file_that_exists_is_not_replaced_by_a_set(refused, tmp_path):
    (tmp_path / "mine.csv").write_text("text,condition\n")
    assert "which exists" in refused("stimuli", "build", "words", "--out", tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "text,condition\n"


def test_contrasts_of_a_table_whose_labels_have_spaces_are_understood():
    from toposheet.commands._stimuli import read_contrasts
    from toposheet.stimuli.contrasts import Contrast

    table = pd.DataFrame({"text": list("abcdef"), "condition": ["noun ", "noun", "noun", *["verb"] * 3]})
    assert read_contrasts(table, ["noun:verb"]) == (Contrast("noun", "verb"),)
    table["condition"] = ["noun "] * 3 + ["verb"] * 3
    assert read_contrasts(table, ["noun:verb"]) == (Contrast("noun", "verb"),)


def test_check_looks_at_the_texts_that_where_chooses(ran, refused, tmp_path):
    rows = [
        f"{text},{condition},{run}" for run in ("01", "1") for text, condition in zip("abcdef", "xxxyyy", strict=True)
    ]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition,run", *rows]) + "\n")
    assert "6 texts; x 3, y 3" in ran("stimuli", "check", tmp_path / "s.csv", "--where", "run=01")
    assert "has no run '2'" in refused("stimuli", "check", tmp_path / "s.csv", "--where", "run=2")
    assert "write it as COLUMN=VALUE" in refused("stimuli", "check", tmp_path / "s.csv", "--where", "run")


@pytest.mark.slow
def test_no_text_that_where_leaves_out_is_read_by_the_model(ran, refused, tmp_path):
    words = ["river", "stone", "paper", "music", "window", "garden"]
    rows = [f"{word},{'xy'[number // 3]},1" for number, word in enumerate(words)]
    too_long = " ".join(["river"] * 2000)
    (tmp_path / "s.csv").write_text("\n".join(["text,condition,run", *rows, f"{too_long},x,2"]) + "\n")
    arguments = ["small", "--stimuli", tmp_path / "s.csv", "--contrast", "x:y", "--permutations", "3"]
    arguments += ["--fwhm-mm", "0", "--no-negative-controls", "--out", tmp_path / "out"]
    assert "row 8" in refused("map", *arguments)
    ran("map", *arguments, "--where", "run=1")
    assert pd.read_csv(tmp_path / "out" / "texts.csv")["text"].tolist() == words
    assert "6 texts" in ran("stimuli", "check", tmp_path / "s.csv", "--model", "small", "--where", "run=1")


def test_a_folder_that_is_named_like_a_set_does_not_hide_it_and_a_file_does(ran, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("words", "other"):
        (tmp_path / name).mkdir()
    assert "160 texts; noun 80, verb 80" in ran("stimuli", "check", "words", "--model", "small")
    assert "noun" in ran("stimuli", "show", "words", "--texts", "0")
    for folder in ("other", "./words"):
        assert "is a folder: give a CSV file" in refused("stimuli", "check", folder)
    (tmp_path / "words").rmdir()
    (tmp_path / "words").write_text("text,condition\n" + "dog,a\n" * 3 + "cat,b\n" * 3)
    assert "words: 6 texts; a 3, b 3" in ran("stimuli", "check", "words")


def test_check_names_the_rows_of_the_file_whatever_where_leaves_out(ran, tmp_path):
    texts = [("x", text, "01") for text in "abc"] + [("y", text, "01") for text in "def"]
    texts += [("x", text, "1") for text in "ghi"] + [("y", text, "1") for text in "gjk"]
    rows = [f"{text},{condition},{run}" for condition, text, run in texts]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition,run", *rows]) + "\n")
    printed = ran("stimuli", "check", tmp_path / "s.csv", "--where", "run=1")
    assert "6 texts; x 3, y 3" in printed
    assert "row 8" in printed
    assert "row 11" in printed


def test_check_finds_shared_words_and_writes_their_groups(ran, refused, tmp_path):
    rows = [f"w{c}{i // 2} {c}{i},{c}" for c in "ab" for i in range(24)]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    printed = ran("stimuli", "check", tmp_path / "s.csv", "--contrast", "a:b", "--out", tmp_path / "new.csv")
    assert "note: a:b: 24 of 24 texts of 'a' and 24 of 24 texts of 'b' share many content words" in printed
    assert "the column shared_words (groups: a 12, b 12): " in printed
    assert pd.read_csv(tmp_path / "new.csv")["shared_words"].nunique() == 24
    assert "share many content words" not in ran("stimuli", "check", tmp_path / "new.csv", "--contrast", "a:b")
    assert "which exists" in refused("stimuli", "check", tmp_path / "s.csv", "--out", tmp_path / "new.csv")
    assert "no column 'shared'" in refused("stimuli", "check", tmp_path / "new.csv", "--groups", "shared")


def test_check_does_not_write_groups_that_analyses_refuse(ran, refused, tmp_path):
    rows = [f"w{i // 2} a{i},a" for i in range(12)] + [f"zebra b{i},b" for i in range(12)]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    line = refused("stimuli", "check", tmp_path / "s.csv", "--out", tmp_path / "new.csv")
    assert "--out would write 1 group of the condition 'b', because chains of shared words link its texts" in line
    assert not (tmp_path / "new.csv").exists()
    rows = [f"w{i // 2} {c}{i},{c}" for c in "ab" for i in range(12)] + [f"zebra c{i},c" for i in range(12)]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    for arguments in ((), ("--contrast", "a:b")):  # a and b can still be compared
        out = tmp_path / f"new{len(arguments)}.csv"
        printed = ran("stimuli", "check", tmp_path / "s.csv", *arguments, "--out", out)
        assert "36 texts with the column shared_words (groups: a 6, b 6, c 1)" in printed
    assert "1 group of the condition 'c'" in refused(
        "stimuli", "check", tmp_path / "s.csv", "--contrast", "a:c", "--out", tmp_path / "ac.csv"
    )


def test_check_refuses_groups_pairs_and_confounds_in_the_words_of_map(refused, tmp_path):
    rows = [f"{c}{i} own{c}{i},{c},{c},{i // 2},{i},,1" for c in "ab" for i in range(12)]
    path = tmp_path / "s.csv"
    path.write_text("\n".join(["text,condition,g,shared,pair,gap,same", *rows]) + "\n")
    stimuli = ["--contrast", "a:b"]
    for options, words in (
        (["--groups", "g"], "all 12 texts of the condition 'a' have the same value in the column 'g'"),
        (["--groups", "shared"], "the conditions 'a' and 'b' share the value '0' of the column 'shared'"),
        (["--paired-by", "g"], "are not complete"),
        (["--confounds", "same"], "the column 'same' has one value for all texts of a:b"),
        (["--confounds", "pair", "length"], "there are 2 confounds and 24 texts"),
    ):
        line = refused("map", "small", "--stimuli", path, *stimuli, *options, "--out", tmp_path / "out")
        assert words in line
        assert refused("stimuli", "check", path, *stimuli, *options) == line
        assert refused("stimuli", "check", path, *options) == line  # two conditions are a contrast


def test_check_asks_for_a_contrast_where_pairs_need_one(ran, refused, tmp_path):
    rows = [f"{c}{i} own{c}{i},{c},{i}" for c in "abc" for i in range(12)]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition,pair", *rows]) + "\n")
    line = refused("stimuli", "check", tmp_path / "s.csv", "--paired-by", "pair")
    assert "--paired-by needs a contrast, and there are 3 conditions: give --contrast A:B" in line
    ran("stimuli", "check", tmp_path / "s.csv", "--paired-by", "pair", "--contrast", "a:c")
