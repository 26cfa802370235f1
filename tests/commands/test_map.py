import html
import json
import re
import unicodedata

import pandas as pd
import pytest

import toposheet as ts
from toposheet.cli import main
from toposheet.commands._stimuli import read_study
from toposheet.provenance import reading_of
from toposheet.results import read_maps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--text-column", "word"], ["no column 'word'", "text, condition"]),
        (["--condition-column", "kind"], ["no column 'kind'"]),
        (["--contrast", "long:brief"], ["conditions are: long, short"]),
        (["--contrast", "long"], ["A-B or A:B"]),
        (["--contrast", "long:long"], ["two different conditions"]),
        (["--seed", "-1"], ["--seed is -1"]),
        (["--fwhm-mm", "-1"], ["--fwhm-mm is -1.0"]),
        (["--fwhm-mm", "nan"], ["--fwhm-mm is nan"]),
        (["--permutations", "0"], ["--permutations is 0"]),
        (["--permutations", "1"], ["--permutations is 1"]),
        (["--stimuli", "."], [". is a folder"]),
        (["--where", "kind"], ["--where is 'kind': write it as COLUMN=VALUE"]),
        (["--where", "kind=x"], ["stimuli.csv has no column 'kind'"]),
        (["--confounds", "colour"], ["no confound 'colour'; the confounds are: length, frequency, tokens"]),
        (["--pooling", "max"], ["--pooling", "max"]),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(refused, tmp_path, folder, table, options, words):
    arguments = {"--stimuli": table, "--contrast": "long:short", "--out": tmp_path / "out"} | {options[0]: options[1]}
    line = refused("map", folder, *[word for pair in arguments.items() for word in pair])
    assert all(word in line for word in words), line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_model_is_refused(refused, tmp_path, table):
    line = refused("map", tmp_path, "--stimuli", table, "--contrast", "long:short", "--out", tmp_path / "out")
    assert "not a model folder" in line


def test_a_stimulus_file_with_an_empty_condition_is_named_by_row(refused, tmp_path, folder):
    (tmp_path / "s.csv").write_text("text,condition\na,x\nb,\n")
    line = refused("map", folder, "--stimuli", tmp_path / "s.csv", "--contrast", "x:y", "--out", tmp_path / "o")
    assert "s.csv, row 3: the column 'condition' is empty" in line


def test_rows_in_none_of_the_contrasts_are_counted(capsys, tmp_path):
    rows = [f"{condition}{n},{condition}\n" for condition in "xyz" for n in range(3)]
    for last, note in (
        ("", "3 rows are in none of the contrasts (conditions: z)"),
        ("a,Y2\n", "4 rows are in none of the contrasts (conditions: z, Y2)"),
    ):
        (tmp_path / "s.csv").write_text("text,condition\n" + "".join(rows) + last)
        read_study(str(tmp_path / "s.csv"), pytest.fail, ["x:y"])
        assert capsys.readouterr().out == f"note: {tmp_path / 's.csv'}: {note}\n"
    (tmp_path / "s.csv").write_text("text,condition\n" + "".join(rows[:7]))
    read_study(str(tmp_path / "s.csv"), pytest.fail, ["x:y", "y:x"])
    assert "1 row is in none of the contrasts (conditions: z)" in capsys.readouterr().out
    (tmp_path / "s.csv").write_text("text,condition\n" + "".join(rows[:6]))
    read_study(str(tmp_path / "s.csv"), pytest.fail, ["x:y"])
    assert not capsys.readouterr().out


def test_identical_texts_in_both_conditions_are_named_by_file_and_row(refused, tmp_path, folder):
    (tmp_path / "s.csv").write_text("text,condition\n" + "a,x\nb,x\nc,x\nd,y\nb,y\ne,y\n")
    line = refused("map", folder, "--stimuli", tmp_path / "s.csv", "--contrast", "x:y", "--out", tmp_path / "o")
    assert "s.csv, row 3 and row 6: the text 'b' is in both conditions" in line


