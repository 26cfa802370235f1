import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

import toposheet as ts
from toposheet import model_folders
from toposheet.errors import UserError
from toposheet.subject import checkpoint


@pytest.fixture
def folder(tmp_path, model, topo, tokenizer):
    ts.save(tmp_path / "model", ts.Subject(model, topo, tokenizer))
    return tmp_path / "model"


def test_plain_transformers_opens_the_folder_and_gives_the_same_logits(folder, model):
    ids = torch.arange(40)[None]
    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=0, atol=0)


def test_plain_transformers_needs_no_toposheet(folder):
    code = (
        "import sys; from transformers import AutoModelForCausalLM; "
        f"AutoModelForCausalLM.from_pretrained({str(folder)!r}); assert 'toposheet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_load_gives_back_model_places_and_tokenizer(folder, model, topo, tokenizer):
    loaded = ts.load(folder)
    places, words = loaded.topography, loaded.tokenizer
    for name, sheet in topo.sheets.items():
        np.testing.assert_array_equal(places.sheets[name].coordinates, sheet.coordinates)
        assert places.sheets[name].shape == sheet.shape
    assert words("the river").input_ids == tokenizer("the river").input_ids
    for mine, theirs in zip(model.parameters(), loaded.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_saving_again_keeps_what_else_is_in_the_folder(folder, model, topo, tokenizer):
    (folder / "notes.txt").write_text("mine")
    ts.save(folder, ts.Subject(model, topo, tokenizer))
    assert (folder / "notes.txt").read_text() == "mine"
    assert not list(folder.glob(".writing-*"))


@pytest.mark.parametrize("name", ["topography.json", "topography.safetensors"])
def test_a_folder_that_lacks_a_part_of_its_topography_is_damaged(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"is damaged: it lacks {name}"):
        ts.load(folder)


def test_a_folder_without_topography_is_told_how_to_get_one(folder):
    for name in ("topography.json", "topography.safetensors"):
        (folder / name).unlink()
    with pytest.raises(
        UserError,
        match=r"model without sheets \(no topography\.json\).*toposheet\.save\('NEW_FOLDER', toposheet\.attach\(",
    ):
        ts.load(folder)


def test_a_file_is_no_folder_to_save_to(tmp_path, model, topo):
    (tmp_path / "mine.csv").write_text("a,b")
    with pytest.raises(UserError, match=r"cannot make the folder .*mine\.csv \(File exists\)"):
        ts.save(tmp_path / "mine.csv", ts.Subject(model, topo))
    assert (tmp_path / "mine.csv").read_text() == "a,b"


def test_a_topography_of_another_width_names_the_tap(folder):
    places = load_file(folder / "topography.safetensors")
    places["transformer.h.1.mlp"] = places["transformer.h.1.mlp"][:-1]
    save_file(places, folder / "topography.safetensors")
    with pytest.raises(ValueError, match=r"35 units of transformer.h.1.mlp, but the model has 36"):
        ts.load(folder)


def test_a_topography_of_another_model_names_the_tap(folder):
    text = (folder / "topography.json").read_text().replace("transformer.h.1.mlp", "transformer.h.9.mlp")
    (folder / "topography.json").write_text(text)
    places = load_file(folder / "topography.safetensors")
    places["transformer.h.9.mlp"] = places.pop("transformer.h.1.mlp")
    save_file(places, folder / "topography.safetensors")
    with pytest.raises(ValueError, match=r"a tap transformer.h.9.mlp, which GPT2LMHeadModel does not have"):
        ts.load(folder)


def test_a_model_that_lacks_weights_is_refused_by_name(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weight of GPT2LMHeadModel, e.g. transformer.h.1.mlp.c_fc.weight"):
        ts.load(folder)


def test_a_damaged_tokenizer_is_refused_in_words(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"the tokenizer in .* cannot be read"):
        ts.load(folder)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b'{"format": 1, "sheets": []}',
        b'{"format": 1, "sheets": {}}',
        b'{"format": 1}',
        b'{"format": 7, "sheets": {}}',
        b'{"format": "2", "sheets": {}}',
    ],
)
def test_a_damaged_topography_is_refused_in_words(folder, damage):
    (folder / "topography.json").write_bytes(damage)
    with pytest.raises(ValueError, match="topography in"):
        ts.load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "topography.json",
        "topography.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
        "model.safetensors",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "empty", "list"])
