import pytest
from tests.stimuli.measuring import SEEDS

from toposheet.stimuli.sets.language import language
from toposheet.stimuli.sets.pairs import pairs
from toposheet.stimuli.sets.swjn import swjn
from toposheet.stimuli.sets.words import words

SETS = ("language", "swjn", "words", "pairs")


@pytest.mark.parametrize("name", SETS)
def test_every_set_says_that_it_is_synthetic_and_no_text_comes_twice(made, name):
    for seed in SEEDS:
        table = made[name, seed]
        assert {"text", "condition", "item", "synthetic"} <= set(table)
        assert table["synthetic"].all()
        assert not table["text"].duplicated().any()
        assert not table.duplicated(["condition", "item", *(["category"] if name == "words" else [])]).any()


def test_equal_seeds_give_equal_sets_and_others_do_not(made, documents, count_tokens):
    train, held_out = documents
    assert language(held_out, train, count_tokens=count_tokens).equals(made["language", 0])
    assert swjn(held_out, train, count_tokens=count_tokens).equals(made["swjn", 0])
    assert words(count_tokens=count_tokens).equals(made["words", 0])
    assert pairs(count_tokens=count_tokens).equals(made["pairs", 0])
    for name in SETS:
        assert not made[name, 1]["text"].equals(made[name, 0]["text"])


def test_half_of_the_single_words_and_nearly_all_pairs_change_with_the_seed(made):
    for name, share in (("words", 0.5), ("pairs", 0.1)):
        first, second = (set(made[name, seed]["text"]) for seed in SEEDS)
        assert len(first & second) < share * len(first)
