import json
from itertools import permutations

import pandas as pd
import pytest
from scipy.stats import ttest_ind_from_stats

from toposheet.model_folders import SHIPPED
from toposheet.report import Analysis, StudiedModel, ledger
from toposheet.report.against_published import LEDGER
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.report.sections.network import PROFILE_TESTS_OF_MODELS, PROFILES_OF_MODELS
from toposheet.report.sections.published_steps import STEPS_OF_MODELS
from toposheet.results import Results
from toposheet.settings import PADDING
from toposheet.train.result import read_result

SETTINGS = {"battery": "published", "permutations": 99, "fewer_draws": {}, "seed": 0, "grouped": [], "min_size": 10,
            "weights": "binary", "raw_fwhm_mm": 0.0, "contiguity": "queen"}  # fmt: skip
READ_BY = {"reading": {"pooling": "last", "bos": "<s>", "skip_first": True}}


@pytest.fixture
def statistics():
    """The statistics that `compute` gives of two models, as far as a ledger needs them."""
    rows = []
    for model, value, p, label_p in (("topographic", 0.75, 0.01, 0.3), ("control", 0.05, 0.3, 0.4)):
        for contrast in ("concrete noun:verb", "abstract noun:verb"):
            for fwhm in (0.0, 2.0):
                row = {"model": model, "contrast": contrast, "fwhm_mm": fwhm, "tap": "*", "value": value}
                row |= {"null_mean": 0.0, "null_sd": 0.01, "z": 3.0, "p": p}
                row |= {"label_null_mean": 0.4, "label_null_sd": 0.1, "label_z": 1.0, "label_p": label_p}
                rows += [
                    {**row, "statistic": "morans_i"},
                    {**row, "statistic": "morans_i", "tap": "tap0", "value": 9.0},
                ]
        rows.append({**row, "contrast": "noun:verb", "fwhm_mm": 0.0, "statistic": "significant_fraction", "value": 0.2})
    return STATISTICS_OF_MODELS.frame(rows)


@pytest.fixture
def ordered():
    """The organisation of the same maps. That of the concrete nouns in the topographic model has a small p."""
    rows = []
    for model in ("topographic", "control"):
        for contrast in ("concrete noun:verb", "abstract noun:verb"):
            p = 0.02 if (model, contrast) == ("topographic", "concrete noun:verb") else 0.6
            row = {"model": model, "contrast": contrast, "value": 0.35, "p": p}
            rows += [{**row, "fwhm_mm": fwhm, "tap": "*"} for fwhm in (0.0, 2.0)]
            rows += [{**row, "fwhm_mm": 0.0, "tap": "tap0", "p": 0.99}]
    return ORGANISATION_OF_MODELS.frame(rows)


@pytest.fixture
def steps():
    """What each step of the published code is worth: raw maps are 0.07 smoother with all of them."""
    rows = []
    for model, value in (("topographic", 0.75), ("control", 0.05)):
        for contrast in ("concrete noun:verb", "abstract noun:verb"):
            for fwhm, more in ((0.0, 0.08), (2.0, 0.0)):
                row = {"model": model, "contrast": contrast, "fwhm_mm": fwhm, "statistic": "morans_i"}
                values = {"as it should be": 0, "row-standardised weights": -0.01, "as published": more - 0.01}
                rows += [{**row, "step": step, "value": value + change} for step, change in values.items()]
    return STEPS_OF_MODELS.frame(rows)


