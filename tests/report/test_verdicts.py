"""The verdicts of a report: p of a map alone, and p corrected for the number of contrasts."""

import re

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, SECTION, STATISTICS_OF_MODELS
from toposheet.report.verdicts import verdict_lines
from toposheet.results import Results, rows_with

P = {"x": [0.01, 0.02, 0.04], "y": [0.01, 0.6, np.nan]}  # of three contrasts, in two models
CONTRASTS = ["a:b", "c:d", "e:f"]


def results(draws=999):
    """The results of two models, whose raw maps have p as in P. All other p are 0.001."""
    maps = [
        {"model": model, "stimuli": "s", "contrast": contrast, "negative_control": control, "sheet": tap, "tap": tap,
         "fwhm_mm": fwhm, "value": 0.5, "p": p if (tap, control, fwhm) == ("*", "", 0.0) else 0.001}
        for number, contrast in enumerate(CONTRASTS)
        for model in P
        for p in [P[model][number]]
        for control in ("", "random-labels")
        for tap in ("tap", "*")
        for fwhm in (0.0, 2.0)
    ]  # fmt: skip
    ordered = SECTION.completed_tables({ORGANISATION_OF_MODELS: ORGANISATION_OF_MODELS.frame(maps)})
    statistics = [
        {**one, "statistic": "significant_fraction", "value": 0.1, "n_units": 20} for one in maps if one["tap"] == "tap"
    ]
    for row in statistics:
        del row["p"]
    tables = {STATISTICS_OF_MODELS: STATISTICS_OF_MODELS.frame(statistics)} | dict(ordered)
    return Results(tables, None, {"permutations": draws, "fewer_draws": {}})


def test_p_of_the_raw_maps_is_corrected_for_the_contrasts_of_each_model_and_no_other_p_is():
    ordered = results()[ORGANISATION_OF_MODELS]
    family = {"tap": "*", "negative_control": "", "fwhm_mm": 0.0}
    x = rows_with(ordered, model="x", **family)
    np.testing.assert_allclose(x["p_holm"], multipletests(P["x"], method="holm")[1])
    assert x["contrast"].tolist() == CONTRASTS
    np.testing.assert_allclose(rows_with(ordered, model="y", **family)["p_holm"], [0.03, 1.0, np.nan])
    assert ordered["p_holm"].notna().sum() == 5


def text(of, groups):
    """The verdicts in one line. A terminal may break a line within the name of a contrast."""
    return re.sub(r"\b([a-f]:) ([a-f])\b", r"\1\2", " ".join(" ".join(verdict_lines(of, groups)).split()))


def test_the_last_verdict_names_the_effects_that_are_ordered_after_correction():
    corrected = "p corrected for the 3 contrasts of each model (Holm): the effect is spatially ordered in"
    words = text(results(), {"x": ["x"], "y": ["y"]})
    assert words.endswith(f"{corrected} a:b (x), a:b (y), c:d (x), e:f (x)")
    assert text(results(), {"both": ["x", "y"]}).endswith(
        f"{corrected} a:b (2 of 2 models of both), c:d (1 of 2 models of both), e:f (1 of 2 models of both)"
    )


@pytest.mark.parametrize(("draws", "tested"), [(19, False), (58, False), (59, True)])
def test_a_correction_that_these_draws_cannot_pass_is_not_tested(draws, tested):
    words = text(results(draws), {"x": ["x"]})
    few = f"not tested, because with 3 contrasts and {draws} draws no corrected p can be below {3 / (1 + draws):.2g}: "
    assert (f"{few}59 draws are needed for 0.05" in words) != tested


def test_one_contrast_needs_no_correction():
    one = results()
    tables = {table: pd.DataFrame(rows_with(frame, contrast="a:b")) for table, frame in one.tables.items()}
    assert "corrected for" not in text(Results(tables, None, one.facts), {"x": ["x"]}).split("contrasts):")[1]
