import re
from collections import Counter
from itertools import chain

from tests.stimuli.measuring import SEEDS

from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.sets.language import language


def tokens_of(table, count_tokens):
    return table["text"].map(count_tokens).groupby(table["condition"]).mean()


def test_sentences_of_the_language_set_are_those_of_the_stimuli_built_with_the_same_seed(made, documents):
    train, held_out = documents
    built = build_stimuli(held_out, train, per_condition=20, seed=1)
    ours = made["language", 1].query("condition == 'sentence'")["text"]
    assert built.query("condition == 'sentence'")["text"].tolist() == ours.tolist()[:20]


def test_lists_of_nonwords_have_few_more_tokens_than_sentences(made, documents, count_tokens):
    """For `small`, where the choice is not made: 11 tokens more; J, which has function words, 6 more."""
    for seed in SEEDS:
        localizer, measured = (tokens_of(made[name, seed], count_tokens) for name in ("language", "swjn"))
        assert 0 < localizer["nonword"] - localizer["sentence"] < 6
        assert 0 < measured["N"] - measured["S"] < 8  # the localizer has most of the short non-words of one token
        assert abs(measured["J"] - measured["S"]) < 3
    train, held_out = documents
    plainly = tokens_of(language(held_out, train), count_tokens)
    assert plainly["nonword"] - plainly["sentence"] > 10


def test_nonwords_are_as_varied_as_the_words_of_sentences(made, lists):
    """Though few short ones are one token: which come again more than others, as function words do."""
    table = made["language", 0]
    texts = {c: re.findall("[a-z]+", " ".join(rows["text"]).lower()) for c, rows in table.groupby("condition")}
    texts |= {condition: list(chain(*lists[condition])) for condition in ("S", "N")}
    for real, made_up, part in (("sentence", "nonword", 1 / 3), ("S", "N", 1 / 2)):
        assert len(set(texts[made_up])) / len(texts[made_up]) > len(set(texts[real])) / len(texts[real])
        (_, most), (_, most_real) = (Counter(texts[name]).most_common(1)[0] for name in (made_up, real))
        assert most < most_real * part
        longer = [word for word in texts[made_up] if len(word) > 4]
        assert len(set(longer)) > 0.99 * len(longer)
