from collections import Counter

import numpy as np
import pytest

from toposheet.stimuli.lexicon import is_word
from toposheet.stimuli.making.nonwords import NonwordMaker
from toposheet.stimuli.making.sentences import as_nonwords


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


def test_tokens_are_counted_in_the_place_of_a_word(rng):
    seen = set()

    def count_tokens(text: str) -> int:
        seen.add(text)
        return len(text)

    class Scripted(NonwordMaker):
        def make(self, length, rng, misfit=lambda nonword: 0.0, fits=lambda nonword: True) -> str:
            return min(["glasp"], key=misfit)

    assert as_nonwords("Mouse, mouse half-mouse.", Scripted({}), rng, count_tokens) == "Glasp, glasp glasp-glasp."
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
