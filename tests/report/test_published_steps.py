import pytest
from tests.report.conftest import SETTINGS

from toposheet import Comparison, respond
from toposheet.cortex.layout import ALL_TAPS
from toposheet.cortex.statistics import mean_morans_i
from toposheet.report import StudiedModel, compute
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.report.sections.published_steps import STEPS_OF_MODELS, worth_of_steps
from toposheet.settings import PADDING, PUBLISHED_STEPS, Reading, Settings


def step_values(results):
    """The values of one model by readout, statistic and step."""
    table = results[STEPS_OF_MODELS]
    table = table[(table["model"] == "007") & (table["contrast"] == "S:N")]
    return table.set_index(["statistic", "fwhm_mm", "step"])["value"].sort_index()


def morans_i(results, fwhm):
    """Moran's I of the same model in the table of statistics, mean over taps."""
    table = results[STATISTICS_OF_MODELS].query("model == '007' and statistic == 'morans_i' and negative_control == ''")
    (value,) = table[(table["fwhm_mm"] == fwhm) & (table["tap"] == ALL_TAPS)]["value"]
    return value


def test_each_step_alone_and_all_of_them_stand_beside_the_value_as_it_should_be(results, subjects, battery):
    values = step_values(results)
    # Another reading of the texts is a step only of a run as published.
    steps = [step for step in PUBLISHED_STEPS if step != PADDING]
    assert set(values.index.get_level_values("step")) == {"as it should be", *steps, "as published"}
    maps = values["morans_i"]
    for fwhm in (0.0, 2.0):
        assert maps[fwhm, "as it should be"] == pytest.approx(morans_i(results, fwhm), abs=1e-12)
    study = battery.studies[0]
    comparison = Comparison(respond(subjects["007"], study.stimuli), study.contrasts[0], groups="shared_words")
    for step, fwhm, weights in (
        ("row-standardised weights", 0.0, "row"),
        ("a readout of 1 mm as raw", 1.0, "binary"),
        ("rook neighbours in clusters", 0.0, "binary"),
        ("as published", 1.0, "row"),
    ):
        expected = mean_morans_i(comparison.readout(fwhm), weights=weights)
        assert maps[0.0, step] == pytest.approx(expected, abs=1e-12), step
    network = values["network_size", 0.0]
    assert network["as published"] == network["rook neighbours in clusters"] <= network["as it should be"]


@pytest.fixture(scope="module")
def as_published(subjects, battery):
    """The results of one model as published."""
    return compute([StudiedModel("007", subjects["007"])], battery, settings=SETTINGS.as_published()).results


def test_a_run_as_published_reads_with_padding_and_measures_with_all_steps(results, as_published):
    unread, values = (step_values(table)["morans_i"] for table in (results, as_published))
    assert as_published.facts["weights"] == "row"
    assert as_published.facts["models"]["007"]["reading"]["pooling"] == "padded-mean"
    assert values[0.0, "as published"] == pytest.approx(morans_i(as_published, 1.0), abs=1e-12)
    assert values[2.0, "as published"] == pytest.approx(morans_i(as_published, 2.0), abs=1e-12)
    assert values[0.0, "as it should be"] == pytest.approx(unread[0.0, "as it should be"], abs=1e-12)
    assert values[0.0, PADDING] != values[0.0, "as it should be"]
    assert values[0.0, "as published"] != unread[0.0, "as published"]


def test_a_step_of_the_reading_keeps_the_token_before_texts():
    settings = Settings(reading=Reading(bos="<s>"))
    assert settings.as_published().reading == Reading("padded-mean", bos="<s>")
    assert settings.as_published().as_it_should_be() == settings


def test_the_worth_of_a_step_is_its_change_of_the_value():
    steps = STEPS_OF_MODELS.frame(
        [
            {"model": "m", "contrast": "c", "fwhm_mm": 0.0, "statistic": statistic, "step": step, "value": value}
            for statistic, values in (("morans_i", (0.5, 0.48, 0.5, 0.56)), ("network_size", (90, 90, 70, 70)))
            for step, value in zip(("as it should be", "weights", "rook", "as published"), values, strict=True)
        ]
    )
    assert worth_of_steps(steps).values.tolist() == [
        ["m", "c", "Moran's I, raw", "0.500", "-0.020", "0", "0.560"],
        ["m", "c", "units of the network", "90", "0", "-20", "70"],
    ]
