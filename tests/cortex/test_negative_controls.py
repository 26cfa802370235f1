import numpy as np
import pytest
from scipy import stats
from tests.cortex.planted import language_comparison, localizer, patch

import toposheet as ts


def with_texts(data, texts):
    return data.assign_coords(text=("stimulus", texts))


def test_negative_controls_split_within_conditions(topo):
    texts = [("the house " if i % 3 else "zygote quark ") * (1 + i % 5) for i in range(48)]
    data = with_texts(localizer(topo, effect=0.0), texts)
    controls = ts.negative_controls(language_comparison(data))
    assert list(controls) == ["random-labels", "word-frequency", "length"]
    assert [control.negative_control for control in controls.values()] == list(controls)
    letters = np.array([sum(map(str.isalpha, text)) for text in texts])
    for name, conditions in (("length", ("long", "short")), ("word-frequency", ("frequent", "rare"))):
        labels = controls[name].responses["condition"].values
        np.testing.assert_array_equal(controls[name].design.in_a, labels == conditions[0])
        for condition in ("sentence", "nonword"):
            members = data["condition"].values == condition
            assert (labels[members] == conditions[0]).sum() == 12
    labels = controls["length"].responses["condition"].values
    for condition in ("sentence", "nonword"):
        members = data["condition"].values == condition
        assert letters[members & (labels == "long")].min() >= letters[members & (labels == "short")].max()


def test_random_labels_are_no_draw_of_their_own_null(topo):
    comparison = language_comparison(localizer(topo, effect=0.0))
    control = ts.negative_controls(comparison, seed=3)["random-labels"]
    relabelled = control.responses["condition"].values == "random-a"
    for rng in (np.random.default_rng(3), *np.random.default_rng(3).spawn(2)):  # map_statistics spawns its generators
        draws = comparison.design.null(comparison.items, 99, rng)[1][0]
        assert not (draws == relabelled).all(axis=1).any()


def test_random_labels_of_pairs_exchange_partners_and_keep_the_pairs(topo):
    pair = np.random.default_rng(0).permutation(np.repeat(np.arange(24), 2))
    data = localizer(topo, effect=0.0).assign_coords(pair=("stimulus", pair))
    first = np.isin(np.arange(48), np.unique(pair, return_index=True)[1])
    data = data.assign_coords(condition=("stimulus", np.where(first, "sentence", "nonword")))
    comparison = language_comparison(data, pairs="pair")
    control = ts.negative_controls(comparison)["random-labels"]
    for one in range(24):
        assert control.design.in_a[pair == one].sum() == 1
    exchanged = control.design.in_a != comparison.design.in_a
    assert 12 < exchanged.sum() < 36
    partners = [data.values[mask][np.argsort(pair[mask])] for mask in (control.design.in_a, control.design.in_b)]
    np.testing.assert_allclose(control.t, stats.ttest_rel(*partners).statistic, rtol=1e-4, atol=1e-5)


def test_splits_within_conditions_are_as_sensitive_where_the_contrast_is_strong(topo):
    texts = ["letters " * (1 + i % 7) for i in range(48)]
    letters = np.array([len(text) for text in texts])
    result = []
    for effect in (0.0, 20.0):
        data = with_texts(localizer(topo, effect=effect), texts)
        data.values[:, patch(topo)] += 0.1 * letters[:, None]
        split = ts.negative_controls(language_comparison(data))["length"]
        result.append(float((split.q < 0.05).mean()))
    assert result[0] > 0.1
    assert result[1] == pytest.approx(result[0], abs=0.02)


def test_controls_of_a_readout_are_readouts_of_the_controls(topo):
    data = with_texts(localizer(topo), ["letters " * (1 + i % 7) for i in range(48)])
    raw, seen = (
        ts.negative_controls(language_comparison(data)),
        ts.negative_controls(language_comparison(data).readout(2.0)),
    )
    assert list(raw) == list(seen)
    for name in raw:
        assert (raw[name].fwhm_mm, seen[name].fwhm_mm) == (0.0, 2.0)
        np.testing.assert_array_equal(seen[name].t, raw[name].readout(2.0).t)


def test_texts_of_a_group_stay_together_in_every_control(topo):
    group = np.arange(48) % 2 + 2 * (np.arange(48) // 6)
    data = with_texts(localizer(topo, effect=0.0), ["letters " * (1 + i % 7) for i in range(48)])
    comparison = language_comparison(data.assign_coords(shared_words=("stimulus", group)))
    controls = ts.negative_controls(comparison)
    assert list(controls) == ["random-labels", "length"]
    for control in controls.values():
        for one in np.unique(group):
            assert len(set(control.design.in_a[group == one].tolist())) == 1
        np.testing.assert_array_equal(control.design.groups, comparison.design.groups)
        assert np.isfinite(ts.map_statistics(control, permutations=2)["p"]).all()


def test_what_confounds_explain_is_out_of_the_controls_too(topo):
    rng = np.random.default_rng(0)
    data = localizer(topo, effect=0.0)
    level = rng.normal(size=48)
    data.values[:] += 5 * level[:, None]
    data = data.assign_coords(level=("stimulus", level))
    seeds = range(20)
    left = [ts.negative_controls(language_comparison(data, confounds=["level"]), seed=seed) for seed in seeds]
    kept = [ts.negative_controls(language_comparison(data), seed=seed) for seed in seeds]
    spread = [np.std([control["random-labels"].t.mean() for control in controls]) for controls in (left, kept)]
    assert spread[0] < 0.2 * spread[1]
