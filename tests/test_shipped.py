"""The pair in the box: what its cards and results say is what its weights do."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import toposheet as ts
from toposheet import recipes
from toposheet.model_folders import SHIPPED, shipped
from toposheet.recipes import read_recipe, stored_form
from toposheet.text.bigram import bigram_loss
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents
from toposheet.train.snapshots import read_snapshots

NAMES = ("small", "small-control")


def result(name):
    return json.loads((SHIPPED / name / "training.json").read_text())


def blocks(documents, tokenizer, n, context):
    end = tokenizer.eos_token_id
    ids = [token for text in tokenizer(documents).input_ids for token in (end, *text)]
    return np.array(ids[: n * (context + 1)], dtype=np.int64).reshape(n, context + 1)


@torch.no_grad()
def task_loss(model, tokens):
    losses = []
    for batch in torch.from_numpy(tokens).split(16):
        logits = model(batch[:, :-1]).logits
        losses += [torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).item()] * len(batch)
    return float(np.mean(losses))


def test_both_are_in_the_box_in_bf16_of_at_most_12_mb_and_nothing_else_is():
    assert shipped() == list(NAMES)
    for name in NAMES:
        weights = SHIPPED / name / "model.safetensors"
        assert weights.stat().st_size <= 12e6
        assert {weight.dtype for weight in load_file(weights).values()} == {torch.bfloat16}
        assert not (SHIPPED / name / "checkpoints").exists()


def test_they_are_the_recipe_small_and_differ_in_alpha_alone():
    one, other = (read_recipe(SHIPPED / name / "recipe.json") for name in NAMES)
    assert one == recipes.named("small")
    assert one.differences(other) == ["name is small there, but small_control now", "alpha is 2.5 there, but 0.0 now"]
    for name, recipe in zip(NAMES, (one, other), strict=True):
        assert result(name)["recipe"] == json.loads(json.dumps(stored_form(recipe)))
    seen = {(result(name)["updates"], result(name)["tokens"], result(name)["text"]) for name in NAMES}
    assert len(seen) == 1
    assert result("small")["updates"] == one.optimisation.updates


def test_their_losses_are_well_under_the_bigram_models_and_close_to_one_another():
    small, control = (result(name) for name in NAMES)
    assert small["bigram_loss"] == control["bigram_loss"]
    assert max(small["validation_task_loss"], control["validation_task_loss"]) < small["bigram_loss"] - 0.5
    assert 1 <= small["validation_task_loss"] / control["validation_task_loss"] < 1.1


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_pages_give_the_losses_as_they_are_stored(page):
    text, (small, control) = (Path(__file__).parents[1] / page).read_text(), (result(name) for name in NAMES)
    for value in (f"{small['validation_spatial_loss']:.4f}", f"{control['validation_spatial_loss']:.3f}"):
        assert value in text
    for stored in (small["validation_task_loss"], control["validation_task_loss"], small["bigram_loss"]):
        assert re.search(rf"\b({stored:.2f}|{stored:.3f})\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_the_results_say(name):
    card, stored = (SHIPPED / name / "README.md").read_text(), result(name)
    assert f'ts.load("{name}")' in card
    assert card.count(f"# {name}\n") == 1
    assert ("It shows topography" in card) == (name == "small")
    for value in (stored["validation_task_loss"], stored["bigram_loss"]):
        assert f"| {value:.3f} |" in card
    assert f"| {stored['validation_spatial_loss']:.4f} |" in card
    assert f"| {stored['tokens']:,} |" in card
    for corpus in stored["corpora"]:
        assert f"| {corpus['name']} | {corpus['package']} | {corpus['licence']} | {corpus['source']} |" in card
    snapshots = read_snapshots(SHIPPED / name)
    last = snapshots[snapshots["update"] == stored["updates"]]
    assert f"| Moran's I | {np.median(last['morans_i']):.2f} |" in card
    assert re.search(r"place-null \| -?0\.\d\d ± 0\.\d\d, z = ", card)
    assert f"| units significant (q < 0.05) | {100 * np.median(last['significant_fraction']):.1f} % |" in card
    assert re.search(r"label-null \| -?0\.\d\d ± 0\.\d\d, z = ", card)
    assert f"| cross-half I | {np.median(last['cross_half_i']):.2f} |" in card


def test_one_has_maps_of_language_and_the_other_has_none():
    stimuli = ts.read_stimuli(SHIPPED / "small" / "stimuli.csv")
    assert stimuli.equals(ts.read_stimuli(SHIPPED / "small-control" / "stimuli.csv"))
    language = stimuli[stimuli["condition"].isin(["sentence", "nonword"])]
    measured = {}
    for name in NAMES:
        responses = ts.respond(ts.load(name), language)
        measured[name] = ts.map_statistics(ts.Comparison(responses, "sentence", "nonword"), fwhm_mm=(0.0,))
    assert len(measured["small"]) == len(measured["small-control"]) == 10
    assert measured["small"]["z"].median() > 10
    assert abs(measured["small-control"]["z"].median()) < 3
    assert measured["small"]["cross_half_i"].median() > 0.5
    assert measured["small"]["significant_fraction"].mean() > 0.5


def test_what_watched_them_learn_begins_before_the_first_update():
    for name in NAMES:
        taken = read_snapshots(SHIPPED / name).groupby("update")["z"].median()
        assert taken.index.tolist()[:4] == [0, 1, 2, 4]
        assert abs(taken[0]) < 3
        assert taken.index[-1] == result(name)["updates"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_weights_beat_a_bigram_model_on_text_that_is_held_out(name):
    subject = ts.load(name)
    recipe = recipes.named("small")
    train, held_out = split_documents(builtin_documents(), recipe.bookkeeping.validation_fraction, recipe.seed)
    held_out_blocks = blocks(held_out, subject.tokenizer, 256, recipe.model.context)
    counted = blocks(train, subject.tokenizer, 12_000, recipe.model.context)
    bigram = bigram_loss(counted, held_out_blocks, recipe.model.vocabulary)
    assert task_loss(subject.model, held_out_blocks) < bigram - 0.3
