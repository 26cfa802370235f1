"""Makes small models in a folder. It is run with the Python of toposheet's environment.

`model` and `other` are GPT-2 of random weights with one tokenizer. The tokenizer of `with-bos` puts a token before
every text. `encoder` is a BERT.
"""

import sys
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertLMHeadModel, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import toposheet as ts
from toposheet.text.tokenizer import train_tokenizer

TEXT = [
    "The river ran past the old mill and the children threw stones from the bridge.",
    "A clever engineer wrote long letters about machines, weather and the price of bread.",
    "When winter came, snow covered every road and nobody travelled to the distant city.",
] * 5


def gpt2(seed: int) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=300, n_positions=96, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    ).eval()
    with torch.no_grad():  # so that predictions depend on the words before
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.ndim > 1 else 1.0)
    return model


def main(folder: Path) -> None:
    tokenizer = train_tokenizer(TEXT, vocabulary=300)
    tokenizer.model_max_length = 96
    for number, name in enumerate(("model", "other", "with-bos")):
        model, given = gpt2(number), tokenizer
        if name == "with-bos":
            bos = tokenizer.convert_ids_to_tokens(0)
            backend = tokenizer.backend_tokenizer
            backend.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 0)])
            given = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=bos, model_max_length=96)
        topography = ts.Topography.per_tap(model, seed=number, spacing_mm=0.5)
        ts.save(folder / name, ts.Subject(model, topography, given))
    torch.manual_seed(0)
    bert = BertLMHeadModel(
        BertConfig(
            vocab_size=300,
            hidden_size=36,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=36,
            max_position_embeddings=96,
        )
    ).eval()
    topography = ts.Topography.per_tap(bert, ["bert.encoder.layer.0.output.dense"])
    ts.save(folder / "encoder", ts.Subject(bert, topography, tokenizer))


main(Path(sys.argv[1]))
