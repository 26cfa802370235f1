import numpy as np
import pytest
from scipy.stats import chisquare

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import controls
from toposheet.interventions.acts import Target

TAP, OTHER = "transformer.h.0.mlp", "transformer.h.1.attn"


@pytest.fixture
def region():
    return ts.Disc(TAP, 1, 1, 1.5) | ts.Disc(OTHER, 4, 4, 1)


@pytest.fixture
def comparison(subject, stimuli):
    return ts.Comparison(ts.respond(subject, stimuli), "long", "short")


def lesioned(subject, region, activity=None):
    return Target.of(subject, region, ts.Lesion(), activity)


def numbers(weights):
    return {tap: int((of_tap > 0).sum()) for tap, of_tap in weights.items()}


def of_tap(comparison, tap):
    return comparison.t.values[comparison.t["tap"].values == tap]


def test_scattered_units_are_as_many_in_each_tap_and_every_unit_is_drawn_equally_often(subject, region):
    weights = region.units(subject)
    draws = [controls.scattered(weights, order) for order in controls.orders(subject, 2000, seed=1)]
    assert all(numbers(draw) == numbers(weights) for draw in draws)
    counts = sum(draw[TAP].astype(int) for draw in draws)
    assert chisquare(counts).pvalue > 1e-3
    again = controls.scattered(weights, controls.orders(subject, 2, seed=1)[1])
    np.testing.assert_array_equal(again[TAP], draws[1][TAP])


def test_scattered_units_of_regions_that_overlap_overlap_as_much(subject):
    regions = [ts.Disc(TAP, 2, 2, 1), ts.Disc(TAP, 2, 2, 2), ts.Disc(TAP, 5, 5, 1)]
    small, large, other = (region.units(subject) for region in regions)
    for order in controls.orders(subject, 20):
        a, b, c = (controls.scattered(weights, order)[TAP] for weights in (small, large, other))
        assert (a & b).sum() == (small[TAP] & large[TAP]).sum() == a.sum()
        assert (b & c).sum() == (large[TAP] & other[TAP]).sum()


def test_regions_elsewhere_are_compact_as_large_and_outside(subject, region):
    inside = region.units(subject)
    places = subject.topography.sheets[TAP].places[TAP]
    reached = np.zeros(36, dtype=bool)
    for units in controls.elsewhere(lesioned(subject, region), 200, seed=1):
        assert numbers(units) == numbers(inside)
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


def test_currents_elsewhere_are_as_strong_and_fall_off_around_a_centre(subject):
    disc = ts.Disc(TAP, 1, 1, 1)
    current, inside = disc.current(subject), disc.units(subject)[TAP]
    places = subject.topography.sheets[TAP].places[TAP]
    target = Target.of(subject, disc, ts.Stimulation(1))
    for (given,) in (one.values() for one in controls.elsewhere(target, 20, seed=1)):
        assert not given[inside].any()
        strongest = np.sort(current[TAP])[::-1][: (~inside).sum()]
        np.testing.assert_allclose(np.sort(given[~inside])[::-1], strongest)
        distance = np.hypot(*(places - places[np.argmax(given)]).T)
        stronger = (given[:, None] > given[None] + 1e-9) & (given[None] > 0)
        assert (distance[:, None] <= distance[None] + 1e-6)[stronger].all()


def test_on_one_sheet_regions_elsewhere_may_reach_other_layers(subject):
    topo = ts.Topography.of(subject.model, layout="bands", seed=0)
    together = ts.Subject(subject.model, topo, subject.tokenizer)
    disc = ts.Disc("cortex", 3, 2, 2)
    draws = controls.elsewhere(lesioned(together, disc), 50)
    assert {sum(numbers(draw).values()) for draw in draws} == {13}
    assert any(len(draw) > 1 for draw in draws)


def test_the_least_selective_units_have_the_smallest_t(subject, region, comparison):
    weights = region.units(subject)
    control = controls.least_selective(lesioned(subject, region), comparison)
    assert numbers(control) == numbers(weights)
    for tap, inside in weights.items():
        size, chosen = np.abs(of_tap(comparison, tap)), control[tap]
        assert not (chosen & inside).any()
        assert size[chosen].max() <= size[~chosen & ~inside].min()


def test_matched_units_are_the_assignment_with_the_smallest_difference(subject, comparison, stimuli):
    activity = ts.unit_activity(subject, stimuli)
    few = ts.Disc(TAP, 1, 1, 0) | ts.Disc(TAP, 1, 2, 0)
    control = controls.matched(lesioned(subject, few, activity), comparison)
    features = np.stack([activity.mean[TAP], of_tap(comparison, TAP)])
    features /= features.std(axis=1, keepdims=True)
    a, b = np.flatnonzero(few.units(subject)[TAP])
    free = [u for u in range(36) if u not in (a, b)]

    def cost(i, j):
        return ((features[:, i] - features[:, j]) ** 2).sum()

    best = min(((cost(a, i) + cost(b, j), {i, j}) for i in free for j in free if i != j), key=lambda pair: pair[0])[1]
    assert set(np.flatnonzero(control[TAP])) == best


def test_a_matched_unit_gets_the_current_of_its_unit(subject, comparison, stimuli):
    activity = ts.unit_activity(subject, stimuli)
    a, b = np.flatnonzero((ts.Disc(TAP, 1, 1, 0) | ts.Disc(TAP, 1, 2, 0)).units(subject)[TAP])
    current = np.zeros(36)
    current[[a, b]] = 1.0, 0.75
    units = {TAP: current > 0}
    driven = Target(subject, "two", ts.Stimulation(1), activity, units, {TAP: current})
    silenced = Target(subject, "two", ts.Lesion(), activity, units, units)
    control, booleans = (controls.matched(target, comparison)[TAP] for target in (driven, silenced))
    np.testing.assert_array_equal(control > 0, booleans)
    assert sorted(control[booleans]) == [0.75, 1.0]


def test_another_network_has_the_largest_t_of_its_localizer_outside(subject, region, comparison):
    localizer = ts.localize(comparison, percent=30.0, model=subject.fingerprint)
    weights = region.units(subject)
    control = controls.other_network(lesioned(subject, region), localizer)
    nothing = np.zeros(36, dtype=bool)
    outside, chosen = (
        np.concatenate([of.get(tap, nothing) for tap in subject.topography.taps]) for of in (weights, control)
    )
    n_units = sum(numbers(weights).values())
    expected = np.argsort(np.where(~outside, -comparison.t.values, np.inf))[:n_units]
    assert set(np.flatnonzero(chosen)) == set(expected)
    assert "long" in controls.name_of_other(localizer)


def test_a_region_without_as_many_units_elsewhere_is_refused(subject, comparison):
    large = ts.Disc(TAP, 2, 2, 3)
    message = r"has 27 units .*, and 9 other units are left: there are not as many units outside of the region"
    with pytest.raises(UserError, match=message):
        controls.elsewhere(lesioned(subject, large), 2)
    with pytest.raises(UserError, match=message):
        controls.least_selective(lesioned(subject, large), comparison)


def test_a_comparison_of_another_model_is_refused(subject, region, comparison):
    topo = ts.Topography.per_tap(subject.model, [TAP, OTHER], seed=0)
    other = ts.Subject(subject.model, topo, subject.tokenizer)
    with pytest.raises(UserError, match="has other units than"):
        controls.least_selective(lesioned(other, region), comparison)
