import itertools
import json
import shutil
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind_from_stats

from toposheet.model_folders import SHIPPED
from toposheet.recipes.result import read_result
from toposheet.report import Analysis, StudiedModel, ledger
from toposheet.report.against_published import LEDGER
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.report.sections.network import PROFILE_TESTS_OF_MODELS, PROFILES_OF_MODELS
from toposheet.report.sections.published_steps import PUBLISHED_PROFILES_OF_MODELS, STEPS_OF_MODELS
from toposheet.results import Results

SETTINGS = {"battery": "published", "permutations": 99, "fewer_draws": {}, "seed": 0, "grouped": [], "min_size": 10,
            "weights": "binary", "raw_fwhm_mm": 0.0, "contiguity": "queen", "groups": "shared_words",
            "paired_by": "", "confounds": []}  # fmt: skip
READ_BY = {"reading": {"pooling": "last", "bos": "<s>", "skip_first": True}}


@pytest.fixture
def statistics():
    """The statistics that `compute` gives of two models, as far as a ledger needs them."""
    rows = []
    for model, value, p, label_p in (("topographic", 0.75, 0.01, 0.3), ("control", 0.05, 0.3, 0.4)):
        for contrast in ("concrete noun:verb", "abstract noun:verb"):
            for fwhm in (0.0, 2.0):
                row = {"model": model, "contrast": contrast, "fwhm_mm": fwhm, "sheet": "*", "tap": "*", "value": value}
                row |= {"null_mean": 0.0, "null_sd": 0.01, "z": 3.0, "p": p}
                row |= {"label_null_mean": 0.4, "label_null_sd": 0.1, "label_z": 1.0, "label_p": label_p}
                rows += [
                    {**row, "statistic": "morans_i"},
                    {**row, "statistic": "morans_i", "sheet": "s", "tap": "tap0", "value": 9.0},
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
            row = {"model": model, "contrast": contrast, "value": 0.35, "p": p, "p_all": min(4 * p, 1.0)}
            rows += [{**row, "fwhm_mm": fwhm, "sheet": "*", "tap": "*"} for fwhm in (0.0, 2.0)]
            rows += [{**row, "fwhm_mm": 0.0, "sheet": "s", "tap": "tap0", "p": 0.99}]
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
        row = {"model": model, "contrast": "noun:verb", "fwhm_mm": 0.0, "statistic": "significant_fraction"}
        values = {"as it should be": 0.2, "row-standardised weights": 0.2, "as published": 0.3}
        rows += [{**row, "step": step, "value": fraction} for step, fraction in values.items()]
    return STEPS_OF_MODELS.frame(rows)


ABSOLUTE = {"S": 4.0, "W": 3.95, "J": 3.0, "N": 2.0}
SIGNED = {"S": 2.0, "W": 1.0, "J": 0.5, "N": -1.5}


def both_tables_of_tests(model, measure, responses):
    """The tests of a profile, as those of `profile_tests` and as those as published, with 100 texts and an sd of 1."""
    of_run, as_published = [], []
    for x, y in permutations(responses, 2):
        test = ttest_ind_from_stats(responses[x], 1, 100, responses[y], 1, 100, equal_var=False, alternative="greater")
        row = {"model": model, "measure": measure, "larger": x, "smaller": y, "p": test.pvalue}
        difference, half = responses[x] - responses[y], 1.972 * (2 / 100) ** 0.5
        of_run.append({**row, "matched": False})
        as_published.append(
            {**row, "larger_response": responses[x], "smaller_response": responses[y], "difference": difference}
            | {"low": difference - half, "high": difference + half}
        )
    return of_run, as_published


def profiles_of(**models):
    """The tables of the profiles of models, {model: {measure: responses}}, alike in this run and as published."""
    row = {"cluster": "network", "sd": 1.0, "n_texts": 100, "n_items": 100}
    of_run, tests, as_published = [], [], []
    for model, measures in models.items():
        for measure, responses in measures.items():
            names = {"model": model, "measure": measure}
            of_run += [{**row, **names, "condition": c, "response": r} for c, r in responses.items()]
            for rows, more in zip((tests, as_published), both_tables_of_tests(model, measure, responses), strict=True):
                rows += more
    tests.append(tests[0] | {"matched": True, "p": 0.9})
    tables = (
        (PROFILES_OF_MODELS, of_run),
        (PROFILE_TESTS_OF_MODELS, tests),
        (PUBLISHED_PROFILES_OF_MODELS, as_published),
    )
    return {table: table.frame(rows) for table, rows in tables}


@pytest.fixture
def written(tmp_path, statistics, ordered, steps):
    """Write the ledger of a model and its control, each with its folder or None, and return it as it is read back."""
    usual = profiles_of(topographic={"absolute": ABSOLUTE, "signed": SIGNED})

    def written(table=statistics, facts=SETTINGS, order=ordered, worth=steps, profiles=usual, **models):
        tables = {
            STATISTICS_OF_MODELS: table,
            ORGANISATION_OF_MODELS: order,
            STEPS_OF_MODELS: worth,
            **profiles,
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
        "the effect is spatially ordered (organisation 0.35, p = 0.020), but not with p = 0.08 corrected for all "
        "readouts and contrasts; as published, 0.82 is within 0.1 of the published value"
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
    assert table["as_published"].astype(float).tolist() == pytest.approx([0.82, 0.12])
    page = (tmp_path / "out" / "ledger.md").read_text()
    reading = "last token, <s> before each text, first token left out"
    assert f"of this run: {reading}; binary weights, raw maps without readout, queen neighbours" in page
    assert set(table["reading"]) == {reading}
    _, _, worth = page.partition("## What each step of the published code is worth")
    assert "| model | contrast | number | as it should be | row-standardised weights | as published |" in worth
    assert "| topographic | concrete noun:verb | Moran's I, raw | 0.750 | -0.010 | 0.820 |" in worth
    assert "| topographic | concrete noun:verb | Moran's I, 2 mm | 0.750 | -0.010 | 0.740 |" in worth
    assert "- *padding averaged in*: responses are averaged over padding too, in batches of 12 texts." in worth
    assert "TopoLM published no numbers of readouts" not in worth


def test_a_readout_without_a_published_number_is_named_and_not_compared(written, steps, statistics, ordered, tmp_path):
    # As with --fwhm-mm 3 --raw-fwhm-mm 2: the map of 2 mm stands for the raw one, and was not computed as published.
    at_3 = steps.replace({"fwhm_mm": {2.0: 3.0}})
    table = written(statistics, SETTINGS | {"raw_fwhm_mm": 2.0}, ordered, at_3, topographic=None)
    concrete = table[table["quantity"].str.contains("concrete")].set_index("fwhm_mm")
    assert concrete["measured"].tolist() == ["0.75", "0.75"]
    assert float(concrete.loc[0.0, "as_published"]) == pytest.approx(0.82)
    assert concrete.loc[2.0, "as_published"] == ""
    assert concrete.loc[2.0, "verdict"].endswith(
        "; not compared with the published value: this run has no readout of 2 mm (add 2 to --fwhm-mm)"
    )
    page = (tmp_path / "out" / "ledger.md").read_text()
    assert "Moran's I, 3 mm (no published counterpart)" in page
    assert "TopoLM published no numbers of readouts of 3 mm." in page


def test_a_model_that_cannot_be_read_as_published_has_no_value_as_published_and_the_reason(written, steps):
    table = written(worth=steps[:0], profiles={}, topographic=None)
    assert (table["as_published"] == "").all()
    compared = table[table["measured"].ne("") | table["quantity"].str.contains("profile")]
    assert len(compared) == 4 + 1 + 2
    assert compared["verdict"].str.endswith("the tokenizer has no token for padding").all()


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
    assert fraction["verdict"] == (
        "not shown to have more significant units than with shuffled labels; "
        "as published, 0.300 is 0.300 higher than the value of Topoformer"
    )


def test_the_control_has_a_fraction_of_significant_units_too(written):
    table = written(topographic=None, control=None)
    rows = table[table["quantity"] == "fraction of significant units, verbs-nouns in single words"].set_index("model")
    assert rows["as_published"].tolist() == ["0.3", "0.3"]
    assert np.isnan(rows.loc["control", "topoformer"])
    assert "Topoformer" not in rows.loc["control", "verdict"]


def test_a_run_whose_raw_maps_are_readouts_takes_the_fraction_of_these(written, statistics, ordered):
    at_1 = {"fwhm_mm": {0.0: 1.0}}
    moved = pd.concat([statistics, statistics[statistics["fwhm_mm"] == 0].replace(at_1).assign(value=0.66)])
    both = pd.concat([ordered, ordered[ordered["fwhm_mm"] == 0].replace(at_1)])
    table = written(moved, SETTINGS | {"raw_fwhm_mm": 1.0}, both, topographic=None).set_index("quantity")
    assert table.loc["fraction of significant units, verbs-nouns in single words", "measured"] == "0.66"


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
    result = read_result(SHIPPED / "small")
    sheets = result["validation_spatial_losses"]
    losses = {"validation_task_loss": 5.0, "validation_spatial_loss": 0.02}
    losses["validation_spatial_losses"] = dict(zip(sheets, itertools.cycle([0.01, 0.03])))
    (tmp_path / "training.json").write_text(json.dumps(result | losses))
    for file in SHIPPED.glob("small/topography.*"):
        shutil.copy(file, tmp_path)
    table = written(topographic=tmp_path).set_index("quantity")
    task, spatial = table.loc["task loss (nats per token)"], table.loc["spatial loss, mean over sheets"]
    assert [float(task["published"]), float(task["measured"])] == [3.075, 5.0]
    assert [float(spatial["published"]), float(spatial["measured"])] == [0.108, 0.02]
    assert float(spatial["as_published"]) == pytest.approx(2.5 * 0.02 * len(sheets))
    assert spatial["verdict"] == (
        f"as published: alpha (2.5) times the sum over taps ({len(sheets)} sheets), which the published code logs; if "
        "the published value is that, its mean over 24 taps is 0.0018"
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
    assert table["verdict"].str.startswith("not measured: these stimuli").sum() == 2 * (2 + 1)


NETWORK = "response profile: {} of the network"
DIFFERENCE = "S - W = 0.050, 95 % interval -0.229 to 0.329"
AS_PUBLISHED = "as published, the published test, which does not hold with padding, gives"
IN_CONTROL = "the control has the same order by the same test, so this is no sign of topography"
NOT_IN_CONTROL = "the control does not have this order by the same test, which does not show that the models differ"


def profile_row(table, words, model="topographic"):
    rows = table[(table["model"] == model) & (table["quantity"] == NETWORK.format(words))]
    (row,) = rows.to_dict("records")
    return row


def test_the_profile_as_published_is_compared_with_the_paper_and_no_p_is_taken_for_equality(written):
    row = profile_row(written(topographic=None), "mean absolute response")
    assert row["published"] == "S ~ W > J > N"
    assert row["measured"] == row["as_published"] == "S 4.000, W 3.950, J 3.000, N 2.000"
    assert row["verdict"] == (
        f"{AS_PUBLISHED} W > J > N, as in the paper; {DIFFERENCE}; "
        "without a control model, this says nothing about topography"
    )


def test_the_signed_profile_stands_beside_the_absolute_one_and_is_compared_with_the_brain(written):
    row = profile_row(written(topographic=None), "signed response")
    assert row["published"].startswith("not published")
    assert row["measured"] == "S 2.000, W 1.000, J 0.500, N -1.500"
    in_brain = "S > W > N and S > J > N, as in the brain"
    no_control = "without a control model, this says nothing about topography"
    assert row["verdict"] == (
        f"in this run, the tests show {in_brain}; {no_control}; "
        f"{AS_PUBLISHED} {in_brain}; S - W = 1.000, 95 % interval 0.721 to 1.279; {no_control}"
    )


def test_a_profile_that_the_control_has_too_is_no_sign_of_topography(written):
    other = {"S": 1.0, "W": 3.0, "J": 2.9, "N": 2.0}
    for signed, ending in ((SIGNED, IN_CONTROL), (other, NOT_IN_CONTROL)):
        profiles = profiles_of(
            topographic={"absolute": ABSOLUTE, "signed": SIGNED}, control={"absolute": ABSOLUTE, "signed": signed}
        )
        table = written(profiles=profiles, topographic=None, control=None)
        assert profile_row(table, "signed response")["verdict"].endswith(ending)
        assert profile_row(table, "mean absolute response")["verdict"].endswith(IN_CONTROL)
        row = profile_row(table, "mean absolute response", "control")
        assert row["published"] == "not published"
        assert row["verdict"] == f"{AS_PUBLISHED} W > J > N, as in the paper; {DIFFERENCE}"


def test_another_profile_is_told_with_what_is_shown(written):
    other = {"S": 3.0, "W": 4.0, "J": 3.95, "N": 3.0}
    profiles = profiles_of(topographic={"absolute": other}, control={"absolute": dict.fromkeys("SWJN", 1.0)})
    table = written(profiles=profiles, topographic=None, control=None)
    assert profile_row(table, "mean absolute response")["verdict"] == (
        f"{AS_PUBLISHED} W > S, W > N, J > S, J > N, another profile than in the paper; "
        f"S - W = -1.000, 95 % interval -1.279 to -0.721; {NOT_IN_CONTROL}"
    )
    assert profile_row(table, "mean absolute response", "control")["verdict"].startswith(
        f"{AS_PUBLISHED} no difference; S - W = 0.000"
    )


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
