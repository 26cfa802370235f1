import pytest
import torch
import transformers as hf
from tests.architectures.supported import FAMILIES
from tests.finetuning.conftest import sentiment
from torch import nn

import toposheet as ts
from toposheet.errors import UserError
from toposheet.finetuning.classifier import Classifier, new_layer
from toposheet.finetuning.examples import Example
from toposheet.finetuning.tokens import tokens_of
from toposheet.train.preconditions import check_learner


@pytest.fixture
def tokens(subject):
    examples = [Example((row["sentence"],), float(row["label"]), str(row["idx"]), "here") for row in sentiment(8)]
    return tokens_of(subject, examples)


@pytest.fixture
def layer(model):
    return new_layer(model, 2, seed=0)


def classifier(model, layer, tokens, **options):
    return Classifier(model, layer, torch.tensor(tokens.labels).float(), False, **options).eval()


def test_the_layer_reads_the_last_token_of_each_text(model, layer, tokens):
    outputs = classifier(model, layer, tokens).outputs(tokens.rows(range(8)))
    for row, ids in zip(outputs, tokens.ids, strict=True):
        state = model.transformer(torch.tensor([ids])).last_hidden_state[0, -1]
        torch.testing.assert_close(row, layer.weight @ state, rtol=1e-4, atol=1e-5)


def test_padding_does_not_change_an_output(model, layer, tokens):
    task = classifier(model, layer, tokens)
    together = task.outputs(tokens.rows(range(8)))
    alone = torch.cat([task.outputs(tokens.rows([number])) for number in range(8)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    wider = torch.nn.functional.pad(tokens.rows(range(8)), (0, 5), value=-1)
    assert torch.equal(task.outputs(wider), together)


@pytest.mark.parametrize("skip_first", [False, True])
def test_the_objective_sees_the_tokens_of_the_texts_and_no_padding(model, topo, layer, tokens, skip_first):
    lengths = {len(ids) for ids in tokens.ids}
    assert len(lengths) > 1
    with topo.record(model) as activations:
        task = classifier(model, layer, tokens, activations=activations, skip_first=skip_first)
        task.outputs(tokens.rows(range(8)))
        recorded = dict(activations)
    with topo.record(model) as activations:
        alone = []
        for ids in tokens.ids:
            model.transformer(torch.tensor([ids]))
            alone.append({tap: x[:, int(skip_first) :] for tap, x in activations.items()})
    for tap, x in recorded.items():
        texts = torch.cat([one[tap] for one in alone], dim=1)
        torch.testing.assert_close(x[:, int(skip_first) :], texts, rtol=1e-4, atol=1e-5)
    expected = ts.spatial_losses({tap: torch.cat([o[tap] for o in alone], dim=1) for tap in recorded}, topo, "all", 3)
    for sheet, loss in ts.spatial_losses(recorded, topo, "all", 3, skip_first=skip_first).items():
        torch.testing.assert_close(loss, expected[sheet], rtol=1e-3, atol=1e-4)


def test_the_loss_is_the_cross_entropy_or_the_squared_error(model, layer, tokens):
    rows, labels = tokens.rows([3, 1]), torch.tensor(tokens.labels)[[3, 1]].float()
    task = classifier(model, layer, tokens)
    (loss,) = task(rows)
    chosen = task.outputs(rows).log_softmax(dim=1)[torch.arange(2), labels.long()]
    torch.testing.assert_close(loss, -chosen.mean())
    one = nn.Linear(36, 1, bias=False)
    task = Classifier(model, one, torch.tensor(tokens.labels).float(), True).eval()
    torch.testing.assert_close(task(rows)[0], ((task.outputs(rows)[:, 0] - labels) ** 2).mean())


def test_bfloat16_rounds_and_nothing_more(model, layer, tokens):
    rows = tokens.rows(range(8))
    exact, rounded = (classifier(model, layer, tokens, precision=p).outputs(rows) for p in ("fp32", "bf16"))
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, rtol=0.05, atol=0.01)


def test_equal_seeds_give_equal_layers(model):
    one, same, other = (new_layer(model, 3, seed) for seed in (1, 1, 2))
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert one.weight.shape == (3, 36)
    assert 0.015 < one.weight.std() < 0.025


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_read_at_its_last_token_and_its_units_get_gradients(family, tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = FAMILIES[family]()
        if type(config) not in hf.MODEL_FOR_CAUSAL_LM_MAPPING:
            pytest.skip("no causal language model")
        model = hf.AutoModelForCausalLM.from_config(config).eval()
    subject = ts.Subject(model, ts.Topography.per_tap(model, shape=(6, 7), seed=3), tokenizer)
    try:
        check_learner(subject)
    except UserError as error:
        pytest.skip(str(error))
    examples = [Example((row["sentence"],), float(row["label"]), "0", "here") for row in sentiment(4)]
    tokens = tokens_of(subject, examples)
    with subject.running(), subject.topography.record(model) as activations:
        task = classifier(model, new_layer(model, 2, 0), tokens, activations=activations)
        together = task.outputs(tokens.rows(range(4)))
        spatial = ts.spatial_loss(activations, subject.topography, "all", 3)
        alone = torch.cat([task.outputs(tokens.rows([number])) for number in range(4)])
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-5)
        (together.square().sum() + spatial).backward()
    assert task.layer.weight.grad is not None
    assert sum(float(p.grad.abs().sum() > 0) for p in model.parameters() if p.grad is not None) > 4