def test_a_damaged_file_is_named_with_what_to_do(folder, name, damage):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes({"cut": content[: len(content) // 2], "empty": b"", "list": b"[]"}[damage])
    if (name, damage) == ("tokenizer_config.json", "list"):
        pytest.skip("transformers reads it")
    with pytest.raises(UserError) as caught:
        ts.load(folder)
    for words in (f"{folder} ", f"{name} is damaged", "copy it again, or save the model again"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_model_is_refused_in_words(folder):
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="cannot be opened"):
        ts.load(folder)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a model folder"):
        ts.load(tmp_path)


@pytest.mark.parametrize("path", ["./nowhere", "nowhere", "/no/where", "a/b/c", "~/no", "../no", "runs/"])
def test_a_path_never_reaches_the_hub(path, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.chdir(tmp_path)

    def reached(*_args, **_kwargs):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", reached)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ts.load(path)


def test_a_folder_called_like_the_organisation_does_not_hide_the_hub(folder, tmp_path, monkeypatch):
    import huggingface_hub

    (tmp_path / "some-org").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: str(folder))
    assert ts.load("some-org/some-model").name == "some-model"


def test_without_a_home_the_hub_is_told_where_to_keep_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toposheet.hub.home_folder", lambda: None)
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(FileNotFoundError, match=r"some-org/some-model is not a local folder.*set HF_HOME"):
        ts.load("some-org/some-model")
    assert not any(tmp_path.iterdir())


def test_a_model_without_head_is_not_saved(tmp_path):
    model = transformers.GPT2Model(transformers.GPT2Config(n_embd=16, n_head=2, n_layer=1, vocab_size=9))
    subject = ts.Subject(model, ts.Topography.per_tap(model, ("h.*.mlp",)))
    with pytest.raises(UserError, match=r"GPT2Model cannot be saved.*save a GPT2LMHeadModel"):
        ts.save(tmp_path / "model", subject)
    assert not (tmp_path / "model").exists()
    encoder = transformers.BertForMaskedLM(
        transformers.BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=16)
    )
    topography = ts.Topography.per_tap(encoder, ("bert.encoder.layer.*.intermediate",))
    with pytest.raises(UserError, match="BertForMaskedLM cannot be saved"):
        ts.save(tmp_path / "model", ts.Subject(encoder, topography))


def with_another_module(model):
    model.transformer.h[0].mlp.c_fc = torch.nn.Sequential(model.transformer.h[0].mlp.c_fc)


def with_more_weights(model):
    model.transformer.h[0].mlp.c_fc.scale = torch.nn.Parameter(torch.ones(1))


def with_a_larger_weight(model):
    weight = model.transformer.h[0].mlp.c_fc.weight
    model.transformer.h[0].mlp.c_fc.weight = torch.nn.Parameter(torch.cat([weight, weight]))


@pytest.mark.parametrize("change", [with_another_module, with_more_weights, with_a_larger_weight])
def test_a_model_that_its_configuration_does_not_describe_is_not_saved(change, model, topo, tokenizer, tmp_path):
    subject = ts.Subject(model, topo, tokenizer)
    change(model)
    with pytest.raises(
        UserError, match=r"cannot be saved: its weights are .* \(first transformer\.h\.0\.mlp\.c_fc\.\w+\)"
    ):
        ts.save(tmp_path / "model", subject)
    assert not (tmp_path / "model").exists()


def test_a_model_whose_configuration_says_how_its_modules_were_replaced_is_saved(model, topo, tokenizer, tmp_path):
    with_more_weights(model)
    model.hf_quantizer = object()  # as `transformers` marks a model that it quantised
    checkpoint.check_can_be_saved(ts.Subject(model, topo, tokenizer))


def test_a_model_whose_generation_config_contradicts_itself_is_saved_with_it(model, topo, tokenizer, tmp_path):
    model.generation_config.temperature, generation = 0.6, model.generation_config
    subject = ts.Subject(model, topo, tokenizer)
    ts.save(tmp_path / "one", subject)
    assert model.generation_config is generation
    ts.save(tmp_path / "two", ts.load(tmp_path / "one"))
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "two").generation_config.temperature == 0.6


def test_a_configuration_that_transformers_does_not_write_is_refused_in_one_line(model, topo, tmp_path):
    model.config.temperature = 0.6
    with pytest.raises(UserError, match="GPT2LMHeadModel cannot be saved: Some generation parameters") as refused:
        ts.save(tmp_path / "model", ts.Subject(model, topo))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "model").exists()


