"""The reference is autograd in float64, window by window, on the same bfloat16 values."""

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.sheet import Neighborhoods, Sheet, random_places
from toposheet.topography.objectives import tensor_cores

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# A bfloat16 number has 8 digits: rounding it once changes it by 2^-9 at most, about 0.0011 in the root mean square.
ROUNDED_THREE_TIMES = 4e-3


@pytest.fixture(autouse=True)
def any_device(monkeypatch):
    """On a CPU the same code runs, with its products in float32."""
    if DEVICE == "cpu":
        monkeypatch.setattr(tensor_cores, "can_compute", lambda taps: all(x.dtype == torch.bfloat16 for x in taps))
    real, calls = tensor_cores.moments_of_sheet, []
    monkeypatch.setattr(tensor_cores, "moments_of_sheet", lambda *a: calls.append(1) or real(*a))
    yield
    assert calls, "the module under test did not run"


def responses(topo, n_tokens=600, ratio=0.0, seed=0):
    """Responses in which units share some variance; `ratio` is the size of the means relative to the deviations."""
    rng, activations = np.random.default_rng(seed), {}
    for tap, width in topo.widths.items():
        shared = rng.normal(size=(n_tokens, 4)) @ rng.normal(size=(4, width)) / 2
        x = shared + rng.normal(size=(n_tokens, width)) + ratio * rng.normal(size=width)
        activations[tap] = torch.from_numpy(x)[None].to(DEVICE, torch.bfloat16).requires_grad_()
    return activations


def reference(activations, topo, tokens=None, centred=True):
    exact = {tap: x.detach().double().requires_grad_() for tap, x in activations.items()}
    total = 0
    for sheet in topo.sheets.values():
        x = torch.cat([exact[tap].flatten(0, 1) for tap in sheet.places], dim=1)
        x = x if tokens is None else x[tokens]
        table = Neighborhoods.of(sheet, 3)
        nearness = torch.from_numpy(table.nearness).to(DEVICE)
        i, j = torch.triu_indices(len(nearness), len(nearness), 1)
        losses = []
        for units in torch.from_numpy(table.units.copy()).to(DEVICE):
            y = x[:, units]
            if centred:
                r = torch.corrcoef(y.T)[i, j]
                losses.append((1 - torch.corrcoef(torch.stack([r, nearness[i, j]]))[0, 1]) / 2)
            else:
                y = y / y.norm(dim=0)
                losses.append(((y.T @ y)[i, j] - nearness[i, j]).square().mean())
        total = total + len(sheet.places) * torch.stack(losses).mean()
    gradients = torch.autograd.grad(total, list(exact.values()))
    return total.item(), gradients


def close(gradients, exact):
    return all(
        ((a.double() - b).norm() / b.norm()).item() < ROUNDED_THREE_TIMES for a, b in zip(gradients, exact, strict=True)
    )


def topography(shape=(8, 9), n_taps=1, n_sheets=1):
    rng, sheets = np.random.default_rng(1), {}
    for sheet in range(n_sheets):
        places = np.split(random_places(shape[0] * shape[1], shape, rng), n_taps)
        sheets[f"sheet{sheet}"] = Sheet(shape, {f"sheet{sheet}.tap{tap}": places[tap] for tap in range(n_taps)})
    return ts.Topography(sheets)


@pytest.mark.parametrize("ratio", [0.0, 10.0, 100.0])
@pytest.mark.parametrize("n_taps", [1, 3])
def test_loss_and_gradient_equal_those_of_float64_whatever_the_means(ratio, n_taps):
    topo = topography(n_taps=n_taps)
    activations = responses(topo, ratio=ratio)
    loss = ts.spatial_loss(activations, topo, "all", 3)
    value, exact = reference(activations, topo)
    assert loss.item() == pytest.approx(value, abs=1e-5 * n_taps)  # the loss of the sheet counts once for each tap
    assert close(torch.autograd.grad(loss, list(activations.values())), exact)


def test_the_result_does_not_depend_on_the_size_of_chunks(monkeypatch):
    topo = topography(n_sheets=2)
    activations = responses(topo, ratio=3.0)
    monkeypatch.setattr(tensor_cores, "_ELEMENTS", 97 * 80)
    loss = ts.spatial_loss(activations, topo, "all", 3)
    value, exact = reference(activations, topo)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert close(torch.autograd.grad(loss, list(activations.values())), exact)


def test_drawn_tokens_alone_count_and_get_a_gradient(monkeypatch):
    topo = topography()
    monkeypatch.setattr(tensor_cores, "_ELEMENTS", 97 * 80)
    activations = responses(topo, ratio=3.0)
    statistics, tokens = ts.SpatialStatistics(topo, "all", 3), torch.arange(5, 600, 2).to(DEVICE)
    statistics.add(activations, tokens)
    loss = sum(statistics.losses(activations, tokens).values())
    value, exact = reference(activations, topo, tokens)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, list(activations.values()))
    assert close([gradient], exact)
    assert not gradient[0, 0].any()


def test_micro_batches_with_other_means_make_the_loss_of_the_batch():
    topo = topography()
    parts = [responses(topo, 300, 3.0, seed=0), responses(topo, 500, 3.0, seed=1)]
    statistics = ts.SpatialStatistics(topo, "all", 3)
    for part in parts:
        statistics.add(part)
    losses = [sum(statistics.losses(part).values()) for part in parts]
    (tap,) = topo.taps
    value, exact = reference({tap: torch.cat([part[tap].detach() for part in parts], dim=1)}, topo)
    assert losses[0].item() == losses[1].item() == pytest.approx(value, abs=1e-5)
    gradients = [torch.autograd.grad(loss, part[tap])[0] for loss, part in zip(losses, parts, strict=True)]
    assert close([torch.cat(gradients, dim=1)], exact)


def test_the_objective_on_cosines_takes_no_mean_away():
    topo = topography()
    activations = responses(topo, ratio=1.0)
    loss = ts.spatial_loss(activations, topo, "all", 3, objective="squared_difference")
    value, exact = reference(activations, topo, centred=False)
    assert loss.item() == pytest.approx(value, abs=1e-5)
    assert close(torch.autograd.grad(loss, list(activations.values())), exact)


def test_a_silent_unit_has_no_gradient():
    topo = topography()
    activations = responses(topo, ratio=10.0)
    (tap,) = topo.taps
    with torch.no_grad():
        activations[tap][..., 7] = 3.3
    (gradient,) = torch.autograd.grad(ts.spatial_loss(activations, topo, "all", 3), activations[tap])
    assert gradient.isfinite().all()
    assert not gradient[..., 7].any()


def test_tokens_that_are_left_out_change_nothing():
    topo = topography()
    activations, first = responses(topo, n_tokens=4096), slice(None, None, 16)
    (x,) = activations.values()
    tokens = torch.arange(4096).view(-1, 16)[:, 1:].flatten().to(DEVICE)
    losses = []
    for outlier in (1.0, 3000.0):  # the first token of each text is an attention sink
        with torch.no_grad():
            x[:, first] *= outlier
        statistics = ts.SpatialStatistics(topo, "all", 3)
        statistics.add(activations, tokens)
        losses.append(sum(statistics.losses(activations, tokens).values()).item())
    assert losses[1] == losses[0]
