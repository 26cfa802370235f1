"""The test of spatial organisation: against dense matrices, and against data whose truth is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import binomtest
from tests.cortex.planted import noise, to_stimuli

import toposheet as ts
from toposheet.cortex.layout import shuffled_places, tap_layouts
from toposheet.cortex.organisation import _Effect, _TapEffect, _without_noise
from toposheet.cortex.verdicts import order_verdict
from toposheet.sheet import one_sheet, random_places
from toposheet.stats import gaussian_readout

SHAPE = (7, 9)


def sheet(units, seed=0):
    rng = np.random.default_rng(seed)
    return ts.Topography({"s": ts.Sheet(SHAPE, {"tap": random_places(units, SHAPE, rng)}, spacing_mm=0.5)})


def unequal(units=50, seed=0, scale=1.0, **columns):
    """Smooth and unequal noise, fewer texts of a than of b, and an effect."""
    rng = np.random.default_rng(seed)
    topo = sheet(units)
    grids = np.concatenate(
        [gaussian_readout(rng.normal(size=(7, *SHAPE)), 2.5) * 4, rng.normal(size=(13, *SHAPE)) * 1.5]
    )
    y, x = topo.sheets["s"].coordinates.T
    values = grids[:, y, x] * rng.uniform(0.5, 2, size=units)
    values[:7] += rng.normal(size=units)
    return to_stimuli(topo, scale * values, ["a"] * 7 + ["b"] * 13, **columns)


def dense_matrices(data, fwhm):
    """M and C of the docstring."""
    y, x = data["y"].values, data["x"].values
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    near = (np.maximum(abs(y[:, None] - y), abs(x[:, None] - x)) == 1).astype(float)
    n = len(y)
    near *= n / near.sum()
    centre = np.eye(n) - 1 / n
    sigma = fwhm / 0.5 / (2 * np.sqrt(2 * np.log(2)))
    readout = np.exp(-(distance**2) / (2 * sigma**2)) if fwhm else np.eye(n)
    readout /= readout.sum(axis=1, keepdims=True)
    return [readout.T @ centre @ inner @ centre @ readout for inner in (near, np.eye(n))]


def dense_value(data, fwhm, weights, items):
    """The formula of the docstring, with matrices; `weights` are those of the items in d, one list for each sample."""
    m, c = dense_matrices(data, fwhm)
    n = len(m)
    d = sum(sign * items[members].mean(axis=0) for sign, members in weights)
    s = np.zeros((n, n))
    for _, members in weights:
        deviations = items[members] - items[members].mean(axis=0)
        s += deviations.T @ deviations / (len(deviations) * (len(deviations) - 1))
    return (d @ m @ d - np.trace(m @ s)) / (d @ c @ d)


@pytest.mark.parametrize("fwhm", [0.0, 1.0, 2.0])
def test_the_value_is_that_of_the_dense_formula(fwhm):
    data = unequal()
    table = ts.organisation(ts.Comparison(data, "a", "b"), fwhm_mm=(fwhm,), permutations=2)
    assert list(table.columns) == ["sheet", "tap", "fwhm_mm", "value", "p", "p_familywise", "smoother_p"]
    assert table["tap"].tolist() == ["tap", "*"]
    weights = [(1, np.arange(7)), (-1, np.arange(7, 20))]
    expected = dense_value(data, fwhm, weights, data.values.astype(float))
    np.testing.assert_allclose(table["value"], expected, rtol=1e-6)


def test_groups_count_as_their_means_and_pairs_as_their_differences():
    groups = np.array([0, 0, 0, 1, 1, 2, 3, *(4 + np.arange(13) // 3)])
    data = unequal(shared_words=groups)
    means = np.stack([data.values[groups == group].astype(float).mean(axis=0) for group in range(9)])
    table = ts.organisation(ts.Comparison(data, "a", "b"), fwhm_mm=(1.0,), permutations=2)
    expected = dense_value(data, 1.0, [(1, np.arange(4)), (-1, np.arange(4, 9))], means)
    np.testing.assert_allclose(table["value"], expected, rtol=1e-6)
    data = noise(0, pair=np.repeat(np.arange(8), 2))
    data = data.assign_coords(spacing_mm=("unit", np.full(64, 0.5)))
    table = ts.organisation(ts.Comparison(data, "a", "b", pairs="pair"), fwhm_mm=(1.0,), permutations=2)
    differences = data.values[::2].astype(float) - data.values[1::2]
    np.testing.assert_allclose(table["value"], dense_value(data, 1.0, [(1, np.arange(8))], differences), rtol=1e-6)


def test_the_value_is_the_mean_of_cross_half_products_over_all_splits():
    rng = np.random.default_rng(0)
    data = to_stimuli(sheet(50), rng.normal(size=(8, 50)), list("aaaabbbb"))
    comparison = ts.Comparison(data, "a", "b")
    from itertools import combinations

    from toposheet.stats import morans_i_parts

    layout, products = tap_layouts(data)[0], []
    x = data.values.astype(float)
    for one_a in combinations(range(4), 2):
        for one_b in combinations(range(4, 8), 2):
            first = x[list(one_a)].mean(axis=0) - x[list(one_b)].mean(axis=0)
            rest = [sorted(set(members) - {*one_a, *one_b}) for members in (range(4), range(4, 8))]
            second = x[rest[0]].mean(axis=0) - x[rest[1]].mean(axis=0)
            parts = [morans_i_parts(layout.map(d))[0] for d in (first + second, first, second)]
            products.append((parts[0] - parts[1] - parts[2]) / 2)  # the cross product
    whole = morans_i_parts(layout.map(x[:4].mean(axis=0) - x[4:].mean(axis=0)))[1]
    table = ts.organisation(comparison, fwhm_mm=(0.0,), permutations=2)
    np.testing.assert_allclose(table["value"], np.mean(products) / whole, rtol=1e-6)


def test_a_constant_added_to_the_effect_and_the_scale_of_the_responses_change_nothing():
    data = unequal()
    moved = data.copy(deep=True)
    moved.values[:7] += 5.0
    tables = [ts.organisation(ts.Comparison(one, "a", "b"), permutations=49) for one in (data, moved, 8 * data)]
    for table in tables[1:]:
        np.testing.assert_allclose(table[["value", "p"]], tables[0][["value", "p"]], rtol=1e-4)
    np.testing.assert_allclose(tables[2]["smoother_p"], tables[0]["smoother_p"])


def on_a_grid(seed, effect, fwhm, n=(15, 15), side=10, taps=1):
    """Noise of a smoothness for each condition, and an effect that is given as a map: (side, side)."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    topo = ts.Topography({f"s{i}": ts.Sheet((side, side), {f"tap{i}": cells}) for i in range(taps)})
    parts = []
    for size, width in zip(n, fwhm, strict=True):
        grids = gaussian_readout(rng.normal(size=(size, taps, side, side)), width)
        parts.append(grids / grids.std())
    parts[0] += effect
    values = np.concatenate(parts).reshape(sum(n), -1)
    return ts.Comparison(to_stimuli(topo, values, ["a"] * n[0] + ["b"] * n[1]), "a", "b")


