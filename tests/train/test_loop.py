import json
import os
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet import recipes
from toposheet.text.blocks import Blocks
from toposheet.text.tokenizer import train_tokenizer
from toposheet.topography import OBJECTIVES
from toposheet.train import loop
from toposheet.train.log import read_metrics
from toposheet.train.loop import RESULT, STATE, train
from toposheet.train.state import save_state

RECIPE = recipes.named("tiny", vocabulary=300, context=16, updates=12, validate_every=5, checkpoint_every=4)


@pytest.fixture(scope="session")
def text(tmp_path_factory, prepared):
    rng = np.random.default_rng(0)
    words = ["river", "mill", "child", "stone", "bridge", "letter", "machine", "weather", "bread", "winter", "snow"]
    documents = [" ".join(rng.choice(words, size=60)) for _ in range(40)]
    return prepared(tmp_path_factory.mktemp("text"), documents)


@pytest.fixture(scope="session")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "model"
    train(RECIPE, text, folder)
    return folder


def weights(folder):
    return ts.load(folder)[0].state_dict()


def assert_same_run(one, two):
    for name, tensor in weights(one).items():
        assert torch.equal(tensor, weights(two)[name]), name
    for column in ("task_loss", "spatial_loss", "gradient_norm", "validation_task_loss"):
        np.testing.assert_array_equal(*(read_metrics(folder / "metrics.jsonl")[column] for folder in (one, two)))


def test_a_run_leaves_an_ordinary_model_with_its_topography(trained):
    model, topo, tokenizer = ts.load(trained)
    assert model.config.n_embd == RECIPE.width
    assert len(topo.taps) == 2 * RECIPE.layers
    assert tokenizer.model_max_length == RECIPE.context
    assert not (trained / STATE).exists()
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


