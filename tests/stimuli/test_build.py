import re
from collections import Counter

import lemminflect
import numpy as np
import pytest
import wordfreq
from scipy import stats

from toposheet.recipes import named
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.making.matched import MATCHED_FROM_P
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.measures import matching
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents


@pytest.fixture(scope="module")
def documents():
    recipe = named("demo")
    return split_documents(builtin_documents(), recipe.bookkeeping.validation_fraction, recipe.seed)


@pytest.fixture(scope="module")
def built(documents, count_tokens):
    train, held_out = documents
    return build_stimuli(held_out, train, count_tokens=count_tokens)


def texts(built, condition):
    return built.loc[built["condition"] == condition, "text"].tolist()


def words(text):
    return re.findall(r"[A-Za-z]+", text)


def test_each_condition_has_eighty_or_more_different_texts(built):
    assert built.groupby("condition")["text"].nunique().to_dict() == dict.fromkeys(
        ["noun", "nonword", "sentence", "verb"], 100
    )


def test_sentences_were_never_trained_on(built, documents):
    train, held_out = "\n".join(documents[0]), "\n".join(documents[1])
    assert all(sentence in held_out for sentence in texts(built, "sentence"))
    assert not any(sentence in train for sentence in texts(built, "sentence"))


def test_a_nonword_list_has_the_words_lengths_case_and_punctuation_of_its_sentence(built):
    for sentence, nonwords in zip(texts(built, "sentence"), texts(built, "nonword"), strict=True):
        assert re.sub("[A-Za-z']+", "", sentence) == re.sub("[A-Za-z']+", "", nonwords)
        for word, nonword in zip(sentence.split(), nonwords.split(), strict=True):
            assert word[0].isupper() == nonword[0].isupper()
            assert len(nonword) >= len(word) or "'" in word


def test_nonwords_are_no_words_and_long_ones_are_not_used_twice(built, documents):
    made = [word.lower() for text in texts(built, "nonword") for word in words(text)]
    known = set(re.findall("[a-z]+", " ".join(documents[0]).lower()))
    assert not [word for word in made if word in known or lemminflect.getAllLemmas(word)]
    long = [word for word in made if len(word) > 5]
    assert len(set(long)) > 0.97 * len(long)


def test_nonwords_are_pronounceable(built):
    made = [word.lower() for text in texts(built, "nonword") for word in words(text)]
    assert all(re.search("[aeiouy]", word) for word in made)
    assert not [word for word in made if re.search("[^aeiouy]{6}|[aeiou]{5}", word)]


def test_nouns_are_nouns_and_verbs_are_verbs_and_each_is_used_once(built):
    for condition, part_of_speech in (("noun", "NOUN"), ("verb", "VERB")):
        used = [word for text in texts(built, condition) for word in text.split()]
        assert len(set(used)) == len(used) == 300
        assert all(set(lemminflect.getAllLemmas(word)) == {part_of_speech} for word in used)


def test_nouns_and_verbs_are_matched_in_frequency_length_and_tokens(built, documents, count_tokens):
    counts = Counter(re.findall("[a-z]+", " ".join(documents[0])))
    nouns, verbs = ([w for text in texts(built, c) for w in text.split()] for c in ("noun", "verb"))
    for measure in (lambda word: np.log(counts[word]), lambda word: wordfreq.zipf_frequency(word, "en"), len):
        test = stats.ttest_ind([measure(w) for w in nouns], [measure(w) for w in verbs], equal_var=False)
        assert np.asarray(test)[1] > 0.1
    lists = matching(built[built["condition"].isin(["noun", "verb"])], count_tokens)
    assert lists["measure"].tolist() == ["letters", "words", "Zipf frequency", "tokens"]
    assert (lists["p"] > MATCHED_FROM_P).all()


@pytest.mark.slow
def test_equal_seeds_give_equal_stimuli_and_others_do_not(built, documents, count_tokens):
    train, held_out = documents
    assert build_stimuli(held_out, train, count_tokens=count_tokens).equals(built)
    assert not build_stimuli(held_out, train, seed=1, count_tokens=count_tokens).equals(built)


def test_too_little_text_says_how_much_there_is(documents):
    with pytest.raises(ValueError, match=r"has \d+ sentences of 10 to 14 words, but 100 are needed"):
        build_stimuli(documents[1][:3], documents[0])


def test_a_nonword_maker_that_runs_dry_says_so(rng):
    maker = NonwordMaker({"banana": 1, "panama": 1})
    with pytest.raises(ValueError, match="no non-word of 9 letters"):
        maker.make(9, rng)
