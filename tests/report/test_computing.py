import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from toposheet.errors import NotFound, UserError
from toposheet.report import StudiedModel, compute, folder
from toposheet.report.computing import what_decides, with_draws
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS, SUMMARY_OF_MODELS
from toposheet.report.sections.network import NETWORK_UNITS
from toposheet.report.sections.smoothness import SMOOTHNESS_OF_MODELS
from toposheet.report.sections.stimuli import TEXTS
from toposheet.settings import Reading, Settings
from toposheet.stats import holm
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Effect, Intervention
from toposheet.topography import Topography

FAST = Settings(permutations=2, negative_controls=False, min_size=2)


def test_every_table_of_every_section_has_rows_of_each_model_in_order(results):
    assert {table.file for table in results.tables} == {table.file for table in folder.tables()}
    for table, frame in results.tables.items():
        assert len(frame), table.file
        if "model" in table.columns and table.file not in (
            "clusters.csv",
            "profiles.csv",
            "profile_tests.csv",
            "published_profiles.csv",
        ):  # there may be no cluster
            assert frame["model"].unique().tolist() == ["007", "<b>"], table.file


def test_maps_have_a_dimension_for_each_thing_that_tables_have_a_column_for(results, subjects):
    t = results.maps["t"]
    assert t.dims == ("model", "contrast", "negative_control", "fwhm_mm", "sheet", "y", "x")
    assert t["model"].values.tolist() == list(subjects)
    assert t["contrast"].values.tolist() == ["S:N"]
    assert t["negative_control"].values.tolist()[0] == ""
    assert t["sheet"].values.tolist() == list(subjects["007"].topography.sheets)
    rows = results[SUMMARY_OF_MODELS]
    assert set(rows["negative_control"]) == set(t["negative_control"].values.tolist())


def test_the_language_network_says_of_each_unit_which_cluster_it_is_in(results, subjects):
    network = results[NETWORK_UNITS]
    for name, subject in subjects.items():
        rows = network[network["model"] == name]
        assert len(rows) == sum(subject.topography.widths.values())
        for name, (_, values) in subject.topography.unit_coordinates().items():
            if name in rows:
                assert rows[name].tolist() == values.tolist()


def test_the_facts_are_what_decides_the_numbers_and_whose_they_are(results, subjects, battery):
    facts = dict(results.facts)
    models, rows, statistics, notes = (facts.pop(name) for name in ("models", "rows", "statistics", "notes"))
    assert set(notes) <= {"S:N"}
    assert rows["summary.csv"] == "the map of a contrast, in one tap and readout"
    assert "morans_i" in statistics
    assert facts == what_decides(battery, Settings(permutations=3, min_size=2))
    assert json.loads(json.dumps(facts)) == facts
    assert facts["contrasts"] == ["S:N"]
    assert (
        facts["stimuli"]["localizer"]
        == hashlib.sha256(battery.studies[0].stimuli.to_csv(index=False).encode()).hexdigest()
    )
    for name, subject in subjects.items():
        assert models[name]["fingerprint"] == subject.fingerprint
        assert models[name]["taps"] == list(subject.topography.taps)
        assert models[name]["units"] == 144
        assert models[name]["folder"] == ""


def test_another_setting_decides_other_numbers(battery):
    usual = what_decides(battery, Settings())
    for other in (Settings(seed=1), Settings(reading=Reading("last")), Settings(fwhm_mm=(1.0,))):
        assert what_decides(battery, other) != usual


def test_progress_goes_from_nothing_to_everything_and_says_what_is_done(told, results):
    done = [step[1] for step in told]
    assert done[0] == 0
    assert done == sorted(done)
    assert told[-1][1] == told[-1][2]
    assert all(spent <= total for _, spent, total in told)
    whats = list(dict.fromkeys(step[0] for step in told))
    study = "model 1 of 2, 007: stimuli 1 of 2, localizer"
    assert whats[:3] == ["model 1 of 2, 007: opening the model", study, f"{study}, reading texts 0 of 20"]
    contrast = f"{study}: contrast 1 of 1, S:N"
    for step in (
        f"{study}: responses, smoothness and wiring, tap 3 of 4",
        f"{contrast}: contrasts, raw, place-null, draw 3 of 3",
        f"{contrast}, random-labels: contrasts, readout 2 mm, label-null, draw 3 of 3",
        f"{contrast}, length: clusters, label-null, draw 3 of 3",
        "model 2 of 2, <b>: network, raw, organisation",
    ):
        assert step in whats, step


