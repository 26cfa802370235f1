import importlib.util
import json
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.errors import NotFound
from toposheet.evaluation import TASKS
from toposheet.evaluation.tasks.syntaxgym import joined
from toposheet.packages import installed_folder

SYNTAXGYM = TASKS["syntaxgym"]
SUITE = {
    "meta": {"name": "agreement", "metric": "sum"},
    "region_meta": {"1": "subject", "2": "verb", "3": "end"},
    "predictions": [
        {"type": "formula", "formula": "(2;%match%) < (2;%mismatch%)"},
        {"type": "formula", "formula": "((2;%match%) + (3;%match%)) < ((2;%mismatch%) + (3;%mismatch%))"},
    ],
    "items": [
        {
            "item_number": number,
            "conditions": [
                {"condition_name": condition, "regions": [
                    {"region_number": 1, "content": f"The {noun}"},
                    {"region_number": 2, "content": verb},
                    {"region_number": 3, "content": ". "},
                ]}
                for condition, verb in (("match", "ran past"), ("mismatch", "run past"))
            ],
        }
        for number, noun in enumerate(("river", "engineer", "old mill"), 1)
    ],
}  # fmt: skip


@pytest.fixture
def suites(tmp_path):
    folder = tmp_path / "suites"
    folder.mkdir()
    (folder / "agreement.json").write_text(json.dumps(SUITE))
    return folder


def test_regions_are_joined_by_spaces_except_before_punctuation():
    text, spans = joined(["The mill", "", ", which was old , ", "ran", "."])
    assert text == "The mill, which was old, ran."
    assert [text[start:end] for start, end in spans] == ["The mill", "", ", which was old,", "ran", "."]


def test_an_item_is_right_if_all_predictions_hold_of_hand_computed_surprisals(subject, model, tokenizer, suites):
    items = ts.evaluate(subject, "syntaxgym", path=suites)
    assert items["suite"].tolist() == ["agreement"] * 3
    for row, noun in zip(items.to_dict("records"), ("river", "engineer", "old mill"), strict=True):
        regions = []
        for verb in ("ran past", "run past"):
            ids, n_tokens = [0, *tokenizer(f"The {noun} {verb}.").input_ids], [1]
            for prefix in (f"The {noun}", f"The {noun} {verb}", f"The {noun} {verb}."):
                n_tokens.append(1 + len(tokenizer(prefix).input_ids))
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits[0].double()
            bits = -logits.log_softmax(1)[range(len(ids) - 1), ids[1:]].numpy() / np.log(2)
            regions.append([bits[n_tokens[i] - 1 : n_tokens[i + 1] - 1].sum() for i in range(3)])
        np.testing.assert_allclose([float(x) for x in row["surprisals"].split()], np.ravel(regions), atol=1e-3)
        (_, match_2, match_3), (_, mismatch_2, mismatch_3) = regions
        held = [match_2 < mismatch_2, match_2 + match_3 < mismatch_2 + mismatch_3]
        assert row["predictions"] == " ".join(str(int(one)) for one in held)
        assert row["value"] == all(held)


def test_one_prediction_that_does_not_hold_makes_an_item_wrong(suites):
    item = SYNTAXGYM.read(suites)[0]
    surprisals = np.array([1.0, 2.0, 9.0, 1.0, 3.0, 4.0])  # of the three regions of match, then of mismatch
    outcome = SYNTAXGYM.outcome(item, -surprisals * np.log(2))
    assert (outcome["predictions"], outcome["value"]) == ("1 0", 0.0)
    assert outcome["surprisals"] == "1.0000 2.0000 9.0000 1.0000 3.0000 4.0000"
    surprisals[2] = 4.5
    assert SYNTAXGYM.outcome(item, -surprisals * np.log(2))["value"] == 1.0


def test_chance_is_the_probability_that_all_predictions_hold_of_random_surprisals(suites):
    (suites / "more.json").write_text(json.dumps(SUITE | {
        "meta": {"name": "independent", "metric": "sum"},
        "predictions": [{"formula": "((1;%match%) < (1;%mismatch%)) & ((2;%match%) < (2;%mismatch%))"},
                        {"formula": "(3;%match%) > (3;%mismatch%)"}],
    }))  # fmt: skip
    chance = {item.groups[0]: item.chance for item in SYNTAXGYM.read(suites)}
    assert chance["independent"] == pytest.approx(1 / 8, abs=0.01)
    # both differences are negative: normal with correlation 1 / sqrt(2)
    assert chance["agreement"] == pytest.approx(0.25 + np.arcsin(np.sqrt(0.5)) / (2 * np.pi), abs=0.01)


