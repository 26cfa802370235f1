"""Subjects beside the package's own class for `transformers` models, on the same weights and texts."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly, NeuroidAssembly
from brainscore_language import ArtificialSubject
from brainscore_language.model_helpers.huggingface import HuggingfaceSubject
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from toposheet.brain_score.process import FaultInSubject
from toposheet.brain_score.subject import BrainScoreSubject
from toposheet.errors import NotFound, RunError, UserError

LANGUAGE = ArtificialSubject.RecordingTarget.language_system
FMRI = ArtificialSubject.RecordingType.fMRI
TAPS = ["transformer.h.0.mlp", "transformer.h.1.attn"]
SENTENCES = [
    "The river ran past",
    "the old mill",
    ", and the children",
    "threw",
    "stones .",
    "Snow covered; every road",
]
SENTENCE = "When winter came, snow covered every road and nobody travelled to the city."
WORDS = SENTENCE.split()
LONG = SENTENCE.lower().split() * 4
REPEATED = ["the"] * 120
SHIPPED = Path(next(iter(importlib.util.find_spec("toposheet").submodule_search_locations))) / "shipped" / "small"


def theirs(folder, layers, dtype=torch.float32):
    """The package's own subject. Its tokenizer cuts texts as that of a model which the package opens itself."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        truncation_side="left",
        model_max_length=128 if folder == SHIPPED else 96,
        model_input_names=["input_ids", "attention_mask"],  # with token types, GPT-2 would add an embedding
    )
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    return HuggingfaceSubject(str(folder), {LANGUAGE: layers}, model=model, tokenizer=tokenizer)


def both(models, opened, name, layers=TAPS):
    folder = SHIPPED if name == "small" else models / name
    return opened(name, {LANGUAGE: layers}), theirs(folder, layers)


CASES = [("model", TAPS), ("with-bos", TAPS), ("small", ["model.layers.0.self_attn", "model.layers.4.mlp"])]


@pytest.mark.parametrize("text", [SENTENCES, WORDS, "The river", "the", ["one"], LONG[:20]], ids=lambda t: str(t)[:20])
@pytest.mark.parametrize(("name", "layers"), CASES)
def test_reading_times_predicted_words_and_responses_are_those_of_the_package(models, opened, name, layers, text):
    ours, package = both(models, opened, name, layers)
    for subject in (ours, package):
        subject.start_behavioral_task(ArtificialSubject.Task.reading_times)
    alone = [subject.digest_text(text)["behavior"] for subject in (ours, package)]
    for subject in (ours, package):
        subject.start_neural_recording(LANGUAGE, FMRI)
    one, other = (subject.digest_text(text) for subject in (ours, package))
    assert isinstance(one["behavior"], BehavioralAssembly)
    assert isinstance(one["neural"], NeuroidAssembly)
    for of_ours, of_package in [(one["behavior"], other["behavior"]), alone]:
        np.testing.assert_allclose(of_ours.values, of_package.values.astype(float), rtol=1e-5, atol=1e-4)
        for coordinate in ("stimulus", "context", "part_number"):
            assert of_ours[coordinate].values.tolist() == of_package[coordinate].values.tolist()
    same = other["neural"].sortby("neuroid_id"), one["neural"].sortby("neuroid_id")
    assert same[0]["neuroid_id"].values.tolist() == same[1]["neuroid_id"].values.tolist()
    assert same[0]["layer"].values.tolist() == same[1]["layer"].values.tolist()
    np.testing.assert_allclose(same[1].values, same[0].values, rtol=1e-5, atol=1e-5 * np.abs(same[0].values).max())
    for subject in (ours, package):
        subject.start_behavioral_task(ArtificialSubject.Task.next_word)
    one, other = (subject.digest_text(text)["behavior"] for subject in (ours, package))
    assert one.values.tolist() == other.values.tolist()
    assert not isinstance(text, list) or len(text) < 6 or len(set(one.values.tolist())) > 1


@pytest.mark.parametrize("text", [LONG, REPEATED], ids=["long", "repeated"])
def test_of_a_long_text_the_last_tokens_are_read_as_the_package_does_where_it_records(models, opened, text):
    ours, package = both(models, opened, "model")
    for subject in (ours, package):
        subject.start_behavioral_task(ArtificialSubject.Task.reading_times)
        subject.start_neural_recording(LANGUAGE, FMRI)
    with pytest.warns(UserWarning, match=rf"of {len(text)} parts, the text so far is longer than model reads"):
        one = ours.digest_text(text)
    other = package.digest_text(text)
    np.testing.assert_allclose(one["behavior"].values, other["behavior"].values.astype(float), rtol=1e-5, atol=1e-4)
    of_ours, of_package = one["neural"].sortby("neuroid_id"), other["neural"].sortby("neuroid_id")
    np.testing.assert_allclose(of_ours.values, of_package.values, atol=1e-5 * np.abs(of_package.values).max())


