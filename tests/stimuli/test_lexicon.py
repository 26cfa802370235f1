import sys

import pytest

from toposheet.stimuli.lexicon import base_and_ending, is_word, with_ending


@pytest.mark.parametrize(
    ("word", "base", "ending"),
    [
        ("cities", "city", "s"),
        ("boxes", "box", "s"),
        ("stopped", "stop", "ed"),
        ("tried", "try", "ed"),
        ("making", "make", "ing"),
        ("dying", "die", "ing"),
        ("happier", "happy", "er"),
        ("largest", "large", "est"),
        ("happily", "happy", "ly"),
        ("basically", "basic", "ly"),
        ("possibly", "possible", "ly"),
        ("men", "men", ""),
        ("wrote", "wrote", ""),
        ("fed", "fed", ""),
        ("early", "early", ""),
        ("family", "family", ""),
        ("species", "species", ""),
    ],
)
def test_a_word_is_taken_apart_and_put_together_again(word, base, ending):
    assert base_and_ending(word) == (base, ending)
    assert with_ending(base, ending) == word


@pytest.mark.parametrize("package", ["lemminflect", "wordfreq"])
def test_a_missing_lexicon_says_how_to_install_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FileNotFoundError, match=rf"needs the package {package}: pip install 'toposheet\[stimuli\]'"):
        is_word("blorp")
