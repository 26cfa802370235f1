import json

import pandas as pd
import pytest

from toposheet.report.ledger import write_ledger

SETTINGS = {"battery": "published", "permutations": 99, "seed": 0, "grouped": [], "min_size": 10}


@pytest.fixture
def out(tmp_path):
    """What `compute` leaves of two models, as far as a ledger needs it."""
    rows = []
    for model, value, p, label_p, halves_p in (
        ("topographic", 0.75, 0.01, 0.3, 0.02),
        ("control", 0.05, 0.3, 0.4, 0.7),
    ):
        for contrast in ("concrete noun:verb", "abstract noun:verb"):
            for fwhm in (0.0, 2.0):
                row = {"model": model, "contrast": contrast, "fwhm_mm": fwhm, "tap": "*", "value": value}
                row |= {"null_mean": 0.0, "null_sd": 0.01, "z": 3.0, "p": p}
                row |= {"label_null_mean": 0.4, "label_null_sd": 0.1, "label_z": 1.0, "label_p": label_p}
                halves_p = halves_p if contrast.startswith("concrete") else 0.6
                rows += [
                    {**row, "statistic": "morans_i"},
                    {**row, "statistic": "morans_i", "tap": "tap0", "value": 9.0},
                    {**row, "statistic": "cross_half_i", "value": 0.35, "label_p": halves_p},
                ]
        rows.append({**row, "contrast": "noun:verb", "fwhm_mm": 0.0, "statistic": "significant_fraction", "value": 0.2})
    pd.DataFrame(rows).to_csv(tmp_path / "statistics.csv", index=False)
    responses = {"S": 4.0, "W": 3.95, "J": 3.0, "N": 2.0}
    profile = [("topographic", "network", c, r, 1.0, 100) for c, r in responses.items()]
    columns = ["model", "cluster", "condition", "response", "sd", "n_texts"]
    pd.DataFrame(profile, columns=columns).to_csv(tmp_path / "profiles.csv", index=False)
    (tmp_path / "analysis.json").write_text(json.dumps(SETTINGS))
    return tmp_path


def ledger(out, **models):
    for folder in models.values():
        folder.mkdir()
    write_ledger(models, out)
    return pd.read_csv(out / "ledger.csv")


def test_each_published_value_stands_beside_the_mean_over_taps_and_its_nulls(out, tmp_path):
    table = ledger(out, topographic=tmp_path / "t", control=tmp_path / "c")
    concrete = table[table["quantity"].str.contains("concrete") & (table["fwhm_mm"] == 0)].set_index("model")
    columns = [
        "published",
        "topoformer",
        "measured",
        "z",
        "p",
        "label_null_mean",
        "label_p",
        "cross_half_i",
        "cross_half_p",
    ]
    values = concrete[columns].astype(float)
    assert values.loc["topographic"].tolist() == [0.8, 0.6, 0.75, 3, 0.01, 0.4, 0.3, 0.35, 0.02]
    assert values.loc["control", ["published", "measured"]].tolist() == [0.11, 0.05]
    assert concrete.loc["topographic", "verdict"] == (
        "topographic, and the map comes back in other items; within 0.1 of the published value"
    )
    assert concrete.loc["control", "verdict"] == "no topography (place p > 0.05); within 0.1 of the published value"
    abstract = table[table["quantity"].str.contains("abstract") & (table["fwhm_mm"] == 0)].set_index("model")
    assert "does not come back in other items" in abstract.loc["topographic", "verdict"]
    assert abstract.loc["topographic", "verdict"].endswith("higher than published by 0.52")


def test_a_readout_that_was_not_made_is_not_taken_for_stimuli_that_are_not_there(out, tmp_path):
    statistics = pd.read_csv(out / "statistics.csv").query("fwhm_mm == 0")
    statistics.to_csv(out / "statistics.csv", index=False)
    table = ledger(out, topographic=tmp_path / "t")
    concrete = table[table["quantity"].str.contains("concrete")].set_index("fwhm_mm")["verdict"]
    assert concrete[2.0] == "not measured: no readout of 2 mm"
    assert concrete[0.0].startswith("topographic")


def test_too_few_draws_are_not_taken_for_no_topography(out, tmp_path):
    (out / "analysis.json").write_text(json.dumps(SETTINGS | {"permutations": 9}))
    verdicts = ledger(out, topographic=tmp_path / "t").set_index("quantity")["verdict"]
    assert verdicts.str.startswith("not tested: with 9 draws no p can reach 0.05").sum() == 5


