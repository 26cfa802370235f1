from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind
from tests.report.conftest import SETTINGS as FAST
from tests.report.conftest import WORDS
from tests.report.published_code import PublishedCode, published_profile

from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.published import AS_IT_SHOULD_BE, AS_PUBLISHED, MAP_I, NETWORK_SIZE, SIGNIFICANT_UNITS
from toposheet.errors import UserError
from toposheet.report import StudiedModel, compute
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.report.sections.network import PROFILES_OF_MODELS
from toposheet.report.sections.published_steps import PUBLISHED_PROFILES_OF_MODELS, STEPS_OF_MODELS
from toposheet.settings import PUBLISHED_STEPS
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study, battery_of_table

SETTINGS = replace(FAST, negative_controls=False)
CODE = {"weights": "binary", "raw_fwhm": 0.0, "contiguity": "queen", "padded": False, "groups": True}
STEPS = {
    "row-standardised weights": {"weights": "row"},
    "a readout of 1 mm as raw": {"raw_fwhm": 1.0},
    "rook neighbours in clusters": {"contiguity": "rook"},
    "padding averaged in": {"padded": True},
    "texts count singly": {"groups": False},
}
ALL_STEPS = {name: value for step in STEPS.values() for name, value in step.items()}


def texts(conditions, ending):
    """Texts of very different length, two of which share their words, so that padding and groups make a difference."""
    rows = [
        (
            " ".join([WORDS[i % 10], "the" if c in "SW" else "zog", *WORDS[: i // 4]]) + ending + "s" * (c in "SJ"),
            c,
            f"{c}{i // 2}",
        )
        for i in range(20)
        for c in conditions
    ]
    return pd.DataFrame(rows, columns=["text", "condition", "shared_words"])


@pytest.fixture(scope="module")
def texts_battery():
    studies = (Study("localizer", texts("SN", ""), (Contrast("S", "N"),)), Study("profile", texts("SWJN", " snow"), ()))
    return Battery("texts", studies, "localizer", "profile")


@pytest.fixture(scope="module")
def models(subjects):
    return [StudiedModel("007", subjects["007"])]


@pytest.fixture(scope="module")
def as_usual(models, texts_battery):
    return compute(models, texts_battery, settings=SETTINGS).results


@pytest.fixture(scope="module")
def as_published(models, texts_battery):
    """The results of a run as published."""
    return compute(models, texts_battery, settings=SETTINGS.as_published()).results


def step_values(results):
    """The values by statistic, readout and step."""
    return results[STEPS_OF_MODELS].set_index(["statistic", "fwhm_mm", "step"])["value"].sort_index()


def statistic(results, name, fwhm):
    """A value of the table of statistics, mean over taps."""
    table = results[STATISTICS_OF_MODELS].query("statistic == @name and negative_control == ''")
    (value,) = table[(table["fwhm_mm"] == fwhm) & (table["tap"] == ALL_TAPS)]["value"]
    return value


@pytest.mark.parametrize("step", [AS_IT_SHOULD_BE, *STEPS, AS_PUBLISHED])
def test_each_step_alone_and_all_of_them_together_give_what_the_published_code_gives(
    step, as_usual, subjects, texts_battery
):
    changed = ALL_STEPS if step == AS_PUBLISHED else STEPS.get(step, {})
    code = PublishedCode(subjects["007"], texts_battery.studies[0].stimuli, **CODE | changed)
    values = step_values(as_usual)
    for fwhm in (0.0, 2.0):
        assert values[MAP_I, fwhm, step] == pytest.approx(code.morans_i(fwhm), abs=1e-6)
    assert values[SIGNIFICANT_UNITS, 0.0, step] == pytest.approx(code.significant_fraction(), abs=1e-6)
    assert values[NETWORK_SIZE, 0.0, step] == code.network(SETTINGS.min_size).sum()
    assert values[NETWORK_SIZE, 0.0, AS_PUBLISHED] > 0


def test_every_step_changes_a_number_of_these_texts(as_usual):
    values = step_values(as_usual).unstack("step")
    assert list(STEPS) == [step.name for step in PUBLISHED_STEPS]
    for step in STEPS:
        assert (values[step] != values[AS_IT_SHOULD_BE]).any(), step


def test_a_run_as_published_gives_what_the_published_code_gives(as_published, as_usual, subjects, texts_battery):
    code = PublishedCode(subjects["007"], texts_battery.studies[0].stimuli, **ALL_STEPS)
    for name, fwhm, expected in (
        (MAP_I, 1.0, code.morans_i(0.0)),
        (MAP_I, 2.0, code.morans_i(2.0)),
        (SIGNIFICANT_UNITS, 1.0, code.significant_fraction()),
    ):
        assert statistic(as_published, name, fwhm) == pytest.approx(expected, abs=1e-6)
    pd.testing.assert_series_equal(step_values(as_published), step_values(as_usual))
    profile = published_profile(code, subjects["007"], texts_battery.studies[1].stimuli, SETTINGS.min_size)
    table = as_published[PROFILES_OF_MODELS].query("measure == 'absolute' and cluster == 'network'")
    for condition, response in zip(table["condition"], table["response"], strict=True):
        assert response == pytest.approx(profile[condition].mean(), abs=1e-6)


def test_the_profile_as_published_is_that_of_the_published_code_with_the_interval_of_each_difference(
    as_usual, subjects, texts_battery
):
    code = PublishedCode(subjects["007"], texts_battery.studies[0].stimuli, **ALL_STEPS)
    profile = published_profile(code, subjects["007"], texts_battery.studies[1].stimuli, SETTINGS.min_size)
    rows = as_usual[PUBLISHED_PROFILES_OF_MODELS].query("measure == 'absolute'")
    assert len(rows) == 12
    for row in rows.to_dict("records"):
        a, b = profile[row["larger"]], profile[row["smaller"]]
        test = ttest_ind(a, b, equal_var=False, alternative="greater")
        interval = ttest_ind(a, b, equal_var=False).confidence_interval()
        expected = [a.mean(), b.mean(), a.mean() - b.mean(), *interval, test.pvalue]
        columns = ("larger_response", "smaller_response", "difference", "low", "high", "p")
        np.testing.assert_allclose([row[column] for column in columns], expected, atol=1e-6)


def test_as_it_should_be_is_what_a_run_with_the_usual_settings_measures(as_usual):
    values = step_values(as_usual)
    for fwhm in (0.0, 2.0):
        assert values[MAP_I, fwhm, AS_IT_SHOULD_BE] == pytest.approx(statistic(as_usual, MAP_I, fwhm), abs=1e-12)


@pytest.mark.slow
def test_responses_with_padding_are_cached_and_their_reading_is_told(models, texts_battery, tmp_path):
    told = []
    for _ in range(2):
        compute(models, texts_battery, settings=SETTINGS, cache=tmp_path, progress=lambda *call: told.append(call[0]))
    assert len(list(tmp_path.glob("responses-*.npy"))) == 4  # two studies, each read in two ways
    steps = [what for what in told if "published_steps" in what]
    for study, n in (("localizer", 40), ("profile", 80)):
        assert any(f"{study}, reading texts " in what and f"of {n}" in what for what in steps)


def test_texts_of_a_user_are_read_once_except_as_published(models, texts_battery):
    table = battery_of_table("mine.csv", texts("SN", ""), [Contrast("S", "N")])
    assert compute(models, table, settings=SETTINGS).results.get(STEPS_OF_MODELS) is None
    steps = compute(models, table, settings=SETTINGS.as_published()).results[STEPS_OF_MODELS]
    assert set(steps["step"]) == {AS_IT_SHOULD_BE, *STEPS, AS_PUBLISHED}


def test_a_model_without_a_token_for_padding_has_no_values_as_published(models, texts_battery, monkeypatch):
    def no_token(tokenizer, vocabulary):
        raise UserError("the tokenizer has neither a padding token nor an end-of-text token")

    monkeypatch.setattr("toposheet.report.sections.published_steps.padding_id", no_token)
    results = compute(models, texts_battery, settings=SETTINGS).results
    assert results.get(STEPS_OF_MODELS) is None
    assert results.get(PUBLISHED_PROFILES_OF_MODELS) is None