def test_a_single_model_is_not_counted(subjects, battery):
    told = []
    one = Battery("mine", battery.studies[:1], None, None)
    compute([StudiedModel("one", subjects["007"])], one, settings=FAST, progress=lambda *step: told.append(step))
    assert told[0][0] == "one: opening the model"
    assert told[-1][1] == told[-1][2]


def texts(n_a, n_b=None, **columns):
    """A battery with one contrast of a with b."""
    conditions = ["a"] * n_a + ["b"] * (n_b or n_a)
    stimuli = pd.DataFrame({"text": [f"text {i}" for i in range(len(conditions))], "condition": conditions, **columns})
    return Battery("mine", (Study("s", stimuli, (Contrast("a", "b"),)),), None, None)


def chosen_draws(models, battery, settings):
    return with_draws(settings, models, battery).permutations


def test_an_analysis_has_999_draws_where_its_sizes_say_that_they_take_less_than_a_minute_and_99_otherwise(subjects):
    one = [StudiedModel("one", subjects["007"])]
    assert sum(subjects["007"].topography.widths.values()) == 144
    # 1e-8 seconds for each draw, unit, item, map and readout: 0.0115 seconds for each item.
    assert chosen_draws(one, texts(2600), Settings()) == 999
    assert chosen_draws(one, texts(2610), Settings()) == 99
    assert chosen_draws(one, texts(2610), Settings(negative_controls=False)) == 999
    assert chosen_draws(one, texts(2610), Settings(fwhm_mm=(0.0,))) == 999
    assert chosen_draws(2 * one, texts(1310), Settings()) == 99
    assert chosen_draws(one, texts(2610), Settings(permutations=7)) == 7


def test_with_many_contrasts_there_are_as_many_draws_as_a_corrected_p_needs_to_be_significant(subjects):
    one = [StudiedModel("one", subjects["007"])]
    study = texts(2600).studies[0]
    for n_contrasts, draws in ((5, 99), (6, 119), (7, 139)):
        battery = Battery("mine", (Study("s", study.stimuli, (Contrast("a", "b"),) * n_contrasts),), None, None)
        assert chosen_draws(one, battery, Settings()) == draws
        smallest = np.where(np.arange(n_contrasts) == 0, 1 / (1 + draws), 1.0)
        assert holm(smallest)[0] <= 0.05


@pytest.mark.parametrize(
    ("battery", "settings", "draws"),
    [
        (texts(5), Settings(), 252),
        (texts(6, 4), Settings(), 252),  # a negative control may have 5 texts against 5
        (texts(5, couple=list("vwxyz") * 2), Settings(paired_by="couple"), 32),
        (texts(6, shared_words=list("uuvwxx") + list("mmnoop")), Settings(), 70),
    ],
)
def test_an_analysis_has_no_more_draws_than_there_are_different_relabellings(subjects, battery, settings, draws):
    assert chosen_draws([StudiedModel("one", subjects["007"])], battery, settings) == draws


def test_the_facts_have_the_number_of_draws_that_was_chosen_and_a_number_that_is_given_wins(subjects):
    models, few = [StudiedModel("one", subjects["007"])], texts(3)
    analysis = compute(models, few, settings=Settings(negative_controls=False))
    assert analysis.results.facts["permutations"] == 20
    assert compute(models, few, settings=FAST).results.facts["permutations"] == 2
    with pytest.raises(UserError, match="99 draws of a null are wanted, but 6 independent items have only 20"):
        compute(models, few, settings=Settings(permutations=99))


def test_results_are_read_from_a_folder_as_they_were_written(results, tmp_path):
    folder.write(results, tmp_path)
    read = folder.read(tmp_path)
    assert {table.file for table in read.tables} == {table.file for table in results.tables}
    for table, frame in results.tables.items():
        pd.testing.assert_frame_equal(read[table], frame)
    assert read.maps.equals(results.maps)
    assert read.facts == json.loads(json.dumps(results.facts))