@pytest.fixture
def written(tmp_path, statistics, ordered, steps):
    """Write the ledger of a model and its control, each with its folder or None, and return it as it is read back."""
    responses = {"S": 4.0, "W": 3.95, "J": 3.0, "N": 2.0}
    row = {"model": "topographic", "cluster": "network", "sd": 1.0, "n_texts": 100, "n_items": 100}
    signed = dict(zip("SWJN", (2.0, 1.0, 0.5, -1.5), strict=True))
    profiles = PROFILES_OF_MODELS.frame(
        [
            {**row, "measure": measure, "condition": c, "response": r}
            for measure, of_measure in (("absolute", responses), ("signed", signed))
            for c, r in of_measure.items()
        ]
    )
    tests = [
        {
            "model": "topographic",
            "measure": measure,
            "matched": False,
            "larger": x,
            "smaller": y,
            "p": ttest_ind_from_stats(
                of_measure[x], 1.0, 100, of_measure[y], 1.0, 100, equal_var=False, alternative="greater"
            ).pvalue,
        }
        for measure, of_measure in (("absolute", responses), ("signed", signed))
        for x, y in permutations(responses, 2)
    ]
    matched = [tests[0] | {"matched": True, "p": 0.9}]
    tests = PROFILE_TESTS_OF_MODELS.frame(tests + matched)

    def written(table=statistics, facts=SETTINGS, order=ordered, worth=steps, **models):
        tables = {
            STATISTICS_OF_MODELS: table,
            ORGANISATION_OF_MODELS: order,
            PROFILES_OF_MODELS: profiles,
            PROFILE_TESTS_OF_MODELS: tests,
            STEPS_OF_MODELS: worth,
        }
        results = Results(tables, facts=facts | {"models": dict.fromkeys(models, READ_BY)})
        empty = tmp_path / "empty"
        empty.mkdir(exist_ok=True)
        entries = enumerate(models.items())
        studied = [StudiedModel(name, folder or empty, is_control=n == 1) for n, (name, folder) in entries]
        ledger(Analysis(results, studied)).write(tmp_path / "out")
        return LEDGER.read(tmp_path / "out")

    return written


def concrete_raw(table):
    return table[table["quantity"].str.contains("concrete") & (table["fwhm_mm"] == 0)].set_index("model")


def test_each_published_value_stands_beside_the_mean_over_taps_and_its_nulls(written):
    table = written(topographic=None, control=None)
    concrete = concrete_raw(table)
    columns = [
        "published",
        "topoformer",
        "measured",
        "z",
        "p",
        "label_null_mean",
        "label_p",
        "organisation",
        "organisation_p",
    ]
    values = concrete[columns].astype(float)
    assert values.loc["topographic"].tolist() == [0.8, 0.6, 0.75, 3, 0.01, 0.4, 0.3, 0.35, 0.02]
    assert values.loc["control", ["published", "measured"]].tolist() == [0.11, 0.05]
    assert concrete.loc["topographic", "verdict"] == (
        "the effect is spatially ordered (organisation 0.35, p = 0.020); "
        "as published, 0.82 is within 0.1 of the published value"
    )
    assert concrete.loc["control", "verdict"] == (
        "it is not shown that the effect is spatially ordered (organisation 0.35, p = 0.600); "
        "as published, 0.12 is within 0.1 of the published value"
    )
    abstract = table[table["quantity"].str.contains("abstract") & (table["fwhm_mm"] == 0)].set_index("model")
    assert abstract.loc["topographic", "p"] == 0.01  # smoother than with shuffled places is no evidence of order
    assert abstract.loc["topographic", "verdict"].startswith("it is not shown that the effect is spatially ordered")
    assert abstract.loc["topographic", "verdict"].endswith("0.82 is 0.59 higher than the published value")


def test_a_value_as_published_stands_beside_each_value_with_what_each_step_is_worth(written, tmp_path):
    table = concrete_raw(written(topographic=None, control=None))
    assert table["as_published"].tolist() == pytest.approx([0.82, 0.12])
    page = (tmp_path / "out" / "ledger.md").read_text()
    reading = "last token, <s> before each text, first token left out"
    assert f"of this run: {reading}; binary weights, raw maps without readout, queen neighbours" in page
    assert set(table["reading"]) == {reading}
    _, _, worth = page.partition("## What each step of the published code is worth")
    assert "| model | contrast | number | as it should be | row-standardised weights | as published |" in worth
    assert "| topographic | concrete noun:verb | Moran's I, raw | 0.750 | -0.010 | 0.820 |" in worth
    assert "| topographic | concrete noun:verb | Moran's I, 2 mm | 0.750 | -0.010 | 0.740 |" in worth
    assert "This step is left out here: it needs another reading" in worth


def test_padding_is_part_of_the_values_as_published_where_the_run_has_it(written, steps, tmp_path):
    padded = steps[steps["step"] == "as published"].assign(step=PADDING)
    written(worth=pd.concat([steps, padded]), topographic=None)
    page = (tmp_path / "out" / "ledger.md").read_text()
    assert "averaged over padding too, and so are the values as published" in page


