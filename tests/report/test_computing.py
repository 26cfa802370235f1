import hashlib
import json
import sys
import weakref
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

from toposheet.commands._report import print_notes
from toposheet.cortex import Comparison
from toposheet.demo import _were_computed_otherwise
from toposheet.errors import NotFound, UserError
from toposheet.report import SECTIONS, StudiedModel, compute, folder, page
from toposheet.report.computing import ANALYSIS, what_decides
from toposheet.report.draws import draws_of, n_units, with_draws
from toposheet.report.readable import readable_battery
from toposheet.report.section import MeasuredStudy, sections_in_order
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS, SUMMARY_OF_MODELS
from toposheet.report.sections.network import CRITERIA_OF_MODELS, NETWORK_UNITS
from toposheet.report.sections.smoothness import SMOOTHNESS_OF_MODELS
from toposheet.report.sections.stimuli import TEXTS
from toposheet.report.verdicts import verdict_lines
from toposheet.results import Results
from toposheet.settings import Reading, Settings
from toposheet.stats import holm
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Effect, Intervention, respond, save
from toposheet.text.tokenizer import train_tokenizer
from toposheet.topography import Topography
from toposheet.version import __version__

SETTINGS = Settings(permutations=3)
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
    assert (facts.pop("version"), facts.pop("texts_left_out")) == (__version__, {})
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
    usual = what_decides(battery, SETTINGS)
    for other in ({"seed": 1}, {"reading": Reading("last")}, {"fwhm_mm": (1.0,)}, {"permutations": 4}):
        assert what_decides(battery, replace(SETTINGS, **other)) != usual


def test_results_of_other_code_are_computed_again(battery, monkeypatch):
    decides = what_decides(battery, SETTINGS)
    stored = json.loads(json.dumps(decides))
    assert not _were_computed_otherwise(decides, stored)
    monkeypatch.setattr("toposheet.report.computing.ANALYSIS", ANALYSIS + 1)
    assert _were_computed_otherwise(what_decides(battery, SETTINGS), stored)
    assert _were_computed_otherwise(decides, {name: stored[name] for name in stored if name != "analysis"})


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
        "model 2 of 2, <b>: network",
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


