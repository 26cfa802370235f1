import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import DOSES, SEARCHLIGHT
from toposheet.interventions.controls import orders, scattered
from toposheet.interventions.regions import Mask

TAP = "transformer.h.0.mlp"
TEXTS = ["The river ran past the old mill.", "Snow covered every road.", "Children threw stones.", "It was late."]


@pytest.fixture
def measure(subject):
    pairs = ts.Measure.pairs(subject, TEXTS[::2], TEXTS[1::2])
    return ts.Measure("margin", pairs.requests, lambda sums: sums[::2] - sums[1::2], parts=["a", "b"])


def by_hand(subject):
    scores = ts.score(subject, TEXTS)
    return scores[::2] - scores[1::2]


def test_each_disc_is_lesioned_and_each_unit_is_in_a_disc(subject, measure):
    table = ts.searchlight(subject, measure, radius_mm=2, draws=2)
    assert len(table) == 3 * 9 * len(subject.topography.sheets)
    everything = {tap: np.zeros(36, dtype=bool) for tap in subject.topography.taps}
    for row in table[table["part"] == "b"].itertuples():
        disc = ts.Disc(row.sheet, row.y, row.x, row.radius_mm)
        change = by_hand(ts.lesion(subject, disc)) - by_hand(subject)
        assert row.change == pytest.approx(change[1], abs=1e-5)
        for tap, units in disc.units(subject).items():
            assert row.n_units == units.sum()
            everything[tap] |= units
    assert all(units.all() for units in everything.values())


