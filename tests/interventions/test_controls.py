import numpy as np
import pytest
from scipy.stats import chisquare

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import controls

TAP, OTHER = "transformer.h.0.mlp", "transformer.h.1.attn"


@pytest.fixture
def region():
    return ts.Disc(TAP, 1, 1, 1.5) | ts.Disc(OTHER, 4, 4, 1)


@pytest.fixture
def comparison(subject, stimuli):
    return ts.Comparison(ts.respond(subject, stimuli), "long", "short")


def numbers(region, subject):
    return {tap: int(mask.sum()) for tap, mask in region.units(subject).items()}


def of_tap(comparison, tap):
    return comparison.t.values[comparison.t["tap"].values == tap]


def test_scattered_units_are_as_many_in_each_tap_and_every_unit_is_drawn_equally_often(subject, region):
    draws = controls.scattered(subject, region, 2000, seed=1)
    assert all(numbers(draw, subject) == numbers(region, subject) for draw in draws)
    counts = sum(draw.units(subject)[TAP].astype(int) for draw in draws)
    assert chisquare(counts).pvalue > 1e-3
    again = controls.scattered(subject, region, 2, seed=1)
    np.testing.assert_array_equal(again[1].units(subject)[TAP], draws[1].units(subject)[TAP])


def test_regions_elsewhere_are_compact_as_large_and_outside(subject, region):
    inside = region.units(subject)
    places = subject.topography.sheets[TAP].places[TAP]
    reached = np.zeros(36, dtype=bool)
    for draw in controls.elsewhere(subject, region, 200, seed=1):
        units = draw.units(subject)
        assert numbers(draw, subject) == numbers(region, subject)
        for tap, mask in units.items():
            assert not (mask & inside[tap]).any()
        reached |= units[TAP]
        chosen = places[units[TAP]]
        free = places[~inside[TAP]]
        # Some free unit has all chosen units nearer than all free units that were not chosen.
        left = np.array([p for p in free.tolist() if p not in chosen.tolist()])
        far = np.hypot(*(free[:, None] - chosen[None]).transpose(2, 0, 1)).max(axis=1)
        near = np.hypot(*(free[:, None] - left[None]).transpose(2, 0, 1)).min(axis=1)
        assert (far <= near).any()
    assert (reached == ~inside[TAP]).all()


def test_on_one_sheet_regions_elsewhere_may_reach_other_layers(subject):
    topo = ts.Topography.of(subject.model, layout="bands", seed=0)
    together = ts.Subject(subject.model, topo, subject.tokenizer)
    draws = controls.elsewhere(together, ts.Disc("cortex", 3, 2, 2), 50)
    assert {sum(numbers(draw, together).values()) for draw in draws} == {13}
    assert any(len(draw.units(together)) > 1 for draw in draws)


def test_the_least_selective_units_have_the_smallest_t(subject, region, comparison):
    control = controls.least_selective(subject, region, comparison)
    assert numbers(control, subject) == numbers(region, subject)
    for tap, inside in region.units(subject).items():
        size, chosen = np.abs(of_tap(comparison, tap)), control.units(subject)[tap]
        assert not (chosen & inside).any()
        assert size[chosen].max() <= size[~chosen & ~inside].min()


def test_matched_units_are_the_assignment_with_the_smallest_difference(subject, comparison, stimuli):
    activity = ts.unit_activity(subject, stimuli)
    few = ts.Disc(TAP, 1, 1, 0) | ts.Disc(TAP, 1, 2, 0)
    control = controls.matched(subject, few, comparison, activity)
    features = np.stack([activity.mean[TAP], of_tap(comparison, TAP)])
    features /= features.std(axis=1, keepdims=True)
    a, b = np.flatnonzero(few.units(subject)[TAP])
    free = [u for u in range(36) if u not in (a, b)]

    def cost(i, j):
        return ((features[:, i] - features[:, j]) ** 2).sum()

    best = min(((cost(a, i) + cost(b, j), {i, j}) for i in free for j in free if i != j), key=lambda pair: pair[0])[1]
    assert set(np.flatnonzero(control.units(subject)[TAP])) == best


def test_another_network_has_the_largest_t_of_its_localizer_outside(subject, region, comparison):
    localizer = ts.localize(comparison, percent=30.0, model=subject.fingerprint)
    control = controls.other_network(subject, region, localizer)
    inside = region._masks(subject)
    outside = np.concatenate([~inside.get(tap, np.zeros(36, dtype=bool)) for tap in subject.topography.taps])
    chosen = np.concatenate([control.selected[tap] for tap in subject.topography.taps])
    n_units = sum(numbers(region, subject).values())
    expected = np.argsort(np.where(outside, -comparison.t.values, np.inf))[:n_units]
    assert set(np.flatnonzero(chosen)) == set(expected)
    assert "long" in control.name


def test_a_region_without_as_many_units_elsewhere_is_refused(subject, comparison):
    large = ts.Disc(TAP, 2, 2, 3)
    with pytest.raises(UserError, match=r"has only \d+ other units: there are not as many units elsewhere"):
        controls.elsewhere(subject, large, 2)
    with pytest.raises(UserError, match=r"there are not as many units outside of the region"):
        controls.least_selective(subject, large, comparison)


def test_a_comparison_of_another_model_is_refused(subject, region, comparison):
    topo = ts.Topography.per_tap(subject.model, [TAP, OTHER], seed=0)
    with pytest.raises(UserError, match="has other units than"):
        controls.least_selective(ts.Subject(subject.model, topo, subject.tokenizer), region, comparison)
