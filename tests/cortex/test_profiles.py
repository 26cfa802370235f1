import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from tests.cortex.planted import PROFILE, language_comparison, localizer, network_responses, patch, to_stimuli

import toposheet as ts
from toposheet.cortex import consistency, criteria, cross_validated
from toposheet.cortex.profiles import _Items, _mean_correlations, profile_tests


def found_clusters(topo):
    return ts.grow_clusters(language_comparison(localizer(topo)))


def measured_texts(topo, conditions):
    return network_responses(topo, conditions, PROFILE, seed=9)


def rows_of(table, measure="absolute", keys=("cluster", "condition")):
    """The rows of one measure, without those of matched texts."""
    table = table[table["measure"] == measure]
    if "matched" in table:
        table = table[~table["matched"]]
    return table.set_index(list(keys))


def outcomes(table, measure="absolute"):
    return rows_of(table, measure, ("larger", "smaller"))


def slow_responses(data, units, measure):
    """The response of some units to each text, one unit after the other."""
    columns = [data.values[:, unit].astype(float) for unit in np.flatnonzero(units)]
    if measure == "absolute":
        return np.mean([np.abs(x) for x in columns], axis=0)
    return np.mean([stats.zscore(x, ddof=1) for x in columns if len(set(x.tolist())) > 1], axis=0)


def interval_to_mean(values, conditions, condition, items=None):
    """The interval of a mean over items minus the mean of all texts: a weighted sum of independent items."""
    items = np.arange(len(values)) if items is None else items
    variance, parts = 0.0, 0.0
    for name in set(conditions.tolist()):
        numbers = sorted(set(items[conditions == name].tolist()))
        means = np.array([values[(items == i) & (conditions == name)].mean() for i in numbers])
        shares = np.array([((items == i) & (conditions == name)).mean() for i in numbers])
        weights = (name == condition) / len(numbers) - shares
        part = len(numbers) / (len(numbers) - 1) * (weights**2 * (means - means.mean()) ** 2).sum()
        variance, parts = variance + part, parts + part**2 / (len(numbers) - 1)
    mine = [values[(items == i) & (conditions == condition)].mean() for i in set(items[conditions == condition])]
    return stats.t.interval(0.95, variance**2 / parts, np.mean(mine), np.sqrt(variance))


def test_the_interval_of_a_signed_response_counts_the_error_of_the_mean_of_all_texts(topo):
    # The mean of all texts varies with the other conditions, whose sd is four times as large as that of the first.
    rng, sd = np.random.default_rng(0), np.repeat([0.5, 2.0, 2.0, 2.0], [10, 12, 14, 16])
    conditions, missed = np.repeat(list("SWJN"), [10, 12, 14, 16]), []
    for _ in range(400):
        values = sd * rng.normal(size=52)
        items = _Items.of((values - values.mean())[:, None], pd.DataFrame({"condition": conditions}), None)
        low, high = items.interval("S", to_mean=True)
        missed.append(not low[0] <= 0 <= high[0])
        assert (low[0], high[0]) == pytest.approx(interval_to_mean(values - values.mean(), conditions, "S"))
    assert 0.03 <= np.mean(missed) <= 0.08
    groups = np.repeat(np.arange(26), 2)
    stimuli = pd.DataFrame({"condition": conditions, "shared_words": groups})
    low, high = _Items.of(values[:, None], stimuli, "shared_words").interval("W", to_mean=True)
    assert (low[0], high[0]) == pytest.approx(interval_to_mean(values, conditions, "W", groups))


@pytest.mark.parametrize("measure", ["absolute", "signed"])
def test_profiles_are_means_over_units_and_texts_with_students_interval(topo, measure):
    clusters, data = found_clusters(topo), measured_texts(topo, [*"SWJN" * 5, *"N" * 30])
    table = ts.profiles(data, clusters)
    assert table["measure"].unique().tolist() == ["absolute", "signed"]
    for (cluster, condition), row in rows_of(table, measure).iterrows():
        units = clusters.values == int(cluster) if cluster != "network" else clusters.values > 0
        all_texts = slow_responses(data, units, measure)
        texts = all_texts[data["condition"].values == condition]
        assert row["response"] == pytest.approx(texts.mean())
        assert row["sd"] == pytest.approx(texts.std(ddof=1))
        interval = stats.t.interval(0.95, len(texts) - 1, texts.mean(), stats.sem(texts))
        if measure == "signed":
            interval = interval_to_mean(all_texts, data["condition"].values, condition)
        assert row[["low", "high"]].tolist() == pytest.approx(list(interval))
        assert (row["n_texts"], row["n_units"]) == (len(texts), units.sum())


