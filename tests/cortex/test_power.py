"""Power: what is planted, how often it is found, and what is refused."""

from importlib import import_module

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tests.cortex.planted import compared, cortex, noise, responses

import toposheet as ts
from toposheet.cortex.power import _given, _simulated
from toposheet.errors import UserError

SMALL = {"shape": (12, 12), "simulations": 20, "permutations": 19}


def only(table):
    (row,) = table.to_dict("records")
    return row


def planted_d(data, d, patch_mm, seeds=range(40)):
    """The mean of Cohen's d over simulations: in the units of the patches, and in the other units."""
    inside, outside = [], []
    for seed in seeds:
        for_places, for_noise = np.random.default_rng(seed).spawn(2)
        shift = np.zeros(len(data.sd))
        for tap in data.taps:
            units = data.patch(tap, patch_mm, for_places)
            shift[units] = d * data.sd[units]
        values = data.comparison(shift, for_noise).d.values
        inside.append(values[shift > 0].mean())
        outside.append(values[(shift == 0) & (data.sd > 0)].mean())
    return np.mean(inside), np.mean(outside)


def bias(n_items):
    """Cohen's d is too large by this factor (Hedges 1981)."""
    return 1 / (1 - 3 / (4 * n_items - 9))


@pytest.mark.parametrize("n", [(20, 20), (10, 40)])
def test_the_patch_has_the_effect_that_was_asked_and_the_rest_has_none(n):
    (data,) = _given(None, [n], 2.0, (12, 12), 0.5)
    inside, outside = planted_d(data, 0.8, 2.0)
    assert inside == pytest.approx(0.8 * bias(sum(n)), abs=0.1)
    assert outside == pytest.approx(0, abs=0.1)


