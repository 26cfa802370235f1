"""The difference of the organisation of an effect in two subjects: its values, its jackknife, and its coverage."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.cortex.planted import SIDE, cortex, responses, to_stimuli

import toposheet as ts
from toposheet.errors import UserError
from toposheet.stats import gaussian_readout


def organisation_of(data, **options):
    table = ts.organisation(ts.Comparison(data, "a", "b", **options), fwhm_mm=(0.0,), permutations=2)
    return table.set_index("tap")["value"]


@pytest.mark.parametrize("pairs", [None, "pair"])
def test_the_values_are_those_of_organisation_and_the_interval_is_the_jackknife(pairs):
    topo = cortex()
    first, second = (
        data.assign_coords(pair=("stimulus", np.repeat(np.arange(10), 2)))
        for data in (responses(topo, 0.8, 2.0, n=10, seed=1), responses(topo, 0.3, n=10, seed=2))
    )
    if pairs is None:  # unequal samples, and a silent unit
        first, second = (data.isel(stimulus=slice(0, 17)).copy() for data in (first, second))
        first[:, 5] = 1.0
    options = {} if pairs is None else {"pairs": pairs}
    table = ts.organisation_difference(*(ts.Comparison(data, "a", "b", **options) for data in (first, second)))
    assert table["tap"].tolist() == table["sheet"].tolist() == ["tap0", "tap1", "*"]
    rows = table.set_index("tap")
    whole = [organisation_of(data, **options) for data in (first, second)]
    np.testing.assert_allclose(rows["value"], whole[0], rtol=1e-6)
    np.testing.assert_allclose(rows["other_value"], whole[1], rtol=1e-6)
    np.testing.assert_allclose(rows["difference"], whole[0] - whole[1], rtol=1e-6)
    condition = first["condition"].values
    items = [np.arange(len(condition)) == i for i in range(len(condition))]
    samples = [condition == "a", condition == "b"]
    if pairs:
        items = [first["pair"].values == pair for pair in range(10)]
        samples = [np.ones(len(condition), dtype=bool)]
    variance, sizes = 0.0, []
    for sample in samples:
        left = [
            organisation_of(first[~item], **options) - organisation_of(second[~item], **options)
            for item in items
            if (item & sample).any()
        ]
        sizes.append(len(left))
        left = np.stack(left)
        variance += (len(left) - 1) / len(left) * ((left - left.mean(axis=0)) ** 2).sum(axis=0)
    half = np.sqrt(variance) * scipy_stats.t.ppf(0.975, min(sizes) - 1)
    np.testing.assert_allclose(rows["high"] - rows["difference"], half, rtol=1e-6)
    np.testing.assert_allclose(rows["difference"] - rows["low"], half, rtol=1e-6)


def test_the_mean_over_taps_has_no_sheet_where_taps_share_one():
    topo = cortex()
    places = {tap: sheet.places[tap] + [0, SIDE * n] for n, (tap, sheet) in enumerate(topo.sheets.items())}
    shared = ts.Topography({"cortex": ts.Sheet((SIDE, 2 * SIDE), places)})
    noise = np.random.default_rng(0).normal(size=(2, 12, 2 * SIDE**2))
    two = [ts.Comparison(to_stimuli(shared, values, ["a", "b"] * 6), "a", "b") for values in noise]
    table = ts.organisation_difference(*two)
    assert table[["sheet", "tap"]].values.tolist() == [["cortex", "tap0"], ["cortex", "tap1"], ["*", "*"]]


def test_a_subject_differs_from_itself_by_nothing():
    data = responses(cortex(), 0.5)
    rows = ts.organisation_difference(*(ts.Comparison(data, "a", "b") for _ in range(2)))
    assert (rows[["difference", "low", "high"]] == 0).all(axis=None)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "n"), [(0.5, 40), (0.2, 25), (0.0, 40)])
def test_the_interval_covers_the_expected_difference(size, n):
    """Two subjects with known effects of one size and another smoothness, whose noise is in part that of the texts."""
    topo, rows = cortex(1), []
    y, x = topo.sheets["tap0"].coordinates.T
    rng = np.random.default_rng(0)
    effects = [gaussian_readout(rng.normal(size=(SIDE, SIDE)), width) for width in (2.0, 1.0)]
    condition = np.array(["a", "b"] * n)
    for _ in range(150):
        shared, data = rng.normal(size=(2 * n, SIDE, SIDE)), []
        for effect in effects:
            noise = gaussian_readout(shared + rng.normal(size=shared.shape), 1.0)
            planted = size * effect / effect.std() * (condition == "a")[:, None, None]
            data.append(to_stimuli(topo, (noise / noise.std() + planted)[:, y, x], condition))
        row = ts.organisation_difference(*(ts.Comparison(one, "a", "b") for one in data)).iloc[-1]
        rows.append(row[["difference", "low", "high"]].to_list())
    difference, low, high = np.array(rows).T
    expected = difference.mean()  # the noise is in the denominator of the value, so it is less than Moran's I
    covered = ((low <= expected) & (expected <= high)).mean()
    assert covered >= 0.94  # the jackknife errs to the safe side


def test_other_texts_other_taps_and_readouts_are_refused():
    topo = cortex()
    comparison, fewer = (ts.Comparison(responses(topo, n=n), "a", "b") for n in (20, 12))
    with pytest.raises(UserError, match="have other texts, groups or pairs: let both subjects respond to the same"):
        ts.organisation_difference(comparison, fewer)
    with pytest.raises(UserError, match=r"the two subjects have other taps \(tap1\)"):
        ts.organisation_difference(comparison, ts.Comparison(responses(cortex(1), n=20), "a", "b"))
    with pytest.raises(UserError, match=r"the comparison is a readout: give the raw comparisons"):
        ts.organisation_difference(comparison.readout(2.0), comparison)
