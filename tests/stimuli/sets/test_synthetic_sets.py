import pytest
from tests.stimuli.measuring import SEEDS

import toposheet as ts
from toposheet.cortex.design import contrast_design
from toposheet.model_folders import SHIPPED
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.contrasts import Contrast
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("name", "contrast", "n"),
    [
        ("language", Contrast("sentence", "nonword"), 100),
        ("swjn", Contrast("S", "J"), 100),
        ("words", Contrast("noun", "verb"), 80),
        ("words", Contrast("noun", "verb", where=("category", "concrete")), 40),
    ],
)
def test_texts_that_are_made_together_are_pairs(made, name, contrast, n):
    stimuli = contrast.compared(made[name, 0])
    assert contrast_design(stimuli, contrast, pairs="pair").n_items == n
    for _, (first, second) in stimuli.groupby("pair")["text"]:
        if name != "words":
            assert len(first.split()) == len(second.split())


def test_texts_without_a_partner_are_no_pairs(made):
    for contrast in (Contrast("S", "N"), Contrast("S", "W")):
        with pytest.raises(ValueError, match="the column 'pair' is empty in 100 texts"):
            contrast_design(contrast.compared(made["swjn", 0]), contrast, pairs="pair")


def test_stimuli_that_are_built_or_saved_with_a_model_have_pairs(documents):
    train, held_out = documents
    built = build_stimuli(held_out, train, per_condition=20)
    for stimuli, n in ((built, 20), (ts.read_stimuli(SHIPPED / "small" / "stimuli.csv"), 100)):
        for contrast in (Contrast("sentence", "nonword"), Contrast("noun", "verb")):
            assert contrast_design(contrast.compared(stimuli), contrast, pairs="pair").n_items == n
