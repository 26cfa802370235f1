import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tests.cortex.planted import language_comparison, localizer, overlap, patch

import toposheet as ts
from toposheet.cortex import cross_validated
from toposheet.cortex.localizer import LOCALIZER, save_localizer


def test_a_localizer_finds_the_planted_network(topo):
    result = ts.localize(language_comparison(localizer(topo)))
    assert overlap(result["mask"].values, patch(topo)) > 0.8
    assert result.attrs["contrast"] == "sentence:nonword"


def test_a_localizer_of_a_percentage_takes_the_units_with_the_largest_t(topo):
    data = localizer(topo)
    mask = ts.localize(language_comparison(data), percent=12.5)["mask"].values
    t = stats.ttest_ind(data.values[::2], data.values[1::2], equal_var=False).statistic
    assert mask.sum() == 36
    assert t[mask].min() > t[~mask].max()


def test_a_localizer_of_a_percentage_takes_no_unit_that_prefers_the_other_condition(topo):
    data = localizer(topo, effect=0.0)
    data.values[::2] -= 5
    assert not ts.localize(language_comparison(data), percent=10.0)["mask"].any()


def test_odd_and_even_items_share_none(topo):
    data = localizer(topo)
    odd, even = (ts.localize(language_comparison(data), items=items)["t"].values for items in ("odd", "even"))
    rows = np.arange(48)
    expected = [
        stats.ttest_ind(
            data.values[(rows % 4) == 2 * parity], data.values[(rows % 4) == 2 * parity + 1], equal_var=False
        )
        for parity in (1, 0)
    ]
    np.testing.assert_allclose(odd, expected[0].statistic, atol=1e-5)
    np.testing.assert_allclose(even, expected[1].statistic, atol=1e-5)


def test_cross_validation_measures_in_the_items_that_did_not_select(topo):
    data = localizer(topo)
    table = cross_validated(language_comparison(data))
    mask = ts.localize(language_comparison(data), items="odd")["mask"].values
    even = data.values[(np.arange(48) % 4) < 2][:, mask].mean(axis=1, dtype=float)
    test = stats.ttest_ind(even[::2], even[1::2], equal_var=False, alternative="greater")
    whole = table.set_index("tap").loc["*"]
    assert whole["t"] == pytest.approx(test.statistic)
    assert whole["p"] == pytest.approx(test.pvalue)
    assert whole["n_selected"] == mask.sum() == table["n_selected"].iloc[:-1].sum()


@pytest.mark.parametrize("planted", ["odd", "even"])
def test_an_effect_in_the_items_that_select_is_not_measured_and_one_in_the_others_not_selected(topo, planted):
    data = localizer(topo, effect=0.0)
    item = np.arange(48) // 2
    with_effect = (data["condition"].values == "sentence") & (item % 2 == (planted == "odd"))
    data.values[np.ix_(with_effect, patch(topo))] += 3.0
    whole = cross_validated(language_comparison(data)).set_index("tap").loc["*"]
    if planted == "odd":
        assert whole["n_selected"] > 30
        assert abs(whole["d"]) < 0.6
        assert whole["p"] > 0.05
    else:
        assert whole["n_selected"] < 5


def test_a_localizer_is_stored_with_its_model_and_refused_by_another(topo, tmp_path):
    result = ts.localize(language_comparison(localizer(topo)), model="abc")
    save_localizer(result, tmp_path / LOCALIZER)
    xr.testing.assert_equal(ts.load_localizer(tmp_path, "abc"), result)
    with pytest.raises(ValueError, match=r"made with another model \(fingerprint abc, that of this model: xyz\)"):
        ts.load_localizer(tmp_path / LOCALIZER, "xyz")
    with pytest.raises(FileNotFoundError, match="toposheet localize"):
        ts.load_localizer(tmp_path / "none.nc")
    (tmp_path / "bad.nc").write_bytes(b"no")
    with pytest.raises(ValueError, match="is not a localizer"):
        ts.load_localizer(tmp_path / "bad.nc")


@pytest.mark.parametrize("lacks", ["mask", "tap", "model"])
def test_a_file_that_is_no_localizer_says_what_it_lacks(topo, tmp_path, lacks):
    whole = ts.localize(language_comparison(localizer(topo)), model="abc")
    part = whole.drop_attrs() if lacks == "model" else whole.drop_vars(lacks)
    part.to_netcdf(tmp_path / "part.nc", engine="h5netcdf")
    with pytest.raises(
        ValueError, match=rf"part\.nc is not a localizer: it has no {lacks}; make one with toposheet localize"
    ):
        ts.load_localizer(tmp_path / "part.nc", "abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percent": 0.0}, "percent is 0"),
        ({"percent": 100.1}, "percent is 100.1"),
        ({"percent": float("nan")}, "percent is nan"),
        ({"percent": 0.1}, "percent is 0.1: this selects none of 288 units; one unit is 0.35 percent"),
        ({"q": 2.0}, "q is 2"),
        ({"percent": 10.0, "q": 0.05}, "percent is 10 and q is 0.05: give one of them, not both"),
        ({"items": "some"}, "items is 'some'"),
    ],
)
def test_settings_of_a_localizer_out_of_range_are_refused(topo, options, message):
    with pytest.raises(ValueError, match=message):
        ts.localize(language_comparison(localizer(topo)), **options)


def test_a_mask_of_no_named_model_is_loaded_with_a_warning(tmp_path, caplog):
    coordinates = {name: ("unit", [0, 1]) for name in ("y", "x")} | {
        name: ("unit", ["a"] * 2) for name in ("tap", "sheet")
    }
    mask = xr.Dataset({"mask": ("unit", [True, False])}, coords=coordinates, attrs={"model": ""})
    save_localizer(mask, tmp_path / "mask.nc")
    assert ts.load_localizer(tmp_path / "mask.nc")["mask"].values.tolist() == [True, False]
    assert not caplog.messages
    assert ts.load_localizer(tmp_path / "mask.nc", model="abc").attrs["model"] == ""
    assert "has no fingerprint of its model" in caplog.text


@pytest.mark.parametrize("names", [("S", "N"), ("sentence", "nonword"), ("sentence ", "nonword")])
def test_sentences_and_nonwords_are_found_in_responses(topo, names):
    data = localizer(topo)
    known = dict(zip(("S", "N") if "S" in data["condition"].values else ("sentence", "nonword"), names, strict=True))
    data = data.assign_coords(condition=("stimulus", [known[name] for name in data["condition"].values]))
    mask = ts.localize(data)
    xr.testing.assert_equal(mask, ts.localize(ts.Comparison(data, *names)))
    with pytest.raises(ValueError, match="no conditions sentence and nonword, or S and N; the conditions are: x, y"):
        ts.localize(data.assign_coords(condition=("stimulus", ["x", "y"] * (data.sizes["stimulus"] // 2))))
