import pandas as pd
import pytest

from toposheet.stimuli.making.matched import matched
from toposheet.stimuli.measures import p_of_difference


def test_words_that_cannot_be_matched_say_how_near_they_came(rng):
    pools = {("noun", "x"): pd.DataFrame({"zipf": [4.0, 4.1, 4.2]}), ("verb", "x"): pd.DataFrame({"zipf": [2.0, 2.1]})}

    def p_values(cells):
        return {"frequency": p_of_difference([cell["zipf"] for cell in cells.values()])}

    with pytest.raises(ValueError, match=r"gave no 2 words for each of 2 cells that are matched .* frequency p = 0\.0"):
        matched(pools, ["zipf"], 2, rng, p_values)
