"""Bases of taps: what is recorded, weighed and refused, against a recording of the network's own coordinates."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

import toposheet as ts
from toposheet.errors import UserError
from toposheet.topography import tap_widths
from toposheet.topography.bases import checked_bases

IDS = torch.arange(40)[None] % 7 + torch.arange(2)[:, None]
TAPS = ("transformer.h.0.mlp", "transformer.h.1.attn")


def rotation(seed=0, n=36):
    return ortho_group.rvs(n, random_state=seed)


@pytest.fixture
def based(topo):
    """The topography with bases of two of its four taps."""
    return replace(topo, bases={tap: rotation(seed) for seed, tap in enumerate(TAPS)})


def recorded(topo, model, ids=IDS):
    with topo.record(model) as activations:
        logits = model(ids).logits
    return dict(activations), logits


def test_what_is_recorded_are_the_products_with_the_basis_and_the_model_says_the_same(model, topo, based):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    (own, logits), (units, logits_based) = recorded(topo, model), recorded(based, model)
    assert torch.equal(logits, logits_based)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for tap in topo.taps:
        expected = own[tap].detach().double().numpy()
        if tap in TAPS:
            expected = np.einsum("btj,ij->bti", expected, rotation(TAPS.index(tap)))
        np.testing.assert_allclose(units[tap].detach().numpy(), expected, atol=1e-6)
        assert units[tap].dtype == torch.float32


def test_gradients_flow_through_a_basis_also_after_recording_in_inference_mode(model, topo, based):
    with torch.inference_mode():
        recorded(based, model)
    weights = torch.randn(36, generator=torch.Generator().manual_seed(0))
    gradients = []
    for topography, weigh in ((topo, torch.from_numpy(rotation()).float().T @ weights), (based, weights)):
        model.zero_grad()
        (recorded(topography, model)[0][TAPS[0]] @ weigh).sum().backward()
        gradients.append(model.transformer.h[0].mlp.c_proj.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("how", ["weights", "autocast", "double"])
def test_a_tap_of_another_precision_is_rotated_in_at_least_float32(model, topo, based, how):
    if how == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            own, units = recorded(topo, model)[0], recorded(based, model)[0]
    else:
        model.to({"weights": torch.bfloat16, "double": torch.float64}[how])
        own, units = recorded(topo, model)[0], recorded(based, model)[0]
    tap = TAPS[0]
    assert units[tap].dtype == own[tap].dtype != torch.float32
    q = np.float64(np.float32(rotation()))
    exact = torch.from_numpy(own[tap].detach().double().numpy() @ q.T)
    # The exact product, rounded once: products of bfloat16 differ in two of three entries.
    same = (units[tap].detach() == exact.to(own[tap].dtype)).double().mean()
    assert same > 0.99 or how == "double"
    torch.testing.assert_close(
        units[tap].detach().double(), exact, rtol=2**-8 if how != "double" else 1e-12, atol=1e-12
    )


def test_a_basis_is_moved_once_and_shared_by_the_taps_that_share_it(model, topo):
    q = rotation()
    shared = replace(topo, bases=dict.fromkeys(TAPS, q))
    assert shared.bases[TAPS[0]] is shared.bases[TAPS[1]]
    tensors = shared.bases_for(model)
    assert tensors[TAPS[0]] is tensors[TAPS[1]] is shared.bases_for(model)[TAPS[0]]
    again = replace(shared, sheets=topo.sheets)
    assert again.bases[TAPS[0]] is shared.bases[TAPS[0]]


def test_a_basis_is_a_copy_that_cannot_be_written_to(topo):
    q = np.asfortranarray(rotation().astype(np.float32))
    based = replace(topo, bases={TAPS[0]: q})
    kept = q.copy()
    q[:] = 0
    np.testing.assert_array_equal(based.bases[TAPS[0]], kept)
    assert based.bases[TAPS[0]].flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        based.bases[TAPS[0]][0, 0] = 1
    with pytest.raises(TypeError):
        based.bases[TAPS[0]] = q


def test_weights_are_those_that_units_read(model, topo, based):
    """Units are a sum over inputs, plus the rotated bias."""
    seen = {}
    for tap in TAPS:
        model.get_submodule(tap).c_proj.register_forward_hook(lambda m, i, o, tap=tap: seen.update({tap: i[0]}))
    units, own, weights = recorded(based, model)[0], topo.weights(model), based.weights(model)
    for seed, tap in enumerate(TAPS):
        bias = model.get_submodule(tap).c_proj.bias.detach().numpy()
        torch.testing.assert_close(
            seen[tap] @ weights[tap] + torch.from_numpy(rotation(seed) @ bias).float(), units[tap], atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(weights[tap], own[tap] @ torch.from_numpy(rotation(seed)).float().T)
    torch.testing.assert_close(weights["transformer.h.0.attn"], own["transformer.h.0.attn"])
    ts.spatial_loss(weights, based, objective="all_tnn").backward()
    assert model.transformer.h[0].mlp.c_proj.weight.grad.abs().max() > 0


def test_a_topography_says_how_many_taps_have_a_basis(topo, based):
    assert repr(based) == "Topography(144 units of 4 taps on 4 sheets of 6x6 cells 1 mm apart; 2 taps with a basis)"
    assert repr(replace(topo, bases={TAPS[0]: rotation()})).endswith("; 1 tap with a basis)")
    assert "2 taps with a basis" in based._repr_html_()
    assert "basis" not in repr(topo)


def skewed():
    q = rotation()
    q[0] += 1e-3 * q[1]
    return q


@pytest.mark.parametrize(
    ("bases", "message"),
    [
        ({TAPS[0]: skewed()}, r"the basis of transformer\.h\.0\.mlp is not orthogonal: Q Q' differs .* up to 0\.001"),
        ({TAPS[0]: 2 * rotation()}, r"the basis of transformer\.h\.0\.mlp is not orthogonal"),
        ({TAPS[0]: np.full((36, 36), np.nan)}, r"the basis of transformer\.h\.0\.mlp is not orthogonal"),
        ({TAPS[0]: rotation(n=35)}, r"the basis of transformer\.h\.0\.mlp is .* shape \(35, 35\): .*\(36, 36\)"),
        ({TAPS[0]: rotation()[:, :35]}, r"the basis of transformer\.h\.0\.mlp is .* shape \(36, 35\)"),
        ({TAPS[0]: np.eye(36, dtype=np.int64)}, r"the basis of transformer\.h\.0\.mlp is an array of int64"),
        ({TAPS[0]: [[1.0]]}, r"the basis of transformer\.h\.0\.mlp is a list: it must be an orthogonal matrix"),
        (
            {"transformer.h.9.mlp": rotation()},
            r"basis of transformer\.h\.9\.mlp, which has no sheet; taps with sheets: ",
        ),
        ([rotation()], r"bases is a list: it must be a dict"),
    ],
)
def test_what_is_no_basis_of_a_tap_is_refused_by_tap_in_one_line(topo, bases, message):
    with pytest.raises(UserError, match=message) as refused:
        checked_bases(bases, topo.widths)  # a topography calls it; in the tests its types are checked before
    assert "\n" not in str(refused.value)


def test_a_model_of_another_width_is_refused_by_tap_as_it_runs(model, based):
    other = type(model)(type(model.config)(**{**model.config.to_dict(), "n_embd": 16}))
    assert set(tap_widths(other, TAPS).values()) == {16}
    with (
        based.record(other),
        pytest.raises(UserError, match=r"basis of transformer\.h\.0\.mlp is for 36 units, but the"),
    ):
        other(IDS)


@pytest.mark.slow
def test_recording_in_bases_compiles_as_one_graph():
    script = Path(__file__).with_name("compiled_bases.py")  # out of here, where types are checked as code runs
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
