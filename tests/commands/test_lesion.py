import json
import re

import pandas as pd
import pytest

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import DOSES, EFFECTS, SEARCHLIGHT

TAP = "transformer.h.0.mlp"


@pytest.fixture
def items(tmp_path):
    folder = tmp_path / "blimp"
    folder.mkdir()
    for paradigm in ("one", "two"):
        pairs = [("The river ran past.", "The river runned past."), ("Snow covered it.", "Snow cover it.")]
        rows = [
            {"sentence_good": good, "sentence_bad": bad, "field": "syntax", "linguistics_term": "x", "UID": paradigm}
            for good, bad in pairs
        ]
        (folder / f"{paradigm}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def arguments(folder, sentences, items, tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_CACHE", str(tmp_path / "cache"))

    def arguments(region=f"disc:{TAP}:2:2:1", path=items, command="lesion", draws=3, stimuli=sentences):
        settings = ["--path", path, "--draws", draws, *(["--stimuli", stimuli] if stimuli else [])]
        return [command, folder, *(["--region", region] if region else []), *settings, "--out", tmp_path / "out"]

    return arguments


def test_a_lesion_is_written_beside_all_its_controls(ran, arguments, tmp_path):
    printed = ran(*arguments(), "--to", "mean")
    table = EFFECTS.read(tmp_path / "out")
    assert table["control"].tolist() == ["", "scattered", "elsewhere", "least selective", "matched"]
    assert (table["n_units"] == 5).all()
    sentence = "is not shown to lower the measure more than the same act on as many units scattered over the same taps"
    assert sentence in " ".join(printed.split())
    assert (tmp_path / "out" / "figures" / "effects.png").is_file()


