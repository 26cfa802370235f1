"""What each family of models can do, found by trying it: the table of README.

`python -m tests.architectures.supported` tries all families and writes the table. `test_supported.py` tries them too,
and fails where the table says something else.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers as hf
from tests.architectures.families import CONFIGS, CONTEXT, VOCABULARY, WIDTH
from torch import nn

import toposheet as ts
from toposheet import recipes
from toposheet.adaptation import place
from toposheet.errors import UserError
from toposheet.text.blocks import Blocks
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation
from toposheet.text.tokenizer import train_tokenizer
from toposheet.train.loop import train

FOLDER = "folder-of-the-model"
START, END = "<!-- table of families: python -m tests.architectures.supported -->", "<!-- end of the table -->"
README = Path(__file__).parents[2] / "README.md"
HEAD = ("model", "taps of a layer", "attach", "respond", "record", "adapt")
DOCUMENTS = [
    "The river ran past the old mill and the children threw stones from the bridge.",
    "A clever engineer wrote long letters about machines, weather and the price of bread.",
    "When winter came, snow covered every road and nobody travelled to the distant city.",
]  # fmt: skip
TEXTS = [document[: 9 + 13 * i] for i, document in enumerate(DOCUMENTS * 2)]
RECIPE = recipes.named("tiny", context=12, updates=2, batch=2, warmup_updates=0, alpha=1.0, learning_rate=1e-2,
                       validation_blocks=2, validate_every=2, checkpoint_every=2, snapshot_every=None)  # fmt: skip

_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_PLAIN = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
          "num_attention_heads": 6, "max_position_embeddings": CONTEXT} | _ENDS  # fmt: skip
_GROUPED = _PLAIN | {"num_key_value_heads": 2}
_HEADS = _GROUPED | {"head_dim": 6}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 20}
_LATENT = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 6}
_STATE = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": 2} | _ENDS
_POSITIONS_OF_ROBERTA = {"max_position_embeddings": CONTEXT + 2, "pad_token_id": 1}

FAMILIES: dict[str, Callable[[], Any]] = {
    "GPT-2": CONFIGS["gpt2"],
    "GPT-Neo": lambda: hf.GPTNeoConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_layers=2, num_heads=6,
                                       attention_types=[[["global", "local"], 1]], window_size=8,
                                       max_position_embeddings=CONTEXT, **_ENDS),
    "GPT-J": lambda: hf.GPTJConfig(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=2, n_head=6,
                                   rotary_dim=4, tie_word_embeddings=False, **_ENDS),
    "GPT-NeoX (Pythia)": CONFIGS["gpt_neox"],
    "GPT-OSS": lambda: hf.GptOssConfig(**_HEADS, num_local_experts=4, num_experts_per_tok=2, rope_parameters=None),
    "Llama (SmolLM2)": CONFIGS["llama"],
    "Llama 4": lambda: hf.Llama4TextConfig(**_HEADS, num_local_experts=4, intermediate_size_mlp=48),
    "SmolLM3": lambda: hf.SmolLM3Config(**_GROUPED),
    "Mistral": CONFIGS["mistral"],
    "Mixtral": lambda: hf.MixtralConfig(**_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "Qwen2": lambda: hf.Qwen2Config(**_GROUPED),
    "Qwen3": CONFIGS["qwen3"],
    "Qwen3-MoE": lambda: hf.Qwen3MoeConfig(**_HEADS, **_EXPERTS, num_experts=4),
    "DeepSeek-V3": lambda: hf.DeepseekV3Config(**_PLAIN, **_EXPERTS, **_LATENT, n_routed_experts=4, n_group=1,
                                               topk_group=1, first_k_dense_replace=1),
    "Gemma": CONFIGS["gemma"],
    "Gemma 2": CONFIGS["gemma2"],
    "Gemma 3": lambda: hf.Gemma3TextConfig(**_GROUPED | {"head_dim": 8, "sliding_window": 8}),
    "Phi": CONFIGS["phi"],
    "Phi-3": lambda: hf.Phi3Config(**_GROUPED),
    "OPT": CONFIGS["opt"],
    "BLOOM": CONFIGS["bloom"],
    "MPT": CONFIGS["mpt"],
    "Falcon": CONFIGS["falcon"],
    "OLMo": CONFIGS["olmo"],
    "OLMo 2": lambda: hf.Olmo2Config(**_GROUPED),
    "OLMo 3": lambda: hf.Olmo3Config(**_GROUPED, sliding_window=8),
    "StableLM": lambda: hf.StableLmConfig(**_GROUPED),
    "StarCoder2": lambda: hf.Starcoder2Config(**_GROUPED),
    "Cohere": CONFIGS["cohere"],
    "GLM-4": lambda: hf.Glm4Config(**_HEADS),
    "Granite": CONFIGS["granite"],
    "GraniteMoE": lambda: hf.GraniteMoeConfig(**_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    "Mamba": lambda: hf.MambaConfig(**_STATE, state_size=4),
    "Mamba 2": lambda: hf.Mamba2Config(**_STATE, state_size=4, num_heads=6, head_dim=12, n_groups=1, chunk_size=8),
    "RWKV-4": lambda: hf.RwkvConfig(**_STATE, context_length=CONTEXT, rescale_every=1),
    "BERT": lambda: hf.BertConfig(**_PLAIN),
    "RoBERTa": lambda: hf.RobertaConfig(**_PLAIN | _POSITIONS_OF_ROBERTA),
    "T5": lambda: hf.T5Config(vocab_size=VOCABULARY, d_model=WIDTH, d_kv=6, d_ff=48, num_layers=2, num_heads=6),
}  # fmt: skip
"""The configuration of a small model of each family: 2 layers of 36 units, grouped keys where the family has them."""


@dataclass(frozen=True)
class Outcome:
    """The row of a model. The last four fields are "yes", "no: " with the reason, or empty if nothing was tried."""

    taps: str
    attach: str
    respond: str
    record: str
    adapt: str


def tokenizer_of_tests() -> hf.PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(DOCUMENTS * 5, vocabulary=VOCABULARY)
    tokenizer.bos_token = None
    return tokenizer


def prepared_text(folder: Path, tokenizer: hf.PreTrainedTokenizerFast) -> Path:
    """Write prepared text to a folder, and return the folder."""
    tokenizer.save_pretrained(folder / "tokenizer")
    rows = [{"text": f"{number}. {DOCUMENTS[number % 3]}"} for number in range(60)]
    (folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = Preparation((str(folder / "documents.jsonl"),), tokenizer=str(folder / "tokenizer"), validation_fraction=0.1)
    prepare(plan, folder / "text", Executor(workers=1))
    return folder / "text"


def saved_model(config: Any, folder: Path, tokenizer: Any, **storage: Any) -> Path:
    """Write a random model to a folder as `transformers` does; its weights are large enough for texts to differ."""
    opens = hf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else hf.AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = opens.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.2)
    model.save_pretrained(folder, **storage)
    tokenizer.save_pretrained(folder)
    return folder


class EightBits(nn.Module):
    """A linear layer with weights of 8 bits and one scale for each output, as quantising packages store them."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.scale = nn.Parameter(linear.weight.detach().abs().amax(dim=1, keepdim=True) / 127, requires_grad=False)
        self.weight = nn.Parameter((linear.weight / self.scale).round().to(torch.int8), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ (self.weight * self.scale).T


def eight_bits(subject: ts.Subject) -> ts.Subject:
    """Return the subject with linear layers of 8 bits in its blocks."""
    for block in subject.architecture.blocks(subject.model):
        for path, module in list(block.named_modules()):
            if isinstance(module, nn.Linear):
                block.set_submodule(path, EightBits(module))
    return subject


def _attached(config: Callable[[], Any], **storage: Any) -> Callable[[Path, Any], ts.Subject]:
    return lambda folder, tokenizer: ts.attach(saved_model(config(), folder, tokenizer, **storage))


_LLAMA = FAMILIES["Llama (SmolLM2)"]
MODELS: dict[str, Callable[[Path, Any], ts.Subject]] = {
    **{name: _attached(config) for name, config in FAMILIES.items()},
    "*several query heads with one key head*": _attached(_LLAMA),
    "*tied embeddings*": _attached(lambda: hf.LlamaConfig(**_GROUPED, tie_word_embeddings=True)),
    "*weights in several files*": _attached(_LLAMA, max_shard_size="40KB"),
    "*opened with `dtype=torch.bfloat16`*": lambda folder, tokenizer: ts.attach(
        saved_model(_LLAMA(), folder, tokenizer), dtype=torch.bfloat16
    ),
    "*weights in 8 bits*": lambda folder, tokenizer: eight_bits(ts.attach(saved_model(_LLAMA(), folder, tokenizer))),
}
"""Every row of the table: a function that opens the model from a folder, which it writes, and gives it sheets."""


def tried(name: str, folder: Path, tokenizer: hf.PreTrainedTokenizerFast, text: Path) -> Outcome:
    """Return what can be done with a model. What is done wrongly, and not refused, raises an AssertionError.

    Args:
        name: A name in `MODELS`.
        folder: An empty folder.
        tokenizer: The tokenizer of the text.
        text: A folder of prepared text.
    """
    try:
        subject = MODELS[name](folder / FOLDER, tokenizer)
    except UserError as error:
        return Outcome("", _reason(error, FOLDER), "", "", "")
    up_to_layer = re.compile(r".*?\.\d+\.")
    taps = dict.fromkeys(up_to_layer.sub("", tap, count=1) for tap in subject.topography.taps)
    steps = (checked_responses, checked_recording, lambda subject: checked_adaptation(subject, text, folder / "out"))
    return Outcome(" ".join(f"`{tap}`" for tap in taps), "yes", *(_yes_or_reason(step, subject) for step in steps))


def _yes_or_reason(step: Callable[[ts.Subject], None], subject: ts.Subject) -> str:
    try:
        step(subject)
    except UserError as error:
        return _reason(error, FOLDER, type(subject.model).__name__)
    return "yes"


def _reason(error: UserError, *names: str) -> str:
    """Return why something was refused: a message of one line without its advice, which stands after a colon."""
    reason, colon, advice = re.sub("|".join(map(re.escape, names)), "the model", str(error)).partition(": ")
    assert colon, "what to do is not said"
    assert "\n" not in advice, "the message has more than one line"
    return f"no: {re.sub(r'[^ ]*/the model', 'the model', reason)}"


def outputs(subject: ts.Subject, text: str) -> dict[str, torch.Tensor]:
    """Return what the modules of the taps return for one text, without toposheet: {tap: (tokens, units)}."""
    kept: dict[str, torch.Tensor] = {}

    def keep(tap: str) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            x = output[0] if isinstance(output, tuple | list) else output
            kept[tap] = x.detach().clone().float().reshape(-1, x.shape[-1])  # cloned: some models change it afterwards

        return hook

    handles = [subject.model.get_submodule(tap).register_forward_hook(keep(tap)) for tap in subject.topography.taps]
    with torch.no_grad():
        subject.model(torch.tensor([subject.tokenizer(text).input_ids]))
    for handle in handles:
        handle.remove()
    return kept


def checked_responses(subject: ts.Subject) -> None:
    """Compare responses to texts of unequal length with the means of `outputs`, one text at a time."""
    responses = ts.respond(subject, pd.DataFrame({"text": TEXTS, "condition": ["one", "other"] * 3}))
    expected = np.stack([torch.cat([x.mean(dim=0) for x in outputs(subject, text).values()]) for text in TEXTS])
    assert np.std(expected, axis=0).min() > 1e-4, "the responses to these texts hardly differ"
    accuracy = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[subject.model.dtype]
    np.testing.assert_allclose(responses, expected, rtol=0, atol=accuracy * np.abs(expected).max())


def checked_recording(subject: ts.Subject) -> None:
    """Compare what is recorded for one text with `outputs`."""
    expected = outputs(subject, TEXTS[-1])
    with torch.no_grad(), subject.record() as activations:
        subject(torch.tensor([subject.tokenizer(TEXTS[-1]).input_ids]))
    assert list(activations) == subject.topography.taps
    for tap, x in activations.items():
        assert x.shape == (1, *expected[tap].shape)
        torch.testing.assert_close(x[0].float(), expected[tap], rtol=0, atol=1e-5 * expected[tap].abs().max().item())


def checked_adaptation(subject: ts.Subject, text: Path, out: Path) -> None:
    """Place the units of a subject, let the gradient of the objective reach its weights, and train all its weights."""
    ids = torch.from_numpy(Blocks(text, context=RECIPE.model.context, seed=0).train(0, 4))[:, :-1].long()
    with torch.no_grad():
        logits = subject(ids)
    placed = place(subject, ids[:3], ids[3:], method="spectral", radius=2)
    assert np.isfinite(placed.table["loss"]).all()
    before = {name: parameter.detach().clone() for name, parameter in subject.model.named_parameters()}
    train(RECIPE, text, out, subject=placed.subject)
    trained = ts.load(out)
    for tap in subject.topography.taps:
        weights = dict(trained.model.get_submodule(tap).named_parameters(prefix=tap))
        assert any(not torch.equal(weights[name], before[name]) for name in weights), tap
    with torch.no_grad():
        assert (trained(ids) - logits).abs().max() > 0
        torch.testing.assert_close(trained(ids), placed.subject(ids), rtol=0, atol=0)
    with trained.record() as activations:
        trained(ids, use_cache=False)
    ts.spatial_loss(activations, trained.topography, radius=2).backward()
    for tap in trained.topography.taps:
        gradients = [p.grad for p in trained.model.get_submodule(tap).parameters() if p.grad is not None]
        assert max(gradient.abs().max() for gradient in gradients) > 0, tap


def rows(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the lines of the table. Families of equal outcome share a line, and so do ways to store weights."""
    names: dict[tuple[Outcome, bool], list[str]] = {}
    for name, outcome in outcomes.items():
        names.setdefault((outcome, name in FAMILIES), []).append(name)
    return [_line((", ".join(models), *astuple(outcome))) for (outcome, _), models in names.items()]


def documented(page: str) -> dict[str, Outcome]:
    """Return the table of a page: {name: outcome}."""
    table = page.partition(START)[2].partition(END)[0].strip().splitlines()[2:]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {name: Outcome(*of_models) for names, *of_models in cells for name in names.split(", ")}


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Try all models, and write the table of README."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tokenizer_of_tests()
        text = prepared_text(Path(folder), tokenizer)
        outcomes = {name: tried(name, Path(folder) / str(n), tokenizer, text) for n, name in enumerate(MODELS)}
    before, _, rest = README.read_text().partition(START)
    table = [_line(HEAD), _line(["---"] * len(HEAD)), *rows(outcomes)]
    README.write_text("\n".join([before + START, *table, END + rest.partition(END)[2]]))


if __name__ == "__main__":
    main()
