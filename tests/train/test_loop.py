import json
import os
import re
import shutil
import signal
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tests.train.conftest import newest

import toposheet as ts
from toposheet import recipes
from toposheet.errors import RunError
from toposheet.recipes.result import RESULT, read_result
from toposheet.text.blocks import Blocks
from toposheet.text.tokenizer import train_tokenizer
from toposheet.topography import OBJECTIVES
from toposheet.train import loop, model, preconditions, run, update
from toposheet.train.batches import TEXT
from toposheet.train.checkpoints import Checkpoint, save_checkpoint
from toposheet.train.log import Metrics, read_metrics
from toposheet.train.loop import train
from toposheet.train.model import build_model
from toposheet.train.preconditions import stopping_with
from toposheet.train.run import CHECKPOINTS
from toposheet.train.snapshots import read_snapshots
from toposheet.train.validation import Validation

RECIPE = recipes.named("tiny", vocabulary=300, context=16, updates=12, validate_every=5, checkpoint_every=4,
                       snapshot_every=None)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 38}, "38 units do not fill a square sheet"),
        ({"sheet_shape": (5, 5)}, "25 cells but the tap has 36 units"),
        ({"taps": ("model.layers.*",)}, "'model.layers.*' matches no module"),
        ({"architecture": "qwen3", "taps": ("transformer.h.*",)}, "'transformer.h.*' matches no module"),
        ({"taps": ()}, "there are no taps: give the path of at least one module"),
        ({"taps": ("lm_head",), "sheet_shape": (20, 20)}, "the tap lm_head is outside GPT2Model"),
        ({"objective": "topoloss", "taps": ("transformer.ln_f",)}, "transformer.ln_f"),
    ],
)
def test_sheets_that_do_not_fit_are_refused_before_text_is_prepared(change, message, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "prepare_builtin", lambda *arguments: pytest.fail("text is prepared"))
    with pytest.raises(ts.UserError, match=re.escape(message)):
        train(RECIPE.changed(**change), None, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_the_sheets_of_every_known_recipe_are_checked_without_weights(name, monkeypatch):
    devices = []
    monkeypatch.setattr(preconditions, "check_objective", lambda subject, _: devices.append(subject.model.device.type))
    preconditions.check_sheets(recipes.named(name))
    assert devices == ["meta"]


@pytest.fixture(scope="session")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "model"
    train(RECIPE, text, folder)
    return folder


def weights(folder):
    return ts.load(folder).model.state_dict()


def assert_same_run(one, two):
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(two)[name]), name
    for column in ("task_loss", "spatial_loss", "gradient_norm", "validation_task_loss"):
        np.testing.assert_array_equal(*(read_metrics(folder / "metrics.jsonl")[column] for folder in (one, two)))


def test_a_run_leaves_an_ordinary_model_with_its_topography(trained):
    subject = ts.load(trained)
    assert subject.model.config.n_embd == RECIPE.model.width
    assert len(subject.topography.taps) == 2 * RECIPE.model.layers
    assert subject.tokenizer.model_max_length == RECIPE.model.context
    assert not (trained / CHECKPOINTS).exists()
    result = json.loads((trained / RESULT).read_text())
    assert result["tokens"] == 12 * 4 * 16
    assert result["validation_spatial_loss"] == pytest.approx(
        np.mean(list(result["validation_spatial_losses"].values()))
    )


def test_every_update_is_logged(trained):
    metrics = read_metrics(trained / "metrics.jsonl")
    assert metrics["task_loss"].notna().sum() == 12
    assert metrics.dropna(subset=["validation_task_loss"])["update"].tolist() == [5, 10, 12]


def test_equal_recipes_give_equal_models(trained, text, tmp_path):
    train(RECIPE, text, tmp_path / "again")
    assert_same_run(trained, tmp_path / "again")


@contextmanager
def happening(number, do):
    """Let something happen right after an update has been logged."""
    write = Metrics.write

    def writing(self, update, **values):
        write(self, update, **values)
        if update == number and "task_loss" in values:
            do()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metrics, "write", writing)
        yield