def test_a_run_with_another_readout_as_raw_measures_the_raw_rows_with_it(written, statistics, ordered):
    at_1 = {"fwhm_mm": {0.0: 1.0}}
    moved = pd.concat([statistics, statistics[statistics["fwhm_mm"] == 0].replace(at_1).assign(value=0.66)])
    both = pd.concat([ordered, ordered[ordered["fwhm_mm"] == 0].replace(at_1)])
    table = written(moved, SETTINGS | {"raw_fwhm_mm": 1.0}, both, topographic=None)
    assert concrete_raw(table).loc["topographic", "measured"] == "0.66"


def test_topoformer_stands_there_as_in_the_paper_and_as_in_the_published_tables(written):
    table = written(topographic=None, control=None)
    pairs = table[table["quantity"] == "Moran's I, verbs-nouns, mean over taps"]
    columns = ["fwhm_mm", "topoformer", "topoformer_tables"]
    assert pairs.loc[pairs["model"] == "topographic", columns].values.tolist() == [[0, 0.66, 0.62], [2, 0.85, 0.84]]
    assert pairs.loc[pairs["model"] == "control", columns[1:]].isna().all(axis=None)


def test_a_readout_that_was_not_made_is_not_taken_for_stimuli_that_are_not_there(written, statistics):
    table = written(statistics.query("fwhm_mm == 0"), topographic=None)
    concrete = table[table["quantity"].str.contains("concrete")].set_index("fwhm_mm")["verdict"]
    assert concrete[2.0] == "not measured: this run has no readout of 2 mm (add 2 to --fwhm-mm)"
    assert concrete[0.0].startswith("the effect is spatially ordered")


def test_too_few_draws_are_not_taken_for_no_topography(written):
    verdicts = written(facts=SETTINGS | {"permutations": 9}, topographic=None).set_index("quantity")["verdict"]
    assert verdicts.str.contains("not tested: with 9 draws no p can reach 0.05").sum() == 5


def test_a_constant_map_is_not_taken_for_too_few_draws(written, ordered):
    constant = ordered.assign(value=float("nan"), p=float("nan"))
    verdict = written(order=constant, topographic=None).query("quantity.str.contains('concrete')")["verdict"].iloc[0]
    assert verdict.startswith("whether the effect is spatially ordered is not tested: no map varies")


def test_a_model_beside_another_is_its_control_whatever_it_is_called(written, statistics, ordered, steps):
    named = {"model": {"control": "plain"}}
    tables = {"order": ordered.replace(named), "worth": steps.replace(named)}
    table = written(statistics.replace(named), **tables, topographic=None, plain=None)
    concrete = concrete_raw(table)
    assert float(concrete.loc["plain", "published"]) == 0.11


def test_the_fraction_of_significant_units_stands_beside_shuffled_labels(written):
    table = written(topographic=None)
    fraction = table[table["quantity"].str.startswith("fraction") & (table["measured"] != "")].iloc[0]
    assert float(fraction["measured"]) == 0.2
    assert fraction[["label_null_mean", "label_null_sd"]].tolist() == [0.4, 0.1]
    assert fraction["verdict"] == "not shown to have more significant units than with shuffled labels"


def test_negative_controls_stand_beside_each_measured_statistic(written, statistics, tmp_path):
    dealt = statistics.assign(negative_control="random-labels", value=0.25)
    result = written(pd.concat([statistics, dealt]), topographic=None)
    measured = (result["measured"] != "") & (result["contrast"] != "")
    assert measured.sum() == 5
    assert result.loc[measured, "random-labels"].eq(0.25).all()
    assert result.loc[~measured, "random-labels"].isna().all()
    assert result["length"].isna().all()
    text = (tmp_path / "out" / "ledger.md").read_text()
    assert text.count("| random labels 0.25 |") == 4
    assert text.count("| random labels 0.250 |") == 1


def test_losses_of_the_training_stand_beside_the_published(written, tmp_path):
    losses = {"validation_task_loss": 5.0, "validation_spatial_loss": 0.02}
    losses["validation_spatial_losses"] = {"one": 0.01, "two": 0.03}
    (tmp_path / "training.json").write_text(json.dumps(read_result(SHIPPED / "small") | losses))
    table = written(topographic=tmp_path).set_index("quantity")
    task, spatial = table.loc["task loss (nats per token)"], table.loc["spatial loss, mean over taps"]
    assert [float(task["published"]), float(task["measured"])] == [3.075, 5.0]
    assert [float(spatial["published"]), float(spatial["measured"])] == [0.108, 0.02]
    assert spatial["as_published"] == pytest.approx(2.5 * 0.04)
    assert spatial["verdict"] == (
        "as published: alpha (2.5) times the sum over 2 sheets, which the published code logs; if the published value "
        "is that, its mean over 24 taps is 0.0018"
    )