def test_the_summary_has_a_row_for_each_tap_and_readout_and_negative_controls_in_a_column(ran, tmp_path, folder, table):
    out = tmp_path / "out"
    printed = ran(
        "map", folder, "--stimuli", table, "--contrast", "long-short", "--permutations", "9", "--out", out
    )  # fmt: skip
    summary = pd.read_csv(out / "summary.csv", keep_default_na=False)
    assert set(summary["contrast"]) == {"long:short"}
    controls = ["", "random-labels", "word-frequency", "length"]
    assert summary["negative_control"].unique().tolist() == controls[: len(summary) // 8]
    assert set(controls[:2]) <= set(summary["negative_control"])
    assert (out / "maps.nc").is_file()
    figures = ("morans-i", "morans-i-mean", "correlation", "smoothness", "map-long-short", "effect-sizes-long-short",
               "map-long-short-random-labels")  # fmt: skip
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in figures for ending in ("png", "pdf")}
    assert "long:short" in printed


def test_a_map_can_be_of_some_texts_with_confounds_taken_out(ran, tmp_path, folder, sentences):
    arguments = [
        "map",
        folder,
        "--contrast",
        "S:N",
        "--permutations",
        "5",
        "--stimuli",
        sentences,
        "--no-negative-controls",
    ]
    ran(*arguments, "--out", tmp_path / "plain")
    ran(*arguments, "--confounds", "length", "--pooling", "last", "--out", tmp_path / "last")
    plain, last = (pd.read_csv(tmp_path / name / "summary.csv") for name in ("plain", "last"))
    assert (plain["morans_i"] != last["morans_i"]).all()
    settings = json.loads((tmp_path / "last" / "analysis.json").read_text())
    assert settings["confounds"] == ["length"]
    assert settings["reading"]["pooling"] == "last"


def test_as_published_is_the_settings_of_all_steps_and_each_step_is_an_option(
    ran, refused, tmp_path, folder, sentences
):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--permutations", "5", "--no-negative-controls"]
    together, alone = tmp_path / "together", tmp_path / "alone"
    ran("map", folder, *arguments, "--as-published", "--out", together)
    steps = ["--weights", "row", "--raw-fwhm-mm", "1", "--contiguity", "rook", "--pooling", "padded-mean"]
    steps += ["--groups", "none"]
    ran("report", folder, *arguments, *steps, "--out", alone)
    one, other = (pd.read_csv(out / "summary.csv") for out in (together, alone))
    pd.testing.assert_frame_equal(one, other)
    assert one["fwhm_mm"].unique().tolist() == [0, 1, 2]
    settings = json.loads((together / "analysis.json").read_text())
    assert (settings["weights"], settings["raw_fwhm_mm"], settings["contiguity"]) == ("row", 1.0, "rook")
    page = (alone / "report.html").read_text()
    assert "row-standardised weights (the weights of each cell sum to 1)" in page
    assert "the readout of 1 mm is used" in page
    assert "As published, and as it should be" in page
    line = refused("map", folder, *arguments, "--weights", "rows", "--out", tmp_path / "out")
    assert "--weights" in line


@pytest.mark.parametrize("command", ["map", "report", "ledger"])
def test_as_published_refuses_an_option_that_contradicts_it_and_takes_one_that_does_not(refused, tmp_path, command):
    arguments = [command, tmp_path / "no-model", "--as-published", "--out", tmp_path / "out"]
    arguments += [] if command == "ledger" else ["--stimuli", "no.csv", "--contrast", "S:N"]
    for option, value, needed in (
        ("--weights", "binary", "'row'"),  # also the usual value of an option is not what was published
        ("--pooling", "mean", "'padded-mean'"),
        ("--groups", "shared_words", "'none'"),
        ("--contiguity", "queen", "'rook'"),
        ("--raw-fwhm-mm", "0", "1"),
        ("--confounds", "tokens", "none"),
        ("--paired-by", "item", "none"),
    ):
        shown = value if option == "--raw-fwhm-mm" else repr(value)
        line = refused(*arguments, option, value)
        assert line.startswith(
            f"toposheet: {option} is {shown}: all steps of the published code together need {needed}; "
        )
        assert "without --as-published" in line
    for fits in (["--weights", "row"], ["--fwhm-mm", "3"], ["--bos", "none"]):
        assert "no-model" in refused(*arguments, *fits)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param("S/W", "../n", marks=pytest.mark.slow),
        ("$名詞$", "動詞"),
        pytest.param("run:1", "run:2", marks=pytest.mark.slow),
    ],
)
def test_conditions_with_odd_names_still_make_files(ran, tmp_path, folder, stimuli, a, b):
    stimuli["condition"] = [a, b] * 3
    stimuli.to_csv(tmp_path / "s.csv", index=False)
    arguments = ["--stimuli", tmp_path / "s.csv", "--contrast", f"{a}:{b}", "--permutations", "5"]
    ran("map", folder, *arguments, "--out", tmp_path / "out")
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 7


