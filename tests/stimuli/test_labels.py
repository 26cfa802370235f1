import pandas as pd
import pytest
from tests.cortex.planted import noise

import toposheet as ts
from toposheet.errors import UserError
from toposheet.stimuli.contrasts import Contrast, parse_contrast
from toposheet.stimuli.labels import check_capitals, letters_like_latin, plain_label

UNSEEN = ["noun ", " noun", "noun\u00a0", "noun\u200b", "\ufeffnoun", "no\u00adun", "noun\t", "\u2007noun"]
UNSEEN += [f"no{sign}un" for sign in "\ufe0f\u180e\u034f\u3164\uffa0\u115f\u1160\u17b4\U000e0041\U000e0100\x7f\x01\x9f"]
UNSEEN += ["\u2800noun", "noun\u2800\u3000", "\uff4e\uff4f\uff55\uff4e", "noun\x85"]


@pytest.mark.parametrize("label", UNSEEN)
def test_what_nobody_sees_is_no_part_of_a_label(tmp_path, label):
    assert plain_label(label) == "noun"
    rows = "".join(
        f"{word},{name}\n" for word, name in zip("abcdef", ["noun", "noun", label] + ["verb"] * 3, strict=True)
    )
    (tmp_path / "t.csv").write_text(f"text,condition\n{rows}", encoding="utf-8")
    table = ts.read_stimuli(tmp_path / "t.csv")
    assert table["condition"].tolist() == ["noun"] * 3 + ["verb"] * 3
    assert table.attrs["notes"] == (
        "1 cell of the column 'condition' had extra spaces, invisible characters, or other forms of letters, "
        "hyphens or apostrophes, e.g. row 4",
    )
    in_python = pd.DataFrame({"text": list("abcdef"), "condition": ["noun", label, label] + ["verb"] * 3})
    assert Contrast("noun", "verb").masks(in_python)[0].tolist() == [True] * 3 + [False] * 3
    assert Contrast(label, "verb") == Contrast("noun", "verb")


def test_names_of_columns_and_values_of_where_are_read_like_labels(tmp_path):
    rows = "".join(f"{text},{c},{k}\n" for text, c, k in zip("abcdef", ["n"] * 3 + ["v"] * 3, ["x "] * 6, strict=True))
    (tmp_path / "t.csv").write_text(f" text , condition,kind\u00a0\n{rows}", encoding="utf-8")
    table = ts.read_stimuli(tmp_path / "t.csv", "text ")
    assert list(table) == ["text", "condition", "kind"]
    assert Contrast("n", "v", where=("kind ", " x")).masks(table)[0].sum() == 3


def test_texts_keep_their_spaces(tmp_path):
    (tmp_path / "t.csv").write_text("condition, text\nx, dog\n", encoding="utf-8")
    assert ts.read_stimuli(tmp_path / "t.csv")["text"].tolist() == [" dog"]


def test_accents_are_one_label_however_they_are_written():
    assert plain_label("cafe\u0301") == plain_label("café")


def test_forms_of_one_width_and_hyphen_are_one_label_and_other_signs_stay():
    assert plain_label("non\u2011word") == plain_label("non\u2010word") == plain_label("non\uff0dword") == "non-word"
    assert plain_label("noun\u2800phrase") == plain_label("noun\u3000phrase") == "noun phrase"
    assert plain_label("\uff76\uff9e") == "\u30ac"  # half-width katakana, with its mark
    assert plain_label("e\u200b\u0301") == "\u00e9"
    for label in ("x\u00b2", "a\u2014b", "\u2460", "\u4e2d", "\u017f"):  # other signs are not rewritten
        assert plain_label(label) == label


@pytest.mark.parametrize(
    ("label", "same"),
    [
        ("\ufb01ne \ufb03", "fine ffi"),
        ("\u22121", "-1"),
        ("non\u2013word", "non-word"),
        ("don\u2019t", "don't"),
        ("\u0133s", "ijs"),
        ("\u00b5", "\u03bc"),
        ("\u212a", "K"),
    ],
)
def test_signs_that_look_the_same_are_one_sign(label, same):
    assert plain_label(label) == plain_label(same) == same


WALES, SCOTLAND = (f"\U0001f3f4{''.join(chr(0xE0000 + ord(c)) for c in code)}\U000e007f" for code in ("gbwls", "gbsct"))
FAMILY = "\U0001f469\U0001f3fd\u200d\U0001f4bb"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
HINDI = "\u0915\u094d\u200d\u0937"
HEART = "\u2764\u200d\U0001f525"