def test_stimuli_that_were_left_out_are_named_with_what_brings_them(written, statistics):
    note = "the stimuli swjn are left out, because packages are missing: pip install 'toposheet[demo]'"
    facts = SETTINGS | {"battery": "synthetic", "stimuli_left_out": note, "measured": None}
    nothing = statistics[statistics["model"] == "none"]
    verdicts = written(nothing, facts, other=None).set_index("quantity")["verdict"]
    for quantity, verdict in verdicts.items():
        if "Moran" in quantity or "significant" in quantity or "profile" in quantity:
            assert verdict == f"not measured: {note}", quantity


def test_what_was_not_measured_is_said_and_nothing_is_left_out(written):
    table = written(topographic=None, control=None)
    assert (table["verdict"] != "").all()
    assert ((table["published"] == "") & table["topoformer"].isna()).sum() == 0
    for quantity in ("BLiMP", "GLUE", "Brain-Score"):
        assert (table.loc[table["quantity"] == quantity, "verdict"] == "not measured by this command").all()
    assert table["verdict"].str.startswith("not measured: these stimuli").sum() == 2 * 2 + 1


def test_the_signed_profile_stands_beside_the_absolute_one_and_is_compared_with_the_brain(written):
    row = written(topographic=None).set_index("quantity").loc["response profile: signed response of the network"]
    assert row["verdict"] == "as in the brain: S > W > N and S > J > N"
    assert row["measured"] == "S 2.000, W 1.000, J 0.500, N -1.500"
    assert row["published"].startswith("not published")


def test_a_profile_as_published_is_known_by_its_tests(written):
    table = written(topographic=None).set_index("quantity")
    row = table.loc["response profile: mean absolute response of the network"]
    assert row["verdict"] == "as published: W > J > N, and no significant difference between S and W"
    assert row["measured"] == "S 4.000, W 3.950, J 3.000, N 2.000"


def test_a_fraction_says_where_texts_that_share_words_count_as_one(written, statistics):
    for grouped in ([], ["moseley2014"]):
        result = written(
            statistics.assign(stimuli="moseley2014"), SETTINGS | {"grouped": grouped}, topographic=None
        ).set_index("published_stimuli")
        verdict = result.loc[
            result["quantity"].str.startswith("fraction") & (result["measured"] != ""), "verdict"
        ].iloc[0]
        assert ("count as one text" in verdict) == bool(grouped)


def test_markdown_has_a_cell_for_every_column_and_is_what_is_written(written, tmp_path):
    written(topographic=None)
    tables = (tmp_path / "out" / "ledger.md").read_text().split("\n## ")
    for table, at_least in zip(tables, (10, 4), strict=True):
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) > at_least


def test_a_ledger_writes_a_page_and_prints_each_quantity_with_its_verdict_in_100_columns(
    statistics, ordered, steps, tmp_path
):
    tables = {STATISTICS_OF_MODELS: statistics, ORGANISATION_OF_MODELS: ordered, STEPS_OF_MODELS: steps}
    facts = SETTINGS | {"models": {"topographic": READ_BY}}
    result = ledger(Analysis(Results(tables, facts=facts), [StudiedModel("topographic", tmp_path)]))
    result.write(tmp_path)
    assert (tmp_path / "ledger.md").read_text() == f"{result.markdown}\n"
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 100
    at = lines.index(
        "Moran's I, concrete verbs-nouns, mean over taps | raw | 0.80 | 0.75 | 0.82 | 0.010 | 0.300 | 0.020"
    )
    assert lines[at + 1].startswith("    the effect is spatially ordered (organisation 0.35, p = 0.020)")


@pytest.mark.parametrize("name", ["0", "007", "2.5", "nan", "True", "None"])
def test_a_models_numbers_are_found_whatever_its_name_looks_like(written, statistics, ordered, steps, name):
    named = {"model": {"topographic": name}}
    tables = {"order": ordered.replace(named), "worth": steps.replace(named)}
    table = written(statistics.replace(named), **tables, **{name: None})
    assert concrete_raw(table).loc[name, "measured"] == "0.75"


def test_no_two_rows_of_a_model_have_one_name(written):
    assert not written().duplicated(["model", "quantity", "fwhm_mm"]).any()
