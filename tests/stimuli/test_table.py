import os

import pytest

from toposheet import read_stimuli
from toposheet.errors import UserError
from toposheet.stimuli.contrasts import Contrast, parse_contrast


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
        ("text,condition\na,x\nb,\n", r"stimuli.csv, row 3: the column 'condition' is empty"),
        ("text,condition\n ,x\n", r"row 2: the column 'text' is empty"),
        ("text,condition\n", "no stimuli"),
        ("", "not a CSV table: its first row is empty"),
        ("\n\n", "not a CSV table"),
        ("text;condition\na;x\n", r"stimuli\.csv, row 1: the columns are separated by ';': save the file with commas"),
        ("text\tcondition\na\tx\n", r"row 1: the columns are separated by '\\t'"),
        ("text,text,condition\na,b,x\n", r"stimuli\.csv, row 1: 2 columns have the name 'text': rename all but one"),
        ("text,condition,n,n\na,x,1,2\n", r"row 1: 2 columns have the name 'n'"),
        ('text,condition\n"a,x\n', "not a CSV table"),
    ],
)
def test_wrong_tables_are_refused_by_file_and_row(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_stimuli(write(tmp_path, text))


def test_another_encoding_is_refused_by_row(tmp_path):
    with pytest.raises(ValueError, match="row 3: not UTF-8"):
        read_stimuli(write(tmp_path, "text,condition\na,x\ncafé,x\n", "latin-1"))
    (tmp_path / "marked.csv").write_bytes(b"\xef\xbb\xbftext,condition\na,x\n" + "éé".encode() + b"\xff,x\n")
    with pytest.raises(ValueError, match=r"marked\.csv, row 3: not UTF-8"):
        read_stimuli(tmp_path / "marked.csv")
    with pytest.raises(ValueError, match="row 4: not UTF-8"):  # a text of two lines is one row
        read_stimuli(write(tmp_path, 'text,condition\r\n"a ""b""\r\nc",x\r\nd,y\r\n"é\r\n",x\r\n', "latin-1"))
    with pytest.raises(ValueError, match="row 1: not UTF-8"):
        read_stimuli(write(tmp_path, "text,condition\na,x\n", "utf-16"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(tmp_path, end):
    read = read_stimuli(write(tmp_path, end.join(["text,condition", "a,x", '"b, c",y', ""])))
    assert read["text"].tolist() == ["a", "b, c"]
    with pytest.raises(ValueError, match="row 3: 3 fields"):
        read_stimuli(write(tmp_path, end.join(["text,condition", '"a', 'b",x', "c,d,e"])))


def test_a_folder_and_one_column_for_both_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder: give a CSV file"):
        read_stimuli(tmp_path)
    with pytest.raises(ValueError, match="the column 'condition' is given for both texts and conditions"):
        read_stimuli(write(tmp_path, "text,condition\na,x\n"), "condition", "condition")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no stimulus file"):
        read_stimuli(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [("S:N", ("S", "N")), ("S-N", ("S", "N")), ("non-word:S", ("non-word", "S")), ("non-word-S", ("non-word", "S"))],
)
def test_contrasts_are_read_as_they_are_written(contrast, expected):
    assert parse_contrast(contrast, ["S", "N", "non-word"]) == Contrast(*expected)


@pytest.mark.parametrize("contrast", ["S", "S:S", "S-X", "X:N", "", ":"])
def test_contrasts_of_no_two_conditions_list_those_there_are(contrast):
    with pytest.raises(ValueError, match="the conditions are: S, N"):
        parse_contrast(contrast, ["S", "N"])


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [
        ("run:1:run:2", ("run:1", "run:2")),
        ("S:run:1", ("S", "run:1")),
        ("run:1:S", ("run:1", "S")),
        ("run:1-run:2", ("run:1", "run:2")),
    ],
)
def test_conditions_may_have_colons_in_their_names(contrast, expected):
    assert parse_contrast(contrast, ["run:1", "run:2", "S"]) == Contrast(*expected)


def test_a_contrast_that_can_be_read_in_two_ways_says_which_and_asks_for_the_other_sign():
    with pytest.raises(ValueError, match=r"in 2 ways \('a' against 'b-c', 'a-b' against 'c'\): write it as A:B$"):
        parse_contrast("a-b-c", ["a", "b-c", "a-b", "c"])
    conditions = ["a", "b:c", "a:b", "c"]
    with pytest.raises(ValueError, match=r"in 2 ways \('a' against 'b:c', 'a:b' against 'c'\): write it as A-B$"):
        parse_contrast("a:b:c", conditions)
    assert parse_contrast("a-b:c", conditions) == Contrast("a", "b:c")


def test_the_published_formats_are_read_as_they_are(data, tmp_path):
    swjn = read_stimuli(data / "stimuli" / "fedorenko_swjn.csv")
    assert swjn["condition"].value_counts().to_dict() == dict.fromkeys("SWJN", 160)
    assert swjn.loc[swjn["condition"] == "S", "text"].iloc[0].startswith("tina met with an architect")
    moseley = read_stimuli(data / "stimuli" / "moseley.csv")
    assert list(moseley.columns) == ["text", "condition", "category"]
    assert moseley.groupby(["condition", "category"]).size().tolist() == [40] * 4
    localizer = read_stimuli(data / "stimuli" / "fedorenko10" / "langloc_fmri_run1_stim_set1.csv")
    assert localizer["text"].iloc[0] == "just the barest suggestion of a heel is found on teenage pumps"
    assert (localizer["text"].str.split().str.len() == 12).all()
    pairs = write(
        tmp_path, "run,block,class,category,pair\n1,1,noun,birds,the owl the crow\n1,1,verb,sound,to hum to ring\n"
    )
    assert read_stimuli(pairs)["text"].tolist() == ["the owl the crow", "to hum to ring"]
    assert read_stimuli(pairs)["condition"].tolist() == ["noun", "verb"]
    assert read_stimuli(pairs)["category"].tolist() == ["birds", "sound"]


def table(tmp_path, rows):
    return read_stimuli(write(tmp_path, "text,condition,category\n" + "".join(f"{row}\n" for row in rows)))


WORDS = ["owl,noun,x", "crow,noun,x", "wren,noun,x", "hum,verb,x", "ring,verb,x", "sing,verb,x", "doubt,verb,y"]


@pytest.mark.parametrize(
    ("contrast", "rows", "message"),
    [
        (Contrast("noun", "adverb"), WORDS, r"stimuli\.csv has no condition 'adverb'; the conditions are: noun, verb"),
        (Contrast("noun", "verb"), WORDS[1:], r"stimuli\.csv has 2 texts of the condition 'noun': .* at least 3"),
        (
            Contrast("noun", "verb", where=("category", "y")),
            WORDS,
            r"has no condition 'noun'; the conditions are: verb",
        ),
        (Contrast("noun", "verb", where=("category", "z")), WORDS, r"has no category 'z'; the values are: x, y"),
        (Contrast("x", "y", column="kind"), WORDS, r"has no column 'kind'; it has: text, condition, category"),
        (
            Contrast("noun", "verb"),
            [*WORDS, "crow,verb,x"],
            r"stimuli\.csv, row 3 and row 9: the text 'crow' is in both conditions, 'noun' and 'verb'",
        ),
        (
            Contrast("noun", "verb"),
            [*WORDS, "the  oak ,noun,x", " the oak,verb,x"],
            "row 9 and row 10: the text 'the oak'",
        ),
    ],
)
def test_stimuli_that_do_not_fit_a_contrast_name_file_and_row(tmp_path, contrast, rows, message):
    with pytest.raises(ValueError, match=message):
        contrast.check(table(tmp_path, rows))


def test_a_table_of_ones_own_index_is_checked_by_its_labels(tmp_path):
    stimuli = table(tmp_path, [*WORDS, "crow,verb,x"]).set_axis(list("abcdefgh"))
    with pytest.raises(ValueError, match="stimulus b and stimulus h: the text 'crow' is in both"):
        Contrast("noun", "verb").check(stimuli)


def test_a_contrast_within_a_category_takes_the_texts_of_that_category(tmp_path):
    kept = Contrast("noun", "verb", where=("category", "x")).of(table(tmp_path, WORDS))
    assert kept["text"].tolist() == ["owl", "crow", "wren", "hum", "ring", "sing"]
    by_category = Contrast("x", "y", column="category").of(table(tmp_path, WORDS))
    assert by_category["condition"].tolist() == ["x"] * 6 + ["y"]
    assert Contrast("noun", "verb", where=("category", "x")).name == "x noun:verb"


def test_a_row_wider_than_the_header_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"stimuli\.csv, row 3: 3 fields, the header has 2: put quotation marks"):
        read_stimuli(write(tmp_path, "text,condition\na,x\nThe cat, said he,y\n"))


def test_numbers_are_words_as_they_are_written(tmp_path):
    read = read_stimuli(write(tmp_path, "text,condition,n\n007,01,3\n0.50,02,4\n"))
    assert read["text"].tolist() == ["007", "0.50"]
    assert read["condition"].tolist() == ["01", "02"]
    assert read["n"].tolist() == [3, 4]


def test_blank_lines_do_not_move_the_rows_that_errors_name(tmp_path):
    with pytest.raises(ValueError, match=r"row 3: the column 'text' is empty"):
        read_stimuli(write(tmp_path, "text,condition\na,x\n\nb,y\n"))
    assert len(read_stimuli(write(tmp_path, "text,condition\na,x\nb,y\n\n\n"))) == 2


def test_a_word_of_both_classes_leaves_pairs_in_their_groups(tmp_path):
    rows = ["noun,bird,owl ring", "noun,bird,owl crow", "noun,tree,oak elm", "noun,place,dune reef"]
    rows += ["verb,sound,to ring to hum", "verb,sound,hum buzz", "verb,hand,jab poke", "verb,light,glow beam"]
    text = "\n".join(["run,block,class,category,pair", *(f"odd,0,{row}" for row in rows)])
    read = read_stimuli(write(tmp_path, text))
    assert read.groupby("shared_words")["text"].count().tolist() == [2, 1, 1, 2, 1, 1]
    assert read.groupby("shared_words")["condition"].nunique().max() == 1


@pytest.mark.parametrize("column", ["word", "sentence", "pair", "stim2", "stim13"])
def test_conditions_are_cleaned_whatever_their_column_is_called(tmp_path, column):
    read = read_stimuli(write(tmp_path, f"text,{column}\n a ,noun \nb,noun\nc,verb\n"), condition_column=column)
    assert read["condition"].tolist() == ["noun", "noun", "verb"]
    assert read["text"].tolist() == [" a ", "b", "c"]
    assert read.attrs["notes"][0] == (
        f"1 cell of the column {column!r} had extra spaces, invisible characters, or other forms of letters, "
        "hyphens or apostrophes, e.g. row 2"
    )


def test_texts_stay_as_they_are_in_a_column_of_labels(tmp_path):
    read = read_stimuli(write(tmp_path, "class,word\n a ,noun \n"), "class", "word")
    assert read[["text", "condition"]].to_numpy().tolist() == [[" a ", "noun"]]


def test_columns_of_the_file_that_would_be_lost_are_kept_with_a_note(tmp_path):
    rows = "word,class,text,condition\nowl,noun,o,x\nhum,verb,h,y\n"
    read = read_stimuli(write(tmp_path, rows), "word", "class")
    assert read.columns.tolist() == ["text", "condition", "file_text", "file_condition"]
    assert read["text"].tolist() == ["owl", "hum"]
    assert read["file_text"].tolist() == ["o", "h"]
    assert read["file_condition"].tolist() == ["x", "y"]
    assert read.attrs["notes"] == (
        "the column 'text' is called 'file_text' in the table, because the texts are in 'word'",
        "the column 'condition' is called 'file_condition' in the table, because the conditions are in 'class'",
    )
    with pytest.raises(ValueError, match=r"The column 'class' of the file is called 'condition' in this table\.$"):
        Contrast("noun", "verb", where=("class", "noun")).masks(read)
    with pytest.raises(ValueError, match="has the columns 'condition' and 'file_condition': rename both"):
        read_stimuli(write(tmp_path, "text,class,condition,file_condition\na,b,c,d\n"), condition_column="class")
    swapped = read_stimuli(write(tmp_path, "text,condition\nx,owl\n"), "condition", "text")
    assert swapped.to_dict("records") == [{"condition": "x", "text": "owl"}]


@pytest.mark.parametrize(
    ("header", "column"),
    [("word,class", "class"), ("run,block,class,category,pair", "pair"), ("sentence,condition", "sentence")],
)
def test_a_column_that_a_published_format_renames_is_named_when_it_is_asked_for(tmp_path, header, column):
    rows = "\n".join(",".join(f"{name}{n}" for name in header.split(",")) for n in range(3))
    with pytest.raises(ValueError, match=f"The column '{column}' of the file is called '(text|condition)'"):
        Contrast("a", "b", where=(column, "x")).masks(read_stimuli(write(tmp_path, f"{header}\n{rows}\n")))


@pytest.mark.parametrize(("header", "missing"), [("word,class,condition", "text"), ("pair,class,text", "condition")])
def test_a_published_format_with_a_second_column_of_texts_or_conditions_is_not_guessed(tmp_path, header, missing):
    with pytest.raises(
        ValueError, match=f"no column '{missing}'; it has: {header.replace(',', ', ')}.* --{missing}-col"
    ):
        read_stimuli(write(tmp_path, f"{header}\na,b,c\n"))


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (",Unnamed: 0,text,condition", ["Unnamed: 0 (2)", "Unnamed: 0", "text", "condition"]),
        (",Unnamed: 0 (2),Unnamed: 0,text,condition", ["Unnamed: 0 (3)", "Unnamed: 0 (2)", "Unnamed: 0"]),
        ("Unnamed: 1,,text,condition", ["Unnamed: 1", "Unnamed: 1 (2)"]),
        (",,text,condition", ["Unnamed: 0", "Unnamed: 1"]),
    ],
)
def test_a_column_without_a_name_gets_a_name_that_no_other_column_has(tmp_path, header, names):
    row = ",".join(str(n) for n in range(header.count(",") - 1))
    table = read_stimuli(write(tmp_path, f"{header}\n" + f"{row},dog,a\n" * 3 + f"{row},cat,b\n" * 3))
    assert list(table)[: len(names)] == names
    assert table.iloc[0].tolist() == [*range(header.count(",") - 1), "dog", "a"]
    assert Contrast("a", "b").masks(table)[0].tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize(("marks", "noted"), [("''", True), ("“”", True), ("«»", True), ("it's", False), ("", False)])
