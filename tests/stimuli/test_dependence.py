"""Undeclared dependence of texts is found, and independent texts get no note."""

import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet.cortex.design import contrast_design
from toposheet.cortex.notes import contrast_notes
from toposheet.model_folders import SHIPPED
from toposheet.stimuli.dependence import dependence_notes, few_items_note
from toposheet.stimuli.measures import SHARED_WORDS, with_groups
from toposheet.stimuli.naming import name_made
from toposheet.stimuli.stimulus_set import SETS


def table(a, b, **columns):
    return pd.DataFrame({"text": [*a, *b], "condition": ["a"] * len(a) + ["b"] * len(b), **columns})


def lists(n, length, vocabulary, seed, letter="w"):
    rng = np.random.default_rng(seed)
    return [" ".join(f"{letter}{i}" for i in rng.choice(vocabulary, length, replace=False)) for _ in range(n)]


def stories(n, length, seed):
    """Sentences in order: each of a story has a word of the story, and 7 words that no other sentence has."""
    rng = np.random.default_rng(seed)
    return [
        f"hero{seed}-{i} " + " ".join(f"x{k}" for k in rng.integers(10**9, size=7))
        for i in range(n)
        for _ in range(length)
    ]


INDEPENDENT = [" ".join(f"own{i}-{k}" for k in range(6)) for i in range(40)]


@pytest.mark.parametrize("name", ["language", "swjn", "words", "pairs"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_sets_of_the_box_get_no_note(made, name, seed):
    for contrast in SETS[name].contrasts:
        assert dependence_notes(contrast.compared(made[name, seed])) == []


def test_stimuli_that_are_saved_with_a_model_get_no_note():
    stimuli = ts.read_stimuli(SHIPPED / "small" / "stimuli.csv")
    for contrast in (ts.Contrast("sentence", "nonword"), ts.Contrast("noun", "verb")):
        assert dependence_notes(contrast.compared(stimuli)) == []


def test_the_pairs_get_a_note_without_their_groups(made):
    (note,) = dependence_notes(made["pairs", 0], None)
    assert "144 of 144 texts of 'noun' and 144 of 144 texts of 'verb' share many content words with other texts" in note
    assert "Ignored, this makes p too small" in note
    assert "toposheet stimuli check FILE --out NEW.csv adds the column shared_words" in note
    assert dependence_notes(made["pairs", 0].drop(columns="shared_words")) == [note]


def test_words_that_come_again_are_found_and_the_column_helps():
    a = [f"w{i // 2} own{i}" for i in range(40)]  # 20 words, each in two texts
    stimuli = table(a, INDEPENDENT)
    (note,) = dependence_notes(stimuli)
    assert note.startswith("40 of 40 texts of 'a' share")
    assert "adds the column shared_words" in note
    assert dependence_notes(with_groups(stimuli)) == []


def test_no_groups_are_proposed_where_all_texts_are_linked():
    (note,) = dependence_notes(table(lists(100, 3, 60, 0), INDEPENDENT))
    assert "Groups do not help: chains of shared words leave 1 group in a condition. Use texts" in note


def test_a_column_that_separates_texts_that_share_words_is_named():
    stimuli = table(lists(40, 3, 30, 0), INDEPENDENT, half=np.arange(80) // 2)
    assert "although the column 'half' puts them in different groups" in dependence_notes(stimuli, "half")[0]


def test_a_word_of_all_conditions_alone_is_no_dependence():
    assert dependence_notes(table(INDEPENDENT[:20], INDEPENDENT[20:])) == []
    same = ["the dog of the house"] * 3  # conditions are not compared with each other
    assert dependence_notes(table([*same[:1], *INDEPENDENT[:19]], [*same[:1], *INDEPENDENT[20:]])) == []


def test_consecutive_sentences_are_found_and_shuffled_ones_are_not():
    a, b = stories(8, 5, 1), stories(8, 5, 2)
    (note,) = dependence_notes(table(a, b))
    assert note.startswith("the 40 texts of 'a' and the 40 texts of 'b' stand in an order with a meaning")
    assert "name it with --groups (in Python: groups=)" in note
    rng = np.random.default_rng(0)
    assert dependence_notes(table(*(list(rng.permutation(texts)) for texts in (a, b)))) == []


def test_the_column_of_the_stories_is_proposed_in_any_order():
    stimuli = table(
        stories(8, 5, 1), INDEPENDENT, story=[f"s{i}" for i in np.r_[np.arange(40) // 5, 100 + np.arange(40)]]
    )
    stimuli = stimuli.sample(frac=1, random_state=1)
    (note,) = dependence_notes(stimuli)
    assert note.startswith("the 40 texts of 'a' share more words if they have the same value in the column 'story'")
    assert "Group them with --groups story (in Python: groups='story')" in note
    assert dependence_notes(stimuli, "story") == []
    crossed = table(stories(8, 5, 1), stories(8, 5, 2), story=np.tile(np.arange(40) // 5, 2))
    assert "after you gave each condition values of its own" in dependence_notes(crossed)[0]


def test_random_sentences_rarely_get_a_note():
    noted = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frequency = 1 / np.arange(100, 20_100)  # Zipf's law; the 100 most frequent words are function words
        texts = [" ".join(f"w{i}" for i in rng.choice(20_000, 6, p=frequency / frequency.sum())) for _ in range(60)]
        noted += bool(dependence_notes(table(texts[:30], texts[30:])))
    assert noted <= 1


def test_few_items_are_named_for_each_condition():
    assert few_items_note({"a": 10, "b": 12}, "texts") == ""
    assert few_items_note({"a": 9, "b": 12}, "groups").startswith("'a' has 9 independent groups, fewer than 10")
    assert few_items_note({"a": 9, "b": 4}, "pairs").startswith(
        "'a' has 9 independent pairs and 'b' has 4 independent pairs"
    )


def test_repeated_texts_are_counted_and_get_no_advice_on_shared_words():
    stimuli = table(INDEPENDENT[:20] * 2, [*INDEPENDENT[20:], INDEPENDENT[39].replace(" ", "  ")])
    (note,) = dependence_notes(stimuli)
    assert note.startswith(
        "20 texts of 'a' and 1 text of 'b' repeat earlier texts of their condition (the first is 'own0-0 own0-1"
    )
    assert "Ignored, this makes p too small: dependent texts count as independent ones. Remove the repeats, or" in note
    assert dependence_notes(stimuli.assign(same=[*range(20)] * 2 + [*range(20, 40), 39]), "same") == []
    (note,) = dependence_notes(stimuli.assign(same=[*range(20), 90, *range(1, 20), *range(20, 40), 39]), "same")
    assert note.startswith("1 text of 'a' repeats an earlier text of its condition")


def test_the_number_of_few_items_agrees_with_its_noun():
    assert few_items_note({"a": 1, "b": 4}, "groups").startswith(
        "'a' has 1 independent group and 'b' has 4 independent"
    )


def test_the_few_groups_of_the_built_in_pairs_get_no_note_and_those_of_a_file_do(made):
    (contrast, *_), pairs = SETS["pairs"].contrasts, made["pairs", 0]
    for source, n in ((name_made("pairs"), 0), ("my/pairs.csv", 1)):
        stimuli = contrast.compared(pairs)
        stimuli.attrs["source"] = source
        notes = contrast_notes(stimuli, contrast, contrast_design(stimuli, contrast), SHARED_WORDS, ())
        assert sum("8 independent groups" in note for note in notes) == n
