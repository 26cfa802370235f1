"""Fine-tuning from end to end, on small made-up tasks in the format of GLUE."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.finetuning.conftest import QUICK, sentiment, write_rows
from tests.finetuning.made_up import write
from tests.train.test_loop import KilledError, happening, killed
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    Starcoder2Config,
)

import toposheet as ts
from toposheet.errors import NotFound, RunError, UserError
from toposheet.finetuning import finetune, load_finetuned, training
from toposheet.finetuning.classifier import new_layer
from toposheet.finetuning.examples import Example
from toposheet.finetuning.finetune import _dropout
from toposheet.finetuning.folder import CLASSIFIER
from toposheet.finetuning.tokens import tokens_of
from toposheet.finetuning.training import batch_of
from toposheet.model_folders import check_model_folder
from toposheet.train.log import METRICS, read_metrics
from toposheet.train.run import CHECKPOINTS
from toposheet.train.validation import Validation


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, sst2, tokenizer):
    """A tiny model that was fine-tuned without interruption, with the subject from which it came."""
    folder = tmp_path_factory.mktemp("tuned")
    subject = tiny(tokenizer)
    before = {name: p.detach().clone() for name, p in subject.model.named_parameters()}
    finetuned = finetune(subject, "sst2", folder / "out", path=sst2, settings=QUICK)
    return finetuned, subject, before, folder / "out"


def tiny(tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).eval()
    return ts.Subject(model, ts.Topography.per_tap(model, seed=0), tokenizer)


def score_of(finetuned):
    return finetuned.scores.iloc[0]


def test_a_separable_task_is_learned_far_above_the_baseline(tuned):
    finetuned, *_ = tuned
    row = score_of(finetuned)
    assert row["baseline"] == 0.6  # "river", "mill", "river" of five words
    assert row["value"] > 0.95
    assert row["low"] > row["baseline"]
    assert row["n_items"] == 25
    losses = finetuned.finetunings.iloc[0]
    assert losses["task_loss"] < 0.2 < 0.6 < losses["task_loss_before"]


def test_the_objective_is_kept_on_and_a_control_has_none(tuned, tmp_path, sst2, tokenizer):
    finetuned, *_ = tuned
    with_it = finetuned.finetunings.iloc[0]
    settings = replace(QUICK, alpha=0.0)
    without = finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=settings).finetunings.iloc[0]
    assert with_it["alpha"] == 2.5
    assert without["alpha"] == 0
    assert with_it["spatial_loss_before"] == without["spatial_loss_before"] > 0.4
    assert with_it["spatial_loss"] < 0.7 * without["spatial_loss"]
    assert "spatial_loss" not in read_metrics(tmp_path / "out" / METRICS)


def test_the_strength_is_that_of_the_recipe_of_the_subject(tmp_path, sst2, tuned):
    *_, out = tuned
    recipe = json.loads((out / "recipe.json").read_text())
    recipe["objective"]["alpha"] = 0.75
    (out / "recipe.json").rename(tmp_path / "kept.json")
    (out / "recipe.json").write_text(json.dumps(recipe))
    try:
        settings = replace(QUICK, updates=1)
        again = finetune(ts.load(out), "sst2", tmp_path / "out", path=sst2, settings=settings)
    finally:
        (tmp_path / "kept.json").rename(out / "recipe.json")
    assert again.finetunings["alpha"].tolist() == [0.75]


def test_the_subject_is_not_changed(tuned):
    finetuned, subject, before, _ = tuned
    assert all(torch.equal(p, before[name]) for name, p in subject.model.named_parameters())
    assert not subject.model.training
    dropouts = [module.p for module in finetuned.subject.model.modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [module.p for module in subject.model.modules() if isinstance(module, nn.Dropout)]


def test_the_folder_is_a_model_folder_and_gives_the_same_predictions(tuned, sst2):
    finetuned, subject, _, out = tuned
    loaded = load_finetuned(out)
    pd.testing.assert_frame_equal(loaded.answers(), finetuned.items)
    pd.testing.assert_frame_equal(loaded.answers(path=sst2), finetuned.items)
    pd.testing.assert_frame_equal(ts.glue_scores(loaded.items), finetuned.scores)
    assert str(loaded) == str(finetuned)
    assert "sst2 (validation, 25 examples)" in str(loaded)
    opened = ts.load(out)
    assert opened.fingerprint == finetuned.subject.fingerprint != subject.fingerprint
    assert opened(torch.tensor([[1, 2, 3]])).shape == (1, 3, 300)
    assert opened.topography.taps == subject.topography.taps
    assert not (out / CHECKPOINTS).exists()


def test_a_lesion_changes_what_a_fine_tuned_subject_answers(tuned):
    finetuned, *_ = tuned
    (tap, *_) = finetuned.subject.topography.taps
    everything = {t: ts.Effect.silence(np.ones(36, dtype=bool)) for t in finetuned.subject.topography.taps}
    nothing = {tap: ts.Effect.silence(np.zeros(36, dtype=bool))}
    lesioned, same = (finetuned.subject.intervened(ts.Intervention("x", one)) for one in (everything, nothing))
    assert ts.glue_scores(finetuned.answers(lesioned))["value"][0] < score_of(finetuned)["value"]
    of_same = finetuned.answers(same)
    assert (of_same["model"] == f"{finetuned.items['model'][0]} (x)").all()
    pd.testing.assert_frame_equal(of_same.drop(columns="model"), finetuned.items.drop(columns="model"))


def assert_same(folder, tuned):
    finetuned, _, _, out = tuned
    again = load_finetuned(folder)
    assert again.subject.fingerprint == finetuned.subject.fingerprint
    assert torch.equal(again.layer.weight, finetuned.layer.weight)
    pd.testing.assert_frame_equal(again.items, finetuned.items)
    pd.testing.assert_frame_equal(again.finetunings, finetuned.finetunings)
    pd.testing.assert_frame_equal(read_metrics(folder / METRICS), read_metrics(out / METRICS))


@pytest.mark.parametrize("at", [1, 5, 12, 20])
def test_an_interrupted_fine_tuning_goes_on_as_if_it_had_not_been(tuned, tmp_path, sst2, tokenizer, at):
    interrupted = lambda: finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)  # noqa: E731
    with happening(at, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (tmp_path / "out" / "config.json").exists()
    with pytest.raises(UserError, match=r"the training in .* is not finished"):
        check_model_folder(tmp_path / "out")
    with pytest.raises(UserError, match="is not finished: run the command that began it again"):
        load_finetuned(tmp_path / "out")
    interrupted()
    assert_same(tmp_path / "out", tuned)


def test_a_killed_fine_tuning_goes_on_from_its_last_checkpoint(tuned, tmp_path, sst2, tokenizer):
    with happening(13, killed), pytest.raises(KilledError):
        finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert_same(tmp_path / "out", tuned)


def test_sigterm_saves_and_exits_with_0(tuned, tmp_path, sst2, tokenizer):
    with happening(7, lambda: os.kill(os.getpid(), signal.SIGTERM)), pytest.raises(SystemExit) as stop:
        finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert stop.value.code == 0
    finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert_same(tmp_path / "out", tuned)


def test_a_fine_tuning_that_was_killed_while_its_result_was_written_is_written_again(
    tuned, tmp_path, sst2, tokenizer, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setitem(finetune.__globals__, "write_finished", lambda *_: killed())
        with pytest.raises(KilledError):
            finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert_same(tmp_path / "out", tuned)


def test_a_finished_fine_tuning_is_only_read(tuned, sst2, monkeypatch):
    finetuned, subject, _, out = tuned
    monkeypatch.setitem(finetune.__globals__, "train_classifier", None)
    again = finetune(subject, "sst2", out, path=sst2, settings=QUICK)
    assert again.subject.fingerprint == finetuned.subject.fingerprint


class _Losses:
    """Validation losses that are given, in place of those that are computed."""

    def __init__(self, monkeypatch, losses):
        self._losses = iter(losses)
        self.states = []
        original = training._Training._validate

        def validate(this):
            real, outputs = original(this)
            self.states.append(next(iter(this._task.model.parameters())).detach().clone())
            return Validation(next(self._losses, 9.0), real.spatial_losses), outputs

        monkeypatch.setattr(training._Training, "_validate", validate)


@pytest.mark.parametrize(
    ("losses", "updates", "kept"),
    [
        ([1.0, 0.9, 0.8, 0.85, 0.86, 0.87], 5, 2),  # three increases in a row
        ([1.0, 1.1, 1.2, 1.3], 3, 0),  # from the start: the weights from before the training are kept
        ([1.0, 1.1, 1.2, 0.5, 0.6, 0.7, 0.65, 0.66, 0.67, 0.68], 9, 3),  # two increases do not end it
        ([1.0, 1.1, 1.1, 1.2, 1.3, 1.4], 5, 0),  # an equal loss is no increase
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05], 10, 10),  # it never increases
    ],
)
def test_it_ends_after_three_increases_in_a_row_and_keeps_the_best_weights(
    tmp_path, sst2, tokenizer, monkeypatch, losses, updates, kept
):
    stub = _Losses(monkeypatch, losses)
    settings = replace(QUICK, updates=10, validate_every=1)
    finetuned = finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=settings)
    row = finetuned.finetunings.iloc[0]
    assert (row["updates"], row["kept_update"], row["stopped_early"]) == (updates, kept, updates < 10)
    assert len(stub.states) == updates + 2  # before the training, after each update, and of the weights that are kept
    assert torch.equal(stub.states[-1], stub.states[kept])
    assert torch.equal(next(iter(finetuned.subject.model.parameters())), stub.states[kept])


def test_the_best_weights_outlive_an_interruption(tmp_path, sst2, tokenizer, monkeypatch):
    settings, out = replace(QUICK, updates=10, validate_every=1), tmp_path / "out"
    with monkeypatch.context() as patch, happening(3, lambda: os.kill(os.getpid(), signal.SIGINT)):
        stub = _Losses(patch, [1.0, 0.5, 0.6, 0.7])
        with pytest.raises(KeyboardInterrupt):
            finetune(tiny(tokenizer), "sst2", out, path=sst2, settings=settings)
    _Losses(monkeypatch, [1.0, 0.8])
    finetuned = finetune(tiny(tokenizer), "sst2", out, path=sst2, settings=settings)
    assert finetuned.finetunings[["updates", "kept_update"]].iloc[0].tolist() == [4, 1]
    assert torch.equal(next(iter(finetuned.subject.model.parameters())), stub.states[1])


def test_the_losses_are_those_of_the_validation_examples(tuned):
    finetuned, *_ = tuned
    rows, losses = sentiment(27)[2:], []
    for row in rows:
        ids = tokens_of(finetuned.subject, [Example((row["sentence"],), 0.0, "0", "here")]).ids[0]
        state = finetuned.subject.model.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
        losses.append(nn.functional.cross_entropy(finetuned.layer(state), torch.tensor(row["label"])).item())
    assert finetuned.finetunings["task_loss"][0] == pytest.approx(np.mean(losses), rel=1e-4)


def test_seed_and_dropout_of_the_settings_act(tuned, tmp_path, sst2, tokenizer):
    *_, out = tuned
    still = replace(QUICK, updates=1, learning_rate=0.0, seed=3)
    finetuned = finetune(tiny(tokenizer), "sst2", tmp_path / "seed", path=sst2, settings=still)
    assert torch.equal(finetuned.layer.weight, new_layer(finetuned.subject.model, 2, seed=3).weight)
    finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=replace(QUICK, updates=1, dropout=0.5))
    first = [read_metrics(folder / METRICS)["task_loss"].dropna().iloc[0] for folder in (out, tmp_path / "out")]
    assert first[0] != first[1]


def test_the_classifier_is_the_last_file_that_is_written(tuned, tmp_path, sst2, tokenizer, monkeypatch):
    replaced = Path.replace

    def dying(path, target):
        return killed() if path.name == "scores.csv" else replaced(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(KilledError):
            finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert not (tmp_path / "out" / CLASSIFIER).exists()
    finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=QUICK)
    assert_same(tmp_path / "out", tuned)


def test_two_tasks_with_pairs_and_a_regression_run(tmp_path, tokenizer):
    settings = replace(QUICK, updates=4, validate_every=2)
    rte = finetune(tiny(tokenizer), "rte", tmp_path / "rte", path=write(tmp_path / "data", 30, 10), settings=settings)
    assert set(rte.items["prediction"]) <= {0.0, 1.0}
    rows = [{"sentence1": "a " * (i % 5 + 1), "sentence2": "river", "label": i / 8, "idx": i} for i in range(40)]
    for split in ("train", "validation"):
        write_rows(tmp_path / "stsb" / f"{split}.jsonl", rows)
    settings = replace(QUICK, updates=60, validate_every=20, learning_rate=5e-3)
    stsb = finetune(tiny(tokenizer), "stsb", tmp_path / "out", path=tmp_path / "stsb", settings=settings)
    assert stsb.scores["metric"].tolist() == ["score", "pearson", "spearman"]
    assert stsb.scores["value"][0] == pytest.approx(stsb.scores["value"][1:].mean())
    assert stsb.scores["baseline"].tolist() == [0, 0, 0]
    assert stsb.items["prediction"].nunique() > 4
    assert stsb.finetunings["task_loss"][0] < stsb.finetunings["task_loss_before"][0]


def test_training_and_evaluation_join_pairs_by_one_function(tmp_path, tokenizer, monkeypatch):
    seen = []
    joined = __import__("toposheet.finetuning.tokens", fromlist=["joined"]).joined

    def counted(texts, before, between, longest):
        if longest is not None:
            seen.append(tuple(between))
        return joined(texts, before, between, longest)

    monkeypatch.setattr("toposheet.finetuning.tokens.joined", counted)
    settings = replace(QUICK, updates=1, separator=" | ")
    folder = write(tmp_path / "data", 30, 10)
    finetuned = finetune(tiny(tokenizer), "rte", tmp_path / "out", path=folder, settings=settings)
    assert len(seen) == 40
    del seen[20:]
    finetuned.answers()
    assert len(seen) == 30
    assert set(seen) == {tuple(tokenizer(" | ").input_ids)}


def test_the_examples_of_updates_come_in_random_order_and_all_before_one_comes_again():
    numbers = np.concatenate([batch_of(update, 8, 20, seed=3) for update in range(10)])
    for epoch in range(4):
        assert sorted(numbers[20 * epoch : 20 * (epoch + 1)]) == list(range(20))
    assert len({tuple(numbers[20 * epoch : 20 * (epoch + 1)]) for epoch in range(4)}) == 4
    assert len(batch_of(0, 50, 20, seed=3)) == 50
    assert (batch_of(2, 8, 20, seed=4) != batch_of(2, 8, 20, seed=3)).any()


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(n_embd=16, n_layer=2, n_head=2),
        OPTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, ffn_dim=32, word_embed_proj_dim=16),
        FalconConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, hidden_dropout=0.3),
        BloomConfig(hidden_size=16, n_layer=2, n_head=2, hidden_dropout=0.3, attention_dropout=0.3),
        LlamaConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2),
        Starcoder2Config(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
            residual_dropout=0.3, embedding_dropout=0.3,
        ),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_the_dropout_of_the_settings_replaces_that_of_every_model(config):
    config.vocab_size = 50
    model = AutoModelForCausalLM.from_config(config).train()
    ids = torch.arange(24).reshape(2, 12)

    def noise():
        return float((model(input_ids=ids).logits - model(input_ids=ids).logits).abs().max())

    with torch.no_grad():
        torch.manual_seed(0)
        own = noise()
        with _dropout(model, 0.0):
            assert noise() == 0
        with _dropout(model, 0.5):
            assert noise() > 1e-4
        torch.manual_seed(0)
        assert noise() == own


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": replace(QUICK, seed=1)}, r"another fine-tuning \(recipe.seed is 0 there, but 1 now\)"),
        ({"settings": replace(QUICK, dropout=0.0)}, r"dropout is 0.1 there, but 0.0 now"),
        ({"settings": replace(QUICK, separator=" ")}, r"separator is \$ there, but   now|on other examples"),
        ({"task": "cola"}, r"task is sst2 there, but cola now"),
    ],
)
def test_a_folder_with_another_fine_tuning_is_refused(tuned, sst2, change, words):
    _, subject, _, out = tuned
    with pytest.raises(UserError, match=words):
        finetune(subject, **({"task": "sst2", "settings": QUICK} | change), out=out, path=sst2)


def test_other_examples_and_another_subject_are_refused(tuned, tmp_path, sst2, tokenizer):
    _, subject, _, out = tuned
    write_rows(tmp_path / "validation.jsonl", sentiment(25))
    write_rows(tmp_path / "train.jsonl", sentiment(59))
    with pytest.raises(UserError, match="on other examples: fine-tune into another folder"):
        finetune(subject, "sst2", out, path=tmp_path, settings=QUICK)
    other = tiny(tokenizer)
    with torch.no_grad():
        other.model.transformer.wte.weight.add_(0.1)
    with pytest.raises(UserError, match="of another subject"):
        finetune(other, "sst2", out, path=sst2, settings=QUICK)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files, such as notes.txt"):
        finetune(subject, "sst2", tmp_path / "mine", path=sst2, settings=QUICK)


def test_what_cannot_be_fine_tuned_is_refused_before_anything_is_written(tuned, tmp_path, sst2, subject):
    out = tmp_path / "out"
    lesioned = subject.intervened(
        ts.Intervention("x", {subject.topography.taps[0]: ts.Effect.silence(np.ones(36, dtype=bool))})
    )
    for wrong, words in (
        ({"subject": lesioned}, "has interventions"),
        ({"subject": ts.Subject(subject.model, subject.topography)}, "has no tokenizer"),
        ({"subject": "small"}, "subject is a str"),
        ({"task": "boolq"}, "no GLUE task 'boolq'"),
        ({"settings": {"alpha": 1}}, r"settings is a dict: it must be a toposheet.Finetuning"),
        ({"path": tmp_path / "nowhere"}, "does not exist"),
    ):
        arguments = {"subject": subject, "task": "sst2", "out": out, "path": sst2, "settings": QUICK} | wrong
        with pytest.raises(UserError, match=words):
            finetune(**arguments)
        assert not out.exists()
    with pytest.raises(NotFound, match="holds no fine-tuning"):
        load_finetuned(tmp_path)
    finetuned, *_ = tuned
    with pytest.raises(UserError, match="a width of 256 units, but the classifier reads 36"):
        finetuned.answers(ts.load("small"))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("alpha", -1.0, "alpha is -1"),
        ("learning_rate", -1.0, "learning_rate is -1"),
        ("batch", 10, "batch is 10 and micro_batch is 8"),
        ("updates", 0, "updates is 0"),
        ("patience", 0, "patience is 0"),
        ("dropout", 1.0, "dropout is 1.0: it must be at least 0 and below 1"),
        ("precision", "fp16", "precision is 'fp16'"),
        ("seed", -1, "seed is -1"),
        ("separator", None, "separator is a NoneType"),
    ],
)
def test_a_wrong_setting_is_named(field, value, words):
    with pytest.raises(UserError, match=words):
        replace(QUICK, **{field: value})


@pytest.mark.parametrize(("every", "at"), [(5, 2), (1, 1)])  # in an update, and in a validation
def test_a_fine_tuning_that_diverges_ends_in_one_line(tmp_path, sst2, tokenizer, every, at):
    settings = replace(QUICK, learning_rate=1e30, validate_every=every)
    with pytest.raises(RunError, match=rf"update {at}: .*nan.*fine-tune into another folder, with a lower") as error:
        finetune(tiny(tokenizer), "sst2", tmp_path / "out", path=sst2, settings=settings)
    assert "\n" not in str(error.value)


def test_a_damaged_plan_and_a_damaged_classifier_are_named(tmp_path, tuned, sst2):
    _, subject, _, out = tuned
    folder = tmp_path / "copy"
    shutil.copytree(out, folder)
    (folder / "classifier.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match=r"classifier.safetensors is damaged"):
        load_finetuned(folder)
    (folder / "finetuning.json").write_text("{")
    with pytest.raises(UserError, match=r"finetuning.json is damaged"):
        finetune(subject, "sst2", folder, path=sst2, settings=QUICK)


@pytest.mark.slow
def test_small_compares_two_sentences_after_a_minute(tmp_path):
    settings = ts.Finetuning(batch=64, learning_rate=5e-4, updates=80, validate_every=20)
    finetuned = finetune(ts.load("small"), "rte", tmp_path / "out", path=write(tmp_path / "data", 2000, 200),
                         settings=settings)  # fmt: skip
    assert score_of(finetuned)["value"] > 0.9
    assert finetuned.finetunings["spatial_loss"][0] < finetuned.finetunings["spatial_loss_before"][0]
