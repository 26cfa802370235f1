"""Files called after data keep apart on every file system."""

import unicodedata

import pytest

from toposheet.files import free_file_name


def names_of(*names):
    taken = set()
    return [free_file_name(name, taken) for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A+", "A*"], ["A", "A-2"]),
        (["a.b", "A b", "a-b-2", "a/b"], ["a-b", "A-b-2", "a-b-2-2", "a-b-3"]),
        (["con", "NUL", "com1", "console"], ["con-2", "NUL-2", "com1-2", "console"]),
        (["", "..", "../..", "/"], ["unnamed", "unnamed-2", "unnamed-3", "unnamed-4"]),
        (["0", "007", "-0", "nan"], ["0", "007", "0-2", "nan"]),
        ([" lead", "a,b", 'a"b'], ["lead", "a-b", "a-b-2"]),
        (["über", "名詞"], ["über", "名詞"]),
    ],
)
def test_a_name_keeps_its_letters_and_differs_from_those_that_are_taken(names, expected):
    assert names_of(*names) == expected


def test_names_that_disks_do_not_tell_apart_are_numbered():
    composed = unicodedata.normalize("NFC", "é")
    decomposed = unicodedata.normalize("NFD", "é")
    assert len(set(names_of(composed, decomposed, "É"))) == 3
    first, second = names_of("STRASSE", "straße")
    assert first.casefold() != second.casefold()


@pytest.mark.parametrize("letter", ["x", "名", "\U0001d54f"])
def test_names_alike_in_their_first_letters_are_short_and_differ(letter):
    first, second = names_of(300 * letter + "1", 300 * letter + "2")
    assert first != second
    assert max(len(name.encode()) for name in (first, second)) <= 110
