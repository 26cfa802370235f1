import numpy as np
import pytest
import torch
from torch.nn import functional

from toposheet import Topography, recipes
from toposheet.architectures import architecture_of
from toposheet.architectures.attention import BLOCK_ATTENTION, attend_within_blocks, attention
from toposheet.errors import UserError
from toposheet.subject import Subject
from toposheet.train import task as task_module
from toposheet.train.model import build_model, new_subject, recipe_for
from toposheet.train.optimizer import learning_rate
from toposheet.train.preconditions import check_sheets
from toposheet.train.task import NextToken

ARCHITECTURES = {
    "gpt2": recipes.named("tiny", vocabulary=300, heads=3),
    "qwen3": recipes.named("tiny", vocabulary=300, heads=3, architecture="qwen3", mlp_width=50),
}  # fmt: skip


@pytest.fixture(params=ARCHITECTURES)
def recipe(request):
    return ARCHITECTURES[request.param]


@pytest.fixture
def blocks():
    return torch.randint(300, (3, 21), generator=torch.Generator().manual_seed(0))


def expected_loss(model, blocks):
    with torch.no_grad():
        logits = model(input_ids=blocks[:, :-1]).logits
    return functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())


@pytest.fixture(params=["whole", "in chunks"], autouse=True)
def logits(request, monkeypatch):
    if request.param == "in chunks":
        monkeypatch.setattr(task_module, "_LOGITS", 0)


def test_the_task_is_the_cross_entropy_of_the_next_token(recipe, blocks):
    model = build_model(recipe, end_of_text=0)
    with attention(model, "eager"):
        expected = expected_loss(model, blocks)
    with attention(model, BLOCK_ATTENTION):
        loss = NextToken(model, "fp32")(blocks)[0]
    torch.testing.assert_close(loss, expected)
    assert model.config._attn_implementation == "sdpa"


def test_its_gradient_is_that_of_the_plain_model(recipe, blocks):
    model = build_model(recipe, end_of_text=0)
    NextToken(model, "fp32")(blocks)[0].backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    logits = model(input_ids=blocks[:, :-1]).logits
    functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten()).backward()
    for name, p in model.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(gradients[name], p.grad, rtol=1e-4, atol=1e-6)


def test_distillation_adds_the_divergence_from_the_original_and_trains_no_weight_of_it(recipe, blocks):
    model, original = (build_model(recipe.changed(seed=seed), end_of_text=0) for seed in (0, 1))
    task = NextToken(model, "fp32", original)
    losses = task(blocks)
    with torch.no_grad():
        p, q = (m.eval()(input_ids=blocks[:, :-1]).logits.double().softmax(dim=-1) for m in (model, original))
    assert losses[0].item() == pytest.approx(expected_loss(model, blocks).item(), rel=1e-5)
    assert losses[1].item() == pytest.approx((q * (q / p).log()).sum(dim=-1).mean().item(), rel=1e-4)
    losses[1].backward()
    assert all(parameter.grad is None for parameter in original.parameters())
    assert {id(p) for p in task.parameters()} == {id(p) for p in model.parameters()}
    logits = model(input_ids=blocks[:, :-1]).logits
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}
    model.zero_grad()
    with torch.no_grad():
        targets = original(input_ids=blocks[:, :-1]).logits.softmax(dim=-1)
    functional.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1)).backward()  # up to a constant
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, model.get_parameter(name).grad, rtol=1e-3, atol=1e-6)
    model.zero_grad()
    nothing = NextToken(model, "fp32", model)(blocks)[1]
    assert nothing.item() == pytest.approx(0.0, abs=1e-6)
    nothing.backward()
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


def test_bf16_rounds_the_loss_of_a_token_not_their_mean(recipe, blocks):
    model = build_model(recipe, end_of_text=0)
    loss = NextToken(model, "bf16")(blocks)[0]
    assert loss.dtype == torch.float32
    assert abs(loss.item() - expected_loss(model, blocks).item()) < 0.005
    loss.backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())


def test_attention_within_blocks_is_causal_and_scaled_as_published():
    rng = np.random.default_rng(0)
    query, key, value = (torch.from_numpy(rng.normal(size=(2, 3, 5, 7))) for _ in range(3))
    out, _ = attend_within_blocks(torch.nn.Module(), query, key, value, None)
    scores = np.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(7)
    scores[..., ~np.tri(5, dtype=bool)] = -np.inf
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(out, np.einsum("bhqk,bhkd->bqhd", weights, value), rtol=1e-10)