def test_a_folder_that_lacks_a_table_is_said_to(results, tmp_path):
    folder.write(results, tmp_path)
    (tmp_path / "summary.csv").unlink()
    with pytest.raises(UserError, match=r"has no summary\.csv, which belongs to its results: make the results again"):
        folder.read(tmp_path)


def test_a_folder_without_results_is_said_to_have_none(tmp_path):
    with pytest.raises(NotFound, match="has no results"):
        folder.read(tmp_path)


def test_a_lesioned_subject_has_results_of_its_own(subjects, battery):
    subject = subjects["007"]
    tap = subject.topography.taps[0]
    silenced = Intervention("half", {tap: Effect.silence(np.arange(subject.topography.widths[tap]) < 18)})
    first = Battery("mine", battery.studies[:1], None, None)
    models = [StudiedModel("whole", subject), StudiedModel("lesioned", subject.intervened(silenced))]
    result = compute(models, first, settings=FAST).results
    facts = result.facts["models"]
    assert facts["whole"]["fingerprint"] != facts["lesioned"]["fingerprint"]
    t = result.maps["t"].sel(contrast="S:N", negative_control="", fwhm_mm=0, sheet=tap)
    assert int(t.sel(model="whole").notnull().sum()) == 36
    assert int(t.sel(model="lesioned").notnull().sum()) == 18


def test_models_of_other_shapes_stand_in_one_set_of_maps(subjects, battery):
    model, tokenizer = subjects["007"].model, subjects["007"].tokenizer
    wide = Topography.per_tap(model, ["transformer.h.*.mlp"], (4, 9))
    other = type(subjects["007"])(model, wide, tokenizer)
    first = Battery("mine", battery.studies[:1], None, None)
    models = [StudiedModel("square", subjects["007"]), StudiedModel("wide", other)]
    maps = compute(models, first, settings=FAST).results.maps["t"]
    attention_map = maps.sel(model="wide", sheet="transformer.h.0.attn")
    assert attention_map.isnull().all()
    assert maps.sel(model="wide", sheet="transformer.h.0.mlp").notnull().sum() == 36 * maps.sizes["fwhm_mm"]


def test_two_models_of_one_name_are_refused(subjects, battery):
    models = [StudiedModel("one", subject) for subject in subjects.values()]
    with pytest.raises(UserError, match="two models have the name 'one': give each model a different name"):
        compute(models, battery, settings=FAST)


def test_what_is_no_model_is_refused_before_the_first_is_mapped(subjects, battery, tmp_path):
    told = []
    with pytest.raises(UserError):
        compute(
            [StudiedModel("one", subjects["007"]), StudiedModel("none", tmp_path)],
            battery,
            settings=FAST,
            progress=lambda *a: told.append(a),
        )
    assert told == []


def test_a_contrast_that_does_not_fit_its_stimuli_is_refused_before_anything_is_read(subjects, battery):
    wrong = Battery("mine", (Study("one", battery.studies[0].stimuli, (Contrast("S", "verb"),)),), None, None)
    with pytest.raises(UserError, match="verb"):
        compute([StudiedModel("one", subjects["007"])], wrong, settings=FAST)


def test_the_texts_that_were_read_are_kept(results, battery):
    texts = results[TEXTS]
    for study in battery.studies:
        assert texts.loc[texts["stimuli"] == study.name, "text"].tolist() == study.stimuli["text"].tolist()


def test_a_report_has_the_smoothness_of_the_noise_of_each_condition_of_a_contrast(results):
    table = results[SMOOTHNESS_OF_MODELS]
    assert set(table["contrast"]) == set(results[STATISTICS_OF_MODELS]["contrast"])
    assert set(table["condition"]) == {"S", "N"}
    assert set(table["fwhm_mm"]) == {0.0, 2.0}
    assert set(table["model"]) == {"007", "<b>"}
    assert not table.duplicated(["model", "contrast", "condition", "tap", "fwhm_mm", "distance_mm"]).any()
