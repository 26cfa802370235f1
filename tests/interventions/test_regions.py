import numpy as np
import pytest
import xarray as xr

import toposheet as ts
from toposheet.errors import UserError

TAP, OTHER = "transformer.h.0.mlp", "transformer.h.1.attn"


def places(subject, tap=TAP):
    return next(sheet.places[tap] for sheet in subject.topography.sheets.values() if tap in sheet.places)


def on_one_sheet(subject, layout="bands", spacing_mm=1.0):
    topo = ts.Topography.of(subject.model, layout=layout, spacing_mm=spacing_mm, seed=0)
    return ts.Subject(subject.model, topo, subject.tokenizer)


def test_a_disc_has_the_units_within_its_radius(subject):
    units = ts.Disc(TAP, y=2, x=3, radius_mm=2).units(subject)
    expected = [(y - 2) ** 2 + (x - 3) ** 2 <= 4 for y, x in places(subject).tolist()]
    assert list(units) == [TAP]
    np.testing.assert_array_equal(units[TAP], expected)
    assert units[TAP].sum() == 13


def test_a_radius_is_in_mm_and_a_centre_is_in_cells(subject):
    wide = on_one_sheet(subject, spacing_mm=2.5)
    assert sum(mask.sum() for mask in ts.Disc("cortex", 3, 3, 2.5).units(wide).values()) == 5
    assert sum(mask.sum() for mask in ts.Disc("cortex", 3, 3, 2.4).units(wide).values()) == 1
    assert sum(mask.sum() for mask in ts.Disc("cortex", 3, 3.5, 1.25).units(wide).values()) == 2


def test_a_disc_on_a_sheet_with_several_taps_has_units_of_all_of_them(subject):
    together = on_one_sheet(subject)
    units = ts.Disc("cortex", 2, 5.5, 2).units(together)
    assert len(units) == 2
    for tap, mask in units.items():
        near = [(y - 2) ** 2 + (x - 5.5) ** 2 <= 4 for y, x in places(together, tap).tolist()]
        np.testing.assert_array_equal(mask, near)


def test_the_current_of_a_disc_is_half_as_strong_at_its_radius_and_ends(subject):
    current = ts.Disc(TAP, 0, 0, 1).current(subject)[TAP]
    distance = np.hypot(*places(subject).T)
    expected = np.exp(-np.log(2) * distance**2)
    np.testing.assert_allclose(current, np.where(expected < 0.01, 0, expected))
    assert current.max() == 1
    assert current[distance == 1] == pytest.approx([0.5, 0.5])
    np.testing.assert_array_equal(ts.Disc(TAP, 0, 0, 0).current(subject)[TAP], (distance == 0).astype(float))


def test_the_current_of_a_disc_spreads_across_layers_on_one_sheet(subject):
    together = on_one_sheet(subject, "interleaved")
    current = ts.Disc("cortex", 6, 6, 2).current(together)
    assert list(current) == together.topography.taps
    for tap, of_tap in current.items():
        distance = np.hypot(*(places(together, tap) - [6, 6]).T)
        expected = np.exp(-np.log(2) * (distance / 2) ** 2)
        np.testing.assert_allclose(of_tap, np.where(expected < 0.01, 0, expected))


def test_other_regions_have_the_same_current_everywhere(subject):
    tap = ts.WholeTap(TAP)
    np.testing.assert_array_equal(tap.current(subject)[TAP], np.ones(36))


def test_combined_discs_keep_their_bumps(subject):
    a, b = ts.Disc(TAP, 2, 2, 2), ts.Disc(TAP, 2, 4, 1)
    one, two, inside = a.current(subject)[TAP], b.current(subject)[TAP], b.units(subject)[TAP]
    np.testing.assert_array_equal((a | a).current(subject)[TAP], one)
    np.testing.assert_array_equal((a | b).current(subject)[TAP], np.maximum(one, two))
    np.testing.assert_array_equal((a & b).current(subject)[TAP], np.minimum(one, two))
    np.testing.assert_array_equal((a - b).current(subject)[TAP], np.where(inside, 0, one))
    other = ts.WholeTap(OTHER)
    assert sorted((a | other).current(subject)) == sorted([TAP, OTHER])
    assert sorted((a - other).current(subject)) == [TAP]


def test_regions_are_combined_unit_by_unit(subject):
    a, b, other = ts.Disc(TAP, 2, 2, 2), ts.Disc(TAP, 2, 4, 2), ts.WholeTap(OTHER)
    one, two = a.units(subject)[TAP], b.units(subject)[TAP]
    assert (one & two).any()
    np.testing.assert_array_equal((a | b).units(subject)[TAP], one | two)
    np.testing.assert_array_equal((a & b).units(subject)[TAP], one & two)
    np.testing.assert_array_equal((a - b).units(subject)[TAP], one & ~two)
    assert list((a | other).units(subject)) == [TAP, OTHER]
    assert list((a - other).units(subject)) == [TAP]
    assert ((a | b) - a).name == "(disc of 2 mm at (2, 2) on transformer.h.0.mlp and disc of 2 mm at (2, 4) on " + (
        "transformer.h.0.mlp) without disc of 2 mm at (2, 2) on transformer.h.0.mlp"
    )