def test_what_was_frozen_is_frozen_again(model, topo, tokenizer, tmp_path):
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.endswith(".bias"))
    ts.save(tmp_path, ts.Subject(model, topo, tokenizer))
    loaded = ts.load(tmp_path).model
    frozen = {name for name, parameter in loaded.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.endswith(".bias")}


def test_the_sidecar_is_json_and_safetensors(folder):
    description = json.loads((folder / "topography.json").read_text())
    assert set(description) == {"format", "sheets", "frozen"}
    assert set(load_file(folder / "topography.safetensors")) == {
        tap for sheet in description["sheets"].values() for tap in sheet["taps"]
    }


def rotations():
    return [np.linalg.qr(np.random.default_rng(seed).normal(size=(36, 36)))[0].astype(np.float32) for seed in (0, 1)]


@pytest.fixture
def based(tmp_path, model, topo, tokenizer):
    """A folder of a subject with bases: one that three taps share, two of them as copies, and one of the fourth tap."""
    shared, own = rotations()
    bases = dict(zip(topo.taps, (shared, own, shared, shared.copy()), strict=True))
    ts.save(tmp_path / "based", ts.Subject(model, replace(topo, bases=bases), tokenizer))
    return tmp_path / "based"


def test_bases_come_back_to_the_bit_and_each_is_stored_once(based, model, topo, tokenizer):
    shared, own = rotations()
    description, arrays = (
        json.loads((based / "topography.json").read_text()),
        load_file(based / "topography.safetensors"),
    )
    assert description["format"] == 2
    assert set(arrays) - set(topo.taps) == set(description["bases"])
    assert [sorted(taps) for taps in description["bases"].values()] == [
        sorted(topo.taps[i] for i in (0, 2, 3)),
        topo.taps[1:2],
    ]
    loaded = ts.load(based)
    for tap in topo.taps:
        np.testing.assert_array_equal(loaded.topography.bases[tap], own if tap == topo.taps[1] else shared)
    assert loaded.topography.bases[topo.taps[0]] is loaded.topography.bases[topo.taps[3]]
    with_bases = ts.Subject(model, replace(topo, bases=loaded.topography.bases), tokenizer)
    assert loaded.fingerprint == with_bases.fingerprint
    ids = torch.arange(40)[None]
    with torch.no_grad():
        plain = AutoModelForCausalLM.from_pretrained(based).eval()
        assert torch.equal(plain(ids).logits, model(ids).logits)


def test_a_topography_of_format_1_is_read(folder, topo):
    description = json.loads((folder / "topography.json").read_text())
    assert description["format"] == 2
    (folder / "topography.json").write_text(json.dumps(description | {"format": 1}))
    loaded = ts.load(folder).topography
    assert not loaded.bases
    for name, sheet in topo.sheets.items():
        np.testing.assert_array_equal(loaded.sheets[name].coordinates, sheet.coordinates)


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        ({"basis:7": ["transformer.h.0.mlp"]}, "is damaged: a file lacks 'basis:7'; copy it again"),
        (
            {"basis:0": ["transformer.h.9.mlp"]},
            r"cannot be read: there is a basis of transformer\.h\.9\.mlp, which has no",
        ),
        ({"basis:0": 3}, "cannot be read: .*is damaged: copy it again"),
        (["basis:0"], "cannot be read: .*is damaged: copy it again"),
    ],
)
def test_damaged_bases_are_refused_in_one_line(based, bases, message):
    description = json.loads((based / "topography.json").read_text())
    (based / "topography.json").write_text(json.dumps(description | {"bases": bases}))
    with pytest.raises(UserError, match=message) as refused:
        ts.load(based)
    assert "\n" not in str(refused.value)


def test_a_stored_basis_that_is_not_orthogonal_names_its_tap(based):
    arrays = load_file(based / "topography.safetensors")
    arrays["basis:1"] = arrays["basis:1"] + np.float32(1e-3)
    save_file(arrays, based / "topography.safetensors")
    with pytest.raises(
        UserError, match=r"the topography in .* cannot be read: the basis of transformer\.h\.0\.mlp is not"
    ):
        ts.load(based)


