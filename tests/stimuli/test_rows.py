import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toposheet.errors import UserError
from toposheet.stimuli.rows import read_rows
from toposheet.stimuli.table import read_stimuli


@pytest.fixture
def rows(tmp_path):
    """Write a table and read its rows."""

    def rows(text, encoding="utf-8"):
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode(encoding))
        return read_rows(path)[1]

    return rows


MANY = "The dog ran,s\nWe sat down,s\nHe ate bread,s\n"


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (f'"twas late,s\n{MANY}"tis wug nop,n\nThey sang,s\n', 2),  # a text that begins with a quotation mark, twice
        (f'I ran,s\n"twas late,s\n{MANY}', 3),  # once
        (f'{MANY}"twas late,s\n', 5),  # in the last row
        (f'"twas late,s\n{MANY}he took 5",n\nThey sang,s\n', 2),  # closed at the end of another text: a valid CSV
        (f'"twas late,s\n{MANY}he said "go",n\n', 2),
        (f'The cat,s\n"go" he said,s\n{MANY}', 3),
        (f'"He said \\"go\\" now",s\n{MANY}', 2),
        (f'He said \\"go\\" now,s\n{MANY}', 2),
        (f'"He said \\"",s\n{MANY}They sang,"s"\n', 2),
        (f'The cat,s\n "The dog, he ran",s\n{MANY}', 3),  # a space before the quotation mark
    ],
)
def test_quotation_marks_that_would_make_another_table_are_refused_by_row(rows, text, row):
    with pytest.raises(UserError, match=rf"t\.csv, row {row}: .*(quotation mark|fields)") as error:
        rows(f"text,condition\n{text}")
    assert "\n" not in str(error.value)


def test_a_stray_mark_in_the_last_column_and_with_more_columns_is_refused(rows):
    with pytest.raises(UserError, match=r"row 2: .* has 3 lines, which look like rows"):
        rows('condition,text\ns,"twas late\ns,the dog ran\nn,he took 5"\n')
    with pytest.raises(UserError, match=r"row 2: .* has 3 lines, which look like rows"):
        rows('text,condition,item\n"twas late,s,1\nthe dog ran,s,2\nhe took 5",n,3\n')


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('He is 5" tall,s', ['He is 5" tall', "s"]),
        ('the "dog" ran,s', ['the "dog" ran', "s"]),
        ('"""go"" he said",s', ['"go" he said', "s"]),
        ('"The dog, he ran",s', ["The dog, he ran", "s"]),
        ("“The dog ran”,s", ["“The dog ran”", "s"]),
        ("'twas late,s", ["'twas late", "s"]),
        ('"The dog ran\nand sat",s', ["The dog ran\nand sat", "s"]),  # a text of two lines
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_can_be_one_table_only_is_read(rows, text, cells, end):
    assert rows(f"text,condition\n{text}\n{MANY}".replace("\n", end))[0] == cells


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"text";"condition"\n"a, b";x\n', "row 1: the columns are separated by ';'"),
        ("text;condition\na;x\n", r"save as 'CSV UTF-8 \(comma delimited\)'.*\(path, sep=';'\)\.to_csv\(path, index="),
        ("sep=,\ntext,condition\na,x\n", "row 1: 'sep=,' is a line for Excel and no header: remove this line"),
        ('"sep=;"\ntext;condition\na;x\n', "is a line for Excel and no header: remove this line"),
        ("'text','condition'\na,x\n", r"the column name 'text' is in quotation marks .* or with straight double ones"),
        ("“text”,“condition”\na,x\n", "the column name “text” is in quotation marks that CSV does not remove"),
        ('text,condition\n"foo" ,a\n', "row 2: .*a closing quotation mark .* is followed by a space .*: remove this"),
        ("text|condition\na|x\n", r"row 1: the columns are separated by '\|'"),
        ("text\tcondition\na, b\tx\n", r"row 1: the columns are separated by '\\t'"),
        ("text,condition,item\na,x,1\nb,y\n", "row 3: 2 fields, the header has 3: write a comma for each empty cell"),
        ("text,condition\n“The dog, he ran”,x\n", "row 2: 3 fields, the header has 2: .* not curly ones"),
        ("text,text ,condition\na,b,x\n", "row 1: 2 columns have the name 'text'"),
        ("text,condition\na,x\nb\0,y\n", "row 3: not UTF-8 text"),
        ("text,condition\na,x\n text,condition \nb,y\n", "row 3: this row repeats the header: remove this row"),
        ('[\n  {"text": "a", "condition": "x"}\n]\n', r"is JSON, not a CSV table: .*read_json\(path\)\.to_csv"),
        ('[{"text": "a"}, {"text": "b"}]', r"is JSON, not a CSV table: .*read_json\(path\)"),
        ('{"text": "a", "condition": "x"}\n{"text": "b"}\n', r"is JSON, .*read_json\(path, lines=True\)\.to_csv"),
    ],
)
def test_other_tables_are_refused_by_row(rows, text, message):
    with pytest.raises(UserError, match=message):
        rows(text)
    with pytest.raises(UserError, match=message):
        rows(f"\ufeff{text}")


