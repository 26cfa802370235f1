import numpy as np
import pandas as pd
import pytest
import wordfreq

from toposheet.stimuli.measures import matching, sharing_words, text_length, word_frequency
from toposheet.stimuli.table import read_stimuli


def test_frequencies_are_those_of_wordfreq_and_letters_are_counted():
    expected = (wordfreq.zipf_frequency("the", "en") + wordfreq.zipf_frequency("owl", "en")) / 2
    assert word_frequency(["the owl", "qzxv"]).tolist() == [expected, 0.0]
    assert text_length(["It's a 2nd.", ""]).tolist() == [6, 0]


def test_matching_shows_in_what_conditions_differ(tmp_path):
    rows = ["text,condition"] + [f"{'a' * (3 + i % 4)},a\n{'b' * (13 + i % 5)},b" for i in range(20)]
    (tmp_path / "s.csv").write_text("\n".join(rows))
    table = matching(read_stimuli(tmp_path / "s.csv"), count_tokens=len).set_index("measure")
    assert table.loc["letters", "a"] == "4.50 ± 1.15"
    assert table.loc["letters", "p"] < 1e-6
    assert table.loc["words", "p"] == 1.0
    assert table.loc["tokens", "p"] == pytest.approx(table.loc["letters", "p"])


def test_texts_of_other_writing_systems_are_measured_too():
    texts = ["我们喜欢音乐", "今日は世界", "مرحبا بالعالم", "Привет, мир", "🎉", ""]
    assert text_length(texts).tolist() == [6, 5, 12, 9, 0, 0]
    assert np.isfinite(word_frequency(texts)).all()
    table = matching(pd.DataFrame({"text": texts, "condition": list("aaabbb")}), count_tokens=len)
    assert table["measure"].tolist() == ["letters", "words", "Zipf frequency", "tokens"]
    assert table["p"].between(0, 1).all()


def test_texts_of_a_condition_that_share_words_directly_or_through_others_have_one_number():
    texts = ["the owl the crow", "crow wren", "wren finch", "the oak", "oak elm", "the of", "an oak", "crow elm"]
    numbers = sharing_words(texts, [*"aaaaaa", *"bb"]).tolist()
    assert len({*numbers[:3]}) == len({*numbers[3:5]}) == 1
    assert len(set(numbers)) == 5
