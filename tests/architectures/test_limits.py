"""What families read at most: the configuration, against a model that reads so much and fails at one token more."""

from types import SimpleNamespace

import pytest
import torch
import transformers as hf

from toposheet.architectures import Architecture, architecture_of

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
TABLE = SIZES | {"vocab_size": 50, "max_position_embeddings": 20}
SHORT = {"vocab_size": 50, "max_position_embeddings": 20, "d_model": 16, "decoder_layers": 1, "decoder_ffn_dim": 16,
         "decoder_attention_heads": 2}  # fmt: skip
_OPT = {"hidden_size": 16, "ffn_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "word_embed_proj_dim": 16}

BOUNDED = {
    "opt": (hf.OPTConfig, _OPT | {"vocab_size": 50, "max_position_embeddings": 20}, 20),
    "biogpt": (hf.BioGptConfig, TABLE, 20),
    "bert": (hf.BertConfig, TABLE | {"is_decoder": True}, 20),
    "bart": (hf.BartConfig, SHORT, 20),
    "mpt": (hf.MptConfig, {"vocab_size": 50, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_seq_len": 20}, 20),
    "gpt_bigcode": (hf.GPTBigCodeConfig,
                    {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 20}, 20),
    "roberta": (hf.RobertaConfig, TABLE | {"is_decoder": True, "pad_token_id": 1}, 18),
    "roberta with another padding": (hf.RobertaConfig, TABLE | {"is_decoder": True, "pad_token_id": 4}, 15),
    "camembert": (hf.CamembertConfig, TABLE | {"is_decoder": True}, 18),
    "xlm-roberta": (hf.XLMRobertaConfig, TABLE | {"is_decoder": True}, 18),
    "xlm-roberta-xl": (hf.XLMRobertaXLConfig, TABLE | {"is_decoder": True}, 18),
    "roberta-prelayernorm": (hf.RobertaPreLayerNormConfig, TABLE | {"is_decoder": True}, 18),
    "data2vec-text": (hf.Data2VecTextConfig, TABLE | {"is_decoder": True}, 18),
    "xmod": (hf.XmodConfig, TABLE | {"is_decoder": True, "default_language": "en_XX"}, 18),
}  # fmt: skip

UNBOUNDED = {
    "bloom": (hf.BloomConfig, {"vocab_size": 50, "hidden_size": 16, "n_layer": 1, "n_head": 2}),
    "falcon with biases": (hf.FalconConfig, TABLE | {"alibi": True}),
    "xlnet": (hf.XLNetConfig, {"vocab_size": 50, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}),
    "rwkv": (hf.RwkvConfig, {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "context_length": 20}),
    "mamba": (hf.MambaConfig, {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "state_size": 4}),
}


def reads(model, n_tokens):
    with torch.no_grad():
        return model(input_ids=torch.full((1, n_tokens), 7), use_cache=False).logits.shape[1] == n_tokens


@pytest.mark.parametrize("name", BOUNDED)
def test_a_model_reads_what_its_family_says_and_not_one_token_more(name):
    kind, sizes, limit = BOUNDED[name]
    model = hf.AutoModelForCausalLM.from_config(kind(**sizes)).eval()
    assert architecture_of(model).context(model.config) == limit
    assert reads(model, limit)
    with pytest.raises((IndexError, RuntimeError)):
        reads(model, limit + 1)


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_model_without_limit_reads_past_what_its_configuration_names(name):
    kind, sizes = UNBOUNDED[name]
    model = hf.AutoModelForCausalLM.from_config(kind(**sizes)).eval()
    assert architecture_of(model).context(model.config) is None
    assert reads(model, 60)


def test_the_limit_of_a_model_that_also_sees_is_that_of_its_text():
    config = hf.Gemma3Config(text_config={"max_position_embeddings": 77}, vision_config={"num_hidden_layers": 1})
    assert architecture_of(hf.GPT2LMHeadModel).context(config) == 77


def test_the_limit_of_a_decoder_of_speech_is_that_of_its_text():
    assert architecture_of(None).context(hf.WhisperConfig(max_target_positions=30)) == 30


def test_the_blocks_of_a_model_with_images_are_those_of_its_text():
    class Text(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.image_layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))
            self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(2))
            text = SimpleNamespace(num_hidden_layers=2)
            self.config = SimpleNamespace(get_text_config=lambda: text)

    model = Text()
    assert Architecture().blocks(model) == list(model.layers)
