"""Topoformer, against attention that pools its queries while it runs and has an explicit local output."""

import copy
import math

import numpy as np
import pytest
import torch
from transformers import AttentionInterface, GPT2LMHeadModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

import toposheet as ts
from toposheet import recipes
from toposheet.architectures.attention import attention
from toposheet.sheet import Sheet
from toposheet.topography.topoformer import add_topoformer, patches, plain_name, plain_state
from toposheet.train.model import build_model

RADIUS = 2.3
TINY = recipes.named("tiny", heads=1, vocabulary=300)


@pytest.fixture
def plain():
    return build_model(TINY, end_of_text=0).eval()


@pytest.fixture
def topo(plain):
    return ts.Topography.per_tap(plain, seed=3)


@pytest.fixture
def model(plain, topo):
    model = copy.deepcopy(plain)
    add_topoformer(model, topo, RADIUS)
    return model


@pytest.fixture
def ids():
    return torch.randint(300, (3, 20), generator=torch.Generator().manual_seed(0))


def patch_matrix(topo, layer):
    """Return which units are at most RADIUS apart, pair by pair."""
    (places,) = topo.sheets[f"transformer.h.{layer}.attn"].places.values()
    near = [[math.dist(one, other) <= RADIUS for other in places.tolist()] for one in places.tolist()]
    return torch.tensor(near, dtype=torch.float32)


def pooled_attention(matrices):
    """Return an attention function of transformers that pools the queries of each layer with a matrix."""

    def attend(module, query, key, value, attention_mask, **options):
        assert query.shape[1] == 1, "one head"
        pooled = torch.stack([q @ matrices[module.layer_idx].T for q in query[:, 0]])[:, None]
        return sdpa_attention_forward(module, pooled, key, value, attention_mask, **options)

    return attend


def reference_logits(plain, trained, topo, ids):
    """Return the logits of a plain model with trained weights, whose attention is changed while it runs."""
    reference, near = copy.deepcopy(plain), [patch_matrix(topo, layer) for layer in range(2)]
    for layer, block in enumerate(reference.transformer.h):
        constrained = trained.transformer.h[layer]
        block.load_state_dict({plain_name(name): value for name, value in constrained.state_dict().items()})
        local = constrained.attn.c_proj.parametrizations.weight.original.detach().clone()
        for i in range(36):
            for j in range(36):
                local[j, i] = abs(local[j, i]) if near[layer][i, j] else 0.0
        block.attn.c_proj.weight.data = local
    means = [matrix / matrix.sum(dim=1, keepdim=True) for matrix in near]
    AttentionInterface.register("pooled_queries", pooled_attention(means))
    with torch.no_grad(), attention(reference, "pooled_queries"):
        return reference(input_ids=ids).logits