@pytest.mark.parametrize("at", [1, 4, 6, 12])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(trained, text, tmp_path, at):
    with happening(at, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        train(RECIPE, text, tmp_path / "model")
    assert newest(tmp_path / "model" / CHECKPOINTS).update == at
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_continued_run_counts_its_seconds_from_the_first_start(trained, text, tmp_path):
    out = tmp_path / "model"
    with happening(4, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        train(RECIPE, text, out)
    stopped = newest(out / CHECKPOINTS)
    assert stopped.seconds > 0
    (path,) = (out / CHECKPOINTS).iterdir()
    path.unlink()
    save_checkpoint(out / CHECKPOINTS, replace(stopped, seconds=1e6))
    train(RECIPE, text, out)
    assert 1e6 < read_result(out)["seconds"] < 1e6 + 600


def test_stimuli_come_from_what_the_text_holds_out_and_not_from_what_the_recipe_says(text, tmp_path):
    recipe = RECIPE.changed(seed=3, updates=1)
    assert recipe.bookkeeping.validation_fraction == 0.05
    train(recipe, text, tmp_path)
    reader = ts.load(tmp_path).reader
    assert (reader.validation_fraction, reader.seed) == (0.1, 0)


def test_sigterm_saves_and_exits_with_0(trained, text, tmp_path):
    with happening(6, lambda: os.kill(os.getpid(), signal.SIGTERM)), pytest.raises(SystemExit) as stop:
        train(RECIPE, text, tmp_path / "model")
    assert stop.value.code == 0
    assert newest(tmp_path / "model" / CHECKPOINTS).update == 6
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


class KilledError(Exception):
    pass


def killed():
    raise KilledError


def test_a_killed_run_goes_on_from_its_last_checkpoint(trained, text, tmp_path):
    with happening(10, killed), pytest.raises(KilledError):
        train(RECIPE, text, tmp_path / "model")
    with (tmp_path / "model" / "metrics.jsonl").open("a") as file:
        file.write('{"update": 1')  # the kill cut a line in half
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(trained, text, tmp_path, caplog):
    with happening(10, killed), pytest.raises(KilledError):
        train(RECIPE, text, tmp_path / "model")
    older, damaged = sorted((tmp_path / "model" / CHECKPOINTS).iterdir())
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    train(RECIPE, text, tmp_path / "model")
    assert f"{damaged} is damaged" in caplog.text
    assert "update-00000004" in older.name
    assert_same_run(trained, tmp_path / "model")


def test_another_machine_is_refused_unless_that_is_accepted(text, tmp_path, monkeypatch):
    with happening(6, killed), pytest.raises(KilledError):
        train(RECIPE, text, tmp_path / "model")
    here = run.machine
    monkeypatch.setattr(run, "machine", lambda *args: here(*args) | {"processes": 4})
    with pytest.raises(
        ValueError, match=r"4 updates on another machine \(processes is 1 there, but 4 now\).*--on-other-m"
    ):
        train(RECIPE, text, tmp_path / "model")
    train(RECIPE, text, tmp_path / "model", on_other_machine=True)


def losses_of(*values):
    left = iter(values)
    return lambda *args: Validation(next(left), {"a": 0.5})


def test_a_run_without_patience_left_stops_and_its_control_stops_with_it(text, tmp_path, monkeypatch):
    recipe = RECIPE.changed(validate_every=2, patience=2)
    monkeypatch.setattr(loop, "validate", losses_of(5.0, 4.0, 4.1, 4.2, 3.0, 3.0))
    train(recipe, text, tmp_path / "model")
    assert json.loads((tmp_path / "model" / RESULT).read_text())["updates"] == 8
    control = stopping_with(recipe.control(), tmp_path / "model")
    assert control.optimisation.stop_after == 8
    monkeypatch.setattr(loop, "validate", losses_of(1.0, 2.0, 3.0, 4.0))
    train(control, text, tmp_path / "control")
    assert json.loads((tmp_path / "control" / RESULT).read_text())["updates"] == 8


def test_a_run_that_made_all_its_updates_leaves_its_control_no_patience(trained):
    assert stopping_with(RECIPE.control(), trained) == RECIPE.control()
    assert (
        stopping_with(RECIPE.control().changed(patience=3), trained).optimisation.stop_after
        == RECIPE.optimisation.updates
    )


@pytest.mark.parametrize("change", [{"updates": 40}, {"batch": 8}, {"context": 8}])
def test_a_run_of_other_updates_makes_no_pair(trained, change):
    with pytest.raises(ValueError, match="for equal compute, give the new run"):
        stopping_with(RECIPE.control().changed(**change), trained)


MUON = RECIPE.changed(architecture="qwen3", mlp_width=48, muon_learning_rate=2e-3, micro_batch=2, decay="linear",
                      decay_updates=4)  # fmt: skip


def test_a_run_with_two_optimizers_goes_on_as_if_it_had_not_been_stopped(text, tmp_path):
    train(MUON, text, tmp_path / "whole")
    with happening(10, killed), pytest.raises(KilledError):
        train(MUON, text, tmp_path / "model")
    train(MUON, text, tmp_path / "model")
    assert_same_run(tmp_path / "whole", tmp_path / "model")


@pytest.mark.parametrize("clip", [1e9, 0.01])
def test_an_update_follows_the_clipped_gradient_of_both_losses(text, tmp_path, clip, monkeypatch):
    recipe = RECIPE.changed(micro_batch=2, neighborhoods="all", updates=1, warmup_updates=0, clip=clip, alpha=3.0)
    network = build_model(recipe, 0)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    topo = ts.Topography.per_tap(network, recipe.sheets.taps, seed=recipe.seed)
    for blocks in torch.from_numpy(Blocks(text, context=16, seed=0).train(0, 4)).split(2):
        with topo.record(network) as activations:
            logits = network(input_ids=blocks[:, :-1]).logits
        task_loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())
        spatial = ts.spatial_loss(activations, topo, "all", recipe.objective.radius)
        ((task_loss + 3.0 * spatial) / 2).backward()
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    norm = torch.cat([g.flatten() for g in gradients.values()]).norm()
    step = min(1.0, clip / norm.item())
    monkeypatch.setattr(run, "optimizers", lambda m, r: [torch.optim.SGD(m.parameters(), lr=1 / step)])
    monkeypatch.setattr(update, "set_learning_rates", lambda *args: None)
    train(recipe, text, tmp_path / "model")
    for name, tensor in weights(tmp_path / "model").items():
        if name in gradients:
            torch.testing.assert_close(before[name] - tensor, gradients[name], rtol=1e-3, atol=1e-5)


def test_there_is_nothing_to_stop_with_before_the_other_run_is_finished(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run"):
        stopping_with(RECIPE.control(), tmp_path)


def test_micro_batches_add_up_to_the_batch(text, tmp_path):
    for micro_batch in (4, 2, 1):
        train(RECIPE.control().changed(micro_batch=micro_batch), text, tmp_path / str(micro_batch))
    whole, *parts = (read_metrics(tmp_path / n / "metrics.jsonl") for n in "421")
    for part in parts:
        for column in ("task_loss", "gradient_norm"):
            np.testing.assert_allclose(part[column].dropna(), whole[column].dropna(), rtol=1e-4)


def test_every_micro_batch_draws_windows_of_its_own(text, tmp_path, monkeypatch):
    drawn = []
    losses = update.spatial_losses

    def drawing(*args, **options):
        drawn.append(args[6].initial_seed())
        return losses(*args, **options)

    monkeypatch.setattr(update, "spatial_losses", drawing)
    train(RECIPE.changed(micro_batch=2), text, tmp_path / "model")
    assert len(set(drawn)) == len(drawn) == 2 * RECIPE.optimisation.updates


def test_snapshots_watch_topography_appear(text, tmp_path, monkeypatch):
    held_out = pd.DataFrame({"text": [f"the river {'ran ' * (i % 3)}by" for i in range(40)],
                             "condition": ["sentence", "nonword"] * 20})  # fmt: skip
    monkeypatch.setattr(loop, "snapshot_stimuli", lambda *args: held_out)
    recipe = RECIPE.changed(snapshot_every=5)
    with happening(11, killed), pytest.raises(KilledError):
        train(recipe, text, tmp_path / "model")
    train(recipe, text, tmp_path / "model")
    table = read_snapshots(tmp_path / "model")
    taken = (0, 1, 2, 4, 5, 10, 12)
    assert table.groupby("update")["tap"].count().to_dict() == dict.fromkeys(taken, 5)  # four taps, and their mean
    mean = table["tap"] == "*"
    means = table[~mean].groupby("update")[["morans_i", "null_mean"]].mean()
    np.testing.assert_allclose(table[mean][["morans_i", "null_mean"]], means)
    assert {"morans_i", "null_mean", "null_sd", "z", "p", "label_z", "cross_half_i"} <= set(table)
    assert [path.name for path in sorted((tmp_path / "model" / "snapshots").iterdir())] == [
        f"update-{n:08d}.png" for n in taken
    ]
    assert_same_run(tmp_path / "model", train_again(text, tmp_path / "again"))


def train_again(text, folder):
    train(RECIPE, text, folder)
    return folder


def test_text_too_small_for_snapshots_is_said_and_trained_on(text, tmp_path, caplog):
    train(RECIPE.changed(snapshot_every=5), text, tmp_path / "model")
    assert "no map of sentences against non-words" in caplog.text
    assert not (tmp_path / "model" / "snapshots.csv").exists()


def test_an_unknown_tracker_lists_those_there_are_before_text_is_prepared(tmp_path):
    with pytest.raises(ValueError, match="no tracker 'tensorbord'; choose from: tensorboard, wandb, trackio"):
        train(RECIPE, None, tmp_path / "model", trackers=["tensorbord"])
    assert not (tmp_path / "model").exists()


def test_a_warm_up_longer_than_the_run_is_said(caplog):
    preconditions.warn_of_long_warm_ups(RECIPE.changed(updates=5, warmup_updates=2, alpha_warmup_updates=5))
    (said,) = caplog.messages
    assert said == "alpha does not reach its value, because its warm-up has 5 updates and the run has 5"


def test_ctrl_c_while_text_is_prepared_interrupts_at_once(tmp_path, monkeypatch):
    def interrupted(*_args):
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the text was prepared to its end")

    monkeypatch.setattr(loop, "prepare_builtin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, None, tmp_path / "model")


def test_a_finished_run_is_not_repeated(trained, text, monkeypatch):
    monkeypatch.setattr(run, "new_subject", lambda *args: pytest.fail("trained again"))
    train(RECIPE, text, trained)


@pytest.mark.parametrize("builtin", [False, True])
def test_a_folder_with_another_run_is_refused_by_field_and_left_alone(trained, text, builtin):
    before = {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"updates is 12 there, but 30 now"):
        train(RECIPE.changed(updates=30), None if builtin else text, trained)
    assert not (trained / TEXT).exists()
    assert before == {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}


def test_a_run_on_other_text_is_neither_finished_nor_resumed(trained, text, prepared, tmp_path):
    other = prepared(tmp_path, [f"{i} other texts about the river and the road" for i in range(40)])
    with pytest.raises(ValueError, match="run on another text"):
        train(RECIPE, other, trained)
    elsewhere = Checkpoint(3, "elsewhere", {}, [], 0.0, {}, [])
    save_checkpoint(tmp_path / "half" / CHECKPOINTS, elsewhere)
    with pytest.raises(ValueError, match="made 3 updates on another text"):
        train(RECIPE, text, tmp_path / "half")


def test_a_finished_run_without_its_model_is_made_again(trained, text, tmp_path):
    shutil.copytree(trained, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_tokenizer_that_did_not_make_the_tokens_is_refused(text, tmp_path):
    shutil.copytree(text, tmp_path / "text")
    train_tokenizer(["other words entirely, aaa bbb ccc ddd"] * 3, 262).save_pretrained(tmp_path / "text" / "tokenizer")
    with pytest.raises(ValueError, match="not the tokenizer that made its tokens"):
        train(RECIPE, tmp_path / "text", tmp_path / "model")


def test_the_control_sees_the_same_text_from_the_same_weights(trained, text, tmp_path):
    train(RECIPE.control(), text, tmp_path / "control")
    topographic, control = (read_metrics(f / "metrics.jsonl") for f in (trained, tmp_path / "control"))
    assert topographic["task_loss"][0] == control["task_loss"][0]
    assert topographic["task_loss"][5] != control["task_loss"][5]
    places = [ts.load(f).topography.sheets["transformer.h.1.mlp"].coordinates for f in (trained, tmp_path / "control")]
    np.testing.assert_array_equal(*places)


def test_alpha_makes_the_sheet_smoother(trained, text, tmp_path):
    train(RECIPE.control(), text, tmp_path / "control")
    spatial = [json.loads((f / RESULT).read_text())["validation_spatial_loss"] for f in (trained, tmp_path / "control")]
    assert spatial[0] < spatial[1] - 0.1


def test_biases_stay_at_zero(trained):
    for name, tensor in weights(trained).items():
        if name.endswith(".bias"):
            assert not tensor.any(), name


def test_a_text_of_another_vocabulary_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match="vocabulary of 300 tokens, but the recipe has 1024: give --vocabulary 300"):
        train(recipes.named("tiny"), text, tmp_path)


@contextmanager
def poisoned(at, poison):
    """Change the model of a run right after an update. It is the last model that is built: checks build models too."""
    made = []

    def build(*args):
        made.append(build_model(*args))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch, happening(at, lambda: poison(made[-1])):
        patch.setattr(model, "build_model", build)
        yield


@torch.no_grad()
def infinite_weight(model):
    model.transformer.h[1].attn.c_proj.weight[0, 0] = torch.inf


@pytest.mark.parametrize("control", [False, True])
def test_a_run_that_diverges_stops_and_names_update_tap_and_last_good_state(text, tmp_path, control):
    recipe = RECIPE.control() if control else RECIPE
    message = rf"^update 7: .*transformer.h.1.attn.*\(last checkpoint: {tmp_path}/model/{CHECKPOINTS}, after update 4\)"
    with poisoned(6, infinite_weight), pytest.raises(RunError, match=message):
        train(recipe, text, tmp_path / "model")
    good = newest(tmp_path / "model" / CHECKPOINTS)
    assert good.update == 4
    assert all(tensor.isfinite().all() for tensor in good.model.values())


@torch.no_grad()
def huge_activations(model):  # finite, and made small again by the norm that follows
    model.transformer.h[0].mlp.c_proj.weight *= 1e36


def test_activations_too_large_for_the_objective_stop_the_run_too(text, tmp_path):
    message = r"^update 2: the activations of transformer.h.0.mlp hold nan, inf or"
    with poisoned(1, huge_activations), pytest.raises(RunError, match=message):
        train(RECIPE, text, tmp_path / "model")


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_reaches_the_weights(text, tmp_path, monkeypatch):
    def infinite_slope(self, *rest):
        return (self._model.lm_head.weight * 0).sqrt().sum().expand(2 * RECIPE.model.layers)

    monkeypatch.setattr(update.Updater, "_spatial_losses", infinite_slope)
    with pytest.raises(
        RunError,
        match=r"update 1: the gradient is nan or inf, first in transformer.wte.weight.*none was saved",
    ):
        train(RECIPE, text, tmp_path / "model")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_and_is_lowered(objective, text, tmp_path):
    recipe = recipes.named(
        "tiny", vocabulary=300, context=16, updates=30, objective=objective, alpha=5.0, warmup_updates=1,
        learning_rate=5e-3, validate_every=30, neighborhoods="all",
    )  # fmt: skip
    train(recipe, text, tmp_path / "model")
    spatial = read_metrics(tmp_path / "model" / "metrics.jsonl")["spatial_loss"].dropna().to_numpy()
    assert spatial[-5:].mean() < 0.95 * spatial[:2].mean()


def test_the_strength_of_every_update_is_logged(text, tmp_path):
    recipe = recipes.named(
        "tiny", vocabulary=300, context=16, updates=4, alpha=2.0, alpha_schedule="linear", final_alpha=0.0
    )
    train(recipe, text, tmp_path / "model")
    logged = read_metrics(tmp_path / "model" / "metrics.jsonl")["alpha"].dropna()
    assert logged.tolist() == [2.0, 1.5, 1.0, 0.5]


def test_alpha_times_the_sum_over_sheets_is_logged_beside_the_mean(trained):
    updates = read_metrics(trained / "metrics.jsonl").dropna(subset=["weighted_spatial_loss"])
    assert len(updates) == 12
    sums = [sum(losses.values()) for losses in updates["spatial_losses"]]
    np.testing.assert_allclose(updates["weighted_spatial_loss"], updates["alpha"] * sums)
