"""A local task of lm-evaluation-harness, with the harness's own model class as the reference."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

import toposheet as ts
from toposheet.errors import UserError

lm_eval = pytest.importorskip("lm_eval")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the other packages

TASK = """
task: rivers
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{start}}"
doc_to_choice: "{{ends}}"
doc_to_target: 0
metric_list: [{metric: acc}]
"""
DOCUMENTS = [
    {"start": "The river ran past the old", "ends": ["mill", "engineer wrote"]},
    {"start": "When winter came, snow covered every", "ends": ["road", "bread"]},
    {"start": "A clever engineer wrote long", "ends": ["letters", "stones from the"]},
    {"start": "", "ends": ["The children threw stones", "The stones threw children"]},
]


@pytest.fixture
def harness(tmp_path, monkeypatch):
    """Evaluate a model by the local task, and return the log-probabilities of all choices."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    file = tmp_path / "rivers.jsonl"
    file.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "rivers.yaml").write_text(TASK.replace("FILE", str(file)))

    def harness(model, **options):
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
        results = lm_eval.simple_evaluate(
            model=model, tasks=["rivers"], task_manager=manager, bootstrap_iters=0, log_samples=True, **options
        )
        samples = sorted(results["samples"]["rivers"], key=lambda sample: sample["doc_id"])
        return np.array([[float(answer[0]) for answer in sample["filtered_resps"]] for sample in samples])

    return harness


@pytest.fixture
def lesioned(subject):
    tap = subject.topography.taps[1]
    half = np.arange(subject.topography.widths[tap]) % 2 == 0
    return subject.intervened(ts.Intervention("half a layer", {tap: ts.Effect.silence(half)}))


def test_an_untouched_subject_gets_the_numbers_of_the_harness_and_a_lesioned_one_others(harness, subject, lesioned):
    from lm_eval.models.huggingface import HFLM

    from toposheet.evaluation.lm_eval import HarnessModel

    plain = harness(HFLM(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=2))
    assert plain.shape == (4, 2)
    np.testing.assert_allclose(harness(HarnessModel(subject, batch_size=2)), plain, atol=1e-6)
    changed = harness(HarnessModel(lesioned))
    assert np.abs(changed - plain).min() > 1e-4
    expected = ts.score(lesioned, [f" {end}" for end in DOCUMENTS[3]["ends"]])  # no text stands before these choices
    np.testing.assert_allclose(changed[3], expected, atol=1e-4)
    np.testing.assert_allclose(harness(HarnessModel(subject, batch_size=2)), plain, atol=1e-6)


def test_generation_and_rolling_probabilities_run_with_the_interventions(subject, lesioned):
    from lm_eval.api.instance import Instance

    from toposheet.evaluation.lm_eval import HarnessModel

    text = "The river ran past"
    rolling = [Instance("loglikelihood_rolling", {}, (text,), 0)]
    until = [Instance("generate_until", {}, (text, {"until": ["."], "max_gen_toks": 8}), 0)]
    for one in (subject, lesioned):
        model = HarnessModel(one)
        np.testing.assert_allclose(
            model.loglikelihood_rolling(rolling, disable_tqdm=True), ts.score(one, [text]), atol=1e-4
        )
        ids = one.tokenizer(text, return_tensors="pt").input_ids
        with one.running() as network:
            expected = network.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
        assert model.generate_until(until, disable_tqdm=True) == [one.tokenizer.decode(expected).partition(".")[0]]


def test_the_model_and_the_tokenizer_of_the_subject_stay_as_they_are(subject, model):
    from toposheet.evaluation.lm_eval import HarnessModel

    backend = subject.tokenizer.backend_tokenizer
    subject = subject.with_tokenizer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>"))
    fingerprint = subject.fingerprint
    model.train()
    HarnessModel(subject)
    assert (subject.fingerprint, subject.tokenizer.pad_token) == (fingerprint, None)
    assert model.training


def test_arguments_of_the_command_line_name_a_model(harness, subject, folder):
    from toposheet.evaluation.lm_eval import HarnessModel

    expected = harness(HarnessModel(subject))
    np.testing.assert_allclose(harness("toposheet", model_args=f"pretrained={folder}"), expected, atol=1e-6)
    half = harness("toposheet", model_args=f"pretrained={folder},dtype=bfloat16")
    assert np.abs(half - expected).max() > 1e-4
    with pytest.raises(UserError, match="dtype is 'float7'"):
        HarnessModel(str(folder), dtype="float7")
    with pytest.raises(UserError, match="nowhere does not exist"):
        HarnessModel("./nowhere")


def test_arguments_of_the_command_line_name_a_lesion_and_a_stimulation(harness, subject, folder, stimuli):
    from toposheet.evaluation.lm_eval import HarnessModel

    stimuli.assign(condition="sentence").to_csv(folder / "stimuli.csv", index=False)
    tap = subject.topography.taps[1]
    disc, text = ts.Disc(tap, 2, 2, 2), f"disc:{tap}:2:2:2"
    lesioned = harness("toposheet", model_args=f"pretrained={folder},lesion={text}")
    np.testing.assert_allclose(lesioned, harness(HarnessModel(ts.lesion(subject, disc))), atol=1e-6)
    driven = harness("toposheet", model_args=f"pretrained={folder},stimulate={text},strength=20")
    expected = ts.stimulate(subject, disc, 20, texts=stimuli["text"].tolist())
    np.testing.assert_allclose(driven, harness(HarnessModel(expected)), atol=1e-5)
    assert np.abs(driven - lesioned).max() > 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lesion": "disc:nowhere:1:1:1"}, "there is no sheet 'nowhere'"),
        ({"lesion": "ball"}, "is no region"),
        ({"lesion_to": "mean"}, "lesion_to is 'mean', but there is no lesion"),
        ({"stimulate": "tap:transformer.h.0.mlp"}, "stimulate and strength go together"),
        ({"stimulate": "tap:transformer.h.0.mlp", "strength": "much"}, "strength is 'much'"),
    ],
)
def test_wrong_interventions_of_the_command_line_are_refused(folder, arguments, message):
    from toposheet.evaluation.lm_eval import HarnessModel

    with pytest.raises(UserError, match=message):
        HarnessModel(str(folder), **arguments)


def test_a_subject_without_tokenizer_is_refused(model, topo):
    from toposheet.evaluation.lm_eval import HarnessModel

    with pytest.raises(UserError, match="has no tokenizer"):
        HarnessModel(ts.Subject(model, topo))


def test_the_entry_point_names_the_class_and_the_harness_can_load_it_by_this_name():
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]
    code = (
        "from lm_eval.api.registry import get_model, model_registry\n"
        f"model_registry.register('toposheet', target={declared['lm_eval.models']['toposheet']!r})\n"
        "print(get_model('toposheet').__name__)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "HarnessModel\n", ran.stderr


def test_without_the_package_the_error_says_how_to_install_it():
    code = "import sys; sys.modules['lm_eval'] = None\nimport importlib.util as u\nfind = u.find_spec\n"
    code += "u.find_spec = lambda name, *a: None if name == 'lm_eval' else find(name, *a)\n"
    code += "import toposheet.evaluation.lm_eval"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "needs the package lm_eval: pip install 'toposheet[lm-eval]'" in ran.stderr
