"""Training low-rank changes of a subject instead of its weights."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.architectures.families import random_model
from tests.train.conftest import newest
from tests.train.test_loop import KilledError, happening, killed

import toposheet as ts
from toposheet import recipes
from toposheet.errors import RunError
from toposheet.packages import MissingPackage
from toposheet.recipes.result import read_result
from toposheet.text.blocks import Blocks
from toposheet.train.log import read_metrics
from toposheet.train.loop import train
from toposheet.train.model import frozen_copy
from toposheet.train.preconditions import is_finished
from toposheet.train.run import CHECKPOINTS
from toposheet.train.task import NextToken
from toposheet.train.validation import whole_batches

RECIPE = recipes.named("tiny", context=16, updates=12, validate_every=5, checkpoint_every=4, snapshot_every=None,
                       neighborhoods="all", alpha=5.0, learning_rate=2e-2, warmup_updates=1, lora_rank=4)  # fmt: skip


@pytest.fixture
def opened(tokenizer, tmp_path):
    """Return a function that opens a subject of a family, as it was saved in a folder."""

    def opened(family="llama"):
        folder = tmp_path / f"base-{family}"
        if not folder.exists():
            network = random_model(family)
            ts.save(folder, ts.Subject(network, ts.Topography.per_tap(network, seed=3), tokenizer))
        return ts.load(folder)

    return opened


def metrics(folder):
    return read_metrics(folder / "metrics.jsonl")


def matrices(folder):
    return load_file(folder / "adapter_model.safetensors")


def state_of(subject):
    model = subject.model
    flags = {name: (p.requires_grad, p.data_ptr(), p.grad) for name, p in model.named_parameters()}
    names = [name for name, _ in model.named_modules()]
    return subject.fingerprint, flags, names, model.training, subject.can_be_cached


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_low_rank_changes_are_trained_and_the_subject_stays_as_it_was(family, opened, text, tmp_path):
    subject = opened(family)
    before = state_of(subject)
    train(RECIPE, text, tmp_path / "out", subject=subject)
    assert state_of(subject) == before
    spatial = metrics(tmp_path / "out")["spatial_loss"].dropna()
    assert spatial.iloc[-1] < 0.9 * spatial.iloc[0]
    trained = ts.load(tmp_path / "out")
    assert type(trained.model) is type(subject.model)
    changed = {
        name
        for name, weights in trained.model.named_parameters()
        if not torch.equal(weights, subject.model.get_parameter(name))
    }
    in_blocks = {
        f"{name}.weight"
        for name, module in subject.model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and name != "lm_head"
    }
    assert changed == in_blocks
    assert trained.recipe.subject == subject.fingerprint
    assert all(matrix.any() for matrix in matrices(tmp_path / "out").values())


@pytest.mark.slow
def test_the_first_update_sees_the_losses_of_the_subject(opened, text, tmp_path):
    train(RECIPE, text, tmp_path / "lora", subject=opened())
    train(RECIPE.changed(lora_rank=None), text, tmp_path / "full", subject=opened())
    first, of_full = (metrics(tmp_path / name).iloc[0] for name in ("lora", "full"))
    assert first["task_loss"] == pytest.approx(of_full["task_loss"], abs=1e-6)
    assert first["spatial_loss"] == pytest.approx(of_full["spatial_loss"], abs=1e-6)


@pytest.mark.slow
def test_the_reported_losses_are_those_of_the_stored_model(opened, text, tmp_path):
    train(RECIPE, text, tmp_path / "out", subject=opened())
    result, trained = read_result(tmp_path / "out"), ts.load(tmp_path / "out")
    blocks = Blocks(text, context=16, seed=RECIPE.seed).validation(RECIPE.bookkeeping.validation_blocks)
    held_out = whole_batches(torch.from_numpy(blocks), RECIPE)
    with torch.no_grad(), trained.record() as activations:
        losses = [NextToken(trained.model, "fp32")(part)[0].item() for part in held_out.split(4)]
        spatial = ts.spatial_losses(activations, trained.topography, "all", RECIPE.objective.radius)
    assert result["validation_task_loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert set(spatial) == set(result["validation_spatial_losses"])
    rounded = metrics(tmp_path / "out")["validation_task_loss"].dropna().iloc[-1]
    assert rounded != result["validation_task_loss"]  # the log has the losses before the changes were rounded


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_stopped_run_goes_on_bit_for_bit_from_checkpoints_of_what_is_trained(how, opened, text, tmp_path):
    train(RECIPE, text, tmp_path / "whole", subject=opened("gpt2"))  # dropout of a tenth, in attention too
    subject = opened("gpt2")
    before = state_of(subject)
    stop, error = (killed, KilledError) if how == "killed" else (interrupt, KeyboardInterrupt)
    with happening(6, stop), pytest.raises(error):
        train(RECIPE, text, tmp_path / "model", subject=subject)
    assert state_of(subject) == before
    stored = newest(tmp_path / "model" / CHECKPOINTS)
    assert len(stored.model) == 2 * 8
    assert all(".lora_" in name for name in stored.model)
    assert not (tmp_path / "model" / "adapter_config.json").exists()
    train(RECIPE, text, tmp_path / "model", subject=subject)
    one, two = metrics(tmp_path / "whole"), metrics(tmp_path / "model")
    for column in ("task_loss", "spatial_loss", "gradient_norm", "validation_task_loss"):
        np.testing.assert_array_equal(one[column], two[column])
    for name in ("adapter_model.safetensors", "adapter_config.json", "base.json", "topography.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "model" / name).read_bytes(), name
    assert not (tmp_path / "model" / CHECKPOINTS).exists()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_a_finished_run_is_not_repeated_and_an_incomplete_folder_is_completed(opened, text, tmp_path):
    out = tmp_path / "out"
    train(RECIPE, text, out, subject=opened())
    checksum, content = read_result(out)["text"], (out / "adapter_model.safetensors").read_bytes()
    assert is_finished(out, checksum)
    with happening(1, killed):
        train(RECIPE, text, out, subject=opened())
    for name in ("adapter_model.safetensors", "adapter_config.json", "base.json", "topography.safetensors"):
        (out / name).unlink()
        assert not is_finished(out, checksum), name
        train(RECIPE, text, out, subject=opened())
        assert (out / "adapter_model.safetensors").read_bytes() == content
    other = RECIPE.changed(lora_rank=2)
    with pytest.raises(ts.UserError, match=r"holds another run .*lora_rank is 4 there, but 2 now"):
        train(other, text, out, subject=opened())
    (out / "recipe.json").unlink()
    with pytest.raises(ts.UserError, match="holds a model that was not trained by a recipe"):
        train(RECIPE, text, out, subject=opened())


@pytest.mark.slow
def test_the_twin_with_alpha_0_learns_the_task_alone(opened, text, tmp_path):
    train(RECIPE.control().changed(updates=30), text, tmp_path / "twin", subject=opened())
    rows = metrics(tmp_path / "twin")
    assert rows["task_loss"].dropna().iloc[-1] < rows["task_loss"].dropna().iloc[0] - 0.3
    assert "spatial_loss" not in rows
    assert ts.load(tmp_path / "twin").recipe.is_control


def test_strength_and_layers_are_those_of_the_recipe(opened, text, tmp_path):
    recipe = RECIPE.changed(lora_layers=("q_proj", "mlp.down_proj"), lora_alpha=3.0, updates=2)
    train(recipe, text, tmp_path / "out", subject=opened())
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (4, 3.0)
    assert {name.partition(".lora_")[0].rpartition(".")[2] for name in matrices(tmp_path / "out")} == {
        "q_proj", "down_proj",
    }  # fmt: skip
    train(RECIPE.changed(updates=2), text, tmp_path / "all", subject=opened())
    assert json.loads((tmp_path / "all" / "adapter_config.json").read_text())["lora_alpha"] == 8.0


@pytest.mark.slow
def test_muon_trains_low_rank_changes_too(opened, text, tmp_path):
    train(RECIPE.changed(muon_learning_rate=2e-2), text, tmp_path / "out", subject=opened())
    spatial = metrics(tmp_path / "out")["spatial_loss"].dropna()
    assert spatial.iloc[-1] < 0.95 * spatial.iloc[0]


@pytest.mark.slow
def test_distillation_compares_with_the_subject_whose_memory_both_copies_use(opened, text, tmp_path):
    subject = opened()
    train(RECIPE.changed(distillation=0.5), text, tmp_path / "out", subject=subject)
    divergence = metrics(tmp_path / "out")["divergence"].dropna()
    assert divergence.iloc[0] == pytest.approx(0.0, abs=1e-5)
    assert divergence.iloc[-1] > 1e-3
    for name, weights in frozen_copy(subject, shares_weights=True).named_parameters():
        assert weights.data_ptr() == subject.model.get_parameter(name).data_ptr()
        assert not weights.requires_grad
    own = frozen_copy(subject).lm_head.weight
    assert own.data_ptr() != subject.model.lm_head.weight.data_ptr()


def test_interventions_are_in_place_while_low_rank_changes_are_trained(opened, text, tmp_path, caplog):
    plain = opened()
    silent = ts.Intervention("no first MLP", {"model.layers.0.mlp": ts.Effect.silence(np.ones(36, dtype=bool))})
    train(RECIPE.changed(alpha=0.0), text, tmp_path / "out", subject=plain.intervened(silent))
    trained, before = ts.load(tmp_path / "out").model.model.layers, plain.model.model.layers
    assert torch.equal(trained[0].mlp.down_proj.weight, before[0].mlp.down_proj.weight)
    assert not torch.equal(trained[1].mlp.down_proj.weight, before[1].mlp.down_proj.weight)
    assert "no gradient reached the low-rank changes of 3 of 14 layers, such as model.layers.0.mlp." in caplog.text


def test_a_model_through_which_no_gradient_goes_is_refused_and_nothing_is_written(opened, text, tmp_path):
    subject = opened()

    def detach(_module, _inputs, output):
        output.last_hidden_state = output.last_hidden_state.detach()
        return output

    handle = subject.model.base_model.register_forward_hook(detach)
    with pytest.raises(RunError, match="no gradient reaches the low-rank changes of LlamaForCausalLM: choose"):
        train(RECIPE, text, tmp_path / "out", subject=subject)
    handle.remove()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_check_of_gradients_leaves_no_trace_in_the_run(opened, text, tmp_path, monkeypatch):
    train(RECIPE, text, tmp_path / "checked", subject=opened("gpt2"))
    monkeypatch.setattr("toposheet.train.run.check_gradients", lambda task: None)
    train(RECIPE, text, tmp_path / "unchecked", subject=opened("gpt2"))
    one, other = matrices(tmp_path / "checked"), matrices(tmp_path / "unchecked")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_does_not_go_with_low_rank_changes_is_refused_in_a_line(opened, text, tmp_path, without):
    with pytest.raises(ts.UserError, match=r"^parallel is 'fsdp2', but low-rank changes \(lora_rank\) need 'ddp'$"):
        RECIPE.changed(parallel="fsdp2")
    with pytest.raises(ts.UserError, match=r"^objective is 'topoloss', which acts on the weights, but with lora_rank"):
        RECIPE.changed(objective="topoloss")
    for change, message in (
        ({"lora_alpha": 3.0}, r"^lora_alpha is 3.0, but lora_rank is None: set lora_rank too"),
        ({"lora_layers": ("q_proj",)}, r"^lora_layers is \('q_proj',\), but lora_rank is None"),
    ):
        with pytest.raises(ts.UserError, match=message):
            train(RECIPE.changed(lora_rank=None, **change), text, tmp_path / "no", subject=opened("gpt2"))
    with pytest.raises(ts.UserError, match=r"^lora_rank is 0: it must be a whole number of at least 1"):
        RECIPE.changed(lora_rank=0)
    with pytest.raises(ts.UserError, match=r"^lora_alpha is 0: it must be positive"):
        RECIPE.changed(lora_alpha=0)
    out = tmp_path / "out"
    with pytest.raises(ts.UserError, match=r"^lora_rank is 4, but a new model has no weights that low-rank changes"):
        train(RECIPE, text, out)
    with pytest.raises(ts.UserError, match=r"^lora_layers names 'c_attn', but no linear layer .* use some of q_proj"):
        train(RECIPE.changed(lora_layers=("c_attn",)), text, out, subject=opened())
    without("peft")
    with pytest.raises(MissingPackage, match=r"need the package peft: pip install 'toposheet\[lora\]'"):
        train(RECIPE, text, out, subject=opened())
    assert not out.exists()


@pytest.mark.slow
def test_the_card_names_the_base_model_and_says_what_the_folder_holds(opened, text, tmp_path):
    subject = opened()
    hub = ts.Subject(subject.model, subject.topography, subject.tokenizer, source="some-org/some-model")
    for name, base in (("folder", subject), ("hub", hub)):
        train(RECIPE.changed(updates=2), text, tmp_path / name, subject=base)
    cards = {name: (tmp_path / name / "README.md").read_text() for name in ("folder", "hub")}
    for card in cards.values():
        assert "library_name: peft" in card
        assert "low-rank changes (LoRA, arXiv:2106.09685)" in card
        assert "Their rank is 4" in card
        assert "`topography.json` and" in card
    assert "base_model: some-org/some-model" in cards["hub"].partition("# tiny")[0]
    assert "`some-org/some-model`" in cards["hub"]
    assert "base_model:" not in cards["folder"]
    assert str(tmp_path / "base-llama") in cards["folder"]
    train(RECIPE.changed(lora_rank=None, updates=2), text, tmp_path / "full", subject=opened())
    card = (tmp_path / "full" / "README.md").read_text()
    assert "library_name: transformers" in card
    assert "low-rank" not in card
