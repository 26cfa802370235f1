"""Training a subject further, and training what was registered from outside."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
import transformers as hf
from tests.architectures.families import random_model
from tests.train.test_loop import KilledError, happening, killed
from tokenizers import Tokenizer, models
from torch import nn

import toposheet as ts
from toposheet import cli, recipes
from toposheet.architectures import FAMILIES, Architecture
from toposheet.recipes import RECIPES
from toposheet.recipes.result import RESULT
from toposheet.text.blocks import Blocks
from toposheet.text.shards import TOKENIZER, Manifest, Shard
from toposheet.text.tokenizer import tokenizer_hash
from toposheet.topography import OBJECTIVES, OnActivations
from toposheet.train.distillation import stays
from toposheet.train.log import read_metrics
from toposheet.train.loop import train

RECIPE = recipes.named("tiny", context=16, updates=12, validate_every=5, checkpoint_every=4, snapshot_every=None,
                       neighborhoods="all", alpha=5.0, learning_rate=5e-3, warmup_updates=1)  # fmt: skip


def subject_of(family, tokenizer, change=lambda config: None):
    network = random_model(family)
    change(network.config)
    return ts.Subject(network, ts.Topography.per_tap(network, seed=3), tokenizer)


def metrics(folder):
    return read_metrics(folder / "metrics.jsonl")


@pytest.mark.parametrize("family", ["llama", "gemma2", "opt"])
def test_the_subject_is_trained_on_its_own_sheets_and_saved(family, tokenizer, text, tmp_path):
    subject = subject_of(family, tokenizer)
    before = {name: p.detach().clone() for name, p in subject.model.named_parameters()}
    train(RECIPE, text, tmp_path / "out", subject=subject)
    rows = metrics(tmp_path / "out")
    assert rows["spatial_loss"].dropna().iloc[-1] < 0.9 * rows["spatial_loss"].dropna().iloc[0]
    saved = ts.load(tmp_path / "out")
    assert type(saved.model) is type(subject.model)
    assert not subject.model.training
    for tap, places in subject.topography.sheets.items():
        np.testing.assert_array_equal(saved.topography.sheets[tap].coordinates, places.coordinates)
    for name, parameter in saved.model.named_parameters():
        assert torch.equal(parameter, subject.model.get_parameter(name)), name
        if parameter.ndim > 1 and "embed_positions" not in name:
            assert not torch.equal(parameter, before[name]), name
    ids = torch.arange(12)[None]
    with torch.no_grad():
        torch.testing.assert_close(saved(ids), subject(ids), rtol=0, atol=0)
    recipe = saved.recipe
    assert recipe.subject == subject_of(family, tokenizer).fingerprint
    assert (recipe.model.architecture, recipe.model.layers, recipe.model.width) == (family, 2, 36)
    assert recipe.objective == RECIPE.objective
    assert set(recipe.sheets.taps) == set(subject.topography.taps)


def test_distillation_keeps_a_subject_near_its_original_and_the_objective_leaves_the_first_token_out(
    tokenizer, text, tmp_path
):
    started = subject_of("llama", tokenizer)
    with torch.no_grad():
        ids = torch.arange(1, 13)[None]
        original = started(ids).log_softmax(dim=-1)
    divergence = {}
    for share in (0.0, 1.0):
        subject = subject_of("llama", tokenizer)
        recipe = RECIPE.changed(distillation=share, skip_first=True, alpha=1.0)
        train(recipe, text, tmp_path / str(share), subject=subject)
        with torch.no_grad():
            log_p = subject(ids).log_softmax(dim=-1)
        divergence[share] = (original.exp() * (original - log_p)).sum(dim=-1).mean().item()
    assert divergence[1.0] < 0.5 * divergence[0.0]
    rows = metrics(tmp_path / "1.0")
    assert rows["divergence"].dropna().iloc[0] == pytest.approx(0.0, abs=1e-5)
    assert "divergence" not in metrics(tmp_path / "0.0")
    # The spatial loss of the first update leaves the first token of each block out.
    blocks = torch.from_numpy(Blocks(text, context=16, seed=recipe.seed).train(0, recipe.optimisation.batch))
    with started.record() as activations, torch.no_grad():
        started(blocks[:, :-1])
    rest = {tap: x[:, 1:] for tap, x in activations.items()}
    losses = ts.spatial_losses(rest, started.topography, "all", recipe.objective.radius)
    assert rows["spatial_loss"].dropna().iloc[0] == pytest.approx(
        np.mean([float(x) for x in losses.values()]), rel=1e-4
    )


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_subject_that_is_only_asked_to_stay_as_it_is_does_so_to_the_bit(attention, tokenizer, text, tmp_path):
    subject, started = subject_of("llama", tokenizer), subject_of("llama", tokenizer)
    subject.model.set_attn_implementation(attention)
    train(RECIPE.changed(distillation=1.0, alpha=0.0, weight_decay=0.0), text, tmp_path / "out", subject=subject)
    for name, weight in started.model.state_dict().items():
        assert torch.equal(subject.model.state_dict()[name], weight), name


def test_a_training_changes_nothing_only_where_the_model_computes_what_its_original_computes(tokenizer):
    recipe = RECIPE.changed(distillation=1.0, weight_decay=0.0)
    blocks = torch.arange(32).reshape(2, 16)
    eager, without = subject_of("llama", tokenizer), subject_of("gpt2", tokenizer)
    eager.model.set_attn_implementation("eager")
    for module in without.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    without.model.config.attn_pdrop = 0.0
    for layer in without.model.transformer.h:
        layer.attn.attn_dropout.p = 0.0
    for subject, changes, expected in (
        (subject_of("llama", tokenizer), {}, True),
        (eager, {}, True),
        (without, {}, True),  # its configuration still has dropouts, which are not used
        (subject_of("gpt2", tokenizer), {}, False),
        (eager, {"weight_decay": 0.1}, False),
        (eager, {"distillation": 0.9}, False),
    ):
        assert stays(subject, recipe.changed(**changes), blocks) == expected
        assert not subject.model.training


def test_distillation_needs_a_subject(text, tmp_path):
    with pytest.raises(ts.UserError, match=r"distillation is 0.5, but a new model has no original"):
        train(RECIPE.changed(distillation=0.5), text, tmp_path / "out")
    with pytest.raises(ts.UserError, match=r"distillation is 1.5: it must be a number between 0 and 1"):
        RECIPE.changed(distillation=1.5)
    assert not (tmp_path / "out").exists()


def test_a_run_of_a_subject_with_dropout_goes_on_as_if_it_had_not_been_stopped(tokenizer, text, tmp_path):
    def opened():
        network = random_model("gpt2")  # dropout of a tenth, in attention too
        assert network.config.attn_pdrop == network.config.resid_pdrop == 0.1
        return ts.Subject(network, ts.Topography.per_tap(network), tokenizer)

    for folder in ("whole", "model"):
        if folder == "model":
            with happening(6, killed), pytest.raises(KilledError):
                train(RECIPE, text, tmp_path / folder, subject=opened())
        train(RECIPE, text, tmp_path / folder, subject=opened())
    one, two = metrics(tmp_path / "whole"), metrics(tmp_path / "model")
    for column in ("task_loss", "spatial_loss", "gradient_norm", "validation_task_loss"):
        np.testing.assert_array_equal(one[column], two[column])
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "model/model.safetensors").read_bytes()


def test_interventions_are_in_place_while_a_subject_is_trained(tokenizer, text, tmp_path):
    plain, tap = subject_of("llama", tokenizer), "model.layers.0.mlp"
    silent = ts.Intervention("no first MLP", {tap: ts.Effect.silence(np.ones(36, dtype=bool))})
    unchanged = plain.model.model.layers[0].mlp.down_proj.weight.detach().clone()
    train(RECIPE.changed(alpha=0.0, weight_decay=0.0), text, tmp_path / "out", subject=plain.intervened(silent))
    saved = ts.load(tmp_path / "out").model
    assert torch.equal(saved.model.layers[0].mlp.down_proj.weight, unchanged)
    assert not torch.equal(
        saved.model.layers[1].mlp.down_proj.weight, random_model("llama").model.layers[1].mlp.down_proj.weight
    )


def test_another_subject_in_the_same_folder_is_refused(tokenizer, text, tmp_path):
    train(RECIPE, text, tmp_path / "out", subject=subject_of("llama", tokenizer))
    train(RECIPE, text, tmp_path / "out", subject=subject_of("llama", tokenizer))  # it is finished
    other = random_model("llama", seed=1)
    with pytest.raises(ValueError, match="subject is "):
        train(RECIPE, text, tmp_path / "out", subject=ts.Subject(other, ts.Topography.per_tap(other), tokenizer))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": 49}, "blocks of 49 tokens, but the model reads at most 48: set context to 48 or less"),
        ({"tokenizer": True}, "the tokenizer of the text is not the tokenizer of LlamaForCausalLM"),
        ({"dtype": True}, "are torch.bfloat16: load the model in float32"),
    ],
)
def test_a_subject_that_does_not_fit_recipe_or_text_is_refused(change, message, tokenizer, text, tmp_path):
    subject, recipe = subject_of("llama", tokenizer), RECIPE
    if "context" in change:
        recipe = RECIPE.changed(context=49)
    elif "tokenizer" in change:
        bare = Tokenizer(models.WordLevel({"<|endoftext|>": 0}, unk_token="<|endoftext|>"))
        subject = subject.with_tokenizer(hf.PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|endoftext|>"))
    else:
        subject.model.to(torch.bfloat16)
    with pytest.raises(ValueError, match=message):
        train(recipe, text, tmp_path / "out", subject=subject)
    assert not (tmp_path / "out").exists()


def subject_with(network, tokenizer):
    return ts.Subject(network, ts.Topography.per_tap(network), tokenizer)


def test_a_model_that_is_no_causal_decoder_is_refused_in_one_line(tokenizer, text, tmp_path):
    sizes = {"vocab_size": 300, "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2, "encoder_layers": 2,
             "encoder_attention_heads": 2, "decoder_ffn_dim": 24, "encoder_ffn_dim": 24}  # fmt: skip
    both = subject_with(hf.BartForConditionalGeneration(hf.BartConfig(**sizes)), tokenizer)
    bert = hf.BertConfig(vocab_size=300, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
    encoder = subject_with(hf.BertForMaskedLM(bert).eval(), tokenizer)
    headless = subject_with(random_model("llama").model, tokenizer)
    messages = {
        both: "BartForConditionalGeneration has an encoder and a decoder: the task is to predict the next token, so "
        "give a causal decoder",
        encoder: "BertForMaskedLM is an encoder, whose tokens see the tokens after them: the task is to predict",
        headless: "LlamaModel has no output layer: give a model with a language-model head",
    }
    for subject, message in messages.items():
        with pytest.raises(ts.UserError, match=f"^{message}.*$"):
            train(RECIPE, text, tmp_path / "out", subject=subject)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:torch")
def test_a_model_that_torch_quantised_is_refused_and_has_a_fingerprint_of_its_weights(tokenizer, text, tmp_path):
    def quantised(seed):
        network = random_model("llama", seed)
        topography = ts.Topography.per_tap(network)
        network = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8)
        return ts.Subject(network, topography, tokenizer)

    with pytest.raises(ts.UserError, match=r"are quantised, and such weights take no gradients: .* load the original"):
        train(RECIPE, text, tmp_path / "out", subject=quantised(0))
    assert not (tmp_path / "out").exists()
    embeddings = random_model("llama").model.embed_tokens.weight
    other = quantised(1)
    other.model.model.embed_tokens.weight.data.copy_(embeddings)
    assert quantised(0).fingerprint == quantised(0).fingerprint != other.fingerprint


def test_a_subject_whose_modules_were_replaced_is_refused_before_it_is_trained(tokenizer, text, tmp_path):
    subject = subject_of("llama", tokenizer)
    mlp = subject.model.model.layers[0].mlp
    mlp.up_proj = nn.Sequential(mlp.up_proj)
    with pytest.raises(ts.UserError, match=r"cannot be saved: .* \(first model\.layers\.0\.mlp\.up_proj\.weight\)"):
        train(RECIPE, text, tmp_path / "out", subject=subject)
    assert not (tmp_path / "out").exists()


def test_a_subject_with_one_weight_of_16_bits_is_refused(tokenizer, text, tmp_path):
    subject = subject_of("llama", tokenizer)
    subject.model.lm_head.to(torch.bfloat16)
    with pytest.raises(ts.UserError, match=r"are torch\.bfloat16: load the model in float32"):
        train(RECIPE, text, tmp_path / "out", subject=subject)


def test_a_subject_is_not_trained_on_the_builtin_text_whose_tokens_are_others(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="the tokenizer of the text is not the tokenizer of LlamaForCausalLM"):
        train(RECIPE, None, tmp_path / "out", subject=subject_of("llama", tokenizer))
    assert not (tmp_path / "out").exists()


def test_a_family_that_does_what_is_not_known_is_refused_before_it_is_trained(tokenizer, text, tmp_path):
    class Louder(hf.LlamaForCausalLM):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            return type(output)(logits=3 * output.logits)

    quiet = random_model("llama")
    louder = Louder(quiet.config).eval()
    louder.load_state_dict(quiet.state_dict())  # its logits are large, so a factor of 3 shows
    with pytest.raises(
        ValueError, match=r"does not know the family llama .* toposheet\.register\('architecture', 'llama', \.\.\.\)"
    ):
        train(RECIPE, text, tmp_path / "out", subject=ts.Subject(louder, ts.Topography.per_tap(louder), tokenizer))


# --- from outside ---


def mine(r, pairs):
    """An objective from outside: near units are alike, far ones do not matter. Value and gradient by similarities."""
    near = pairs.present * (pairs.nearness >= 0.5)
    n = near.sum(dim=(-2, -1), keepdim=True).clamp_min(1.0)
    return ((1 - r) * near / n).sum(dim=(-2, -1)), (-near / n).expand_as(r).clone()


def test_an_objective_from_outside_trains_and_is_lowered(text, tmp_path):
    OBJECTIVES.register("near", OnActivations(mine))
    try:
        train(RECIPE.changed(vocabulary=300, objective="near", updates=30), text, tmp_path / "model")
    finally:
        OBJECTIVES.unregister("near")
    spatial = metrics(tmp_path / "model")["spatial_loss"].dropna().to_numpy()
    assert spatial[-5:].mean() < 0.95 * spatial[:2].mean()


def test_a_recipe_from_outside_is_trained_by_its_name(text, tmp_path, capsys):
    RECIPES.register("mine", RECIPE.changed(name="mine", vocabulary=300))
    try:
        arguments = ["train", "mine", "--updates", "3", f"--data={text}", f"--out={tmp_path / 'model'}"]
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
    finally:
        RECIPES.unregister("mine")
    assert stop.value.code == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "model" / RESULT).read_text())["updates"] == 3
    assert ts.load(tmp_path / "model").recipe.name == "mine"


class MixerConfig(hf.PreTrainedConfig):
    model_type = "mixer"

    def __init__(self, vocab_size=300, hidden_size=36, num_hidden_layers=2, limit=32, **rest):
        super().__init__(**rest)
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        self.limit, self.tie_word_embeddings = limit, False


class Mixer(nn.Module):
    """A block without attention: the mean of all tokens so far, then two matrices."""

    def __init__(self, width):
        super().__init__()
        self.past, self.channels = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        n = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
        x = x + self.past(x.cumsum(dim=1) / n)
        return x + self.channels(x.tanh())


class MixerModel(hf.PreTrainedModel):
    config_class, base_model_prefix, main_input_name = MixerConfig, "core", "input_ids"

    def __init__(self, config):
        super().__init__(config)
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.levels = nn.ModuleList(Mixer(config.hidden_size) for _ in range(config.num_hidden_layers))
        self.post_init()

    def get_input_embeddings(self):
        return self.tokens

    def forward(self, input_ids, attention_mask=None, use_cache=None):
        x = self.tokens(input_ids)
        for level in self.levels:
            x = level(x)
        return hf.modeling_outputs.BaseModelOutput(last_hidden_state=x)


class MixerForCausalLM(hf.PreTrainedModel):
    config_class, base_model_prefix = MixerConfig, "core"

    def __init__(self, config):
        super().__init__(config)
        self.core, self.out = MixerModel(config), nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self):
        return self.out

    def forward(self, input_ids, use_cache=None):
        return hf.modeling_outputs.CausalLMOutput(logits=self.out(self.core(input_ids).last_hidden_state))


@pytest.fixture
def mixer():
    family = Architecture(
        attention=("past",),
        mlp=("channels",),
        context=lambda config: config.limit,
        build=lambda sizes, end: MixerForCausalLM(
            MixerConfig(sizes.vocabulary, sizes.width, sizes.layers, sizes.context, eos_token_id=end)
        ),
    )
    FAMILIES.register("mixer", family)
    hf.AutoConfig.register("mixer", MixerConfig)
    hf.AutoModelForCausalLM.register(MixerConfig, MixerForCausalLM)
    yield
    FAMILIES.unregister("mixer")


def test_an_architecture_from_outside_is_built_trained_and_recorded(mixer, text, stimuli, tmp_path):
    train(RECIPE.changed(vocabulary=300, architecture="mixer", context=48), text, tmp_path / "model")
    subject = ts.load(tmp_path / "model")
    assert subject.topography.taps == [f"core.levels.{i}.{name}" for i in range(2) for name in ("past", "channels")]
    assert subject.context == 48
    spatial = metrics(tmp_path / "model")["spatial_loss"].dropna()
    assert spatial.iloc[-1] < 0.9 * spatial.iloc[0]
    assert ts.respond(subject, stimuli).shape == (6, 4 * 36)


def test_a_vocabulary_of_70_000_trains(tmp_path):
    n, folder = 70_000, tmp_path / "text"
    words = {"<|endoftext|>": 0} | {f"w{i}": i for i in range(1, n)}
    bare = Tokenizer(models.WordLevel(words, unk_token="<|endoftext|>"))
    hf.PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|endoftext|>").save_pretrained(folder / TOKENIZER)
    shards = []
    for split in ("train", "validation"):
        content = np.random.default_rng(0).integers(n - 50, n, size=2000).astype("<u4").tobytes()
        (folder / f"{split}-00000.bin").write_bytes(content)
        shards.append(Shard(split, f"{split}-00000.bin", 1, 2000, hashlib.sha256(content).hexdigest()))
    split = {"validation_fraction": 0.05, "seed": 0}
    Manifest(split, [], 1, 0, 0, tokenizer_hash(folder / TOKENIZER), n, "uint32", tuple(shards)).save(folder)
    train(RECIPE.changed(vocabulary=n, updates=4, learning_rate=0.02), folder, tmp_path / "model")
    losses = metrics(tmp_path / "model")["task_loss"].dropna()
    assert losses.iloc[0] == pytest.approx(np.log(n), rel=0.01)
    assert losses.iloc[-1] < losses.iloc[0]
    assert ts.load(tmp_path / "model").model.config.vocab_size == n
    shutil.rmtree(tmp_path / "model")
