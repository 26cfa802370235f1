import numpy as np
import pytest
import xarray as xr
from tests.cortex.planted import PROFILE, language_comparison, localizer, network_responses

import toposheet as ts
from toposheet.cortex import consistency, criteria, cross_validated
from toposheet.cortex.profiles import profile_tests


def test_a_planted_language_network_meets_the_three_criteria(topo):
    measured = network_responses(topo, list("SWJN") * 40, PROFILE, seed=9)
    result = ts.language_network(language_comparison(localizer(topo)), measured)
    unmatched = ~result.criteria["measure"].str.contains("matched")
    assert result.criteria[unmatched]["holds"].all()
    assert result.criteria[~unmatched]["value"].isna().all()  # the number of tokens is unknown
    alike = consistency(measured, result.clusters)
    assert (alike["n_clusters"] == 2).all()
    assert (alike["value"] > 0.95).all()
    assert result.criteria["criterion"].nunique() == 3


def test_the_network_is_found_with_the_settings_and_without_confounds(topo):
    data = localizer(topo)
    level = np.random.default_rng(3).normal(size=data.sizes["stimulus"])
    data = data.copy(data=data.values + 3 * level[:, None]).assign_coords(level=("stimulus", level))
    measured = data.assign_coords(condition=("stimulus", ["S", "W", "J", "N"] * (len(level) // 4)))
    left = language_comparison(data, confounds=("level",))
    result = ts.language_network(left, measured, permutations=9, min_size=22, contiguity="rook")
    expected = ts.grow_clusters(left, min_size=22, contiguity="rook")
    np.testing.assert_array_equal(result.clusters, expected)
    with_confounds = ts.grow_clusters(language_comparison(data), min_size=22, contiguity="rook")
    assert (with_confounds.values != expected.values).any()
    assert (ts.grow_clusters(left).values != expected.values).any()


def test_where_there_is_no_network_no_criterion_holds(topo):
    measured = network_responses(topo, list("SWJN") * 40, dict.fromkeys("SWJN", 0.0), seed=9)
    result = ts.language_network(language_comparison(localizer(topo, effect=0.0)), measured)
    assert not result.criteria["holds"].any()
    assert result.profiles.empty
    assert "0 clusters" in repr(result)
    assert "significant tests of the three criteria: 0 of 16, none" in repr(result)


def test_a_network_is_what_its_parts_are(topo):
    comparison = language_comparison(localizer(topo))
    measured = network_responses(topo, list("SWJN") * 40, PROFILE, seed=9)
    measured = measured.assign_coords(n_tokens=("stimulus", np.arange(160) // 4 % 5))
    result = ts.language_network(comparison, measured, permutations=39, seed=3)
    assert result.localized.equals(cross_validated(comparison))
    assert result.profiles.equals(ts.profiles(measured, result.clusters))
    assert result.tests.equals(profile_tests(measured, result.clusters))
    ordered = ts.organisation(comparison, permutations=39, seed=3)
    similarity = consistency(measured, result.clusters, permutations=39, seed=3)
    expected = criteria(result.localized, ordered, result.tests, similarity)
    assert result.criteria.equals(expected)
    n_units = int((result.clusters > 0).sum())
    assert f"LanguageNetwork({n_units} of 288 units in 2 clusters)" in repr(result)
    selective = "sentences over non-words; spatial organisation"
    assert f"significant tests of the three criteria: 16 of 16, {selective}; " in repr(result)
    names = "S > W, S > J, W > N, J > N, S > W matched in tokens, J > N matched in tokens, similar clusters"
    assert f"; mean |response|: {names}; signed response: {names} (see .criteria)" in repr(result)


def test_a_network_at_random_places_is_not_shown_to_be_ordered(topo):
    measured = network_responses(topo, list("SWJN") * 40, PROFILE, seed=9)
    scattered, rng = localizer(topo), np.random.default_rng(2)
    for tap in ("tap0", "tap1"):
        members = np.flatnonzero(scattered["tap"].values == tap)
        scattered.values[:, members] = scattered.values[:, rng.permutation(members)]
    for responses, ordered in ((localizer(topo), True), (scattered, False)):
        network = ts.language_network(language_comparison(responses), measured, permutations=19)
        tests = network.criteria[network.criteria["criterion"] == "1 selective"].set_index("measure")
        assert tests["holds"].tolist() == [True, ordered]
        assert tests.loc["spatial organisation, mean over taps", "by_draws"]


def test_other_conditions_than_those_of_the_criteria_are_refused_by_name():
    rng = np.random.default_rng(0)
    units = {"tap": ["t"] * 64, "sheet": ["t"] * 64, "y": np.arange(64) // 8, "x": np.arange(64) % 8,
             "spacing_mm": np.ones(64)}  # fmt: skip
    coords = {name: ("unit", values) for name, values in units.items()}
    data = rng.normal(size=(40, 64))
    data[::2, :20] += 3
    responses = xr.DataArray(
        data, dims=("stimulus", "unit"), coords=coords | {"condition": ("stimulus", ["S", "N"] * 20)}
    )
    with pytest.raises(ValueError, match=r"no condition W, J; they have: N, S"):
        ts.language_network(ts.Comparison(responses, "S", "N"), responses, permutations=5)