def test_equal_seeds_give_equal_weights_for_every_architecture(recipe):
    one, two = (build_model(recipe, end_of_text=0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


# The published recipe, number by number (arXiv:2410.11516).

PAPER = recipes.named("paper")


@pytest.fixture(scope="module")
def paper():
    return build_model(PAPER, end_of_text=50256, device="meta")


def test_the_paper_has_the_published_number_of_parameters(paper):
    sizes = {name: p.numel() for name, p in paper.named_parameters()}
    biases = sum(size for name, size in sizes.items() if name.endswith(".bias"))
    assert sum(sizes.values()) == 128_875_488
    assert sum(sizes.values()) - biases == 128_771_216
    assert sum(sizes.values()) - biases - sizes["transformer.wpe.weight"] == 127_968_400
    assert all(not p.requires_grad for name, p in paper.named_parameters() if name.endswith(".bias"))


def test_the_paper_has_the_published_shapes(paper):
    shapes = {name: tuple(p.shape) for name, p in paper.named_parameters()}
    assert shapes["transformer.wte.weight"] == (50304, 784)
    assert shapes["transformer.wpe.weight"] == (1024, 784)
    for layer in range(12):
        prefix = f"transformer.h.{layer}"
        assert shapes[f"{prefix}.attn.c_attn.weight"] == (784, 3 * 784)
        assert shapes[f"{prefix}.attn.c_proj.weight"] == (784, 784)
        assert shapes[f"{prefix}.mlp.c_fc.weight"] == (784, 4 * 784)
        assert shapes[f"{prefix}.mlp.c_proj.weight"] == (4 * 784, 784)
    assert f"{len(shapes)} {paper.config.n_head}" == f"{2 + 12 * 12 + 2} 16"
    assert paper.lm_head.weight is paper.transformer.wte.weight
    assert paper.config.activation_function == "gelu"
    assert (paper.config.resid_pdrop, paper.config.embd_pdrop, paper.config.attn_pdrop) == (0, 0, 0)


def test_the_paper_has_24_taps_on_sheets_of_28_by_28():
    small = recipes.named("paper", vocabulary=300, context=8, precision="fp32", batch=48)
    topo = Topography.per_tap(build_model(small, end_of_text=0), PAPER.sheets.taps, seed=PAPER.seed)
    assert topo.taps == [f"transformer.h.{layer}.{kind}" for layer in range(12) for kind in ("attn", "mlp")]
    assert {sheet.shape for sheet in topo.sheets.values()} == {(28, 28)}
    assert (PAPER.objective.alpha, PAPER.objective.neighborhoods) == (2.5, 5)
    assert (PAPER.objective.radius, PAPER.objective.metric) == (5, "chebyshev")


def test_an_update_of_the_paper_sees_983_040_tokens_in_20_micro_batches_of_48():
    assert PAPER.optimisation.batch * PAPER.model.context == 983_040
    assert (PAPER.optimisation.micro_batches, PAPER.optimisation.micro_batch) == (20, 48)


@pytest.mark.parametrize(
    ("update", "rate"),
    [
        (0, 3e-7),
        (999, 3e-4),
        (1999, 6e-4),
        (2000, 6e-4),
        (2000 + 598_000 // 6, 6e-5 + 5.4e-4 * (1 + 3**0.5 / 2) / 2),
        (2000 + 598_000 // 4, 6e-5 + 5.4e-4 * (1 + 0.5**0.5) / 2),
        (2000 + 598_000 // 3, 6e-5 + 5.4e-4 * 0.75),
        (301_000, 3.3e-4),
        (2000 + 598_000 * 2 // 3, 6e-5 + 5.4e-4 * 0.25),
        (600_000, 6e-5),
    ],
)
def test_the_learning_rate_of_the_paper_at_ten_points(update, rate):
    assert learning_rate(update, PAPER) == pytest.approx(rate, rel=1e-5)


def test_the_rest_of_the_published_optimisation():
    how, objective = PAPER.optimisation, PAPER.objective
    assert (how.weight_decay, how.betas, how.clip) == (0.1, (0.9, 0.95), 1.0)
    assert (how.patience, how.precision, PAPER.bookkeeping.validation_fraction) == (3, "bf16", 0.0005)
    assert (how.updates, objective.name, objective.window) == (600_000, "correlation", "open")


def test_the_control_of_the_paper_differs_in_alpha_alone():
    differences = PAPER.differences(recipes.named("paper_control"))
    assert differences == ["name is paper there, but paper_control now", "alpha is 2.5 there, but 0.0 now"]


def test_the_operations_of_a_token_are_those_counted_one_by_one(paper):
    width, layers, context, vocabulary = 784, 12, 1024, 50304
    multiplied = layers * 12 * width**2 + vocabulary * width  # gains and biases are next to nothing
    attention_scores = layers * 2 * 2 * context * width  # queries by keys, weights by values; two operations each
    forward = 2 * multiplied + attention_scores
    assert architecture_of(paper).flops_per_token(paper, context) == pytest.approx(3 * forward, rel=0.002)


@pytest.mark.parametrize("layout", ["per_tap", "bands", "interleaved", "free"])
def test_the_recipe_of_a_subject_names_the_layout_of_its_sheets(recipe, layout):
    subject = new_subject(recipe.changed(layout=layout), None)
    assert recipe_for(subject, recipe).sheets.layout == layout


@pytest.mark.parametrize(
    ("taps_of_sheets", "layout"),
    [((("attn", 0), ("mlp", 0)), "per_tap"), ((("attn", 2), ("mlp", 2)), "bands"), ((("attn", 2), ("mlp", 0)), "free")],
)
def test_several_sheets_have_the_layout_of_each_of_them(taps_of_sheets, layout):
    """A sheet `cortex` with bands for the taps of a kind (2 taps), or a sheet for each of them (0)."""
    recipe, sheets = ARCHITECTURES["gpt2"], {}
    model = build_model(recipe, end_of_text=0)
    for kind, shared in taps_of_sheets:
        topo = Topography.of(model, [f"transformer.h.*.{kind}"], layout="bands" if shared else "per_tap")
        sheets |= {f"{kind}: {name}": sheet for name, sheet in topo.sheets.items()}
    assert recipe_for(Subject(model, Topography(sheets)), recipe).sheets.layout == layout


@pytest.mark.parametrize("objective", ["topoloss", "all_tnn"])
def test_an_objective_on_weights_is_refused_on_the_residual_stream_before_the_training(objective):
    recipe = recipes.named("tiny", alpha=1.0, objective=objective, taps=("transformer.h.*.attn>residual",))
    with pytest.raises(UserError, match=r"h\.0\.attn>residual is a sum .* no input weights: use transformer"):
        check_sheets(recipe)