def test_a_patch_in_the_noise_of_a_comparison_has_the_effect_that_was_asked_whatever_the_gains_of_its_units():
    data = responses(cortex(), effect=2.0, smooth=2.0)
    data = data * np.random.default_rng(0).lognormal(sigma=1, size=data.sizes["unit"]).astype(np.float32)
    data[:, 7] = 1.0
    pairs = data.assign_coords(pair=("stimulus", np.arange(80) // 2))
    for comparison in (
        ts.Comparison(data, "a", "b"),
        ts.Comparison(data[np.r_[0:40, 41:80:2]], "a", "b"),
        ts.Comparison(pairs, "a", "b", pairs="pair"),
    ):
        (made,) = _given(comparison, None, None, None, None)
        assert made.n == tuple(comparison.design.number_of_items(comparison.contrast).values())
        inside, outside = planted_d(made, 0.8, 4.0)
        assert inside == pytest.approx(0.8 * bias(comparison.design.n_items), abs=0.1)
        assert outside == pytest.approx(0, abs=0.1)  # the effect of the comparison itself is removed
        simulated = made.comparison(np.zeros(len(made.sd)), np.random.default_rng(0))
        assert np.flatnonzero(np.isnan(simulated.t)).tolist() == [7]
        assert simulated.unit_coordinates.keys() == comparison.unit_coordinates.keys()
        assert simulated.design.samples[0].sum() == comparison.design.samples[0].sum()


def test_the_noise_of_a_comparison_keeps_its_smoothness_and_its_size():
    comparison = compared(smooth=3.0)
    (data,) = _given(comparison, None, None, None, None)
    simulated = data.comparison(np.zeros(len(data.sd)), np.random.default_rng(0))
    before, after = (ts.noise_smoothness(one, fwhm_mm=0.0) for one in (comparison, simulated))
    for column in ("autocorrelation", "neighbour_fwhm_mm"):
        np.testing.assert_allclose(before[column], after[column], atol=0.15)
    deviations = comparison.design.residuals(comparison.items)
    np.testing.assert_allclose(np.abs(data.noise(np.random.default_rng(0))), np.abs(deviations))


@pytest.mark.parametrize("fwhm", [0.0, 1.5, 3.0])
def test_gaussian_noise_is_as_smooth_as_asked_with_variance_1_also_at_the_edge(fwhm):
    (data,) = _given(None, 300, fwhm, (12, 12), 0.5)
    simulated = data.comparison(np.zeros(144), np.random.default_rng(0))
    assert ts.noise_smoothness(simulated, fwhm_mm=0.0)["neighbour_fwhm_mm"].unique() == pytest.approx(fwhm, abs=0.1)
    sd = data.noise(np.random.default_rng(0)).std(axis=0).reshape(12, 12)
    assert (sd[0].mean(), sd[5].mean()) == pytest.approx((1, 1), abs=0.05)


def test_the_patch_is_a_disc_of_its_diameter_that_lies_on_the_sheet():
    (data,) = _given(None, 5, 0.0, (12, 12), 0.5)
    tap, rng = data.taps[0], np.random.default_rng(0)
    centres = set()
    for _ in range(200):
        units = data.patch(tap, 2.5, rng)
        cells = tap.cells[units]
        assert len(units) == 21  # cells within 2.5 cells of a cell
        centres.add(tuple(cells.mean(axis=0)))
        assert np.linalg.norm((cells - cells.mean(axis=0)) * 0.5, axis=1).max() <= 1.25
    assert {min(c) for c in zip(*centres, strict=True)} == {2}
    assert {max(c) for c in zip(*centres, strict=True)} == {9}


@pytest.mark.slow
def test_without_effect_little_is_found_and_order_in_about_one_of_twenty():
    row = only(ts.power(n=12, effect=0.0, patch_mm=4.0, noise_fwhm_mm=2.0, shape=(10, 10), simulations=150))
    assert row["found"] <= 0.05
    assert row["ordered_low"] <= 0.05 <= row["ordered_high"]


def test_a_large_effect_is_always_found():
    for n in (20, [(12, 40)]):
        row = only(ts.power(n=n, effect=3.0, patch_mm=5.0, noise_fwhm_mm=1.0, **SMALL))
        assert (row["found"], row["ordered"]) == (1, 1)
        assert row["found_high"] == row["ordered_high"] == pytest.approx(1)
        assert 0.8 < row["found_low"] < 1
    row = only(ts.power(compared(smooth=2.0), effect=3.0, patch_mm=5.0, simulations=10, permutations=19))
    assert (row["found"], row["ordered"]) == (1, 1)


@pytest.mark.slow
def test_power_grows_with_the_effect_the_number_of_texts_and_the_patch():
    table = ts.power(n=[15, 40], effect=[0.3, 0.9], patch_mm=[2.0, 5.0], **SMALL)
    assert len(table) == 8
    rates = table.set_index(["n_a", "effect", "patch_mm"])["found"]
    for _, one in rates.groupby(level=["n_a", "effect"]):
        assert one.is_monotonic_increasing
    for _, one in rates.groupby(level=["n_a", "patch_mm"]):
        assert one.is_monotonic_increasing
    for _, one in rates.groupby(level=["effect", "patch_mm"]):
        assert one.is_monotonic_increasing
    assert rates.loc[40, 0.9, 5.0] > rates.loc[15, 0.3, 2.0] + 0.5


def test_a_row_has_the_counts_of_its_simulations_and_their_wilson_intervals():
    (data,) = _given(None, [(10, 20)], 1.0, (12, 12), 1.0)
    results = [_simulated(data, 0.9, 4.0, (0.0, 2.0), 19, 5, simulation) for simulation in range(8)]
    table = ts.power(
        n=[(10, 20)], effect=0.9, patch_mm=4.0, noise_fwhm_mm=1.0, shape=(12, 12), fwhm_mm=(0.0, 2.0), simulations=8,
        permutations=19, seed=5,
    )  # fmt: skip
    assert table["fwhm_mm"].tolist() == [0, 2]
    for at, row in enumerate(table.to_dict("records")):
        assert (row["n_a"], row["n_b"], row["simulations"], row["patch_units"]) == (10, 20, 8, 13)
        for name, which in (("found", 1), ("ordered", 2)):
            rate = np.mean([result[which][at] for result in results])
            z = stats.norm.isf(0.025)
            middle, half = (rate + z**2 / 16) / (1 + z**2 / 8), np.sqrt(rate * (1 - rate) / 8 + z**2 / 256)
            expected = (rate, middle - z * half / (1 + z**2 / 8), middle + z * half / (1 + z**2 / 8))
            assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx(expected)


def test_a_patch_counts_as_found_only_where_a_positive_significant_cluster_overlaps_it(monkeypatch):
    (data,) = _given(compared(n_taps=1), None, None, None, None)

    def clusters(p, t):
        def made(comparison, **_):
            values = {"p": ("unit", np.full(144, p)), "t": ("unit", np.full(144, t))}
            return None, xr.Dataset(values)

        return made

    for p, t, found in ((0.05, 3.0, True), (0.05, -3.0, False), (0.06, 3.0, False), (np.nan, 3.0, False)):
        monkeypatch.setattr(import_module("toposheet.cortex.power"), "selective_clusters", clusters(p, t))
        assert _simulated(data, 0.5, 3.0, (0.0,), 19, 0, 0)[1] == [found]


def test_progress_counts_all_simulations():
    calls = []
    ts.power(
        n=10, effect=[0.0, 1.0], patch_mm=2.0, shape=(6, 6), simulations=3, permutations=19,
        progress=lambda *call: calls.append(call),
    )  # fmt: skip
    assert calls == [("simulation", done, 6) for done in range(7)]


NOISE = {"n": 10, "effect": 0.5, "patch_mm": 3.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effect": -0.5}, "effect is -0.5: it must be Cohen's d: a finite number of at least 0"),
        ({"effect": [0.5, np.nan]}, "effect is nan"),
        ({"effect": []}, "effect is empty"),
        ({"patch_mm": 0.0}, "patch_mm is 0.0: it must be a diameter: a finite number larger than 0"),
        ({"patch_mm": np.inf}, "patch_mm is inf"),
        ({"patch_mm": 30.0}, "patch_mm is 30: such a disc does not fit on the sheet of tap, which has 24 x 24 cells"),
        ({"n": 2}, "n is 2: it must be a whole number of at least 3"),
        ({"n": [(3, 2)]}, r"n is \(3, 2\)"),
        ({"n": []}, "n is empty"),
        ({"n": None}, "n is missing: give the number of texts of each condition, or a comparison"),
        ({"noise_fwhm_mm": -1.0}, "noise_fwhm_mm is -1.0"),
        ({"fwhm_mm": -1.0}, "fwhm_mm is -1.0"),
        ({"shape": (0, 3)}, r"shape is \(0, 3\)"),
        ({"spacing_mm": 0.0}, "spacing_mm is 0.0: it must be a distance"),
        ({"simulations": 0}, "simulations is 0: it must be a whole number of at least 1"),
        ({"permutations": 18}, "permutations is 18: .* at least 19, because with fewer draws no p can reach 0.05"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_nonsense_is_refused_in_one_line(options, words):
    with pytest.raises(UserError, match=words) as refused:
        ts.power(**NOISE | options)
    assert "\n" not in str(refused.value)


def test_what_a_comparison_decides_is_not_given_as_well():
    comparison = ts.Comparison(noise(0), "a", "b")
    for option, value in (("n", 10), ("noise_fwhm_mm", 1.0), ("shape", (8, 8)), ("spacing_mm", 1.0)):
        with pytest.raises(UserError, match=f"^{option} is .*, but the comparison decides it: leave it out$"):
            ts.power(comparison, effect=0.5, patch_mm=3.0, **{option: value})
    with pytest.raises(UserError, match="give the raw comparison"):
        ts.power(comparison.readout(2.0), effect=0.5, patch_mm=3.0)
    with pytest.raises(UserError, match="does not fit on the sheet of tap, which has 8 x 8 cells"):
        ts.power(comparison, effect=0.5, patch_mm=12.0)
