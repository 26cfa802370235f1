import pytest

from toposheet.text.split import LONGEST, is_held_out, split_documents

DOCUMENTS = [f"document {i}" for i in range(2000)]


def test_the_split_is_by_document_reproducible_and_complete():
    train, held_out = split_documents(DOCUMENTS, 0.05, seed=1)
    assert len(held_out) == pytest.approx(100, abs=30)
    assert sorted(train + held_out) == sorted(DOCUMENTS)
    assert split_documents(DOCUMENTS, 0.05, seed=1) == (train, held_out)
    assert split_documents(DOCUMENTS, 0.05, seed=2)[1] != held_out


def test_the_side_depends_on_the_text_alone():
    _, held_out = split_documents(DOCUMENTS, 0.05, seed=1)
    assert split_documents(DOCUMENTS[::-1] * 2, 0.05, seed=1)[1] == (held_out * 2)[::-1]


def test_a_larger_fraction_holds_out_the_same_and_more():
    smaller, larger = (set(split_documents(DOCUMENTS, fraction, seed=0)[1]) for fraction in (0.02, 0.2))
    assert smaller < larger


def test_the_first_characters_of_a_long_document_decide():
    text = "long " * (LONGEST // 5 + 1)
    sides = {is_held_out(text + ending, 0.5, seed=0) for ending in map(str, range(20))}
    assert len(sides) == 1
