import re

import lemminflect
import pytest
import wordfreq
from tests.stimuli.measuring import SEEDS, norms, p_of


@pytest.mark.parametrize("seed", SEEDS)
def test_nouns_and_verbs_are_base_forms_that_are_nothing_else_and_each_is_used_once(made, seed):
    table = made["words", seed]
    assert table.groupby(["condition", "category"]).size().tolist() == [40] * 4
    assert not table["text"].duplicated().any()
    for text, condition in zip(table["text"], table["condition"], strict=True):
        assert lemminflect.getAllLemmas(text) == {condition.upper(): (text,)}
        assert re.fullmatch("[a-z]{3,10}", text)
        assert wordfreq.zipf_frequency(text, "en") >= 2.5


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_of_words_differ_in_neither_frequency_nor_length_nor_tokens(made, count_tokens, seed):
    cells = [cell["text"] for _, cell in made["words", seed].groupby(["condition", "category"])]
    for measure in (lambda word: wordfreq.zipf_frequency(word, "en"), len, count_tokens):
        assert p_of([cell.map(measure) for cell in cells]) > 0.1


def test_the_four_words_of_an_item_are_alike(made):
    frequency = made["words", 0]["text"].map(lambda word: wordfreq.zipf_frequency(word, "en"))
    assert frequency.groupby(made["words", 0]["item"]).std().mean() < 0.5 * frequency.std()


@pytest.mark.parametrize("seed", SEEDS)
def test_concrete_words_are_more_concrete_and_nouns_no_more_than_verbs(made, seed):
    ratings = norms("concreteness_ratings.csv")
    table = made["words", seed]
    table = table.assign(rating=table["text"].map(lambda word: float(ratings[word]["Brysbaert"])))
    for condition in ("noun", "verb"):
        ours = table[table["condition"] == condition].groupby("category")["rating"]
        assert ours.min()["concrete"] - ours.max()["abstract"] >= 1.25
    for category in ("concrete", "abstract"):
        ours = table[table["category"] == category].groupby("condition")["rating"]
        assert p_of([rows for _, rows in ours]) > 0.1
