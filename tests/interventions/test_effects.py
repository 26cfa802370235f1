import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import toposheet as ts
from toposheet.errors import UserError
from toposheet.interventions import scoring
from toposheet.interventions.acts import Target
from toposheet.interventions.controls import elsewhere, orders, scattered
from toposheet.interventions.lesions import LESION
from toposheet.interventions.regions import Mask
from toposheet.stats.proportions import interval_of_mean, paired_interval


def sums_with(*args, **kwargs):
    return np.stack(list(scoring.sums_with(*args, **kwargs)))


TAP = "transformer.h.0.mlp"
GOOD = [
    "The river ran past the old mill.",
    "Snow covered every road.",
    "A clever engineer wrote letters.",
    "Children threw stones.",
]
BAD = [
    "The river past ran old the mill.",
    "Snow every covered road.",
    "A engineer clever letters wrote.",
    "Stones threw children the.",
]


@pytest.fixture
def subject(subject):
    with torch.no_grad():  # make what the taps put out matter
        for name, weight in subject.model.named_parameters():
            if "c_proj" in name:
                weight.mul_(30)
    return subject


@pytest.fixture
def margins(subject):
    """The log-probability of the good sentence minus that of the bad one: it changes with every lesion."""
    pairs = ts.Measure.pairs(subject, GOOD, BAD)
    return ts.Measure("margin", pairs.requests, lambda sums: sums[::2] - sums[1::2], unit="nats")


def by_hand(subject):
    scores = ts.score(subject, [text for pair in zip(GOOD, BAD, strict=True) for text in pair])
    return scores[::2] - scores[1::2]


def test_pairs_are_right_if_the_good_sentence_is_more_probable(subject):
    measure = ts.Measure.pairs(subject, GOOD, BAD)
    np.testing.assert_array_equal(measure.value(np.array([-1.0, -2, -3, -2, -5, -5])), [1, 0, 0.5])
    sums = sums_with(subject, [], measure.requests)
    np.testing.assert_array_equal(measure.value(sums[0]), by_hand(subject) > 0)


def test_sums_with_interventions_are_those_of_the_intervened_subjects(subject, margins):
    discs = [ts.Disc(tap, 2, 2, 2) for tap in subject.topography.taps]
    interventions = [LESION.intervention(disc.name, disc.units(subject)) for disc in discs]
    for base in (subject, ts.lesion(subject, ts.Disc(TAP, 4, 4, 1))):
        sums = sums_with(base, interventions, margins.requests, batch_size=3)
        np.testing.assert_allclose(margins.value(sums[0]), by_hand(base), atol=1e-5)
        for row, disc in zip(sums[1:], discs, strict=True):
            np.testing.assert_allclose(margins.value(row), by_hand(ts.lesion(base, disc)), atol=1e-5)
            assert np.abs(row - sums[0]).max() > 1e-3