def test_clusters_of_more_units_than_a_block_are_what_they_are_at_once(topo, monkeypatch):
    clusters, data = found_clusters(topo), measured_texts(topo, list("SWJN") * 5)
    at_once = ts.profiles(data, clusters)
    monkeypatch.setattr("toposheet.cortex.cluster_responses._BLOCK", 7)
    pd.testing.assert_frame_equal(ts.profiles(data, clusters), at_once)


def test_silent_units_have_no_part_in_signed_responses(topo):
    clusters, data = found_clusters(topo), measured_texts(topo, list("SWJN") * 5)
    of_first, of_second = (np.flatnonzero(clusters.values == number) for number in (1, 2))
    data.values[:, of_first[:5]], data.values[:, of_second] = 3.0, 3.0
    table = ts.profiles(data, clusters)
    first = rows_of(table, "signed").loc[("1", "S")]
    assert first["n_units"] == len(of_first) - 5
    expected = slow_responses(data, clusters.values == 1, "signed")[::4].mean()
    assert first["response"] == pytest.approx(expected)
    assert np.isnan(rows_of(table, "signed").loc[("2", "S"), "response"])
    assert rows_of(table).loc[("2", "S"), "n_units"] == len(of_second)
    assert np.isfinite(outcomes(profile_tests(data, clusters), "signed")["p"]).all()
    assert consistency(data, clusters, permutations=9)["value"].isna().all()


def test_a_condition_with_one_text_has_no_interval(topo):
    table = rows_of(ts.profiles(measured_texts(topo, [*"SSWJN"]), found_clusters(topo)), keys=["condition"])
    assert table.loc["W", ["low", "high"]].isna().all(axis=None)
    assert table.loc["S", ["low", "high"]].notna().all(axis=None)


def test_tests_of_a_profile_are_those_of_scipy_over_texts(topo):
    clusters, measured = found_clusters(topo), measured_texts(topo, [*"SWJN" * 20, *"N" * 60])
    conditions = measured["condition"].values
    for measure in ("absolute", "signed"):
        table = outcomes(profile_tests(measured, clusters), measure)
        text_means = slow_responses(measured, clusters.values > 0, measure)
        assert len(table) == 12
        for larger, smaller in itertools.permutations("SWJN", 2):
            x, y = text_means[conditions == larger], text_means[conditions == smaller]
            expected = stats.ttest_ind(x, y, equal_var=False, alternative="greater")
            np.testing.assert_allclose(table.loc[(larger, smaller), ["t", "p"]], [*expected], rtol=1e-6)
            assert table.loc[(larger, smaller), ["n_larger", "n_smaller"]].tolist() == [len(x), len(y)]


def network_of(topo, seed, conditions, shared, own=0.2, **columns):
    """Texts whose two patches share the noise of the text, which is mostly that of `shared`: a number for each text."""
    rng = np.random.default_rng(seed)
    level = (
        5 + np.sqrt(1 - own) * rng.normal(size=max(shared) + 1)[shared] + np.sqrt(own) * rng.normal(size=len(shared))
    )
    data = measured_texts(topo, conditions)
    data.values[:] = level[:, None] + 0.1 * rng.normal(size=data.shape)
    return data.assign_coords({name: ("stimulus", column) for name, column in columns.items()})


def patches(topo):
    """The two planted patches as clusters."""
    clusters = found_clusters(topo)
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    return clusters.copy(data=np.where(patch(topo), np.where(first, 1, 2), 0))