def test_the_wheel_and_a_single_file_hold_the_same_items(suites, tmp_path):
    wheel = tmp_path / "brainscore_language-2.3.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as written:
        inside = "brainscore_language/benchmarks/syntaxgym/suites/syntaxgym-2020/agreement.json"
        written.write(suites / "agreement.json", inside)
        written.writestr("brainscore_language/benchmarks/syntaxgym/test_suites.json", "{}")
    texts = [
        [request.text for item in SYNTAXGYM.read(path) for request in item.requests]
        for path in (suites, suites / "agreement.json", wheel)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": None}, "is no suite of SyntaxGym"),
        ({"meta": {"name": "x"}}, "is no suite of SyntaxGym .lacks 'metric'"),
        ({"meta": {"name": "x", "metric": "mean"}}, "has the metric 'mean'"),
        ({"predictions": [{"formula": "(1;%match%) <"}]}, r"agreement\.json: the formula .* cannot be read"),
        ({"predictions": [{"formula": "(4;%match%) < 3"}]}, "names region 4 of match, which item 1 lacks"),
        ({"predictions": [{"formula": "(1;%other%) < 3"}]}, "names region 1 of other"),
    ],
)
def test_a_damaged_suite_is_refused(suites, change, message):
    (suites / "agreement.json").write_text(json.dumps(SUITE | change))
    with pytest.raises(ts.UserError, match=message):
        SYNTAXGYM.read(suites)


def test_missing_suites_are_refused(tmp_path, without):
    with pytest.raises(NotFound, match="does not exist"):
        SYNTAXGYM.read(tmp_path / "nowhere")
    with pytest.raises(NotFound, match=r"holds no \.json files"):
        SYNTAXGYM.read(tmp_path)
    (tmp_path / "broken.whl").write_text("no wheel")
    with pytest.raises(ts.UserError, match="is no wheel"):
        SYNTAXGYM.read(tmp_path / "broken.whl")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ts.UserError, match=r"broken\.json is no suite"):
        SYNTAXGYM.read(tmp_path)
    without("brainscore_language")
    with pytest.raises(NotFound, match=r"--path .*pip download --no-deps brainscore-language"):
        SYNTAXGYM.read(None)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the other package
def test_every_prediction_is_judged_as_by_the_code_of_brain_score(monkeypatch):
    """Its code judges surprisals of one sentence at a time; regions are found by tokenising longer and longer texts."""
    package = installed_folder("brainscore_language")
    if package is None:
        pytest.skip("brainscore-language is not installed: pip install --no-deps brainscore-language==2.3.0")
    pytest.importorskip("pyparsing")
    subject = ts.load("small")
    items = ts.evaluate(subject, "syntaxgym", limit=4, bos="none").set_index(["suite", "item"])
    name = "brainscore_language.benchmarks.syntaxgym"
    for parent in ("brainscore_language", "brainscore_language.benchmarks", name):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))

    def module(file):
        spec = importlib.util.spec_from_file_location(f"{name}.{file.stem}", file)
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, loaded)
        spec.loader.exec_module(loaded)
        return loaded

    folder = package / "benchmarks" / "syntaxgym"
    module(folder / "sg_prediction.py")
    load_suite = module(folder / "sg_suite.py")._load_suite
    prepare = module(package / "model_helpers" / "preprocessing.py").prepare_context
    n = 0
    for file in sorted((folder / "suites" / "syntaxgym-2020").glob("*.json")):
        suite = load_suite(file)
        for item in suite.items[:4]:
            surprisals = {}
            for condition in item["conditions"]:
                parts = [region["content"] for region in condition["regions"]]
                ids = subject.tokenizer(prepare(parts)).input_ids
                with torch.no_grad():
                    logits = subject(torch.tensor([ids]))[0].double()
                bits = [0.0, *(-logits.log_softmax(1)[range(len(ids) - 1), ids[1:]].numpy() / np.log(2))]
                ends = [0, *(len(subject.tokenizer(prepare(parts[: i + 1])).input_ids) for i in range(len(parts)))]
                for i in range(len(parts)):
                    surprisals[condition["condition_name"], i + 1] = sum(bits[ends[i] : ends[i + 1]])
            ours = items.loc[(suite.meta["name"], str(item["item_number"]))]
            np.testing.assert_allclose([*map(float, ours["surprisals"].split())], [*surprisals.values()], atol=1e-3)
            held = [prediction.apply_prediction_formula(surprisals) for prediction in suite.predictions]
            assert ours["predictions"] == " ".join(str(int(one)) for one in held)
            n += 1
    assert n == 124