@pytest.mark.slow
def test_a_second_run_leaves_no_files_of_the_first_and_none_of_the_users_are_lost(ran, tmp_path, folder, sentences):
    out = tmp_path / "out"
    arguments = ["--stimuli", sentences, "--permutations", "5", "--no-negative-controls", "--out", out]
    ran("report", folder, "--contrast", "W:J", *arguments)
    assert (out / "figures" / "map-W-J.png").is_file()
    mine = ("notes.txt", "ledger.md", "figures/mine.txt", "figures/mine.png", "figures/map-mine.png")
    for name in mine:
        (out / name).write_text("before")
    ran("map", folder, *arguments, "--contrast", "S:N", "S:N")
    old = ("report.html", "figures/map-W-J.png", "figures/map-W-J.pdf")
    assert not [name for name in old if (out / name).exists()]
    assert {(out / name).read_text() for name in mine} == {"before"}
    assert pd.read_csv(out / "summary.csv")["contrast"].unique().tolist() == ["S:N"]
    stored = json.loads((out / "analysis.json").read_text())["models"]
    assert stored["model"]["source"] == str(folder)
    assert len(stored["model"]["fingerprint"]) == 64


LONG = "x" * 85


@pytest.mark.slow
def test_each_contrast_has_pictures_of_its_own_whatever_conditions_are_called(ran, tmp_path, folder):
    conditions = ["A+", "A*", "a-", "B", f"{LONG}1", f"{LONG}2", "..", "con", "é"]
    rows = [f'text {i} {n},"{condition}"' for i, condition in enumerate(conditions) for n in range(3)]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n", encoding="utf-8")
    contrasts = [f"{condition}:B" for condition in conditions if condition != "B"]
    arguments = ["--stimuli", tmp_path / "s.csv", "--permutations", "2", "--no-negative-controls"]
    printed = ran("report", folder, *arguments, "--contrast", *contrasts, "--out", tmp_path / "out")
    pictures = list((tmp_path / "out" / "figures").glob("map-*.png"))
    assert len(pictures) == len({path.name.casefold() for path in pictures}) == len(contrasts)
    page = (tmp_path / "out" / "report.html").read_text()
    shown = re.findall(r'<img alt="([^"]*:B)" [^>]*base64,([^"]*)"', page)
    assert [html.unescape(title) for title, _ in shown] == contrasts
    assert len({picture for _, picture in shown}) == len(contrasts)
    assert max(map(len, unicodedata.normalize("NFC", printed).splitlines()[:-1])) <= 100  # the last has a path


@pytest.mark.slow
def test_the_table_ends_in_a_verdict_for_each_contrast_that_claims_no_more_than_its_test(
    ran, tmp_path, folder, sentences
):
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "W:J", "--no-negative-controls"]
    smallest = "the smallest possible with 19 draws"
    for draws, words in (
        (5, r"not tested: with 5 draws no p can reach 0.05"),
        (
            19,
            rf"the effect is spatially ordered \(organisation -?\d\.\d\d, p = (\d\.\d{{3}}|0\.05, {smallest})\)",
        ),
    ):
        printed = ran("map", folder, *arguments, "--permutations", draws, "--out", tmp_path / "out")
        verdicts = " ".join(printed.partition("Verdicts on the raw maps")[2].split())
        for contrast in ("S:N", "W:J"):
            said = verdicts.partition(f"{contrast}, model: ")[2]
            assert re.match(rf"(no unit is|\d+ of 144 units are) significant; .*?{words}", said), said


DEPENDENT = ["text,condition,story,couple"] + [
    f"own{c}{i} other{c}{i},{c},{'whole' if c == 'a' else i},{i}" for c in "ab" for i in range(4)
]


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ((), ["--groups", "story"], "all 4 texts of the condition 'a' have the same value in the column 'story'"),
        (
            (),
            ["--groups", "storey"],
            "has no column 'storey'; it has: text, condition, story, couple. Did you mean story?",
        ),
        ((), ["--paired-by", "coupl"], "Did you mean couple?"),
        (
            (),
            ["--paired-by", "couple", "--permutations", "99"],
            "only 16 different ones: give at most --permutations 16 (in Python: permutations",
        ),
        (("b,2,2", "b,2,9"), ["--paired-by", "couple"], "The value '2' has 1 text of 'a' and 0 texts of 'b'"),
        (("b,2,2", "a,2,2"), ["--paired-by", "couple"], "The value '2' has 2 texts of 'a' and 0 texts of 'b'"),
    ],
)
@pytest.mark.parametrize("command", ["map", "report"])
def test_wrong_groups_and_pairs_are_refused_in_one_line(refused, tmp_path, folder, command, change, options, words):
    rows = "\n".join(DEPENDENT) + "\n"
    (tmp_path / "s.csv").write_text(rows.replace(*change) if change else rows)
    arguments = ["--stimuli", tmp_path / "s.csv", "--contrast", "a:b", "--out", tmp_path / "out", *options]
    assert words in refused(command, folder, *arguments)