def rejections(effects, column="p", datasets=150, tap="tap0", fwhm_mm=0.0, **options):
    result = []
    for seed in range(datasets):
        effect = effects(np.random.default_rng([seed, 1]))
        table = ts.organisation(
            on_a_grid(seed, effect, **options), fwhm_mm=(fwhm_mm,), permutations=39, seed=seed
        ).set_index("tap")
        result.append(table.loc[tap, column] <= 0.05)
    return np.mean(result)


def test_the_familywise_p_is_that_of_the_largest_value_of_all_taps_and_readouts_in_each_draw():
    comparison = on_a_grid(3, ordered(np.random.default_rng(0)) / 4, (1.0, 1.0), n=(8, 8), taps=3)
    readouts = (0.0, 2.0)
    table = ts.organisation(comparison, fwhm_mm=readouts, permutations=29, seed=5)
    effect = _Effect.of(comparison.raw, 29, np.random.default_rng(5))
    values = {fwhm: effect.tested(comparison.raw, fwhm)[0] for fwhm in readouts}  # 1 + draws, taps and their mean

    def standardised(draw, fwhm, column):
        every = values[fwhm][:, column].tolist()
        mean = sum(every) / 30
        return (every[draw] - mean) / (sum((value - mean) ** 2 for value in every) / 30) ** 0.5

    for taps in ([0, 1, 2], [3]):
        for fwhm in readouts:
            for tap in taps:
                observed, at_least = standardised(0, fwhm, tap), 0
                for draw in range(1, 30):
                    at_least += max(standardised(draw, w, t) for w in readouts for t in taps) >= observed
                row = table[(table["fwhm_mm"] == fwhm) & (table["tap"] == ("*" if tap == 3 else f"tap{tap}"))]
                assert row["p_familywise"].item() == pytest.approx((1 + at_least) / 30)
    assert (table["p_familywise"] >= table["p"]).all()
    assert table["p_familywise"].nunique() > 3


