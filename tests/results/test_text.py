"""Tables and sentences for a terminal fit 100 columns, and nothing of a name is lost."""

import unicodedata

import pytest

from toposheet.results.text import broken_text, paragraph, text_table


def columns_of(line):
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


@pytest.mark.parametrize("name", ["short", "a long name of a model, with spaces and more " * 3, "x" * 150, "名詞" * 40])
def test_a_table_fits_whatever_names_are_in_it_and_keeps_them_whole(name):
    columns = {"contrast": [name, "a:b"], "model": ["m", name], **{f"number {n}": ["0.123", "-1.0"] for n in range(6)}}
    lines = text_table(columns, ("contrast", "model")).splitlines()
    assert max(map(columns_of, lines)) <= 100
    letters = "".join(lines)
    assert letters.count(name[0]) >= 2 * name.count(name[0])


def test_numbers_stand_at_the_right_and_texts_at_the_left():
    lines = text_table({"name": ["a", "bcd"], "n": ["1", "-12"]}, ("name",)).splitlines()
    assert lines == ["name    n", "a       1", "bcd   -12"]


def test_lines_are_broken_at_spaces_and_signs_before_they_are_cut():
    assert broken_text("concrete noun:verb", 14) == ["concrete noun:", "verb"]
    assert broken_text("(90 %: -1.56 to 0.42)", 9) == ["(90 %:", "-1.56 to", "0.42)"]
    assert broken_text("of 1,280", 5) == ["of", "1,280"]
    assert broken_text("noun-verb", 6) == ["noun-", "verb"]
    assert broken_text("abcdefgh", 3) == ["abc", "def", "gh"]
    assert broken_text("", 5) == [""]


def test_a_paragraph_loses_no_word_and_indents_what_follows():
    text = "one two three four five six seven eight nine ten " * 6
    lines = paragraph(text, indent="    ").splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.startswith("    ") for line in lines[1:])
    assert " ".join(lines).split() == text.split()