def test_an_interrupted_call_goes_on_and_equal_calls_compute_nothing(subject, margins, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "_INTERVENTIONS", 2)
    monkeypatch.setattr(scoring, "_TEXTS", 3)
    interventions = [LESION.intervention("x", ts.Disc(tap, 2, 2, 2).units(subject)) for tap in subject.topography.taps]
    expected = sums_with(subject, interventions, margins.requests, batch_size=2)
    calls, compute = [], scoring._sums

    def counted(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compute(*args)

    monkeypatch.setattr(scoring, "_sums", counted)
    shown = []
    with pytest.raises(KeyboardInterrupt):
        sums_with(subject, interventions, margins.requests, batch_size=2, cache=tmp_path)
    for _ in range(2):
        shown.clear()
        result = sums_with(
            subject, interventions, margins.requests, batch_size=2, cache=tmp_path,
            progress=lambda _, done, total: shown.append((done, total)),
        )  # fmt: skip
        np.testing.assert_array_equal(result, expected)
        assert len(calls) == 5  # of four parts three were done before, and one was interrupted
        assert shown[0] == (0, 48)
        assert shown[-1] == (48, 48)
    other = ts.lesion(subject, ts.Disc(TAP, 0, 0, 0))
    sums_with(other, interventions, margins.requests, batch_size=2, cache=tmp_path)
    assert len(calls) == 9


def moved(subject, region, draws, seed):
    """The control regions of a region by kind, made by hand from the draws of the library."""
    weights = region.units(subject)
    drawn = {"scattered": [scattered(weights, order) for order in orders(subject, draws, seed)]}
    drawn["elsewhere"] = elsewhere(Target.of(subject, region, LESION), draws, seed)
    return {kind: [Mask("control", {t: w > 0 for t, w in one.items()}) for one in ws] for kind, ws in drawn.items()}


def test_effects_are_those_of_lesions_one_by_one(subject, margins, stimuli):
    region = ts.Disc(TAP, 2, 2, 1)
    table = ts.intervention_effects(subject, region, margins, draws=9, seed=4).set_index("control")
    assert list(table.index) == ["", "scattered", "elsewhere"]
    intact, change = by_hand(subject), by_hand(ts.lesion(subject, region)) - by_hand(subject)
    row = table.loc[""]
    assert row["n_units"] == 5
    assert row["act"] == "lesion to zero"
    assert row["intact"] == pytest.approx(intact.mean(), abs=1e-5)
    assert row["after"] == pytest.approx((intact + change).mean(), abs=1e-5)
    assert row["change"] == pytest.approx(change.mean(), abs=1e-5)
    interval = stats.t.interval(0.95, 3, change.mean(), stats.sem(change))
    assert (row["change_low"], row["change_high"]) == pytest.approx(interval, abs=1e-4)
    for kind, regions in moved(subject, region, 9, 4).items():
        changes = np.stack([by_hand(ts.lesion(subject, r)) - intact for r in regions])
        row = table.loc[kind]
        assert row["change"] == pytest.approx(changes.mean(), abs=1e-5)
        assert row["difference"] == pytest.approx(change.mean() - changes.mean(), abs=1e-5)
        interval = stats.t.interval(0.95, 3, row["difference"], stats.sem(change - changes.mean(axis=0)))
        assert (row["difference_low"], row["difference_high"]) == pytest.approx(interval, abs=1e-4)
        if kind == "elsewhere":  # its draws leave out the region, so it is not one of them
            assert np.isnan([row["z"], row["p"], row["p_corrected"]]).all()
            continue
        means = changes.mean(axis=1)
        assert row["null_sd"] == pytest.approx(means.std(ddof=1), abs=1e-5)
        assert row["z"] == pytest.approx((change.mean() - means.mean()) / means.std(ddof=1), abs=1e-3)
        assert row["p"] == (1 + (means <= change.mean()).sum()) / 10
        assert row["p_corrected"] == row["p"]


@pytest.mark.parametrize("alternative", ["less", "greater", "two-sided"])
def test_p_is_that_of_the_alternative(subject, margins, alternative):
    region = ts.Disc(TAP, 2, 2, 1)
    table = ts.intervention_effects(subject, region, margins, draws=19, alternative=alternative).set_index("control")
    values = [by_hand(ts.lesion(subject, region)).mean()]
    values += [by_hand(ts.lesion(subject, r)).mean() for r in moved(subject, region, 19, 0)["scattered"]]
    values = np.array(values) - np.mean(values)
    assert (table["alternative"] == alternative).all()
    extreme = {"less": -values, "greater": values, "two-sided": np.abs(values)}[alternative]
    assert table.loc["scattered", "p"] == (extreme >= extreme[0] - 1e-9).sum() / 20


def test_a_stimulation_is_that_of_the_stimulated_subject_beside_as_strong_currents(subject, margins, stimuli):
    disc = ts.Disc(TAP, 2, 2, 1)
    table = ts.intervention_effects(subject, disc, margins, act=ts.Stimulation(3), draws=9, texts=stimuli)
    table = table.set_index("control")
    driven = ts.stimulate(subject, disc, 3, texts=stimuli)
    assert table.loc["", "change"] == pytest.approx((by_hand(driven) - by_hand(subject)).mean(), abs=1e-5)
    assert table.loc["", "act"] == "stimulation by 3 sd"
    assert table.loc["", "n_units"] == 5
    act, activity = ts.Stimulation(3), ts.unit_activity(subject, stimuli)
    weights, changes = disc.current(subject), []
    for draw in (scattered(weights, order) for order in orders(subject, 9)):
        assert sorted(draw[TAP]) == pytest.approx(sorted(weights[TAP]))
        drawn = subject.intervened(act.intervention("draw", draw, activity))
        changes.append((by_hand(drawn) - by_hand(subject)).mean())
    row = table.loc["scattered"]
    assert (row["null_mean"], row["null_sd"]) == pytest.approx((np.mean(changes), np.std(changes, ddof=1)), abs=1e-5)


def test_effects_are_also_those_of_each_part(subject, margins):
    parts = ["a", "b", "a", "b"]
    measure = ts.Measure("margin", margins.requests, margins.value, ["g", "g", "h", "h"], parts, "nats")
    region = ts.Disc(TAP, 2, 2, 1)
    change = by_hand(ts.lesion(subject, region)) - by_hand(subject)
    table = ts.intervention_effects(subject, region, measure, draws=9)
    assert table["part"].tolist() == ["all", "a", "b"] * 3
    assert (table["unit"] == "nats").all()
    found = table[table["control"] == ""]["change"].tolist()
    assert found == pytest.approx([change.mean(), change[[0, 2]].mean(), change[[1, 3]].mean()], abs=1e-5)


def test_all_controls_are_measured_and_p_is_corrected_over_regions(subject, margins, stimuli):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    other = ts.localize(comparison, percent=30.0)
    regions = [ts.Disc(TAP, 2, 2, 1), ts.Disc(TAP, 4, 4, 1), ts.WholeTap(TAP) & ts.Disc(TAP, 1, 4, 1)]
    table = ts.intervention_effects(
        subject,
        regions,
        margins,
        act=ts.Lesion("mean"),
        draws=19,
        comparison=comparison,
        networks=[other],
        texts=stimuli,
    )
    kinds = ["", "scattered", "elsewhere", "least selective", "matched", f"other network: {comparison.name}"]
    assert table["control"].tolist() == kinds * 3
    tested = table[table["control"] == "scattered"]
    assert (tested["p_corrected"] >= tested["p"]).all()
    assert (tested["p_corrected"] > tested["p"]).any()
    assert (table["act"] == "lesion to mean").all()
    assert table[~table["control"].isin(["scattered"])]["p"].isna().all()


def test_with_groups_all_groups_count_alike(subject, margins):
    grouped = ts.Measure("margin", margins.requests, margins.value, ["a", "a", "a", "b"], unit="nats")
    change = by_hand(ts.lesion(subject, ts.Disc(TAP, 2, 2, 1))) - by_hand(subject)
    row = ts.intervention_effects(subject, ts.Disc(TAP, 2, 2, 1), grouped, draws=2).iloc[0]
    assert row["change"] == pytest.approx((change[:3].mean() + change[3]) / 2, abs=1e-5)
    assert np.isnan(row["change_low"])  # one item says nothing about others of its group


def test_the_test_of_a_place_keeps_its_level(subject, margins):
    """Random sets of units are no better than other random sets: p <= 0.1 in a tenth of them."""
    rng, interventions, draws = np.random.default_rng(0), [], 9
    sets = [rng.permutation(36)[:5] for _ in range(60 * (1 + draws))]
    for units in sets:
        interventions.append(LESION.intervention("x", {TAP: np.isin(np.arange(36), units)}))
    sums = sums_with(subject, interventions, margins.requests)
    intact, *lesioned = (margins.value(row).mean() for row in sums)
    drops = intact - np.array(lesioned).reshape(60, 1 + draws)
    p = (1 + (drops[:, 1:] >= drops[:, :1]).sum(axis=1)) / (1 + draws)
    assert stats.binomtest(int((p <= 0.1).sum()), 60, 0.1).pvalue > 1e-3


def test_what_makes_nan_is_refused_with_its_name(subject, margins):
    huge = ts.Effect(np.ones(36), np.full(36, 3e38))  # two of them are infinite
    huge = ts.Intervention("too much", dict.fromkeys(subject.topography.taps, huge))
    with pytest.raises(UserError, match=r"too much: the log-probability of .* is not a finite number"):
        sums_with(subject, [huge], margins.requests)


def test_a_measure_needs_a_part_for_each_item(subject, margins):
    measure = ts.Measure("margin", margins.requests, margins.value, parts=["a", "b"])
    with pytest.raises(UserError, match="the measure margin has 2 parts for 4 items: give one for each item"):
        ts.intervention_effects(subject, ts.Disc(TAP, 2, 2, 1), measure, draws=2)


def test_pairs_need_partners(subject):
    with pytest.raises(UserError, match="there are 4 good and 3 bad sentences"):
        ts.Measure.pairs(subject, GOOD, BAD[:3])


def test_the_table_has_its_declared_columns(subject, margins, tmp_path):
    from toposheet.interventions import EFFECTS

    table = ts.intervention_effects(subject, ts.Disc(TAP, 2, 2, 1), margins, draws=2)
    EFFECTS.write(table, tmp_path)
    pd.testing.assert_frame_equal(EFFECTS.read(tmp_path), table)


def test_regions_with_one_name_and_a_part_called_all_are_refused(subject, margins):
    regions = [Mask("mask", {TAP: np.arange(36) == unit}) for unit in (1, 2)]
    with pytest.raises(UserError, match="two regions are called 'mask'"):
        ts.intervention_effects(subject, regions, margins, draws=2)
    measure = ts.Measure("margin", margins.requests, margins.value, parts=["all", "all", "b", "b"])
    with pytest.raises(UserError, match="a part of the measure margin is called 'all'"):
        ts.intervention_effects(subject, regions[0], measure, draws=2)


def test_two_networks_of_one_contrast_are_two_controls(subject, margins, stimuli):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    networks = [ts.localize(comparison, percent=percent) for percent in (20.0, 30.0)]
    table = ts.intervention_effects(subject, ts.Disc(TAP, 2, 2, 1), margins, draws=2, networks=networks)
    name = f"other network: {comparison.name}"
    assert table["control"].tolist()[3:] == [name, f"{name} (2)"]


def test_a_stimulated_disc_has_the_units_of_the_disc_on_every_layout(subject, margins, stimuli):
    topo = ts.Topography.of(subject.model, layout="bands", seed=0)
    together = ts.Subject(subject.model, topo, subject.tokenizer)
    disc = ts.Disc("cortex", 3, 2, 2)
    n_units = sum(int(mask.sum()) for mask in disc.units(together).values())
    table = ts.intervention_effects(together, disc, margins, act=ts.Stimulation(2), draws=2, texts=stimuli)
    assert (table["n_units"] == n_units).all()
    assert len(disc.current(together)) > len(disc.units(together))


def test_a_change_of_accuracy_has_the_interval_of_paired_accuracies(subject):
    groups = ["a", "a", "b", "b"]
    measure = ts.Measure.pairs(subject, GOOD, BAD, groups=groups)
    row = ts.intervention_effects(subject, ts.Disc(TAP, 2, 2, 2), measure, draws=2).iloc[0]
    lesioned = ts.lesion(subject, ts.Disc(TAP, 2, 2, 2))
    difference = (by_hand(lesioned) > 0) * 1.0 - (by_hand(subject) > 0)
    parts = [difference[:2], difference[2:]]
    means = np.array([part.mean() for part in parts])
    expected = interval_of_mean(means, [paired_interval(part) for part in parts])
    assert (row["change_low"], row["change_high"]) == pytest.approx(expected)
    assert -1 <= row["change_low"] < row["change_high"] <= 1


def test_a_whole_sheet_has_no_regions_elsewhere(subject, margins, stimuli):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    table = ts.intervention_effects(subject, ts.WholeSheet(TAP), margins, draws=2, comparison=comparison, texts=stimuli)
    assert table["control"].tolist() == ["", "scattered"]
    assert table["p_corrected"].iloc[1] == 1  # all its units are lesioned in each draw