@pytest.mark.slow
def test_among_8_taps_without_effect_one_is_called_ordered_as_rarely_as_the_familywise_p_says():
    smallest = []
    for seed in range(120):
        comparison = on_a_grid(seed, 0.0, (0.0, 0.0), n=(30, 30), side=6, taps=8)
        table = ts.organisation(comparison, fwhm_mm=(0.0, 1.0), permutations=39, seed=seed)
        smallest.append(table.loc[table["tap"] != "*", ["p", "p_familywise"]].min())
    p, familywise = (np.array(smallest) <= 0.05).sum(axis=0)
    assert p > 24  # without correction, in more than a fifth of the data sets
    assert binomtest(int(familywise), 120, 0.05).pvalue > 0.01


def no_effect(rng):
    return 0.0


def white(rng):
    return rng.normal(size=(10, 10))


def ordered(rng):
    grid = gaussian_readout(rng.normal(size=(10, 10)), 4.0)
    return grid / grid.std()


@pytest.mark.parametrize("effects", [no_effect, white])
@pytest.mark.parametrize(
    "options",
    [
        {"fwhm": (3.0, 3.0), "n": (10, 30)},
        pytest.param({"fwhm": (0.0, 4.0), "n": (10, 30), "fwhm_mm": 2.0}, marks=pytest.mark.slow),
    ],
)
def test_an_effect_without_order_is_called_ordered_as_rarely_as_p_says(effects, options):
    assert rejections(effects, **options) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_an_ordered_effect_is_found_also_where_it_is_no_smoother_than_the_noise():
    assert rejections(ordered, datasets=30, fwhm=(4.0, 4.0)) > 0.9
    assert rejections(ordered, column="smoother_p", datasets=30, fwhm=(4.0, 4.0)) < 0.5
    assert rejections(ordered, column="smoother_p", datasets=30, fwhm=(0.0, 0.0)) > 0.9


def test_a_map_without_effect_is_no_smoother_than_noise_though_conditions_differ_in_number_and_smoothness():
    assert rejections(no_effect, "smoother_p", fwhm=(4.0, 0.0), datasets=100, n=(30, 90)) <= 0.12


def test_taps_with_equal_places_share_the_dealing():
    layouts = on_a_grid(0, 0.0, (0.0, 0.0), taps=3).layouts
    orders = shuffled_places(layouts, 5, np.random.default_rng(0))
    assert (orders[0] == orders[1]).all()
    assert (orders[0] == orders[2]).all()
    other = shuffled_places([*layouts[:1], *tap_layouts(unequal())], 5, np.random.default_rng(0))
    assert other[0].shape != other[1].shape
    assert rejections(lambda rng: white(rng)[None], datasets=100, tap="*", fwhm=(0.0, 0.0), taps=3) <= 0.12


