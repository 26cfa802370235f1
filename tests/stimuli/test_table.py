import pytest

from toposheet import read_stimuli
from toposheet.stimuli.table import parse_contrast


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "stimuli.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_named_columns_become_text_and_condition_and_others_stay(tmp_path):
    table = read_stimuli(write(tmp_path, "word,class,n\nriver,noun,1\nnull,NA,2\n"), "word", "class")
    assert list(table.columns) == ["text", "condition", "n"]
    assert table["text"].tolist() == ["river", "null"]
    assert table["condition"].tolist() == ["noun", "NA"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,kind\na,b\n", r"no column 'condition'; it has: text, kind"),
        ("text,condition\na,x\nb,\n", r"stimuli.csv, row 3: 'condition' is empty"),
        ("text,condition\n ,x\n", r"row 2: 'text' is empty"),
        ("text,condition\n", "no stimuli"),
        ("", "not a CSV table"),
        ('text,condition\n"a,x\n', "not a CSV table"),
    ],
)
def test_wrong_tables_are_refused_by_file_and_row(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_stimuli(write(tmp_path, text))


def test_another_encoding_is_refused_by_row(tmp_path):
    with pytest.raises(ValueError, match="row 3: not UTF-8"):
        read_stimuli(write(tmp_path, "text,condition\na,x\ncafé,x\n", "latin-1"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no stimulus file"):
        read_stimuli(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [("S:N", ("S", "N")), ("S-N", ("S", "N")), ("non-word:S", ("non-word", "S")), ("non-word-S", ("non-word", "S"))],
)
def test_contrasts_are_read_as_they_are_written(contrast, expected):
    assert parse_contrast(contrast, ["S", "N", "non-word"]) == expected


@pytest.mark.parametrize("contrast", ["S", "S:S", "S-X", "X:N", "", ":"])
def test_contrasts_of_no_two_conditions_list_those_there_are(contrast):
    with pytest.raises(ValueError, match="the conditions are: S, N"):
        parse_contrast(contrast, ["S", "N"])


def test_an_ambiguous_contrast_asks_for_a_colon():
    with pytest.raises(ValueError, match="A:B"):
        parse_contrast("a-b-c", ["a", "b-c", "a-b", "c"])


def test_the_published_tables_can_be_read(data):
    assert set(read_stimuli(data / "stimuli" / "fedorenko_swjn.csv", "sentence")["condition"]) == {"S", "W", "J", "N"}
    moseley = read_stimuli(data / "stimuli" / "moseley.csv", "word", "class")
    assert len(moseley) == 160