def test_quotation_marks_that_csv_does_not_know_are_said_to_be_part_of_the_texts(tmp_path, marks, noted):
    first, last = (marks[0], marks[-1]) if noted else (marks, "")
    rows = [f"{first}text {n}{last},{condition}" for n in range(3) for condition in "xy"]
    (tmp_path / "s.csv").write_text("\n".join(["text,condition", *rows]) + "\n", encoding="utf-8")
    table = read_stimuli(tmp_path / "s.csv")
    assert table["text"][0] == f"{first}text 0{last}"
    assert any("6 of 6 texts stand in quotation marks" in note for note in table.attrs["notes"]) == noted


def test_names_of_columns_that_are_cleaned_are_said(tmp_path):
    (tmp_path / "s.csv").write_text(" text ,condition\u00a0,run\na,x,1\nb,y,1\n", encoding="utf-8")
    table = read_stimuli(tmp_path / "s.csv")
    assert list(table) == ["text", "condition", "run"]
    assert "the column names text, condition had extra spaces" in table.attrs["notes"][0]


def test_further_columns_of_a_file_in_the_format_of_fedorenko_2010_are_kept(tmp_path):
    header = ",".join([*(f"stim{n}" for n in range(1, 15)), "pair"])
    rows = [",".join(["x", *["WORD"] * 12, condition, str(pair)]) for condition in "SN" for pair in range(3)]
    (tmp_path / "s.csv").write_text("\n".join([header, *rows]) + "\n")
    table = read_stimuli(tmp_path / "s.csv")
    assert table["pair"].tolist() == list("012012")
    assert list(table) == ["text", "condition", "pair"]


def test_a_pipe_is_not_said_to_be_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe is a pipe or a device, not a regular file: save the table in a file"):
        read_stimuli(tmp_path / "pipe")


def test_a_file_without_a_header_is_told_that_it_may_lack_one(tmp_path):
    (tmp_path / "s.csv").write_text("The dog ran,s\nWe sat down,s\n")
    with pytest.raises(UserError, match="If row 1 of the file is a text, the header is missing: add a row with the na"):
        read_stimuli(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("Text,condition\nWe sat down,s\n")
    with pytest.raises(UserError, match=r"Did you mean Text\?") as error:
        read_stimuli(tmp_path / "s.csv")
    assert "header is missing" not in str(error.value)


@pytest.mark.parametrize("row", [",,", "", "a,,1"])
def test_an_empty_row_can_be_removed(tmp_path, row):
    (tmp_path / "s.csv").write_text(f"text,condition,n\na,x,1\n{row}\nb,y,2\n")
    with pytest.raises(UserError, match=r"row 3: the column '\w+' is empty: fill it in, or remove the row"):
        read_stimuli(tmp_path / "s.csv")