@pytest.mark.parametrize(
    "first", [gzip.compress(b"text,condition\na,x\n"), b"PK\x03\x04\xff"], ids=["gzip", "workbook"]
)
def test_a_compressed_table_is_refused_as_such(tmp_path, first):
    (tmp_path / "t.csv").write_bytes(first)
    with pytest.raises(UserError, match=r"t\.csv is compressed or a workbook, .*: save it as CSV in UTF-8"):
        read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_is_no_file(kind):
    with pytest.raises(UserError, match="is an address, not a file: download the file first"):
        read_stimuli(kind("https://example.org/t.csv"))


def test_utf_16_without_a_mark_is_refused(rows):
    with pytest.raises(UserError, match="not UTF-8"):
        rows("text,condition\na,x\n", "utf-16-le")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.text(st.sampled_from("ab\", '“;\t"), max_size=6), min_size=2, max_size=2), max_size=5))
def test_what_a_csv_writer_writes_is_read_or_refused_never_changed(tmp_path_factory, table):
    written = io.StringIO()
    csv.writer(written).writerows([["text", "condition"], *table, ["end", "x"]])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(written.getvalue().encode())
    try:
        header, rows = read_rows(path)
    except UserError:
        return
    assert header == ["text", "condition"]
    assert rows == [*table, ["end", "x"]]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text(st.sampled_from('ab" '), min_size=1, max_size=4).filter(str.strip), min_size=2, max_size=6))
def test_texts_without_quoting_never_swallow_a_row(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "unquoted.csv"
    path.write_text("text,condition\n" + "".join(f"{text},x\n" for text in texts), encoding="utf-8")
    try:
        _, rows = read_rows(path)
    except UserError:
        return
    assert len(rows) == len(texts)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n \n", "\n\t\r\n"])
def test_the_last_text_keeps_its_spaces_and_empty_last_lines_are_dropped(rows, end):
    assert rows(f"condition,text\nx,a \ny,b \t{end}") == [["x", "a "], ["y", "b \t"]]
    assert rows(f"condition,text\nx,a\ny,{end}") == [["x", "a"], ["y", ""]]


@pytest.mark.parametrize("mark", ["", '"'])
def test_a_cell_may_be_of_any_length(rows, mark):
    limit, long = csv.field_size_limit(), "a word " * 30_000
    assert rows(f"text,condition\n{mark}{long}{mark},x\nb,y\n") == [[long, "x"], ["b", "y"]]
    assert csv.field_size_limit() == limit
    with pytest.raises(UserError, match=r"row 2: .* begins with a quotation mark"):
        rows(f'text,condition\n"{long},x\nb,y\n')
    assert csv.field_size_limit() == limit


def test_another_fault_of_csv_is_said_in_its_words(rows, monkeypatch):
    def reader(lines, strict):
        raise csv.Error("line contains a sign")
        yield

    monkeypatch.setattr("toposheet.stimuli.rows.csv.reader", reader)
    with pytest.raises(UserError, match=r"t\.csv, row 1: not a CSV table \(line contains a sign\)"):
        rows("text,condition\na,x\n")