def test_the_test_depends_on_the_seed_alone_and_a_constant_map_has_no_p():
    comparison = ts.Comparison(unequal(), "a", "b")
    one, again, other = (ts.organisation(comparison, permutations=9, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)
    silent = unequal()
    silent.values[:] = 1.0
    table = ts.organisation(ts.Comparison(silent, "a", "b"), permutations=9)
    assert table[["value", "p", "p_familywise", "smoother_p"]].isna().all(axis=None)


def test_wrong_settings_are_refused():
    comparison = ts.Comparison(unequal(), "a", "b")
    with pytest.raises(ValueError, match="permutations"):
        ts.organisation(comparison, permutations=1)
    with pytest.raises(ValueError, match=r"fwhm_mm is -1\.0"):
        ts.organisation(comparison, fwhm_mm=(-1.0,))


def dealt_alone(effect, noise, sd, orders):
    """The effect of one tap at random places; `noise` is that of the items, and of the draws."""
    tap = _TapEffect.of(effect, noise, noise, sd)
    return tap.dealt(_without_noise([tap])[0], orders)


def test_effects_are_dealt_among_units_that_respond_alone():
    rng = np.random.default_rng(0)
    sd = np.where(np.arange(30) % 3, rng.uniform(0.5, 2, size=30), 0.0)
    live = sd > 0
    effect, noise = np.where(live, 5 * rng.normal(size=30), 0.0), 1e-3 * rng.normal(size=(4, 30)) * live
    orders = np.stack([rng.permutation(30) for _ in range(4)])
    dealt = dealt_alone(effect, noise, sd, orders)
    assert not dealt[:, ~live].any()
    # What is dealt: the effect in units of the sd, without its mean and its part in 1 / sd (an independent regression).
    size = effect[live] / sd[live]
    design = np.column_stack([np.ones(live.sum()), 1 / sd[live]])
    kept = design @ np.linalg.lstsq(design, size, rcond=None)[0]
    for row in dealt[:, live] / sd[live] - kept:
        np.testing.assert_allclose(np.sort(row), np.sort(size - kept), atol=1e-3)
        assert not np.allclose(row, size - kept)


@pytest.mark.parametrize("shift", ["equal", "equal in units of the sd"])
def test_an_equal_shift_of_all_units_stays_in_its_place(shift):
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.5, 2, size=30)
    effect = np.full(30, 3.0) if shift == "equal" else 3 * sd
    orders = np.stack([rng.permutation(30) for _ in range(4)])
    dealt = dealt_alone(effect, 1e-3 * rng.normal(size=(4, 30)), sd, orders)
    np.testing.assert_allclose(dealt, np.tile(effect, (4, 1)), rtol=1e-6)


def test_the_effects_of_taps_with_equal_places_are_dealt_as_alike_as_they_are_without_noise():
    # Three taps with one effect, twice and half as large in the last two. Each has noise of its own, which is half of
    # the energy of the first; a fourth tap has no effect.
    rng = np.random.default_rng(0)
    sizes, n, ones = np.array([1.0, 2.0, 0.5, 0.0]), 900, np.ones(900)
    effect, noise = (
        rng.normal(size=n),
        rng.normal(size=(4, 40, n)) * np.sqrt(np.array([1, 1, 0.1, 1]) / 40)[:, None, None],
    )
    effects = sizes[:, None] * effect + noise.sum(axis=1)
    signs = rng.choice([-1, 1], size=(99, 40))
    taps = [_TapEffect.of(effects[i], noise[i], signs @ noise[i], ones) for i in range(4)]
    rests = effects - effects.mean(axis=1, keepdims=True)
    dealt = _without_noise(taps)
    products = dealt @ dealt.T
    np.testing.assert_allclose(np.diag(products), [tap.dealt_energy for tap in taps], atol=1e-6)
    assert products[3, 3] < 1e-6
    alike, before = (np.corrcoef(x)[:3, :3] for x in (dealt[:3], rests[:3]))
    assert before.min() < 0.75
    assert alike.min() > 0.95
    # Of all ways to mix the effects so, it is the one that changes them least: rests -> T rests with T symmetric.
    a = rests @ rests.T
    root = np.real(sqrtm(a))
    mixing = np.linalg.inv(root) @ np.real(sqrtm(root @ products @ root)) @ np.linalg.inv(root)
    np.testing.assert_allclose(dealt, mixing @ rests, atol=1e-4)


