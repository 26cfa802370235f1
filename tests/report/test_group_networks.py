import numpy as np
import pandas as pd
import pytest
from scipy import stats

from toposheet.figures.groups import group_profiles
from toposheet.report.group_networks import GROUP_CRITERIA, GROUP_PROFILES, network_lines, network_tables
from toposheet.report.sections.network import CRITERIA_OF_MODELS, PROFILES_OF_MODELS
from toposheet.results import Results

GROUPS = {"x": ["x/0", "x/1", "x/2"], "y": ["y"]}
D = {"x/0": 0.5, "x/1": 0.7, "x/2": np.nan, "y": -0.2}  # x/2 has no network
MEASURES = {"absolute": "mean |response|", "signed": "signed response"}


@pytest.fixture
def results():
    criteria = [
        {
            "model": model,
            "criterion": criterion,
            "measure": test,
            "value": d,
            "p": 0.01,
            "by_draws": draws,
            "holds": d > 0,
        }
        for model, d in D.items()
        for criterion, test, draws in (("2 profile", "signed response: S > W", False), ("3 consistent", "alike", True))
    ]
    profiles = [
        {"model": model, "measure": measure, "cluster": cluster, "condition": condition, "response": d + n + other}
        for model, d in D.items()
        for measure in MEASURES
        for cluster, other in (("1", 9.0), ("network", 0.0))
        for n, condition in enumerate("SWJN")
        if not np.isnan(d)
    ]
    tables = {CRITERIA_OF_MODELS: criteria, PROFILES_OF_MODELS: profiles}
    return Results({table: table.frame(pd.DataFrame(rows)) for table, rows in tables.items()})


def test_criteria_of_a_group_count_the_models_in_which_a_test_holds_and_have_an_interval_over_models(results):
    table = network_tables(results, GROUPS)[GROUP_CRITERIA].set_index(["criterion", "group"])
    interval = stats.ttest_1samp([0.5, 0.7], 0).confidence_interval(0.95)
    for criterion in ("2 profile", "3 consistent"):
        row = table.loc[(criterion, "x")]
        assert row[["n_models", "n_shown"]].tolist() == [2, 2]
        assert row[["value", "low", "high"]].tolist() == pytest.approx([0.6, interval.low, interval.high])
        row = table.loc[(criterion, "y")]
        assert row[["n_models", "n_shown", "value"]].tolist() == [1, 0, -0.2]
        assert np.isnan(row["low"])


def test_the_profile_of_a_group_is_the_mean_over_the_networks_of_its_models(results):
    table = network_tables(results, GROUPS)[GROUP_PROFILES].set_index(["measure", "condition", "group"])
    assert len(table) == 2 * 4 * 2
    interval = stats.ttest_1samp([2.5, 2.7], 0).confidence_interval(0.95)
    row = table.loc[("signed", "J", "x")]
    assert row.tolist() == pytest.approx([2, 2.6, interval.low, interval.high])
    figure = group_profiles(table.reset_index(), MEASURES)
    assert [axes.get_title() for axes in figure.axes] == [*MEASURES.values()]
    drawn = [line.get_ydata().tolist() for line in figure.axes[1].lines if len(line.get_ydata()) == 4]
    assert drawn == [pytest.approx([0.6, 1.6, 2.6, 3.6]), pytest.approx([-0.2, 0.8, 1.8, 2.8])]


def test_the_terminal_says_in_how_many_models_a_test_is_shown_and_what_is_not_tested(results):
    tables = network_tables(results, GROUPS)
    lines = "\n".join(network_lines(tables, 19)).splitlines()
    assert [line.split()[0] for line in lines if "2 of 2   0.60" in line] == ["2", "3"]
    assert [line.split()[0] for line in lines if "0 of 1  -0.20" in line] == ["2", "3"]
    assert not any("not tested" in line for line in lines)
    few = "\n".join(network_lines(tables, 9)).splitlines()
    assert [line.split()[0] for line in few if "not tested" in line] == ["3", "3"]
    assert any(line.split() == ["signed", "response", "N", "y", "1", "2.80", "–"] for line in lines)


def test_without_clusters_there_is_no_profile_and_without_a_localizer_there_is_no_table(results):
    criteria = results[CRITERIA_OF_MODELS]
    none = Results({CRITERIA_OF_MODELS: criteria, PROFILES_OF_MODELS: PROFILES_OF_MODELS.frame([])})
    tables = network_tables(none, GROUPS)
    assert tables[GROUP_PROFILES].empty
    assert "no model has a cluster" in "\n".join(network_lines(tables, 19))
    assert network_tables(Results({}), GROUPS) == {}