def test_groups_count_as_their_means_in_profiles_and_their_tests(topo):
    clusters, groups = patches(topo), np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 6, 6, 7, 7, 7, 8])
    conditions = np.array([*"S" * 9, *"W" * 8])
    data = network_of(topo, 0, conditions, groups, shared_words=groups)
    text_means = np.abs(data.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    means = pd.Series(text_means).groupby(groups).mean().to_numpy()
    s, w = means[:4], means[4:]
    table = rows_of(ts.profiles(data, clusters)).loc["network"]
    assert table[["n_texts", "n_items"]].to_numpy().tolist() == [[9, 4], [8, 5]]
    np.testing.assert_allclose(table["response"], [s.mean(), w.mean()])
    np.testing.assert_allclose(table["sd"], [s.std(ddof=1), w.std(ddof=1)])
    interval = stats.t.interval(0.95, 3, s.mean(), stats.sem(s))
    assert table.loc["S", ["low", "high"]].tolist() == pytest.approx(list(interval))
    test = outcomes(profile_tests(data, clusters)).loc[("S", "W")]
    expected = stats.ttest_ind(s, w, equal_var=False, alternative="greater")
    assert test[["t", "p"]].tolist() == pytest.approx([*expected])
    assert not ts.profiles(data, clusters, groups=None)["n_items"].equals(ts.profiles(data, clusters)["n_items"])


def test_conditions_that_share_pairs_are_compared_within_pairs_and_other_conditions_are_not(topo):
    clusters, n = patches(topo), 8
    pair = [*range(n), *range(n), *(f"own {i}" for i in range(n))]
    data = network_of(topo, 1, np.repeat(["S", "W", "N"], n), np.tile(np.arange(n), 3), pair=pair)
    s, w, other = np.abs(data.values[:, clusters.values > 0]).mean(axis=1, dtype=float).reshape(3, n)
    tests = outcomes(profile_tests(data, clusters, pairs="pair"))
    np.testing.assert_allclose(tests.loc[("W", "S"), "p"], stats.ttest_rel(w, s, alternative="greater").pvalue)
    expected = stats.ttest_ind(s, other, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(tests.loc[("S", "N"), "p"], expected)
    expected = stats.ttest_ind(w, s, equal_var=False, alternative="greater").pvalue
    np.testing.assert_allclose(outcomes(profile_tests(data, clusters)).loc[("W", "S"), "p"], expected)
    incomplete = data.isel(stimulus=slice(1, None))
    with pytest.raises(ValueError, match="1 of 8 pairs of the column 'pair' are not complete"):
        profile_tests(incomplete, clusters, pairs="pair")


def rates(topo, sizes, datasets=80, **options):
    """How often tests of data without effect reject, and how often intervals hold the truth; texts come in groups."""
    clusters, rejected, held = patches(topo), [], []
    groups = np.concatenate(
        [np.repeat(np.arange(len(sizes[0])), sizes[0]), np.repeat(np.arange(len(sizes[1])), sizes[1]) + len(sizes[0])]
    )
    conditions = np.repeat(["S", "W"], [sum(sizes[0]), sum(sizes[1])])
    for seed in range(datasets):
        data = network_of(topo, seed, conditions, groups, shared_words=groups)
        rejected.append(outcomes(profile_tests(data, clusters, **options))["p"].min() <= 0.025)  # one-sided, both sides
        row = rows_of(ts.profiles(data, clusters, **options)).loc["network"].iloc[0]
        held.append(row["low"] <= 5 <= row["high"])
    return np.mean(rejected), np.mean(held)


@pytest.mark.slow
def test_tests_and_intervals_of_profiles_hold_their_level_where_texts_share_words(topo):
    sizes = ([1, 2, 5, 1, 3] * 4, [3] * 16)
    rejected, held = rates(topo, sizes)
    assert rejected <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 80)
    rejected, held = rates(topo, sizes, groups=None)
    assert rejected > 0.12
    assert held < 0.85


def correlated_clusters(topo, seed, sizes, conditions=("S", "W", "J")):
    """Groups of texts, without effect, of two clusters with independent noise."""
    rng = np.random.default_rng(seed)
    n = [len(of) for of in sizes]
    values = rng.normal(size=(sum(n), 2))
    groups = np.repeat(np.arange(sum(n)), np.concatenate(sizes))
    labels = np.repeat(conditions, [sum(of) for of in sizes])
    data = measured_texts(topo, list("S" * len(labels)))
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    data.values[:] = 9 + values[groups][:, np.where(first, 0, 1)] + 0.1 * rng.normal(size=data.shape)
    return data.assign_coords(condition=("stimulus", labels), shared_words=("stimulus", groups))


@pytest.mark.parametrize("sizes", [([1, 2, 5, 1, 3] * 2,) * 3, ([1, 2, 5, 1, 3] * 2, [3] * 7, [1] * 20)])
def test_consistency_holds_its_level_where_texts_share_words(topo, sizes):
    clusters = patches(topo)
    p = [
        consistency(correlated_clusters(topo, seed, sizes), clusters, permutations=39, seed=seed)["p"].to_numpy()
        <= 0.05
        for seed in range(60)
    ]
    assert (np.mean(p, axis=0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)).all()


@pytest.mark.slow
def test_consistency_holds_its_level_where_one_condition_varies_more_than_the_others(topo):
    # Shuffled conditions would give p <= 0.05 in 13 % of such data sets.
    rng, conditions, rejected = np.random.default_rng(0), np.repeat(list("SWJN"), 20), []
    sd = np.where(conditions == "N", 3.0, 1.0)[:, None]
    stimuli = pd.DataFrame({"condition": conditions})
    for seed in range(150):
        values = sd * (rng.normal(size=(80, 1)) + rng.normal(size=(80, 3)))
        items, draws = _Items.of(values, stimuli, None), np.random.default_rng(seed)
        value = _mean_correlations(items, [3])[0]
        null = [_mean_correlations(items.null(draws), [3])[0] for _ in range(59)]
        rejected.append((1 + sum(one >= value for one in null)) / 60 <= 0.05)
    assert np.mean(rejected) <= 0.09


def test_consistency_is_that_of_group_means(topo):
    clusters, sizes = patches(topo), ([1, 2, 5, 1, 3], [3, 1, 1, 2, 2], [1, 4, 1, 1, 1])
    data = correlated_clusters(topo, 0, sizes)
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    for row, measure in zip(consistency(data, clusters).to_dict("records"), ("absolute", "signed"), strict=True):
        a, b = (slow_responses(data, (clusters.values > 0) & of, measure) for of in (first, ~first))
        frame = pd.DataFrame({"group": data["shared_words"], "condition": data["condition"], "a": a, "b": b})
        means = frame.groupby("group").agg({"condition": "first", "a": "mean", "b": "mean"})
        means = means.groupby("condition").mean()
        assert row["measure"] == measure
        assert row["value"] == pytest.approx(stats.pearsonr(means["a"], means["b"]).statistic)


def test_a_silent_cluster_has_no_profile_and_does_not_count(topo):
    clusters, data = patches(topo), measured_texts(topo, list("SWJN") * 10)
    silent = data.copy(deep=True)
    third = clusters.copy(deep=True)
    free = np.flatnonzero(clusters.values == 0)[:12]
    third.values[free] = 3
    silent.values[:, free] = 0.0
    for of_two, of_three in zip(
        *(table.to_dict("records") for table in (consistency(silent, clusters), consistency(silent, third))),
        strict=True,
    ):
        assert of_three["n_clusters"] == of_two["n_clusters"] == 2
        assert of_three["value"] == of_two["value"]
        assert of_three["p"] == of_two["p"]


def test_the_null_of_consistency_gives_all_texts_of_a_pair_one_sign(topo):
    n, rng = 12, np.random.default_rng(0)
    texts = 9 + np.tile(rng.normal(size=(n, 2)), (3, 1)) + 0.1 * rng.normal(size=(3 * n, 2))
    first = topo.unit_coordinates()["tap"][1] == "tap0"
    data = measured_texts(topo, list("SWJ") * n)
    data.values[:] = texts[:, np.where(first, 0, 1)]
    data = data.assign_coords(condition=("stimulus", np.repeat(list("SWJ"), n)), pair=("stimulus", [*range(n)] * 3))
    deviations = texts.reshape(3, n, 2) - texts.reshape(3, n, 2).mean(axis=1, keepdims=True)
    signs = rng.choice([-1, 1], (4000, n))
    draws = [stats.pearsonr(*means.T).statistic for means in np.einsum("kn,cnu->kcu", signs, deviations)]
    with_pairs, without = (
        consistency(data, patches(topo), permutations=1000, pairs=one).iloc[0] for one in ("pair", None)
    )
    assert with_pairs["null_mean"] == pytest.approx(np.mean(draws), abs=0.06)
    assert with_pairs["null_sd"] == pytest.approx(np.std(draws), abs=0.04)
    assert with_pairs["value"] == without["value"]
    assert abs(without["null_mean"] - np.mean(draws)) > 0.1


def test_too_few_groups_are_refused_by_the_name_of_the_condition(topo):
    data = measured_texts(topo, list("SWJN") * 4)
    data = data.assign_coords(
        shared_words=("stimulus", [f"{c}{i % 8 // 4}" for i, c in enumerate(data["condition"].values)])
    )
    with pytest.raises(ValueError, match="condition 'S' has 2 independent groups"):
        profile_tests(data, patches(topo))
    with pytest.raises(ValueError, match="has 2 independent texts or groups"):
        consistency(data, patches(topo))


def test_d_of_a_profile_is_that_of_the_texts(topo):
    comparison = language_comparison(localizer(topo))
    clusters, ordered = ts.grow_clusters(comparison), ts.organisation(comparison, permutations=19)
    measured = measured_texts(topo, list("SWJN") * 40)
    tests, similarity = profile_tests(measured, clusters), consistency(measured, clusters, permutations=19)
    table = criteria(cross_validated(comparison), ordered, tests, similarity)
    text_means = np.abs(measured.values[:, clusters.values > 0]).mean(axis=1, dtype=float)
    s, w = text_means[0::4], text_means[1::4]
    row = table.set_index("measure").loc["mean |response|: S > W, network (d)"]
    assert row["value"] == pytest.approx((s.mean() - w.mean()) / np.sqrt((s.var(ddof=1) + w.var(ddof=1)) / 2), rel=1e-5)
    assert row["p"] == pytest.approx(stats.ttest_ind(s, w, equal_var=False, alternative="greater").pvalue, rel=1e-4)


def planted(topo, seed, effects, n=40, tokens=None, slope=0.0):
    """Texts of S, W, J and N in turn. A number for each unit is added to its noise: effects[condition](units, texts).

    Args:
        tokens: The number of tokens of each text. It adds `slope` to all responses for each token.
    """
    rng = np.random.default_rng(seed)
    conditions = np.array([*"SWJN" * n])
    values = 0.6 * rng.normal(size=(len(conditions), 2 * 144)) + 0.5 * rng.normal(size=(len(conditions), 1))
    for row, condition in enumerate(conditions):
        values[row] += effects[condition](rng)
    tokens = rng.integers(5, 9, len(conditions)) if tokens is None else tokens
    return to_stimuli(topo, values + slope * tokens[:, None], conditions, n_tokens=tokens)


def signs(seed=5):
    """A mean activation of each unit, with a random sign; larger than all effects."""
    return np.random.default_rng(seed).choice([-3.0, 3.0], 2 * 144)


def verdicts(data, clusters, measure):
    p = outcomes(profile_tests(data, clusters), measure)["p"]
    return {f"{a}{b}" for a, b in p.index if p[a, b] <= 0.01}


def test_a_signed_profile_of_units_with_means_of_both_signs_is_seen_by_the_signed_measure_alone(topo):
    clusters, centre = patches(topo), signs()
    step = {"S": 1.0, "W": 0.5, "J": 0.5, "N": 0.0}
    effects = {c: lambda rng, x=x: centre + x for c, x in step.items()}
    expected = {"SW", "SJ", "SN", "WN", "JN"}
    seen = [verdicts(planted(topo, seed, effects), clusters, "signed") for seed in range(5)]
    missed = [verdicts(planted(topo, seed, effects), clusters, "absolute") for seed in range(5)]
    assert seen == [expected] * 5
    assert not any({"WN", "JN", "SJ", "SW"} & found for found in missed)


def test_a_profile_of_energy_without_a_sign_is_seen_by_the_absolute_measure_alone(topo):
    clusters = patches(topo)
    step = {"S": 2.0, "W": 1.5, "J": 1.5, "N": 1.0}
    effects = {c: lambda rng, x=x: x * rng.choice([-1, 1], 2 * 144) for c, x in step.items()}
    data = planted(topo, 0, effects)
    assert verdicts(data, clusters, "absolute") == {"SW", "SJ", "SN", "WN", "JN"}
    assert verdicts(data, clusters, "signed") == set()


def test_a_signed_profile_of_units_with_positive_means_is_seen_by_both_measures(topo):
    step = {"S": 1.0, "W": 0.5, "J": 0.5, "N": 0.0}
    data = planted(topo, 0, {c: lambda rng, x=x: 5 + x for c, x in step.items()})
    for measure in ("absolute", "signed"):
        assert verdicts(data, patches(topo), measure) == {"SW", "SJ", "SN", "WN", "JN"}


def matched(table, measure="signed"):
    return table[table["matched"] & (table["measure"] == measure)].set_index(["larger", "smaller"])


def token_counts(n=40):
    """Numbers of tokens of S, W, J and N in turn: W and N are longer, but overlap with S and J."""
    rng = np.random.default_rng(7)
    counts = rng.integers(6, 12, (n, 4))
    counts[:, [1, 3]] += 2
    return counts.ravel()


def test_matching_in_tokens_removes_an_effect_of_the_number_of_tokens_and_keeps_another(topo):
    clusters, tokens = patches(topo), token_counts()
    for effect in (0.0, 1.0):
        effects = {c: lambda rng, x=effect * (c in "WN"): 5 + x for c in "SWJN"}
        tables = [profile_tests(planted(topo, seed, effects, tokens=tokens, slope=0.5), clusters) for seed in range(10)]
        for pair in (("W", "S"), ("N", "J")):
            assert np.mean([outcomes(table, "signed").loc[pair, "p"] <= 0.05 for table in tables]) == 1
            found = np.mean([matched(table).loc[pair, "p"] <= 0.05 for table in tables])
            assert found == 1 if effect else found <= 0.2


def test_matched_texts_are_all_whose_number_of_tokens_both_conditions_have_and_are_compared_within_it(topo):
    data, clusters = planted(topo, 1, dict.fromkeys("SWJN", lambda rng: 5.0), tokens=token_counts()), patches(topo)
    table = profile_tests(data, clusters)
    tokens, conditions = data["n_tokens"].values, data["condition"].values
    texts = slow_responses(data, clusters.values > 0, "signed")
    assert table[table["matched"]]["larger"].tolist() == [*"SWSWJNJN"]
    for a, b in (("S", "W"), ("J", "N")):
        in_both = np.intersect1d(tokens[conditions == a], tokens[conditions == b])
        kept = np.isin(tokens, in_both) & np.isin(conditions, [a, b])
        row, other = (matched(table).loc[pair] for pair in ((a, b), (b, a)))
        n_a, n_b = ((conditions[kept] == condition).sum() for condition in (a, b))
        assert row[["n_larger", "n_smaller"]].tolist() == other[["n_smaller", "n_larger"]].tolist() == [n_a, n_b]
        assert (n_a, n_b) != (40, 40)
        assert [other["t"], other["d"], other["p"]] == pytest.approx([-row["t"], -row["d"], 1 - row["p"]])
        columns = [conditions[kept] == a, *(tokens[kept] == n for n in in_both)]
        fit = sm.OLS(texts[kept], np.column_stack(columns).astype(float)).fit(cov_type="HC2")
        assert row["t"] == pytest.approx(fit.tvalues[0])
        assert row["d"] == pytest.approx(fit.params[0] / np.sqrt(fit.scale))


def test_tests_of_matched_texts_do_not_depend_on_the_order_of_the_texts(topo):
    data, clusters = planted(topo, 1, dict.fromkeys("SWJN", lambda rng: 5.0), tokens=token_counts()), patches(topo)
    keys = ["measure", "larger", "smaller", "matched"]
    tables = [
        profile_tests(texts, clusters).set_index(keys).sort_index()
        for texts in (data, data.isel(stimulus=np.random.default_rng(0).permutation(data.sizes["stimulus"])))
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=False, rtol=1e-6)


def test_groups_of_matched_texts_are_not_taken_for_independent_texts(topo):
    n, clusters = 40, patches(topo)
    words = np.tile(np.repeat(np.arange(n // 4), 4), 2) + np.repeat([0, n], n)
    data = network_of(topo, 3, np.repeat(["S", "W"], n), words, shared_words=words, n_tokens=np.tile([5, 6], n))
    with_groups, without = (matched(profile_tests(data, clusters, groups=g)) for g in ("shared_words", None))
    assert with_groups.loc[("S", "W"), "d"] == without.loc[("S", "W"), "d"]
    assert abs(with_groups.loc[("S", "W"), "t"]) < 0.7 * abs(without.loc[("S", "W"), "t"])


def test_matched_pairs_are_those_whose_texts_have_equally_many_tokens(topo):
    n = 10
    data = planted(topo, 2, dict.fromkeys("SWJN", lambda rng: 5.0), n=n, tokens=np.tile([5, 5, 7, 8], n))
    data["n_tokens"].values[[0, 4]] = 6
    data = data.assign_coords(pair=("stimulus", np.repeat(np.arange(n), 4)))
    table = matched(profile_tests(data, patches(topo), pairs="pair"))
    texts = slow_responses(data, patch(topo), "signed").reshape(n, 4)[2:]
    expected = stats.ttest_rel(texts[:, 0], texts[:, 1], alternative="greater")
    assert table.loc[("S", "W"), ["t", "p"]].tolist() == pytest.approx([*expected])
    assert table.loc[("J", "N"), ["n_larger", "n_smaller"]].tolist() == [0, 0]
    assert table.loc[("J", "N"), ["d", "t", "p"]].isna().all()


def test_fewer_than_three_matched_texts_or_groups_have_no_test(topo):
    tokens = np.tile([5, 6, 7, 8], 10)
    tokens[[1, 5]] = 5  # two texts of W are as long as those of S
    data = planted(topo, 2, dict.fromkeys("SWJN", lambda rng: 5.0), n=10, tokens=tokens)
    row = matched(profile_tests(data, patches(topo))).loc[("S", "W")]
    assert row[["n_larger", "n_smaller"]].tolist() == [10, 2]
    assert np.isnan(row["p"])
    tokens[1::4] = 5
    groups = np.repeat(np.arange(10), 4) // 4 * 4 + np.tile(np.arange(4), 10)  # 3 groups of each condition
    grouped = data.assign_coords(shared_words=("stimulus", groups))
    assert np.isnan(matched(profile_tests(grouped, patches(topo))).loc[("J", "N"), "p"])
    without = profile_tests(data.drop_vars("n_tokens"), patches(topo))
    assert (without.loc[without["matched"], ["n_larger", "n_smaller"]] == 0).all(axis=None)
    assert without.loc[without["matched"], "p"].isna().all()


@pytest.mark.slow
def test_tests_and_similarity_of_signed_profiles_hold_their_level_without_an_effect(topo):
    clusters, centre = patches(topo), signs()
    rejected = []
    for seed in range(60):
        data = planted(topo, seed, dict.fromkeys("SWJN", lambda rng: centre), n=12)
        tests = profile_tests(data, clusters)
        p = [outcomes(tests, "signed").loc[("S", "W"), "p"], matched(tests).loc[("J", "N"), "p"]]
        rejected.append([*p, consistency(data, clusters, permutations=39, seed=seed)["p"].iloc[1]])
    assert (np.mean(np.array(rejected) <= 0.05, axis=0) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)).all()


def test_clusters_of_other_units_are_refused(topo):
    measured = measured_texts(topo, list("SWJN") * 4)
    with pytest.raises(ValueError, match="the clusters and the responses have different units"):
        ts.profiles(measured.isel(unit=slice(10, None)), found_clusters(topo))