@pytest.fixture(scope="module")
def two_sizes(subjects):
    """An analysis of two contrasts of one study: a:b has many relabellings, c:d has 20."""
    stimuli = texts(8).studies[0].stimuli
    few = pd.DataFrame({"text": [f"other {i}" for i in range(6)], "condition": list("cccddd")})
    study = Study("s", pd.concat([stimuli, few], ignore_index=True), (Contrast("a", "b"), Contrast("c", "d")))
    battery, models = Battery("mine", (study,), None, None), [StudiedModel("one", subjects["007"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toposheet.report.draws.MANY_PERMUTATIONS", 39)
        patch.setattr("toposheet.report.draws.PERMUTATIONS", 9)
        return compute(models, battery, settings=Settings(negative_controls=False))


def test_a_contrast_of_few_texts_has_fewer_draws_and_the_other_contrasts_keep_theirs(two_sizes):
    facts, ordered = two_sizes.results.facts, two_sizes.results[ORGANISATION_OF_MODELS]
    assert (facts["permutations"], facts["fewer_draws"]) == (39, {"c:d": 20})
    for contrast, draws in (("a:b", 39), ("c:d", 20)):
        assert draws_of(facts, contrast) == draws
        counts = ordered.loc[ordered["contrast"] == contrast, "p"] * (1 + draws)
        np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    said = "c:d has only 20 draws (smallest p 0.048), because its texts have no more different relabellings"
    sections = sections_in_order()
    for name in ("methods", "contrasts", "clusters"):
        assert sections[name].view(two_sizes)["fewer_draws"] == said, name
        assert "fewer_draws" in sections[name].partial, name


def test_the_verdict_on_a_contrast_of_few_texts_uses_its_own_number_of_draws(two_sizes):
    facts = {**two_sizes.results.facts, "fewer_draws": {"c:d": 9}}
    results = Results(two_sizes.results.tables, two_sizes.results.maps, facts)
    lines = verdict_lines(results, {"one": ["one"]})
    (few,) = [line for line in lines if "c:d, one" in line]
    (many,) = [line for line in lines if "a:b, one" in line]
    assert "with 9 draws no p can reach 0.05" in " ".join(few.split())
    assert "draws no p" not in " ".join(many.split())


def test_the_largest_model_decides_the_number_of_draws_whether_or_not_it_is_open(subjects, tmp_path):
    small, large = subjects["007"], tmp_path / "large"
    save(large, type(small)(small.model, Topography.per_tap(small.model), small.tokenizer))
    part = Topography.per_tap(small.model, ["transformer.h.0.attn"])
    tiny = StudiedModel("tiny", type(small)(small.model, part, small.tokenizer))
    assert (n_units(tiny), n_units(StudiedModel("large", large))) == (36, 144)
    assert chosen_draws([tiny, tiny], texts(1310), Settings()) == 999
    for other in (StudiedModel("open", small), StudiedModel("in a folder", large)):
        assert chosen_draws([tiny, other], texts(1310), Settings()) == 99


def test_every_p_of_a_contrast_is_also_corrected_for_all_that_the_analysis_tested(two_sizes):
    ordered = two_sizes.results[ORGANISATION_OF_MODELS]
    np.testing.assert_allclose(ordered["p_all"], np.minimum(2 * ordered["p_familywise"], 1))
    assert ordered["p_holm"].notna().sum() == 2


def test_negative_controls_are_in_no_family_of_contrasts(results):
    ordered = results[ORGANISATION_OF_MODELS]
    controls = ordered["negative_control"] != ""
    assert controls.any()
    assert ordered.loc[controls, ["p_all", "p_holm"]].isna().all(axis=None)
    real = ordered[~controls]
    np.testing.assert_allclose(real["p_all"], real["p_familywise"])  # one contrast


def test_the_tests_of_the_criteria_of_a_model_are_corrected_for_their_number(results):
    criteria = results[CRITERIA_OF_MODELS]
    assert criteria.columns[-1] == "p_holm"
    for _, rows in criteria.groupby("model"):
        tests = rows[rows["p"].notna()]
        np.testing.assert_allclose(tests["p_holm"], holm(tests["p"].to_numpy()))
        assert rows.loc[rows["p"].isna(), "p_holm"].isna().all()


def test_a_comparison_is_made_once_for_its_study_and_its_organisation_once_for_all_sections(
    subjects, battery, monkeypatch
):
    made, organised, sampled_widths, correlated = [], [], [], []

    class Counted(Comparison):
        def __init__(self, *arguments, **options):
            made.append(options["name"])
            super().__init__(*arguments, **options)

    def organisation(comparison, **options):
        organised.append(comparison.name)
        return _organisation(comparison, **options)

    def sampled(responses, fwhm_mm):
        sampled_widths.append(fwhm_mm)
        return _sampled(responses, fwhm_mm)

    def spatial_correlation(*arguments):
        correlated.append(1)
        return _spatial_correlation(*arguments)

    from toposheet.cortex.comparison import sampled as _sampled
    from toposheet.cortex.response_statistics import spatial_correlation as _spatial_correlation
    from toposheet.report.computing import organisation as _organisation

    monkeypatch.setattr("toposheet.report.section.Comparison", Counted)
    monkeypatch.setattr("toposheet.report.computing.organisation", organisation)
    monkeypatch.setattr("toposheet.cortex.network.organisation", organisation)
    monkeypatch.setattr("toposheet.cortex.comparison.sampled", sampled)
    module = sys.modules["toposheet.cortex.response_statistics"]  # the package has a function of this name
    monkeypatch.setattr(module, "spatial_correlation", spatial_correlation)
    sections = {name: section for name, section in sections_in_order().items() if name != "published_steps"}
    monkeypatch.setattr("toposheet.report.computing.sections_in_order", lambda: sections)
    compute([StudiedModel("one", subjects["007"])], battery, settings=FAST)
    assert made == ["S:N", "S:N"]  # for its study, and for the language network
    assert organised == ["S:N"]
    assert sampled_widths == [2.0]
    assert len(correlated) == 2 * 4 * 2  # in each study and tap, in place and at shuffled places


def test_equal_calls_return_one_comparison_until_another_contrast_is_asked_for(results, subjects, battery):
    study = replace(battery.studies[0], contrasts=(Contrast("S", "N"), Contrast("N", "S")))
    responses = respond(subjects["007"], study.stimuli)
    measured = MeasuredStudy(subjects["007"], study, responses, ("S:N", "N:S"))
    first = measured.comparison(0, FAST)
    assert measured.comparison(0, replace(FAST, seed=5)) is first
    assert measured.comparison(0, replace(FAST, confounds=("length",))) is not first
    assert measured.comparison(0, FAST) is first
    gone = weakref.ref(first)
    del first
    measured.comparison(1, FAST)
    assert gone() is None
    gone = weakref.ref(measured.comparison(1, FAST))
    measured.free()
    assert gone() is None


def one_token(tokenizer, **columns):
    """Stimuli with 5 texts in each condition, of which the first text of a has one token."""
    assert len(tokenizer("a")["input_ids"]) == 1
    stimuli = pd.DataFrame(
        {"text": ["a", *(f"text {i}" for i in range(9))], "condition": ["a"] * 5 + ["b"] * 5, **columns}
    )
    return Battery("mine", (Study("s", stimuli, (Contrast("a", "b"),)),), None, None)


SKIPPING = replace(FAST, reading=Reading(skip_first=True))


def test_a_text_without_a_token_under_the_reading_is_left_out_for_all_models_and_named(subjects, tokenizer, capsys):
    models = [StudiedModel(name, subject) for name, subject in subjects.items()]
    analysis = compute(models, one_token(tokenizer), settings=SKIPPING)
    note = "s: 1 of 10 texts has one token and is left out, because the reading leaves out the first token: 'a'"
    assert analysis.results.facts["texts_left_out"] == {"s": note}
    assert analysis.results[TEXTS]["text"].tolist() == [f"text {i}" for i in range(9)]
    print_notes(analysis.results)
    assert f"note: {note}\n" in capsys.readouterr().out
    partial = page._environment().from_string(SECTIONS["stimuli"].partial)
    html = partial.render(examples=[], matching=[], models=["007"], facts=analysis.facts, significant=0.05)
    assert f"Note: {note}." in unescape(html)
    assert compute(models[:1], one_token(tokenizer), settings=FAST).results.facts["texts_left_out"] == {}


def test_a_text_that_one_model_cannot_read_is_left_out_for_all(subjects, tokenizer, tmp_path):
    other = train_tokenizer(["zzzq " * 50], vocabulary=260)
    other.bos_token = None
    assert (len(tokenizer("zzzq")["input_ids"]), len(other("zzzq")["input_ids"])) == (4, 1)
    battery = one_token(tokenizer)
    stimuli = battery.studies[0].stimuli.assign(text=["zzzq", *battery.studies[0].stimuli["text"][1:]])
    battery = replace(battery, studies=(replace(battery.studies[0], stimuli=stimuli),))
    first = subjects["007"]
    save(tmp_path / "other", type(first)(first.model, first.topography, other))
    models = [StudiedModel("one", first), StudiedModel("in a folder", tmp_path / "other")]
    kept, notes = readable_battery(models, battery, SKIPPING)
    assert list(notes) == ["s"]
    assert len(kept.studies[0].stimuli) == 9
    assert readable_battery(models[:1], battery, SKIPPING) == (battery, {})


def test_the_partner_of_a_text_that_is_left_out_is_left_out_too(subjects, tokenizer):
    battery = one_token(tokenizer, couple=list("vwxyz") * 2)
    settings = replace(SKIPPING, paired_by="couple")
    kept, notes = readable_battery([StudiedModel("one", subjects["007"])], battery, settings)
    assert kept.studies[0].stimuli["couple"].tolist() == list("wxyz") * 2
    assert "is left out, with 1 partner in a pair, because" in notes["s"]


def test_a_condition_that_keeps_too_few_texts_is_refused_before_the_first_model_is_analysed(subjects, tokenizer):
    battery, told = one_token(tokenizer), []
    stimuli = battery.studies[0].stimuli.drop([3, 4])
    profile = Study("p", stimuli.assign(condition=list("SSSJJJWW")), ())
    models = [StudiedModel("one", subjects["007"])]
    first = r"^s: 1 of 8 texts has one token and is left out.*: 'a'; without them, .*2 texts of the condition 'a'"
    with pytest.raises(UserError, match=first):
        compute(
            models,
            replace(battery, studies=(replace(battery.studies[0], stimuli=stimuli),)),
            settings=SKIPPING,
            progress=lambda *a: told.append(a),
        )
    with pytest.raises(UserError, match=r"^p: 1 of 8 .*2 texts of the condition 'S'"):
        compute(models, replace(battery, studies=(profile,)), settings=SKIPPING, progress=lambda *a: told.append(a))
    assert told == []


def test_results_are_read_from_a_folder_as_they_were_written(results, tmp_path):
    results.write(tmp_path)
    read = folder.read(tmp_path)
    assert {table.file for table in read.tables} == {table.file for table in results.tables}
    for table, frame in results.tables.items():
        pd.testing.assert_frame_equal(read[table], frame)
    assert read.maps.equals(results.maps)
    assert read.facts == json.loads(json.dumps(results.facts))


def test_a_folder_that_lacks_a_table_is_said_to(results, tmp_path):
    results.write(tmp_path)
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
