"""Training of a model with the mechanism of Topoformer."""

import shutil

import numpy as np
import pytest
import torch
from tests.train.conftest import newest
from transformers import AutoModelForCausalLM

import toposheet as ts
from toposheet import recipes
from toposheet.recipes.result import read_result
from toposheet.text.shards import read_manifest
from toposheet.topography.topoformer import patches
from toposheet.train.batches import read_text
from toposheet.train.log import read_metrics
from toposheet.train.loop import train, updates
from toposheet.train.run import CHECKPOINTS
from toposheet.train.task import NextToken

RECIPE = recipes.named("topoformer", layers=2, width=36, vocabulary=300, context=16, mechanism_radius=2.0, updates=12,
                       batch=4, warmup_updates=3, validation_blocks=8, validate_every=6, checkpoint_every=4,
                       snapshot_every=None)  # fmt: skip


@pytest.fixture(scope="module")
def stopped(text, tmp_path_factory):
    """A folder with a run that was stopped after update 8, which is a checkpoint."""
    folder = tmp_path_factory.mktemp("stopped") / "model"
    run = updates(RECIPE, text, folder)
    for _ in range(9):
        next(run)
    run.close()
    return folder


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "model"
    train(RECIPE, text, folder)
    return folder


def test_the_folder_holds_an_ordinary_model_whose_outputs_of_attention_are_local_and_positive(trained):
    model = AutoModelForCausalLM.from_pretrained(trained)
    topo = ts.load(trained).topography
    assert not [name for name, _ in model.named_modules() if "parametriz" in name]
    for layer, block in enumerate(model.transformer.h):
        within = patches(topo, f"transformer.h.{layer}.attn", 2.0)
        weight = block.attn.c_proj.weight.detach().numpy()
        assert (weight[~within.T] == 0).all()
        assert (weight[within.T] > 0).all()


def test_the_saved_model_has_the_validation_loss_of_the_model_that_was_trained(trained, text):
    held_out = read_text(text, read_manifest(text), RECIPE).held_out
    with torch.no_grad():
        loss = NextToken(AutoModelForCausalLM.from_pretrained(trained), "fp32")(held_out)[0].item()
    assert loss == pytest.approx(read_result(trained)["validation_task_loss"], abs=1e-5)


def test_a_continued_run_has_the_weights_of_one_that_never_stopped(stopped, trained, text, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(stopped, folder)
    assert newest(folder / CHECKPOINTS).update == 8
    train(RECIPE, text, folder)
    weights = [ts.load(path).model.state_dict() for path in (trained, folder)]
    assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
    losses = [read_metrics(path / "metrics.jsonl")["task_loss"] for path in (trained, folder)]
    np.testing.assert_array_equal(*losses)


def test_no_objective_is_computed_and_biases_stay_frozen(trained):
    metrics = read_metrics(trained / "metrics.jsonl")
    assert "alpha" not in metrics
    frozen = [name for name, p in ts.load(trained).model.named_parameters() if not p.requires_grad]
    assert frozen
    assert all(name.endswith(".bias") for name in frozen)


def test_the_mechanism_and_an_objective_can_be_trained_together(text, tmp_path):
    train(RECIPE.changed(alpha=1.0, objective="topoloss", updates=3, warmup_updates=1), text, tmp_path / "model")
    assert read_metrics(tmp_path / "model" / "metrics.jsonl")["spatial_loss"].notna().sum() == 3