def test_whole_sheets_and_taps_have_all_units(subject):
    together = on_one_sheet(subject)
    for region, taps in ((ts.WholeSheet("cortex"), together.topography.taps), (ts.WholeTap(TAP), [TAP])):
        units = region.units(together)
        assert list(units) == taps
        assert all(mask.all() and len(mask) == 36 for mask in units.values())


def over_units(subject, values):
    return xr.DataArray(values, dims="unit", coords=subject.topography.unit_coordinates())


def test_the_top_percent_are_the_largest_values_of_all_taps_together(subject):
    values = np.random.default_rng(0).normal(size=144)
    values[5] = np.nan
    units = ts.Mask.top(over_units(subject, values), percent=10.0).units(subject)
    chosen = np.concatenate([units.get(tap, np.zeros(36, dtype=bool)) for tap in subject.topography.taps])
    assert set(np.flatnonzero(chosen)) == set(np.argsort(np.nan_to_num(-values, nan=9))[:14])


def test_a_localizer_and_a_cluster_are_masks(subject, stimuli):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    localizer = ts.localize(comparison, percent=20.0, model=subject.fingerprint)
    mask = ts.Mask.of(localizer)
    assert mask.name == comparison.name
    found = np.concatenate([mask._masks(subject)[tap] for tap in subject.topography.taps])
    np.testing.assert_array_equal(found, localizer["mask"].values)
    labels = over_units(subject, np.arange(144) // 50)
    assert sum(m.sum() for m in ts.Mask.of(labels == 1, "second").units(subject).values()) == 50


def test_a_mask_of_another_model_is_refused_and_that_of_the_intact_model_is_taken(subject, stimuli):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    mask = ts.Mask.of(ts.localize(comparison, percent=20.0, model=subject.fingerprint))
    lesioned = ts.lesion(subject, ts.Disc(TAP, 0, 0, 1))
    assert mask.units(lesioned)
    of_lesioned = ts.Mask.of(ts.localize(comparison, percent=20.0, model=lesioned.fingerprint))
    assert of_lesioned.units(lesioned)
    with pytest.raises(UserError, match="were selected with another model"):
        of_lesioned.units(subject)
    subject.model.transformer.wte.weight.data[0] += 1
    with pytest.raises(UserError, match="were selected with another model"):
        mask.units(subject)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (lambda: ts.Disc("transformer.h.0.mpl", 0, 0, 1), "no sheet 'transformer.h.0.mpl'.* Did you mean"),
        (lambda: ts.Disc(TAP, 6, 0, 1), "row 6 and column 0, is not on the sheet .*rows are 0 to 5"),
        (lambda: ts.Disc(TAP, -1, 0, 1), "is not on the sheet"),
        (lambda: ts.Disc(TAP, 0.5, 0.5, 0.1), "has no unit"),
        (lambda: ts.Disc(TAP, 0, 0, -1), "must not be negative"),
        (lambda: ts.Disc(TAP, float("nan"), 0, 1), "must be a finite number"),
        (lambda: ts.Disc(TAP, 0, 0, 1) - ts.WholeTap(TAP), "has no unit"),
        (lambda: ts.WholeTap("transformer.h.0.mpl"), "no tap 'transformer.h.0.mpl'.* Did you mean"),
        (lambda: ts.WholeSheet("cortex"), "no sheet 'cortex'"),
        (lambda: ts.Mask("mine", {TAP: np.ones(7, dtype=bool)}), "mine is for 7 units of .*, but .* has 36"),
        (lambda: ts.Mask("mine", {"there": np.ones(7, dtype=bool)}), "a tap that .* does not have"),
    ],
)
def test_a_region_that_does_not_exist_is_refused_in_one_line(subject, region, message):
    with pytest.raises(UserError, match=message) as refused:
        region().units(subject)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("percent", [0, -1, 101, 0.1, float("nan")])
def test_a_percentage_that_selects_nothing_is_refused(subject, percent):
    with pytest.raises(UserError, match=r"percent is .*select at least one of 144 units"):
        ts.Mask.top(over_units(subject, np.arange(144.0)), percent)


def test_what_is_no_mask_is_refused(subject):
    with pytest.raises(UserError, match="must hold a boolean for each unit"):
        ts.Mask.of(over_units(subject, np.arange(144.0)))