def test_arrays_of_stimuli_are_read_and_parts_that_are_empty_add_nothing(opened):
    subject = opened("model", {LANGUAGE: TAPS})
    subject.start_behavioral_task(ArtificialSubject.Task.reading_times)
    subject.start_neural_recording(LANGUAGE, FMRI)
    listed = subject.digest_text(["the mill", "", "of the river"])
    array = subject.digest_text(np.array(["the mill", "", "of the river"], dtype=object))
    assembly = subject.digest_text(xr.DataArray(["the mill", "", "of the river"], dims=["presentation"]))
    for one in (array, assembly):
        xr.testing.assert_equal(one["neural"], listed["neural"])
    assert listed["behavior"].values[1] == 0
    np.testing.assert_array_equal(listed["neural"].values[0], listed["neural"].values[1])


def test_neuroids_have_the_places_of_their_units(models, opened, toposheet_python):
    subject = opened("model", {LANGUAGE: TAPS})
    subject.start_neural_recording(LANGUAGE, FMRI)
    neural = subject.digest_text("the mill")["neural"]
    code = (
        "import sys, json, toposheet as ts\n"
        "sheets = ts.load(sys.argv[1]).topography.sheets\n"
        "print(json.dumps({tap: sheet.places[tap].tolist() for tap, sheet in sheets.items()}))"
    )
    done = subprocess.run(
        [toposheet_python, "-c", code, str(models / "model")], capture_output=True, text=True, check=True
    )
    places = json.loads(done.stdout)
    for tap in TAPS:
        of_tap = neural.isel(neuroid=np.flatnonzero(neural["layer"].values == tap))
        y, x = np.array(places[tap]).T
        np.testing.assert_array_equal(of_tap["tissue_x"].values, x * 0.5)  # the sheets have cells 0.5 mm apart
        np.testing.assert_array_equal(of_tap["tissue_y"].values, y * 0.5)
        assert set(of_tap["sheet"].values) == {tap}
        assert of_tap["neuroid_id"].values.tolist() == [f"{tap}--{unit}" for unit in range(36)]
    assert set(neural["region"].values) == {LANGUAGE}
    assert set(neural["recording_type"].values) == {FMRI}


def test_several_regions_are_recorded_at_once_and_a_region_can_be_a_disc(opened):
    mapping = {"left": "disc:transformer.h.0.mlp:2:2:0.5", "right": [TAPS[1], "disc:transformer.h.0.mlp:2:2:0.5"]}
    subject = opened("model", mapping)
    subject.start_neural_recording("right", FMRI)
    subject.start_neural_recording("left", ArtificialSubject.RecordingType.ECoG)
    subject.start_neural_recording("left", ArtificialSubject.RecordingType.ECoG)
    neural = subject.digest_text(["the mill", "of the river"])["neural"]
    assert neural["region"].values.tolist() == ["right"] * 41 + ["left"] * 5  # 5 cells within 0.5 mm = 1 cell
    assert neural["recording_type"].values.tolist() == ["fMRI"] * 41 + ["ECoG"] * 5
    left = neural.isel(neuroid=slice(41, None))
    assert np.hypot(left["tissue_x"].values - 1, left["tissue_y"].values - 1).max() == 0.5
    everything = opened("model")
    everything.start_neural_recording("language_system_left_hemisphere", FMRI)
    whole = everything.digest_text(["the mill", "of the river"])["neural"]
    assert whole.shape == (2, 144)
    by_id = dict(zip(whole["neuroid_id"].values, whole.values.T, strict=True))
    for identifier, values in zip(neural["neuroid_id"].values, neural.values.T, strict=True):
        np.testing.assert_array_equal(values, by_id[identifier])