def disturbed(model):
    """Change all trained weights, as training would, so that signs and sizes differ from those at the start."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def test_the_constrained_model_has_the_logits_of_attention_that_pools_while_it_runs(plain, model, topo, ids):
    disturbed(model)
    plain.load_state_dict(plain_state(model, model.state_dict()))  # embeddings and MLPs too
    expected = reference_logits(plain, model, topo, ids)
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, expected, rtol=1e-5, atol=1e-5)


def test_the_plain_state_makes_an_ordinary_model_with_the_same_logits(plain, model, ids):
    disturbed(model)
    plain.load_state_dict(plain_state(model, model.state_dict()))
    assert isinstance(plain, GPT2LMHeadModel)
    assert {plain_name(name) for name in model.state_dict()} == set(plain.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits, model(input_ids=ids).logits, rtol=1e-6, atol=1e-6)


def test_the_state_of_a_model_without_constraints_is_plain_already(plain):
    state = plain.state_dict()
    assert all(plain_state(plain, state)[name] is value for name, value in state.items())


def test_only_queries_and_outputs_of_attention_are_changed(plain, model):
    unchanged = plain_state(model, model.state_dict())
    for name, value in plain.state_dict().items():
        if name.endswith("attn.c_attn.weight"):
            torch.testing.assert_close(unchanged[name][:, 36:], value[:, 36:], rtol=0, atol=0)
            assert not torch.allclose(unchanged[name][:, :36], value[:, :36])
        elif not name.endswith("attn.c_proj.weight"):
            torch.testing.assert_close(unchanged[name], value, rtol=0, atol=0)


def test_patches_are_circles_that_end_at_the_edge_of_the_sheet():
    y, x = np.divmod(np.arange(36), 6)
    topo = ts.Topography({"tap": Sheet((6, 6), {"tap": np.stack([y, x], axis=1)})})
    corner, middle = patches(topo, "tap", 2.0)[[0, 14]].reshape(2, 6, 6).astype(int)
    np.testing.assert_array_equal(corner[:3, :3], [[1, 1, 1], [1, 1, 0], [1, 0, 0]])
    assert corner.sum() == 6
    np.testing.assert_array_equal(
        middle[:5, :5], [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]
    )
    assert middle.sum() == 13


def test_the_constraints_hold_after_steps_with_weight_decay(model, topo, ids):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0.1)
    first = model.transformer.h[1].attn.c_proj.weight.detach().clone()
    for _ in range(5):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for layer, block in enumerate(model.transformer.h):
        outside = patch_matrix(topo, layer).T == 0
        weight = block.attn.c_proj.weight.detach()
        assert (weight[outside] == 0).all()
        assert (weight >= 0).all()
        assert (weight[~outside] > 0).float().mean() > 0.9
    assert not torch.allclose(first, model.transformer.h[1].attn.c_proj.weight)
    assert (model.transformer.h[1].attn.c_proj.parametrizations.weight.original < 0).any()


def test_the_output_has_at_first_about_the_variance_that_it_has_without_constraint():
    sizes = recipes.named("demo", heads=1).changed(layers=2, vocabulary=300)
    plain = build_model(sizes, end_of_text=0)
    model = copy.deepcopy(plain)
    add_topoformer(model, ts.Topography.per_tap(plain), 3.0)
    values = torch.randn((4000, 256), generator=torch.Generator().manual_seed(0))
    for block, without in zip(model.transformer.h, plain.transformer.h, strict=True):
        sd = [(values @ of.attn.c_proj.weight).std(dim=0).detach() for of in (block, without)]
        assert (sd[0] / sd[1]).mean().item() == pytest.approx(1, abs=0.05)
        assert (sd[0] / sd[1]).max() < 1.8


def test_under_autocast_the_pooled_weights_are_those_of_float32(model):
    weight = model.transformer.h[0].attn.c_attn.weight.detach()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model.transformer.h[0].attn.c_attn.weight.detach(), weight, rtol=0, atol=0)


def test_attention_that_is_no_tap_is_refused_by_name(plain):
    topo = ts.Topography.per_tap(plain, taps=["transformer.h.*.mlp", "transformer.h.0.attn"])
    with pytest.raises(ts.UserError, match=r"units of transformer\.h\.1\.attn, but it is not a tap: add it to taps"):
        add_topoformer(plain, topo, RADIUS)


def test_patches_on_a_shared_sheet_hold_units_of_their_own_tap(plain):
    topo = ts.Topography.of(plain, layout="interleaved", seed=0)
    (sheet,) = topo.sheets.values()
    assert sheet.n_units == sheet.shape[0] * sheet.shape[1]  # no cell is empty
    tap = "transformer.h.0.attn"
    places = sheet.places[tap].tolist()
    expected = [[math.dist(one, other) <= 4 for other in places] for one in places]
    np.testing.assert_array_equal(patches(topo, tap, 4.0), expected)
    with pytest.raises(
        ts.UserError, match=r"no other unit of transformer\.h\.0\.attn in its patch: use a larger radius"
    ):
        patches(topo, tap, 1.0)


def test_a_patch_of_one_unit_is_refused(plain):
    topo = ts.Topography.per_tap(plain, shape=(12, 12))
    with pytest.raises(ts.UserError, match=r"mechanism_radius is 1, but transformer\.h\.0\.attn has a unit with"):
        add_topoformer(plain, topo, 1.0)
