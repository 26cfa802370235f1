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
_PROPHET = {"hidden_size": 16, "num_decoder_layers": 1, "num_encoder_layers": 1, "num_decoder_attention_heads": 2,
            "num_encoder_attention_heads": 2, "decoder_ffn_dim": 16, "encoder_ffn_dim": 16}  # fmt: skip
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
    "prophetnet": (hf.ProphetNetConfig,
                   _PROPHET | {"vocab_size": 50, "max_position_embeddings": 20, "pad_token_id": 1}, 17),
    "xmod": (hf.XmodConfig, TABLE | {"is_decoder": True, "default_language": "en_XX"}, 18),
}  # fmt: skip

UNBOUNDED = {
    "bloom": (hf.BloomConfig, {"vocab_size": 50, "hidden_size": 16, "n_layer": 1, "n_head": 2}),
    "falcon with biases": (hf.FalconConfig, TABLE | {"alibi": True}),
    "xlnet": (hf.XLNetConfig, {"vocab_size": 50, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}),
    "rwkv": (hf.RwkvConfig, {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "context_length": 20}),
    "mamba": (hf.MambaConfig, {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "state_size": 4}),
}


_ENTITIES = {"entity_vocab_size": 10, "entity_emb_size": 8}
_BOXES = {"visual_embed": False, "coordinate_size": 2, "shape_size": 4}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}

READERS = {  # models that do not predict the next token
    "esm": (hf.EsmConfig, TABLE | {"pad_token_id": 1}, 18),
    "esm with rotary positions": (hf.EsmConfig, TABLE | {"pad_token_id": 1, "position_embedding_type": "rotary"}, None),
    "luke": (hf.LukeConfig, TABLE | _ENTITIES, 18),
    "altclip": (hf.AltCLIPTextConfig, TABLE, 18),
    "bridgetower": (hf.BridgeTowerTextConfig, TABLE, 18),
    "clap": (hf.ClapTextConfig, TABLE, 18),
    "layoutlmv3": (hf.LayoutLMv3Config, TABLE | _BOXES, 18),
    "lilt": (hf.LiltConfig, TABLE | {"hidden_size": 24}, 19),
    "markuplm": (hf.MarkupLMConfig, TABLE, 19),
    "deberta": (hf.DebertaConfig, TABLE, 20),
    "deberta with relative positions only": (hf.DebertaConfig, TABLE | _RELATIVE, None),
    "deberta-v2": (hf.DebertaV2Config, TABLE, 20),
    "deberta-v2 with relative positions only": (hf.DebertaV2Config, TABLE | _RELATIVE, None),
}
READER_CLASSES = {
    "altclip_text_model": hf.models.altclip.modeling_altclip.AltCLIPTextModel,
    "bridgetower_text_model": hf.models.bridgetower.modeling_bridgetower.BridgeTowerTextModel,
    "clap_text_model": hf.ClapTextModel,
}  # `transformers` opens the others with AutoModel


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


@pytest.mark.parametrize("name", READERS)
def test_a_model_without_next_tokens_reads_what_its_family_says_and_not_one_token_more(name):
    kind, sizes, limit = READERS[name]
    config = kind(**sizes)
    make = READER_CLASSES.get(config.model_type)
    model = (hf.AutoModel.from_config(config) if make is None else make(config)).eval()
    assert architecture_of(model).context(model.config) == limit
    with torch.no_grad():
        model(input_ids=torch.full((1, limit or 60), 7))
        if limit is not None:
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=torch.full((1, limit + 1), 7))


@pytest.mark.parametrize("kind", [hf.AltCLIPConfig, hf.BridgeTowerConfig, hf.ClapConfig])
def test_the_limit_of_a_model_of_two_parts_is_that_of_its_text(kind):
    config = kind(text_config={"max_position_embeddings": 20})
    assert architecture_of(SimpleNamespace(config=config)).context(config) == 18


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