def test_noise_that_taps_share_does_not_make_their_effects_alike():
    rng = np.random.default_rng(0)
    effects, noise = rng.normal(size=(2, 900)), np.tile(rng.normal(size=(1, 40, 900)) / np.sqrt(40), (2, 1, 1))
    signs = rng.choice([-1, 1], size=(99, 40))
    observed = effects + noise.sum(axis=1)
    dealt = _without_noise([_TapEffect.of(observed[i], noise[i], signs @ noise[i], np.ones(900)) for i in range(2)])
    assert np.corrcoef(observed)[0, 1] > 0.4
    assert abs(np.corrcoef(dealt)[0, 1]) < 0.1


@pytest.mark.parametrize("fwhm", [0.0, 1.0])
def test_the_error_of_the_standard_deviations_is_in_the_noise_of_the_draws_and_subtracted(fwhm):
    # All units shift by three of their standard deviations. So no effect is dealt, and a draw is the shift plus noise.
    data = unequal()
    x = data.values.astype(float)
    deviations = x - np.where(np.arange(20)[:, None] < 7, x[:7].mean(axis=0), x[7:].mean(axis=0))

    def sd_of(weights):  # the pooled standard deviation of texts that count `weights` times, each mean fixed
        parts = [weights[part] @ deviations[part] ** 2 / weights[part].mean() for part in (slice(7), slice(7, 20))]
        return np.sqrt(sum(parts) / 18)

    sd, one = sd_of(np.ones(20)), np.eye(20) * 1e-5
    x[:7] += 3 * sd - x[:7].mean(axis=0) + x[7:].mean(axis=0)
    data = data.copy(data=x)
    sizes = np.where(np.arange(20) < 7, 7, 13)[:, None]
    corrected = np.sqrt(sizes / (sizes - 1))
    noise = corrected * deviations * np.where(np.arange(20) < 7, 1 / 7, -1 / 13)[:, None]
    influence = np.stack([(sd_of(1 + up) - sd_of(1 - up)) / 2e-5 for up in one])
    errors = 3 * corrected * influence
    comparison = ts.Comparison(data, "a", "b")
    effect = _Effect.of(comparison, 5, np.random.default_rng(0))
    m, c = dense_matrices(data, fwhm)
    extra = (noise - errors).T @ (noise - errors) + errors.T @ errors - noise.T @ noise
    expected = []
    for signs in effect.signs:
        d = 3 * sd + signs @ (noise - errors)
        items = signs[:, None] * corrected * deviations  # the draw, whose S is that of the docstring
        spread = sum(np.cov(part, rowvar=False) / len(part) for part in (items[:7], items[7:]))
        expected.append((d @ m @ d - np.trace(m @ (spread + extra))) / (d @ c @ d - np.trace(c @ extra)))
    draws = effect.tested(comparison.raw, fwhm)[0][1:, 0]
    np.testing.assert_allclose(draws, expected, rtol=1e-5)


def smooth_gains(seed, effect):
    """Texts whose units have smooth gains, for an effect (in units of the noise) and for the noise."""
    rng = np.random.default_rng(seed)
    y, x = np.divmod(np.arange(144), 12)
    topo = ts.Topography({"s": ts.Sheet((12, 12), {"tap": np.column_stack([y, x])})})
    field = gaussian_readout(rng.normal(size=(1, 30, 30)), 5.0)[0, 9:21, 9:21]
    gain = np.exp(0.7 * field / field.std()).ravel()
    values = rng.normal(size=(60, 144))
    values[:30] += effect(rng)
    return ts.Comparison(to_stimuli(topo, gain * values, ["a"] * 30 + ["b"] * 30), "a", "b")