def test_a_lesioned_and_a_stimulated_subject_answer_with_their_interventions(models, opened, tmp_path):
    (models / "model" / "stimuli.csv").write_text("text,condition\nthe river ran,sentence\nthe old mill,nonword\n")
    tap = TAPS[0]
    intact = opened("model", {LANGUAGE: TAPS})
    lesioned = opened("model", {LANGUAGE: TAPS}, lesion=f"disc:{tap}:2:2:1", bos="none")
    driven = opened("model", {LANGUAGE: TAPS}, stimulate=f"tap:{tap}", strength=2.5, bos="none")
    script = tmp_path / "lesioned.py"
    script.write_text(
        "import toposheet as ts\nprint('this line must not reach the answers')\n"
        f"subject = ts.load({str(models / 'model')!r})\n"
        f"subject = ts.lesion(subject, ts.Disc({tap!r}, 2, 2, 1))\n"
    )
    scripted = opened(str(script), {LANGUAGE: TAPS})
    neural, times = {}, {}
    for name, one in {"intact": intact, "lesion": lesioned, "drive": driven, "script": scripted}.items():
        one.start_neural_recording(LANGUAGE, FMRI)
        one.start_behavioral_task(ArtificialSubject.Task.reading_times)
        digested = one.digest_text(SENTENCES)
        neural[name], times[name] = digested["neural"], digested["behavior"].values
    of_tap = neural["intact"]["layer"].values == tap
    x, y = (neural["intact"][name].values for name in ("tissue_x", "tissue_y"))
    inside = of_tap & (np.hypot(x - 1, y - 1) <= 1 + 1e-9)
    assert inside.sum() == 13
    assert (neural["lesion"].values[:, inside] == 0).all()
    np.testing.assert_allclose(
        neural["lesion"].values[:, of_tap & ~inside], neural["intact"].values[:, of_tap & ~inside], rtol=1e-6
    )
    assert np.abs(neural["lesion"].values - neural["intact"].values)[:, ~of_tap].max() > 1e-3
    assert np.abs(times["lesion"] - times["intact"])[1:].min() > 1e-3
    assert np.abs(times["drive"] - times["intact"])[1:].min() > 1e-3
    shift = neural["drive"].values[:, of_tap] - neural["intact"].values[:, of_tap]
    assert np.ptp(shift, axis=0).max() < 1e-3 < np.abs(shift).max()  # the same current at every part
    np.testing.assert_array_equal(neural["script"].values, neural["lesion"].values)
    assert "silenced" in lesioned.identifier()
    assert lesioned.fingerprint == scripted.fingerprint != intact.fingerprint


def test_without_a_task_nothing_is_put_out(opened):
    assert opened("model", {LANGUAGE: TAPS}).digest_text("the mill") == {"behavior": None, "neural": None}