def test_a_shipped_model_is_opened_by_its_name_unless_a_folder_has_it(model, topo, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(model_folders, "SHIPPED", tmp_path / "models")
    for name in ("small", "small-control"):
        ts.save(tmp_path / "models" / name, ts.Subject(model.to(torch.bfloat16), topo, tokenizer))
    opened = ts.load("small")
    assert opened.model.dtype == torch.float32
    assert opened.topography.taps == topo.taps
    assert model_folders.local_folder("small-control") == tmp_path / "models" / "small-control"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    assert model_folders.local_folder("small") == Path("small")
    with pytest.raises(ValueError, match=r"smal does not exist: .* a shipped model \(small, small-control\)"):
        ts.load("smal")
    with pytest.raises(ValueError, match=r"gpt2 does not exist: .*; for gpt2 of the hub write openai-community/gpt2"):
        ts.load("gpt2")


def test_a_subject_without_tokenizer_does_not_take_the_tokenizer_of_an_old_one(folder, model, topo):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="holds a tokenizer, but GPT2LMHeadModel has none: choose another folder"):
        ts.save(folder, ts.Subject(model, topo))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def config_with(**entries):
    def damage(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | entries))

    return damage


def weights(name, content):
    def damage(folder):
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(content)

    return damage


DAMAGES = {
    "quantized": (config_with(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True}), "Error"),
    "flash attention": (config_with(_attn_implementation="flash_attention_2"), "Error"),
    "empty weights": (weights("pytorch_model.bin", b""), "opened: EOFError"),
    "damaged weights": (weights("pytorch_model.bin", b"PK nothing of the kind"), "Error"),
    "empty safetensors": (lambda folder: (folder / "model.safetensors").write_bytes(b""), "Error"),
    "empty index": (weights("model.safetensors.index.json", b"{}"), "Error"),
    "wrong type": (config_with(n_layer="two"), "Error"),
    "unknown activation": (config_with(activation_function="swosh"), "swosh"),
    "code of its own": (config_with(model_type="mine", auto_map={"AutoConfig": "mine.Mine"}), "custom code"),
    "no configuration": (lambda folder: (folder / "config.json").write_text("null"), "Error"),
    "wrong generation": (lambda folder: (folder / "generation_config.json").write_text("[]"), "Error"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_model_that_transformers_cannot_open_is_refused_in_one_line(folder, name):
    damage, words = DAMAGES[name]
    damage(folder)
    with pytest.raises(UserError, match=r"^the model in .* cannot be opened: \w+(: .*)?$") as caught:
        ts.load(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith(":")


def test_weights_of_another_size_than_the_configuration_are_refused_by_both_shapes(folder):
    config_with(vocab_size=77)(folder)
    with pytest.raises(
        UserError, match=r"do not fit its config\.json: transformer\.wte\.weight has the shape .*77, 36"
    ):
        ts.load(folder)


@pytest.mark.parametrize("frozen", [None, "transformer.wte.weight", 3, [1]])
def test_names_of_frozen_parameters_that_are_no_list_are_refused(folder, frozen):
    description = json.loads((folder / "topography.json").read_text())
    (folder / "topography.json").write_text(json.dumps(description | {"frozen": frozen}))
    with pytest.raises(UserError, match=r"frozen is .* in topography\.json; it must be a list of names"):
        ts.load(folder)


@pytest.mark.parametrize(("width", "shape"), [(36, None), (48, (6, 8))])
def test_the_advice_for_a_model_without_sheets_works(tmp_path, monkeypatch, width, shape):
    monkeypatch.chdir(tmp_path)
    config = transformers.GPT2Config(n_embd=width, n_layer=1, n_head=2, vocab_size=50, n_positions=16)
    transformers.GPT2LMHeadModel(config).save_pretrained("plain")
    with pytest.raises(UserError, match="without sheets") as refusal:
        ts.load("plain")
    advice = str(refusal.value).partition("in Python with ")[2].partition(", then use")[0]
    eval(advice, {"toposheet": ts})
    sheets = ts.load("NEW_FOLDER").topography.sheets.values()
    assert {sheet.shape for sheet in sheets} == {shape or (6, 6)}


@pytest.mark.parametrize(
    ("family", "kind"),
    [("T5", "t5, which has an encoder and a decoder"), ("ViT", "vit, which has no causal language model")],
)
def test_a_model_that_is_no_causal_language_model_is_not_attached(family, kind, tmp_path):
    getattr(transformers, f"{family}Config")().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"belongs to the family {kind}: give a causal language model") as refused:
        ts.attach(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("device", ["nonsense", "cuda:77"])
def test_a_device_that_cannot_be_used_is_refused_in_a_line(device):
    with pytest.raises(ts.UserError, match=f"device is {device!r}, which cannot be used: ") as refused:
        ts.load("small", device=device)
    assert "\n" not in str(refused.value)