def test_the_null_is_the_same_searchlight_with_exchanged_places(subject, measure):
    table = ts.searchlight(subject, measure, radius_mm=2, sheets=[TAP], draws=9, seed=3)
    rows = table[table["part"] == "all"].reset_index(drop=True)
    discs = [ts.Disc(TAP, y, x, 2) for y, x in zip(rows["y"], rows["x"], strict=True)]
    draws = [[scattered(disc.units(subject), order) for order in orders(subject, 9, seed=3)] for disc in discs]
    intact, null = by_hand(subject).mean(), np.empty((9, len(discs)))
    for disc, of_disc in enumerate(draws):
        for draw, units in enumerate(of_disc):
            null[draw, disc] = by_hand(ts.lesion(subject, Mask("draw", units))).mean() - intact
    np.testing.assert_allclose(rows["null_mean"], null.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(rows["null_sd"], null.std(axis=0, ddof=1), atol=1e-5)
    expected = (1 + (null <= rows["change"].to_numpy() + 1e-9).sum(axis=0)) / 10
    np.testing.assert_allclose(rows["p"], expected)
    assert (table["p_corrected"] >= table["p"]).all()


def test_p_is_corrected_over_discs_and_parts_and_equal_discs_are_standardised_together(subject, measure):
    table = ts.searchlight(subject, measure, radius_mm=2, sheets=[TAP], draws=9, seed=3)
    n_units = table["n_units"].to_numpy()
    assert len(np.unique(n_units)) == 3  # corners, edges and the middle
    rows = table[table["part"] == "all"]
    discs = [ts.Disc(TAP, y, x, 2) for y, x in zip(rows["y"], rows["x"], strict=True)]
    draws = [[scattered(disc.units(subject), order) for order in orders(subject, 9, seed=3)] for disc in discs]
    values = np.empty((10, 3, len(discs)))  # draws, parts, discs; the first draw is observed
    values[0] = table["change"].to_numpy().reshape(3, -1)
    for disc, of_disc in enumerate(draws):
        for draw, units in enumerate(of_disc, 1):
            change = by_hand(ts.lesion(subject, Mask("draw", units))) - by_hand(subject)
            values[draw, :, disc] = change.mean(), *change
    values = values.reshape(10, -1)
    keys = [f"{part} {n}" for part, n in zip(table["part"], n_units, strict=True)]
    drops = np.empty_like(values)
    for key in set(keys):
        columns = np.array(keys) == key
        drops[:, columns] = (values[:, columns].mean() - values[:, columns]) / values[:, columns].std()
    largest = drops.max(axis=1)[1:]
    expected = [(1 + (largest >= drop - 1e-4).sum()) / 10 for drop in drops[0]]
    np.testing.assert_allclose(table["p_corrected"], expected)


def test_without_draws_nothing_is_tested(subject, measure):
    table = ts.searchlight(subject, measure, radius_mm=2, sheets=[TAP], draws=0)
    assert (table["draws"] == 0).all()
    assert table["p_corrected"].isna().all()


def test_steps_and_sheets_are_chosen(subject, measure):
    table = ts.searchlight(subject, measure, radius_mm=1, step_mm=2, sheets=[TAP], draws=0)
    rows = table[table["part"] == "all"]
    assert sorted(set(rows["y"])) == sorted(set(rows["x"])) == [0.5, 2.5, 4.5]
    assert set(rows["sheet"]) == {TAP}


def test_discs_are_stimulated(subject, measure, stimuli):
    table = ts.searchlight(
        subject, measure, radius_mm=2, step_mm=6, sheets=[TAP], act=ts.Stimulation(-2), draws=2, texts=stimuli
    )
    row = table.iloc[0]
    driven = ts.stimulate(subject, ts.Disc(TAP, row["y"], row["x"], 2), -2, texts=stimuli)
    assert row["change"] == pytest.approx((by_hand(driven) - by_hand(subject)).mean(), abs=1e-5)
    assert row["act"] == "stimulation by -2 sd"


def test_on_one_sheet_discs_reach_several_layers(subject, measure):
    topo = ts.Topography.of(subject.model, layout="bands", seed=0)
    together = ts.Subject(subject.model, topo, subject.tokenizer)
    table = ts.searchlight(together, measure, radius_mm=3, draws=2)
    row = table.iloc[-1]
    disc = ts.Disc("cortex", row["y"], row["x"], 3)
    change = by_hand(ts.lesion(together, disc)) - by_hand(together)
    assert row["change"] == pytest.approx(change[1], abs=1e-5)


def test_a_dose_curve_has_the_lesions_of_all_radii(subject, measure):
    table = ts.dose_curve(subject, measure, TAP, 2, 2, radii_mm=[0, 1, 2.5], draws=9)
    for row in table[table["part"] == "all"].itertuples():
        lesioned = ts.lesion(subject, ts.Disc(TAP, 2, 2, row.radius_mm))
        assert row.change == pytest.approx((by_hand(lesioned) - by_hand(subject)).mean(), abs=1e-5)
    assert table["n_units"].tolist() == [1, 5, 21] * 3
    assert table["strength"].isna().all()
    assert (table["p_corrected"] >= table["p"]).all()


def test_a_dose_curve_has_all_strengths(subject, measure, stimuli):
    table = ts.dose_curve(
        subject, measure, TAP, 2, 2, radii_mm=[1], acts=[ts.Stimulation(s) for s in (-3, 0, 3)], draws=9, texts=stimuli
    )
    rows = table[table["part"] == "all"]
    assert rows["strength"].tolist() == [-3, 0, 3]
    for row in rows.itertuples():
        driven = ts.stimulate(subject, ts.Disc(TAP, 2, 2, 1), row.strength, texts=stimuli)
        assert row.change == pytest.approx((by_hand(driven) - by_hand(subject)).mean(), abs=1e-5)
    assert rows["change"].iloc[1] == 0
    assert rows["p_corrected"].iloc[1] == 1


def test_the_tables_have_their_declared_columns(subject, measure, tmp_path):
    for definition, table in (
        (SEARCHLIGHT, ts.searchlight(subject, measure, radius_mm=3, draws=2)),
        (DOSES, ts.dose_curve(subject, measure, TAP, 2, 2, draws=2)),
    ):
        definition.write(table, tmp_path)
        pd.testing.assert_frame_equal(definition.read(tmp_path), table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius_mm": 0}, "radius_mm is 0: it must be a positive number of mm"),
        ({"step_mm": float("nan")}, "step_mm is nan: it must be a positive number of mm"),
        ({"sheets": ["nowhere"]}, "there is no sheet 'nowhere'"),
        ({"sheets": []}, "no disc has a unit"),
        ({"draws": 1}, "draws is 1: it must be a whole number of at least 2"),
    ],
)
def test_what_cannot_be_done_is_refused(subject, measure, options, message):
    with pytest.raises(UserError, match=message):
        ts.searchlight(subject, measure, **options)


def test_a_dose_curve_needs_a_dose_and_a_place(subject, measure):
    with pytest.raises(UserError, match="there is no dose"):
        ts.dose_curve(subject, measure, TAP, 2, 2, radii_mm=[])
    with pytest.raises(UserError, match="is not on the sheet"):
        ts.dose_curve(subject, measure, TAP, 20, 2)