def test_one_text_of_a_condition_is_refused_in_one_line(refused, tmp_path, folder):
    (tmp_path / "s.csv").write_text("\n".join(DEPENDENT[:6]) + "\n")
    arguments = ["--stimuli", tmp_path / "s.csv", "--contrast", "a:b", "--out", tmp_path / "out"]
    line = refused("map", folder, *arguments)
    assert "has 1 text of the condition 'b': a contrast needs at least 3, so add texts" in line


def test_a_map_says_once_what_its_tests_cannot_know(folder, tmp_path, capsys):
    rows = ["text,condition,rating"] + [f"w{i // 2} {c}{i},{c},{i}" for c in "ab" for i in range(24)]
    (tmp_path / "s.csv").write_text("\n".join(rows) + "\n")
    arguments = ["--stimuli", tmp_path / "s.csv", "--contrast", "a:b", "--permutations", "2", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as stop:
        main(["map", *map(str, [folder, *arguments]), "--confounds", "rating", "--no-negative-controls"])
    printed = capsys.readouterr()
    assert stop.value.code == 0, printed.err
    notes = [line for line in printed.err.splitlines() if line.startswith("note: a:b: ")]
    assert len(notes) == 2
    assert notes[0].startswith("note: a:b: 24 of 24 texts of 'a' and 24 of 24 texts of 'b' share many content words")
    assert notes[1].startswith(
        "note: a:b: if the values of 'rating' are estimates, as frequencies, ratings and norms are"
    )
    facts = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert [f"note: a:b: {note}" for note in facts["notes"]["a:b"]] == notes


def test_a_map_says_how_many_texts_are_repeated(folder, tmp_path, capsys):
    rows = [f"{c}{i} own{c}{i},{c}" for c in "ab" for i in range(12)] * 2
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    arguments = ["--stimuli", tmp_path / "s.csv", "--contrast", "a:b", "--permutations", "2", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit):
        main(["map", *map(str, [folder, *arguments]), "--no-negative-controls"])
    (note,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert (
        "12 texts of 'a' and 12 texts of 'b' repeat earlier texts of their condition (the first is 'a0 owna0')" in note
    )
    assert "Groups do not help" not in note


def test_what_a_model_cannot_read_is_one_line_and_nothing_is_written(refused, tmp_path, folder, table):
    asked = ["map", folder, "--stimuli", table, "--contrast", "long:short", "--permutations", "9"]
    asked += ["--out", tmp_path / "out"]
    assert "--bos is '<s>': the tokenizer of" in refused(*asked, "--bos", "<s>")
    assert "--pooling is 'max': it must be one of" in refused(*asked, "--pooling", "max")
    described = folder / "tokenizer_config.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"bos_token": "<|endoftext|>"}))
    assert "choose --bos '<|endoftext|>' or --bos none" in refused(*asked)
    for command in ("localize", "brain export"):
        line = refused(
            *command.split(), folder, "--stimuli", table, "--contrast", "long:short", "--out", tmp_path / "out"
        )
        assert "choose --bos '<|endoftext|>' or --bos none" in line
    assert not (tmp_path / "out").exists()


def test_sinks_are_noted_by_map(capsys, tmp_path, folder, table, monkeypatch):
    monkeypatch.setattr("toposheet.report.sinks.sink_notes", lambda table: ["model, stimuli: sinks"])
    asked = ["map", folder, "--stimuli", table, "--contrast", "long:short", "--permutations", "3"]
    with pytest.raises(SystemExit):
        main([*map(str, asked), "--no-negative-controls", "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert "note: model, stimuli: sinks\n" in printed.err
    assert "\nreading: mean over tokens, no token before each text\n" in printed.out
    assert reading_of(read_maps(tmp_path / "out" / "maps.nc")) == ts.Reading("mean", "none")
    assert (tmp_path / "out" / "sinks.csv").is_file()
