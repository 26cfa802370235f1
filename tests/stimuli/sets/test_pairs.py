from collections import Counter

import lemminflect
import numpy as np
import pytest
import wordfreq
from tests.stimuli.measuring import SEEDS, norms, p_of

from toposheet.stimuli.sets.pairs import pairs

SENSES = ("Visual", "Auditory", "Haptic", "Interoceptive", "Gustatory", "Olfactory")


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_come_as_published(made, seed):
    table = made["pairs", seed]
    assert table.columns[:5].tolist() == ["run", "block", "class", "category", "pair"]
    assert table["text"].equals(table["pair"])
    assert table["condition"].equals(table["class"])
    assert table.groupby(["class", "category"]).size().tolist() == [36] * 8
    assert (table.groupby(["run", "class", "category"]).size() == 18).all()
    for _, block in table.groupby("block"):
        assert block[["run", "class", "category"]].drop_duplicates().shape[0] == 1
        assert len(block) in (3, 4)
    assert sorted(table["block"].unique()) == list(range(table["block"].nunique()))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pair_is_of_two_words_and_never_comes_again(made, seed):
    couples = made["pairs", seed]["pair"].str.split(" ").tolist()
    assert {len(set(couple)) for couple in couples} == {2}
    assert len({frozenset(couple) for couple in couples}) == len(couples)


def test_words_of_pairs_are_eighteen_a_category_used_equally_and_never_in_both_runs(made):
    for _, rows in made["pairs", 0].groupby(["class", "category"]):
        uses = {run: Counter(" ".join(half["pair"]).split()) for run, half in rows.groupby("run")}
        assert not set(uses["odd"]) & set(uses["even"])
        assert all(list(count.values()) == [4] * 9 for count in uses.values())


def test_every_second_pair_of_a_class_is_of_the_other_run(made):
    for _, rows in made["pairs", 0].groupby("class"):
        assert rows["run"].tolist() == ["even", "odd"] * 72
        assert ((rows["item"] % 2 == 1) == (rows["run"] == "odd")).all()


def test_categories_and_pairs_come_in_no_fixed_order(made):
    orders = set()
    for seed in SEEDS:
        table = made["pairs", seed].sort_values(["run", "block"])
        orders |= {tuple(rows["category"].drop_duplicates()) for _, rows in table.groupby(["class", "run"])}
        for _, rows in table.groupby(["class", "category", "run"]):
            assert not rows["item"].is_monotonic_increasing
    assert len(orders) > 4


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_are_of_one_sense_and_one_class(made, seed):
    senses = norms("sensorimotor_norms.csv")
    for row in made["pairs", seed].itertuples():
        for word in str(row.pair).split():
            ratings = [float(senses[word][sense]) for sense in SENSES]
            assert senses[word]["Dominant"] == row.category
            assert max(ratings) >= 2
            assert max(ratings) - sorted(ratings)[-2] >= 0.25 - 1e-9
            assert set(lemminflect.getAllLemmas(word)) == {str(row.condition).upper()}


@pytest.mark.parametrize("seed", SEEDS)
def test_noun_and_verb_pairs_differ_in_neither_frequency_nor_length_nor_tokens(made, count_tokens, seed):
    def frequency(pair):
        return np.mean([wordfreq.zipf_frequency(word, "en") for word in pair.split()])

    classes = [rows["pair"] for _, rows in made["pairs", seed].groupby("class")]
    for measure in (frequency, len, count_tokens):
        assert p_of([pairs.map(measure) for pairs in classes]) > 0.1


def test_seventy_two_pairs_are_all_pairs_of_a_category():
    table = pairs(seed=5, per_category=72)
    assert len(table) == 576
    assert len({frozenset(pair.split()) for pair in table["pair"]}) == 576
    assert set(table.groupby("block").size()) == {4}