def test_a_statistic_that_is_not_defined_is_not_taken_for_too_few_draws(out, tmp_path):
    statistics = pd.read_csv(out / "statistics.csv")
    statistics.loc[statistics["statistic"] == "morans_i", ["value", "p"]] = float("nan")
    statistics.to_csv(out / "statistics.csv", index=False)
    verdict = ledger(out, topographic=tmp_path / "t").query("quantity.str.contains('concrete')")["verdict"].iloc[0]
    assert verdict == "not tested: Moran's I or its null is not defined"


def test_a_model_beside_another_is_its_control_whatever_it_is_called(out, tmp_path):
    statistics = pd.read_csv(out / "statistics.csv").replace({"model": {"control": "plain"}})
    statistics.to_csv(out / "statistics.csv", index=False)
    table = ledger(out, topographic=tmp_path / "t", plain=tmp_path / "p")
    concrete = table[table["quantity"].str.contains("concrete") & (table["fwhm_mm"] == 0)].set_index("model")
    assert float(concrete.loc["plain", "published"]) == 0.11


def test_the_fraction_of_significant_units_stands_beside_shuffled_labels(out, tmp_path):
    table = ledger(out, topographic=tmp_path / "t")
    fraction = table[table["quantity"].str.startswith("fraction") & table["measured"].notna()].iloc[0]
    assert float(fraction["measured"]) == 0.2
    assert fraction[["label_null_mean", "label_null_sd"]].tolist() == [0.4, 0.1]
    assert fraction["verdict"] == "no more than shuffled labels give"


def test_negative_controls_stand_beside_each_measured_statistic(out, tmp_path):
    table = pd.read_csv(out / "statistics.csv").assign(control="")
    dealt = table.assign(contrast=table["contrast"] + "/random-labels", control="random-labels", value=0.25)
    pd.concat([table, dealt]).to_csv(out / "statistics.csv", index=False)
    (tmp_path / "t").mkdir()
    text = write_ledger({"topographic": tmp_path / "t"}, out)
    ledger = pd.read_csv(out / "ledger.csv")
    measured = ledger["measured"].notna() & ledger["contrast"].notna()
    assert measured.sum() == 5
    assert ledger.loc[measured, "random-labels"].eq(0.25).all()
    assert ledger.loc[~measured, "random-labels"].isna().all()
    assert ledger["length"].isna().all()
    assert text.count("| random labels 0.25 |") == 4
    assert text.count("| random labels 0.250 |") == 1


def test_losses_of_the_training_stand_beside_the_published(out, tmp_path):
    (tmp_path / "t").mkdir()
    of_result = ("recipe", "text", "corpora", "updates", "tokens", "bigram_loss", "machine")
    (tmp_path / "t" / "training.json").write_text(
        json.dumps(dict.fromkeys(of_result) | {"validation_task_loss": 5.0, "validation_spatial_loss": 0.02})
    )
    write_ledger({"topographic": tmp_path / "t"}, out)
    table = pd.read_csv(out / "ledger.csv").set_index("quantity")
    task, spatial = table.loc["task loss (nats a token)"], table.loc["spatial loss, mean over taps"]
    assert [float(task["published"]), float(task["measured"])] == [3.075, 5.0]
    assert [float(spatial["published"]), float(spatial["measured"])] == [0.108, 0.02]
    assert spatial["verdict"].startswith("the sum over 1 taps is 0.020")


def test_what_was_not_measured_is_said_and_nothing_is_left_out(out, tmp_path):
    table = ledger(out, topographic=tmp_path / "t", control=tmp_path / "c")
    assert table["verdict"].notna().all()
    assert (table["published"].isna() & table["topoformer"].isna()).sum() == 0
    for quantity in ("BLiMP", "GLUE", "Brain-Score"):
        assert (table.loc[table["quantity"] == quantity, "verdict"] == "not measured by this command").all()
    assert table["verdict"].str.startswith("not measured: these stimuli").sum() == 2 * 2 + 1


def test_a_profile_as_published_is_known_by_its_tests(out, tmp_path):
    table = ledger(out, topographic=tmp_path / "t").set_index("quantity")
    row = table.loc["response profile: mean absolute response of the network"]
    assert row["verdict"] == "as published: W > J > N, and no difference between S and W that these texts show"
    assert row["measured"] == "S 4.000, W 3.950, J 3.000, N 2.000"


def test_markdown_has_a_cell_for_every_column(out, tmp_path):
    (tmp_path / "m").mkdir()
    lines = [line for line in write_ledger({"m": tmp_path / "m"}, out).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) > 10