@pytest.mark.parametrize("label", [WALES, SCOTLAND, FAMILY, PERSIAN, HINDI, HEART, "\u0915\u094d\u200c\u0937"])
def test_joiners_and_tags_stay_where_they_change_what_is_seen(label):
    assert plain_label(f"{label}\u200d") == plain_label(f" \u200c{label}\ufeff") == label
    assert plain_label(f"a\u200d{label}") == f"a{label}"
    assert plain_label(label.replace("\u200d", "\ufe0f\u200d\u200d")) == label
    assert plain_label(plain_label(label)) == label


def test_joiners_and_tags_are_removed_where_they_change_nothing():
    assert plain_label("no\u200dun") == plain_label("no\u200cun") == plain_label("no\U000e0067un") == "noun"
    assert plain_label("\U0001f469\u200c\U0001f4bb") == "\U0001f469\U0001f4bb"
    assert plain_label("\u062f\u200c\u0627") == "\u062f\u0627"  # dal is never joined to the next letter
    assert plain_label("\u0645\u200d\u06cc") == "\u0645\u06cc"  # these two are joined without it
    assert plain_label("\u0915\u200d \u0937\u200c") == "\u0915 \u0937"


def test_a_note_names_letters_of_other_scripts_that_look_latin(tmp_path):
    mixed = "n\u043eun"
    rows = "".join(f"{text},{c}\n" for text, c in zip("abcdef", ["noun"] * 2 + [mixed] * 2 + ["verb"] * 2, strict=True))
    (tmp_path / "t.csv").write_text(f"text,condition\n{rows}", encoding="utf-8")
    (note,) = ts.read_stimuli(tmp_path / "t.csv").attrs["notes"]
    assert note.startswith(f"the condition {mixed!r} has CYRILLIC SMALL LETTER O among Latin letters")
    for label in ("\u03b1-waves", "\u03bcV", "\u0394t", "\u0441\u043b\u043e\u0432\u043e", "noun \u0441\u043e"):
        assert not letters_like_latin(label)


def test_labels_that_differ_in_capitals_are_refused_where_they_count():
    stimuli = pd.DataFrame({"text": list("abcdefgh"), "condition": ["noun"] * 4 + ["verb"] * 3 + ["Noun"], "run": 1})
    with pytest.raises(UserError, match="has 'noun' and 'Noun' in the column 'condition'"):
        Contrast("noun", "verb").masks(stimuli)
    with pytest.raises(UserError, match="has 'noun' and 'Noun'"):
        Contrast("Noun", "verb").masks(stimuli)
    Contrast("a", "b", column="kind").masks(stimuli.assign(kind=list("aaabbbcC")))  # c is not compared
    check_capitals(["a", "b"], "kind", "t.csv")


def test_groups_and_pairs_are_read_like_labels():
    unseen = [f" {n // 2}\u200b" if n % 2 else f"{n // 2}" for n in range(16)]
    assert ts.Comparison(noise(0, item=unseen), "a", "b", pairs="item").design.pairs is not None
    capitals = [f"{'W' if n % 2 else 'w'}{n // 2}" for n in range(16)]
    with pytest.raises(UserError, match="'w0' and 'W0' in the column 'item'"):
        ts.Comparison(noise(0, item=capitals), "a", "b", pairs="item")


@pytest.mark.parametrize(
    "written", ["noun : verb", " noun:verb ", "noun -verb", "noun\u00a0: verb", "noun\uff1averb", "noun\u2010verb"]
)
def test_spaces_in_a_contrast_do_not_count(written):
    assert parse_contrast(written, ["noun", "verb"]) == Contrast("noun", "verb")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("noun:vreb", r"names 'vreb', which is not a condition; the conditions are: noun, verb\. Did you mean verb\?"),
        ("Noun:verb", r"names 'Noun', which .* Did you mean noun\?"),
        ("x:y", "names 'x' and 'y', which are not conditions"),
        ("noun:noun", "compares 'noun' with itself"),
        ("noun", "does not name two conditions: write it as A-B or A:B"),
        ("noun:", "does not name two conditions"),
    ],
)
def test_a_contrast_says_which_half_is_unknown(written, message):
    with pytest.raises(UserError, match=message):
        parse_contrast(written, ["noun", "verb"])
