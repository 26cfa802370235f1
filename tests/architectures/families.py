"""Small random models of many families, for tests."""

from __future__ import annotations

import torch
import transformers as hf

WIDTH, CONTEXT, VOCABULARY = 36, 48, 300
_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_LLAMA = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 50, "num_hidden_layers": 2,
          "num_attention_heads": 6, "max_position_embeddings": CONTEXT} | _ENDS  # fmt: skip
_GROUPED = _LLAMA | {"num_key_value_heads": 2}

CONFIGS = {
    "gpt2": lambda: hf.GPT2Config(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=6,
                                  **_ENDS),
    "qwen3": lambda: hf.Qwen3Config(**_GROUPED, head_dim=6),
    "llama": lambda: hf.LlamaConfig(**_GROUPED),
    "mistral": lambda: hf.MistralConfig(**_GROUPED, head_dim=6, sliding_window=8),
    "gemma": lambda: hf.GemmaConfig(**_GROUPED, head_dim=8),
    "gemma2": lambda: hf.Gemma2Config(**_GROUPED, head_dim=8, final_logit_softcapping=0.2),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**_LLAMA),
    "opt": lambda: hf.OPTConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, ffn_dim=50, num_hidden_layers=2,
                                num_attention_heads=6, max_position_embeddings=CONTEXT, word_embed_proj_dim=WIDTH,
                                **_ENDS),
    "phi": lambda: hf.PhiConfig(**_LLAMA | {"num_attention_heads": 3}),
    "bloom": lambda: hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, n_layer=2, n_head=6, **_ENDS),
    "mpt": lambda: hf.MptConfig(vocab_size=VOCABULARY, d_model=WIDTH, n_layers=2, n_heads=6, max_seq_len=CONTEXT,
                                logit_scale=3.0, **_ENDS),
    "olmo": lambda: hf.OlmoConfig(**_GROUPED),
    "cohere": lambda: hf.CohereConfig(**_GROUPED, logit_scale=0.25),
    "falcon": lambda: hf.FalconConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=2,
                                      num_attention_heads=6, max_position_embeddings=CONTEXT, **_ENDS),
    "granite": lambda: hf.GraniteConfig(**_GROUPED, logits_scaling=4.0),
}  # fmt: skip
"""Configurations by the name of the family, grouped keys where it has them: 2 layers of 36 units."""


def random_model(family: str, seed: int = 0) -> hf.PreTrainedModel:
    """Return a random model of a family, in evaluation mode; its weights are large enough for texts to differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = hf.AutoModelForCausalLM.from_config(CONFIGS[family]())
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.2)
    return model.eval()
