import json
import re

import pandas as pd
import pytest

import toposheet as ts
from toposheet.interventions import LESIONS

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

    def arguments(region=f"disc:{TAP}:2:2:1", path=items):
        settings = ["--path", path, "--draws", "3", "--stimuli", sentences, "--out", tmp_path / "out"]
        return ["lesion", folder, "--region", region, *settings]

    return arguments


def test_a_lesion_is_written_beside_all_its_controls(ran, arguments, tmp_path):
    printed = ran(*arguments(), "--to", "mean")
    table = LESIONS.read(tmp_path / "out")
    assert table["control"].tolist() == ["", "scattered", "elsewhere", "least selective", "matched"]
    assert (table["n_units"] == 5).all()
    assert "its lesion is not shown to do more than lesions of as many units scattered over the same taps" in printed
    assert (tmp_path / "out" / "figures" / "lesions.png").is_file()


def test_the_table_is_that_of_the_library(ran, arguments, folder, sentences, items, tmp_path):
    ran(*arguments())
    subject, stimuli = ts.load(folder), pd.read_csv(sentences)
    expected = ts.lesion_effects(
        subject, ts.Disc(TAP, 2, 2, 1), ts.measure(subject, "blimp", path=items), draws=3,
        comparison=ts.Comparison(ts.respond(subject, stimuli), "S", "N"), texts=stimuli[stimuli["condition"] == "S"],
    )  # fmt: skip
    pd.testing.assert_frame_equal(LESIONS.read(tmp_path / "out"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("region", "more", "message"),
    [
        ("disc:nowhere:2:2:1", (), "there is no sheet 'nowhere'"),
        (f"disc:{TAP}:99:2:1", (), "is not on the sheet"),
        (f"disc:{TAP}:2:2", (), "is no region: write disc:SHEET:ROW:COLUMN:RADIUS_MM"),
        (f"sheet:{TAP}", (), "there are not as many units elsewhere"),
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