def test_the_table_is_that_of_the_library(ran, arguments, folder, sentences, items, tmp_path):
    ran(*arguments())
    subject, stimuli = ts.load(folder), pd.read_csv(sentences)
    expected = ts.intervention_effects(
        subject, ts.Disc(TAP, 2, 2, 1), ts.task_measure(subject, "blimp", path=items), draws=3,
        comparison=ts.Comparison(ts.respond(subject, stimuli), "S", "N"), texts=stimuli[stimuli["condition"] == "S"],
    )  # fmt: skip
    pd.testing.assert_frame_equal(EFFECTS.read(tmp_path / "out"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("region", "more", "message"),
    [
        ("disc:nowhere:2:2:1", (), "there is no sheet 'nowhere'"),
        (f"disc:{TAP}:99:2:1", (), "is not on the sheet"),
        (f"disc:{TAP}:2:2", (), "is no region: write disc:SHEET:ROW:COLUMN:RADIUS_MM"),
        (f"tap:{TAP}", ("--task", "blimp", "--limit", "0"), "limit"),
        (f"tap:{TAP}", ("--task", "blimpp"), "there is no task 'blimpp'"),
        ("localizer:nowhere.nc", (), "there is no localizer nowhere.nc"),
    ],
)
def test_a_wrong_lesion_ends_in_one_line_and_writes_nothing(refused, arguments, tmp_path, region, more, message):
    assert message in refused(*arguments(region), *more)
    assert not (tmp_path / "out").exists()


def test_missing_items_are_named(refused, arguments, tmp_path):
    assert "nowhere does not exist" in refused(*arguments(path=tmp_path / "nowhere"))


def test_a_malformed_line_of_the_items_is_named(refused, arguments, items, tmp_path):
    with (items / "two.jsonl").open("a") as file:
        file.write('{"sentence_good": \n')
    assert re.search(r"two\.jsonl.*line 3", refused(*arguments()))
    assert not (tmp_path / "out").exists()


def test_a_mask_of_another_model_is_refused(ran, refused, arguments, folder, sentences, tmp_path):
    ran("localize", folder, "--stimuli", sentences, "--percent", "20", "--out", tmp_path / "found")
    region = f"localizer:{tmp_path / 'found'}"
    ran(*arguments(region))
    other = ts.load(folder)
    other.model.get_input_embeddings().weight.data[0] += 1
    ts.save(folder, other)
    assert "were selected with another model" in refused(*arguments(region))


def test_a_stimulation_is_that_of_the_library(ran, arguments, folder, sentences, items, tmp_path):
    printed = ran(*arguments(command="stimulate"), "--strength", "-2")
    subject, stimuli = ts.load(folder), pd.read_csv(sentences)
    expected = ts.intervention_effects(
        subject, ts.Disc(TAP, 2, 2, 1), ts.task_measure(subject, "blimp", path=items), draws=3, act=ts.Stimulation(-2),
        comparison=ts.Comparison(ts.respond(subject, stimuli), "S", "N"), texts=stimuli[stimuli["condition"] == "S"],
    )  # fmt: skip
    pd.testing.assert_frame_equal(EFFECTS.read(tmp_path / "out"), expected, rtol=1e-5)
    assert "The stimulation by -2 sd of disc of 1 mm at (2, 2)" in " ".join(printed.split())


def test_a_searchlight_is_that_of_the_library(ran, arguments, folder, items, tmp_path):
    printed = ran(*arguments("", command="searchlight", stimuli=None), "--radius-mm", "3", "--sheet", TAP)
    subject = ts.load(folder)
    measure = ts.task_measure(subject, "blimp", path=items)
    expected = ts.searchlight(subject, measure, radius_mm=3, sheets=[TAP], draws=3)
    pd.testing.assert_frame_equal(SEARCHLIGHT.read(tmp_path / "out"), expected, rtol=1e-5)
    assert "all: 0 of 4 discs lower the measure more than as many scattered units" in printed
    assert (tmp_path / "out" / "figures" / "searchlight.png").is_file()
    ran(*arguments("", command="searchlight", draws=0), "--sheet", TAP, "--strength", "2")
    assert SEARCHLIGHT.read(tmp_path / "out")["act"].iloc[0] == "stimulation by 2 sd"


def test_margins_are_measured_in_nats(ran, refused, arguments, folder, items, tmp_path):
    printed = ran(*arguments(command="lesion"), "--value", "margin")
    subject = ts.load(folder)
    pairs = ts.evaluate(subject, "blimp", path=items)
    row = EFFECTS.read(tmp_path / "out").iloc[0]
    assert row["intact"] == pytest.approx((pairs["good"] - pairs["bad"]).mean(), abs=1e-4)
    assert f"{row['intact']:.3f}" in printed
    assert "nats" in printed
    with pytest.raises(UserError, match="the task syntaxgym has no margin"):
        ts.task_measure(subject, "syntaxgym", value="margin")


def test_a_dose_curve_is_that_of_the_library(ran, arguments, folder, sentences, items, tmp_path):
    place = ["--sheet", TAP, "--row", "2", "--column", "2"]
    ran(*arguments("", command="dose"), *place, "--radius-mm", "1", "2", "--strength", "-2", "2")
    subject, stimuli = ts.load(folder), pd.read_csv(sentences)
    measure, texts = ts.task_measure(subject, "blimp", path=items), stimuli[stimuli["condition"] == "S"]
    expected = ts.dose_curve(
        subject, measure, TAP, 2, 2, radii_mm=[1, 2], acts=[ts.Stimulation(-2), ts.Stimulation(2)], draws=3, texts=texts
    )
    pd.testing.assert_frame_equal(DOSES.read(tmp_path / "out"), expected, rtol=1e-5)
    assert (tmp_path / "out" / "figures" / "dose_curve.png").is_file()
    ran(*arguments("", command="dose", stimuli=None), *place)
    assert DOSES.read(tmp_path / "out")["act"].iloc[0] == "lesion to zero"


def test_a_single_draw_is_refused(refused, arguments):
    assert "draws is 1: it must be a whole number of at least 2" in refused(
        *arguments("", command="searchlight", draws=1)
    )


@pytest.mark.parametrize(
    ("command", "more", "message"),
    [
        ("searchlight", ("--radius-mm", "0"), "--radius-mm is 0: it must be a positive number of mm"),
        ("searchlight", ("--sheet", "nowhere"), "there is no sheet 'nowhere'"),
        ("searchlight", ("--strength", "nan"), "the strength is nan"),
        ("dose", ("--sheet", TAP, "--row", "9", "--column", "2"), "is not on the sheet"),
        ("dose", ("--sheet", "nowhere", "--row", "2", "--column", "2"), "there is no sheet 'nowhere'"),
        ("stimulate", ("--region", f"disc:{TAP}:2:2:1", "--strength", "1e45"), "makes activations of"),
    ],
)
def test_wrong_places_and_doses_end_in_one_line(refused, arguments, tmp_path, command, more, message):
    stimuli = {"stimuli": None} if command != "stimulate" and "--strength" not in more else {}
    assert message in refused(*arguments("", command=command, **stimuli), *more)
    assert not (tmp_path / "out").exists()


def test_what_has_no_effect_is_refused(refused, arguments, tmp_path):
    assert "a lesion to zero needs no texts: leave --stimuli out" in refused(*arguments("", command="searchlight"))
    wrong = refused(*arguments(), "--value", "margin", "--task", "syntaxgym")
    assert "the task syntaxgym has no margin" in wrong
    assert "leave out one of the two" in refused(
        *arguments("", command="searchlight"), "--to", "mean", "--strength", "2"
    )
    searchlight = arguments("", command="searchlight", stimuli=None)
    assert "leave --skip-first out" in refused(*searchlight, "--skip-first")
    assert "--pooling is last, but no response is made" in refused(*searchlight, "--pooling", "last")
    with pytest.raises(UserError, match="limit is -1"):
        ts.task_measure(ts.load(arguments()[1]), "blimp", path=arguments()[5], limit=-1)


def test_the_facts_say_what_determines_the_numbers(ran, arguments, tmp_path):
    ran(*arguments())
    facts = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert facts["regions"] == [f"disc:{TAP}:2:2:1"]
    assert facts["contrast"] == "S:N"
    assert facts["reading"]["pooling"] == "mean"
    assert {"version", "stimuli", "where", "value", "networks", "acts", "draws", "seed"} <= {*facts}