@pytest.mark.parametrize(
    ("model", "mapping", "options", "kind", "words"),
    [
        ("nowhere", None, {}, NotFound, "nowhere does not exist"),
        (
            "model",
            {LANGUAGE: "transformer.h.9.mlp"},
            {},
            UserError,
            "the region language_system: .*transformer.h.9.mlp",
        ),
        ("model", {LANGUAGE: []}, {}, UserError, "give the name of a tap"),
        ("model", "transformer.h.0.mlp", {}, UserError, "region_layer_mapping is a str"),
        ("model", None, {"lesion": "disc:nowhere:1:1:1"}, UserError, "there is no sheet 'nowhere'"),
        ("model", None, {"lesion_to": "mean"}, UserError, "there is no lesion"),
        ("model", None, {"python": "/nowhere/python"}, NotFound, "no program /nowhere/python"),
        ("model", None, {"python": sys.executable}, UserError, "cannot run toposheet .*No module named"),
        (7, None, {}, UserError, "model is a int"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(models, model, mapping, options, kind, words, monkeypatch):
    monkeypatch.chdir(models)
    with pytest.raises(kind, match=words) as refused:
        BrainScoreSubject(f"./{model}" if model == "nowhere" else model, mapping, **options)
    assert "\n" not in str(refused.value)


def test_without_a_python_the_error_says_where_to_name_it(monkeypatch):
    monkeypatch.delenv("TOPOSHEET_PYTHON")
    with pytest.raises(UserError, match="set TOPOSHEET_PYTHON"):
        BrainScoreSubject("small")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (["the mill", "stone " * 99], r"part 2 alone has \d+ tokens, but the model reads at most 96"),
        (["", "the mill"], "part 1 and all parts before it have no tokens"),
        ([], "the text has no parts"),
        (["the mill", None], "part 2 of the text is a NoneType"),
        (7, "the text is a int"),
        (["a\ud800b"], "part 1 has half a character"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_and_the_subject_reads_on(opened, text, words):
    subject = opened("model", {LANGUAGE: TAPS})
    subject.start_neural_recording(LANGUAGE, FMRI)
    process = subject.pid
    with pytest.raises(UserError, match=words) as refused:
        subject.digest_text(text)
    assert "\n" not in str(refused.value)
    assert subject.digest_text("the mill")["neural"].shape == (1, 72)
    assert subject.pid == process


def test_wrong_tasks_regions_and_types_are_refused(opened):
    subject = opened("model", {LANGUAGE: TAPS})
    with pytest.raises(UserError, match=r"the task is 'reading_time'.*Did you mean reading_times\?"):
        subject.start_behavioral_task("reading_time")
    with pytest.raises(UserError, match=r"no region 'language_sistem'.*Did you mean language_system\?"):
        subject.start_neural_recording("language_sistem", FMRI)
    with pytest.raises(UserError, match="the recording type is 'MEG': it must be one of fMRI, ECoG"):
        subject.start_neural_recording(LANGUAGE, "MEG")


def test_an_encoder_is_recorded_part_by_part_and_refused_where_words_are_predicted(opened):
    layer = "bert.encoder.layer.0.output.dense"
    subject = opened("encoder", {LANGUAGE: layer})
    subject.start_neural_recording(LANGUAGE, FMRI)
    parts = subject.digest_text(["the mill", "of the river"])["neural"].values
    np.testing.assert_allclose(parts[0], subject.digest_text("the mill")["neural"].values[0], atol=1e-6)
    np.testing.assert_allclose(parts[1], subject.digest_text("the mill of the river")["neural"].values[0], atol=1e-6)
    for task in ("reading_times", "next_word"):
        subject.start_behavioral_task(task)
        with pytest.raises(UserError, match="is an encoder"):
            subject.digest_text("the mill")


def test_a_killed_process_is_an_error_and_the_next_call_starts_another_one(opened):
    subject = opened("model", {LANGUAGE: TAPS})
    subject.start_neural_recording(LANGUAGE, FMRI)
    before = subject.digest_text(SENTENCES)["neural"]
    killed = subject.pid
    os.kill(killed, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(RunError, match=r"the process of \S+model was ended by SIGKILL"):
        subject.digest_text(SENTENCES)
    assert time.monotonic() - began < 5
    xr.testing.assert_equal(subject.digest_text(SENTENCES)["neural"], before)
    assert subject.pid != killed


def test_a_process_of_another_model_is_not_asked(models, tmp_path):
    script = tmp_path / "changing.py"
    source = f"import toposheet as ts\nsubject = ts.load({str(models / 'model')!r})\n"
    script.write_text(source)
    with BrainScoreSubject(script) as subject:
        subject.start_behavioral_task("next_word")
        os.kill(subject.pid, signal.SIGKILL)
        script.write_text(source + "subject = ts.lesion(subject, ts.WholeTap(subject.topography.taps[0]))\n")
        with pytest.raises(RunError, match="was ended by SIGKILL"):
            subject.digest_text(SENTENCES)
        with pytest.raises(RunError, match=r"changing\.py has changed since this subject was made"):
            subject.digest_text(SENTENCES)


def test_a_call_that_is_interrupted_ends_the_process_and_the_next_answer_is_the_right_one(opened):
    subject = opened("model", {LANGUAGE: TAPS})
    subject.start_neural_recording(LANGUAGE, FMRI)
    expected = subject.digest_text("the mill")["neural"].values
    process = subject.pid
    os.kill(process, signal.SIGSTOP)  # so that it does not answer before it is interrupted
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        subject.digest_text(SENTENCES)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    np.testing.assert_array_equal(subject.digest_text("the mill")["neural"].values, expected)


def test_a_fault_keeps_its_traceback_and_the_subject_reads_on(models, tmp_path):
    script = tmp_path / "faulty.py"
    script.write_text(
        "import toposheet as ts\nfrom toposheet.brain_score import answers\n"
        f"subject = ts.load({str(models / 'model')!r})\n"
        "right = answers.surprisals\ndef surprisals(*a):\n    answers.surprisals = right\n    raise KeyError('lost')\n"
        "answers.surprisals = surprisals\n"
    )
    with BrainScoreSubject(script) as subject:
        subject.start_behavioral_task("reading_times")
        with pytest.raises(FaultInSubject, match=r"lost[\s\S]*Traceback[\s\S]*faulty.py"):
            subject.digest_text("the mill")
        assert np.isfinite(subject.digest_text("the mill")["behavior"].values).all()
        process = subject.pid
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