@pytest.mark.parametrize("at", [1, 4, 6, 12])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(trained, text, tmp_path, at, monkeypatch):
    batches = Blocks.train

    def interrupting(self, first, count):
        if first == (at - 1) * RECIPE.batch:
            os.kill(os.getpid(), signal.SIGINT)
        return batches(self, first, count)

    monkeypatch.setattr(Blocks, "train", interrupting)
    with pytest.raises(KeyboardInterrupt):
        train(RECIPE, text, tmp_path / "model")
    monkeypatch.undo()
    assert (tmp_path / "model" / STATE).is_file()
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_killed_run_goes_on_from_its_last_state(trained, text, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    batches = Blocks.train

    def killed(self, first, count):
        if first == 9 * RECIPE.batch:
            raise KilledError
        return batches(self, first, count)

    monkeypatch.setattr(Blocks, "train", killed)
    with pytest.raises(KilledError):
        train(RECIPE, text, tmp_path / "model")
    monkeypatch.undo()
    with (tmp_path / "model" / "metrics.jsonl").open("a") as file:
        file.write('{"update": 1')  # the kill cut a line in half
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_finished_run_is_not_repeated(trained, text, monkeypatch):
    monkeypatch.setattr(loop, "build_model", lambda *args: pytest.fail("trained again"))
    train(RECIPE, text, trained)


def test_a_folder_with_another_run_is_refused_by_field_and_left_alone(trained, text):
    before = {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=r"updates: 12, 30"):
        train(
            recipes.named("tiny", vocabulary=300, context=16, updates=30, validate_every=5, checkpoint_every=4),
            text,
            trained,
        )
    assert before == {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}


def test_a_run_on_other_text_is_neither_finished_nor_resumed(trained, text, prepared, tmp_path):
    other = prepared(tmp_path, [f"{i} other texts about the river and the road" for i in range(40)])
    with pytest.raises(ValueError, match="run on other text"):
        train(RECIPE, other, trained)
    shutil.copytree(trained, tmp_path / "half")
    (tmp_path / "half" / RESULT).unlink()
    model, optimizer = torch.nn.Linear(1, 1), torch.optim.AdamW([torch.zeros(1)])
    save_state(tmp_path / "half" / STATE, 3, model, optimizer, text="elsewhere")
    with pytest.raises(ValueError, match=r"damaged|other text"):
        train(RECIPE, text, tmp_path / "half")


def test_a_finished_run_without_its_model_is_made_again(trained, text, tmp_path):
    shutil.copytree(trained, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    train(RECIPE, text, tmp_path / "model")
    assert_same_run(trained, tmp_path / "model")


def test_a_tokenizer_that_did_not_make_the_tokens_is_refused(text, tmp_path):
    shutil.copytree(text, tmp_path / "text")
    train_tokenizer(["other words entirely, aaa bbb ccc ddd"] * 3, 262).save_pretrained(tmp_path / "text" / "tokenizer")
    with pytest.raises(ValueError, match="not the one that made its tokens"):
        train(RECIPE, tmp_path / "text", tmp_path / "model")


def test_a_damaged_state_is_named(text, tmp_path):
    (tmp_path / STATE).write_bytes(b"no state")
    with pytest.raises(ValueError, match=f"{STATE} is damaged"):
        train(RECIPE, text, tmp_path)


def test_state_files_are_not_unpickled(text, tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save({"update": Evil(), "model": {}, "optimizer": {}}, tmp_path / STATE)
    with pytest.raises(ValueError, match="damaged"):
        train(RECIPE, text, tmp_path)
    assert not (tmp_path / "owned").exists()


def test_the_control_sees_the_same_text_from_the_same_weights(trained, text, tmp_path):
    train(RECIPE.control(), text, tmp_path / "control")
    topographic, control = (read_metrics(f / "metrics.jsonl") for f in (trained, tmp_path / "control"))
    assert topographic["task_loss"][0] == control["task_loss"][0]
    assert topographic["task_loss"][5] != control["task_loss"][5]
    places = [ts.load(f)[1].sheets["transformer.h.1.mlp"].coordinates for f in (trained, tmp_path / "control")]
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
    with pytest.raises(ValueError, match="vocabulary of 300, the recipe of 1024"):
        train(recipes.tiny(), text, tmp_path)


@pytest.mark.parametrize("control", [False, True])
def test_a_run_that_diverges_stops_and_names_update_tap_and_last_good_state(text, tmp_path, control, monkeypatch):
    recipe = RECIPE.control() if control else RECIPE
    record = ts.Topography.record
    updates = iter(range(100))

    @contextmanager
    def poisoned(self, model):
        if model.training and next(updates) == 6:
            model.transformer.h[1].attn.c_proj.weight.data[0, 0] = torch.inf
        with record(self, model) as activations:
            yield activations

    monkeypatch.setattr(ts.Topography, "record", poisoned)
    with pytest.raises(
        FloatingPointError,
        match=rf"^update 7: .* not finite, first in transformer.h.1.attn .*{tmp_path}/model/{STATE}, after update 4",
    ):
        train(recipe, text, tmp_path / "model")
    state = torch.load(tmp_path / "model" / STATE, weights_only=True)
    assert state["update"] == 4
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_activations_too_large_for_the_objective_stop_the_run_too(text, tmp_path, monkeypatch):
    record = ts.Topography.record

    @contextmanager
    def poisoned(self, model):
        if model.training:  # finite, and made small again by the norm that follows
            model.transformer.h[0].mlp.c_proj.weight.data *= 1e36
        with record(self, model) as activations:
            yield activations

    monkeypatch.setattr(ts.Topography, "record", poisoned)
    with pytest.raises(FloatingPointError, match=r"^update 1: the activations of transformer.h.0.mlp hold nan, inf or"):
        train(RECIPE, text, tmp_path / "model")


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_reaches_the_weights(text, tmp_path, monkeypatch):
    def infinite_slope(model, *rest):
        return (model.lm_head.weight * 0).sqrt().sum().expand(2 * RECIPE.layers)

    monkeypatch.setattr(loop, "_spatial_losses", infinite_slope)
    with pytest.raises(
        FloatingPointError,
        match=r"update 1: the gradient is not finite, first in transformer.wte.weight.*none was saved",
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
