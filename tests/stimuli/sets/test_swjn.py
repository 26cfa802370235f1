import re
from bisect import bisect_left
from collections import Counter
from itertools import chain, pairwise

import lemminflect
import pytest
import wordfreq
from tests.stimuli.measuring import SEEDS, p_of, plain

import toposheet as ts
from toposheet.stimuli.lexicon import FUNCTION_WORDS, is_word
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.sentences import as_nonwords
from toposheet.stimuli.sets.language import language
from toposheet.stimuli.sets.swjn import jabberwocky, scrambled, swjn
from toposheet.stimuli.studies import synthetic_battery


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_no_sentence_of_swjn_is_in_the_language_set_of_the_same_seed(made, seed):
    localizer = {plain(text) for text in made["language", seed].query("condition == 'sentence'")["text"]}
    assert not localizer & set(made["swjn", seed].query("condition == 'S'")["text"])


@pytest.mark.slow
def test_the_two_sets_share_no_sentence_in_other_sizes_either(made, documents):
    train, held_out = documents
    localizer = {plain(text) for text in made["language", 0]["text"]}
    assert not localizer & set(swjn(held_out, train, per_condition=20)["text"])
    larger = {plain(text) for text in language(held_out, train, per_condition=110)["text"]}
    assert not larger & set(swjn(held_out, train, per_condition=110)["text"])


def nonwords_of(table, *conditions):
    texts = " ".join(table.loc[table["condition"].isin(conditions), "text"])
    return set(re.findall("[a-z]+", texts.lower())) - FUNCTION_WORDS


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_no_nonword_of_the_localizer_comes_again(made, seed):
    localizer = nonwords_of(made["language", seed], "nonword")
    assert len(localizer) > 500
    assert not localizer & nonwords_of(made["swjn", seed], "J", "N")


@pytest.mark.slow
def test_no_nonword_of_saved_stimuli_comes_again():
    reader = ts.load("small").reader
    saved = nonwords_of(reader.shipped, "nonword")
    assert not saved & nonwords_of(ts.stimulus_set("swjn", reader), "J", "N")
    study = next(study for study in synthetic_battery(reader).studies if study.name == "swjn")
    assert not saved & nonwords_of(study.stimuli, "J", "N")


def test_no_nonword_comes_twice_in_a_list(lists):
    assert all(len(set(words)) == len(words) for words in lists["N"])


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
    with pytest.raises(ValueError, match="words of 1 sentence cannot be shuffled"):
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
                for lemma in {lemma for result in lemminflect.getAllLemmas(word).values() for lemma in result} - {word}
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


def test_forms_of_a_word_share_the_stem_of_their_nonword(trained_words, count_tokens, rng):
    maker = NonwordMaker(dict.fromkeys(sorted(trained_words), 2), is_word)
    nonsense = jabberwocky(["he", "wandered", "while", "she", "wanders", "a", "dog"], maker, is_word, rng, count_tokens)
    assert [nonsense[0], *nonsense[2:4]] == ["he", "while", "she"]
    assert nonsense[1].removesuffix("ed")[:5] == nonsense[4][:5]


def test_two_words_of_a_text_never_have_the_same_nonword(count_tokens, rng):
    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return next(filter(fits, ("blorp", "glasp")))

    assert jabberwocky(["cat", "mouse"], Scripted({}), lambda word: False, rng, count_tokens) == ["blorp", "glasp"]


def test_long_words_make_up_for_the_tokens_that_short_ones_before_them_have_too_many(rng):
    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return min({3: ["xyp"], 6: ["troopa", "xroopa", "xxoopa"]}[length], key=misfit)

    def count_tokens(text: str) -> int:
        return 5 + 2 * text.count("x")

    assert as_nonwords("cat xxtree", Scripted({}), rng, count_tokens) == "xyp xroopa"
    nonsense = jabberwocky(["the", "cat", "of", "xxtree"], Scripted({}), lambda word: False, rng, count_tokens)
    assert nonsense == ["the", "xyp", "of", "xroopa"]


def test_nonwords_look_and_sound_like_english(lists, trained_words):
    english = {word for word in trained_words if lemminflect.getAllLemmas(word)}
    clusters = {cluster for word in english for cluster in re.findall("[aeiouy]+|[^aeiouy]+", word)}
    for nonword in set(chain(*lists["N"])):
        assert re.search("[aeiouy]", nonword)
        assert not re.search(r"(.)\1\1", nonword)
        assert set(re.findall("[aeiouy]+|[^aeiouy]+", nonword)) <= clusters


def test_short_nonwords_come_evenly_where_tokens_do_not_count(documents):
    train, held_out = documents
    nonword_lists = swjn(held_out, train).query("condition == 'N'")["text"]
    short = Counter(nonword for nonword in " ".join(nonword_lists).split() if len(nonword) == 3)
    assert len(short) > 30  # the localizer has the 100 most likely ones
    assert max(short.values()) - min(short.values()) <= 1


def test_the_four_conditions_are_equally_long(lists):
    for count in (len, lambda words: len("".join(words))):
        assert p_of([[count(words) for words in lists[condition]] for condition in "SWJN"]) > 0.1


def test_too_little_text_says_how_much_there_is(documents):
    train, held_out = documents
    with pytest.raises(ValueError, match=r"has \d+ sentences of 10 to 14 words, but 20 are needed"):
        swjn(held_out[:3], train[:50], per_condition=10)
    with pytest.raises(ValueError, match=r"\d+ of them are not in other sets \(needed: 300\), .*\(needed: 150\)"):
        swjn(held_out, train, per_condition=150, skip=language(held_out, train)["text"].tolist())


def test_a_nonword_that_fits_nowhere_is_no_endless_search(count_tokens, rng):
    maker = NonwordMaker({"banana": 2, "panama": 2, "canada": 2, "panada": 2})
    with pytest.raises(ValueError, match="no non-word"):
        jabberwocky(["bananas"], maker, lambda word: True, rng, count_tokens)