def test_units_with_large_responses_that_lie_together_are_no_ordered_effect():
    def p(seed, effect):
        table = ts.organisation(smooth_gains(seed, effect), fwhm_mm=(0.0,), permutations=19, seed=seed)
        return table["p"].iloc[-1]

    shifted = [p(seed, lambda rng: 1 + 0.5 * rng.normal(size=144)) <= 0.05 for seed in range(40)]
    assert binomtest(int(sum(shifted)), 40, 0.05, alternative="greater").pvalue > 0.01


def test_no_p_is_given_where_a_response_depends_on_other_texts():
    # TopoLM's padding: texts of one batch are as long as its longest text.
    comparison = on_a_grid(0, 0.5, (1.0, 1.0))
    read = [comparison.responses.assign_attrs(pooling=pooling, bos="none", skip_first=0) for pooling in POOLINGS]
    mean, padded = (ts.Comparison(responses, "a", "b") for responses in read)
    assert mean.notes == ts.Comparison(comparison.responses, "a", "b").notes
    assert any("no p holds" in note for note in padded.notes)
    tables = [ts.organisation(one, permutations=19) for one in (mean, padded)]
    assert tables[0]["p"].notna().all()
    assert tables[1][["p", "p_familywise", "smoother_p"]].isna().all(axis=None)
    assert tables[0]["value"].equals(tables[1]["value"])
    verdict = order_verdict(*tables[1].iloc[-1][["value", "p"]], 19)
    assert verdict == "whether the effect is spatially ordered is not tested: the texts are not independent"
    with pytest.warns(UserWarning, match="no p holds"):
        clusters, units = ts.selective_clusters(padded, permutations=19, forming_p=0.05)
    assert len(clusters)
    assert clusters["p"].isna().all()
    assert units["p"].isnull().all()
    assert ts.topography_statistics(padded, permutations=3)["label_p"].isna().all()
    assert ts.topography_statistics(mean, permutations=3)["label_p"].notna().any()


POOLINGS = ("mean", "padded-mean")


def test_a_tap_of_two_units_is_not_tested(rng):
    topo = ts.Topography({"cortex": one_sheet({"a": 30, "b": 2}, "bands", None, 1.0, rng)})
    data = to_stimuli(topo, rng.normal(size=(20, 32)), ["x", "y"] * 10)
    table = ts.organisation(ts.Comparison(data, "x", "y"), fwhm_mm=0.0, permutations=19).set_index(["sheet", "tap"])
    assert table.loc[("cortex", "b"), ["value", "p"]].isna().all()
    assert table.loc[("*", "*"), "value"] == table.loc[("cortex", "a"), "value"]


def test_the_border_of_two_taps_does_not_make_a_map_smoother():
    rng, smoother = np.random.default_rng(0), []
    topo = ts.Topography({"cortex": one_sheet(dict.fromkeys("abc", 36), "bands", None, 1.0, rng)})
    for _ in range(30):  # taps with effects of their own mean and spread, without order within taps
        values = rng.normal(size=(20, 108))
        shift, spread = np.repeat(rng.normal(size=3) * 2, 36), np.repeat([0.2, 1.0, 3.0], 36)
        values[::2] += shift + spread * rng.normal(size=108)
        comparison = ts.Comparison(to_stimuli(topo, values, ["x", "y"] * 10), "x", "y")
        table = ts.organisation(comparison, fwhm_mm=0.0, permutations=19).set_index(["sheet", "tap"])
        smoother.append(table.loc[("cortex", "*"), "smoother_p"] <= 0.05)
    assert np.mean(smoother) < 0.3
