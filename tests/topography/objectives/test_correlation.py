import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toposheet as ts
from toposheet.sheet import Sheet, random_places
from toposheet.topography.objectives import covariance


def numpy_loss(x, places, metric):
    """(1 - corr(r, d)) / 2 in float64, pair by pair."""
    r, d = [], []
    for i in range(len(places)):
        for j in range(i):
            r.append(np.corrcoef(x[:, i], x[:, j])[0, 1])
            step = np.abs(places[i] - places[j])
            d.append(1 / (1 + (step.max() if metric == "chebyshev" else np.sqrt((step**2).sum()))))
    return (1 - np.corrcoef(r, d)[0, 1]) / 2


def torch64_loss(x, places, metric):
    """The same with an autograd of its own, for gradients."""
    step = (places[:, None] - places[None]).abs().double()
    distance = step.amax(-1) if metric == "chebyshev" else (step**2).sum(-1).sqrt()
    i, j = torch.triu_indices(len(places), len(places), 1)
    return (1 - torch.corrcoef(torch.stack([torch.corrcoef(x.T)[i, j], (1 / (1 + distance))[i, j]]))[0, 1]) / 2


def one_tap(shape, n_units=None, seed=0):
    n_units = n_units or shape[0] * shape[1]
    places = random_places(n_units, shape, np.random.default_rng(seed))
    return ts.Topography({"tap": Sheet(shape, {"tap": places})})


METRICS = pytest.mark.parametrize("metric", ["chebyshev", "euclidean"])


@METRICS
def test_one_neighborhood_equals_the_formula(metric, rng):
    x, places = rng.normal(size=(50, 12)) * 3 + 10, random_places(12, (4, 4), rng)
    x = x.astype(np.float32)
    value = ts.spatial_correlation_loss(torch.from_numpy(x), torch.from_numpy(places), metric)
    assert value.item() == pytest.approx(numpy_loss(x.astype(float), places, metric), abs=1e-6)


@METRICS
def test_the_gradient_equals_that_of_float64(metric, rng):
    x = torch.from_numpy(rng.normal(size=(30, 9)) * 2 + 1)
    places = torch.from_numpy(random_places(9, (3, 3), rng))
    exact, ours = x.clone().requires_grad_(), x.float().requires_grad_()
    torch64_loss(exact, places, metric).backward()
    ts.spatial_correlation_loss(ours, places, metric).backward()
    assert exact.grad is not None
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0, atol=1e-5 * exact.grad.abs().max().item())


@METRICS
@pytest.mark.parametrize("window", ["open", "closed"])
@pytest.mark.parametrize(("shape", "n_units"), [((6, 6), 36), ((4, 9), 36), ((6, 7), 30), ((2, 3), 6)])
def test_all_windows_are_the_mean_of_each(metric, window, shape, n_units, rng):
    topo = one_tap(shape, n_units)
    places = topo.sheets["tap"].coordinates
    x = rng.normal(size=(2, 20, n_units)).astype(np.float32)
    side = 3 if window == "open" else 5
    height, width = min(side, shape[0]), min(side, shape[1])
    values = []
    for top in range(shape[0] - height + 1):
        for left in range(shape[1] - width + 1):
            inside = [u for u, (y, z) in enumerate(places) if top <= y < top + height and left <= z < left + width]
            if len(inside) >= 3:
                values.append(numpy_loss(x.reshape(40, -1)[:, inside].astype(float), places[inside], metric))
    ours = ts.spatial_loss({"tap": torch.from_numpy(x)}, topo, "all", radius=2, metric=metric, window=window)
    assert ours.item() == pytest.approx(np.mean(values), abs=1e-6)


def test_sampled_windows_are_unbiased_and_come_from_the_generator(rng):
    topo = one_tap((6, 6))
    activations = {"tap": torch.from_numpy(rng.normal(size=(1, 40, 36)).astype(np.float32))}
    generator = torch.Generator().manual_seed(0)
    draws = [ts.spatial_loss(activations, topo, 5, radius=2, generator=generator).item() for _ in range(400)]
    exact = ts.spatial_loss(activations, topo, "all", radius=2).item()
    assert np.mean(draws) == pytest.approx(exact, abs=float(4 * np.std(draws) / 20))
    again = ts.spatial_loss(activations, topo, 5, radius=2, generator=torch.Generator().manual_seed(0)).item()
    assert again == draws[0]


def test_sampled_gradients_equal_those_of_the_windows_drawn(rng):
    topo = one_tap((3, 4))  # a sheet that is one window: whatever is drawn, it is this one
    x = torch.from_numpy(rng.normal(size=(25, 12)).astype(np.float32)).requires_grad_()
    places = torch.from_numpy(topo.sheets["tap"].coordinates)
    (sampled,) = torch.autograd.grad(ts.spatial_loss({"tap": x[None]}, topo, 5), x)
    (direct,) = torch.autograd.grad(ts.spatial_correlation_loss(x, places), x)
    torch.testing.assert_close(sampled, direct, rtol=1e-4, atol=1e-7)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.1, 30), st.floats(-50, 50))
def test_gain_and_offset_of_units_and_moves_of_the_sheet_change_nothing(seed, gain, offset):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.normal(size=(40, 9)))
    places = torch.from_numpy(random_places(9, (4, 4), rng))
    value = ts.spatial_correlation_loss(x, places).item()
    moved = torch.stack([places[:, 1] + 7, -places[:, 0] - 3], dim=1)
    order = torch.from_numpy(rng.permutation(9))
    assert ts.spatial_correlation_loss(x * gain + offset, places).item() == pytest.approx(value, abs=1e-5)
    assert ts.spatial_correlation_loss(x, moved).item() == pytest.approx(value, abs=1e-6)
    assert ts.spatial_correlation_loss(x[:, order], places[order]).item() == pytest.approx(value, abs=1e-6)


def test_smooth_responses_have_less_loss_than_their_shuffle_and_noise_has_half(rng):
    topo = one_tap((8, 8))
    from toposheet.stats import gaussian_readout

    smooth = gaussian_readout(rng.normal(size=(500, 8, 8)), 4.0)
    y, x = topo.sheets["tap"].coordinates.T
    placed = torch.from_numpy(smooth[:, y, x].astype(np.float32))[None]
    shuffled = placed[..., torch.from_numpy(rng.permutation(64))]
    assert ts.spatial_loss({"tap": placed}, topo, "all").item() < 0.1
    assert 0.4 < ts.spatial_loss({"tap": shuffled}, topo, "all").item() < 0.6


def test_the_loss_is_the_sum_over_sheets(model, topo):
    with topo.record(model) as activations:
        model(torch.arange(40)[None])
    each = ts.spatial_losses(activations, topo, "all", radius=2)
    assert list(each) == topo.taps
    assert ts.spatial_loss(activations, topo, "all", radius=2).item() == pytest.approx(
        sum(v.item() for v in each.values())
    )


def test_several_taps_on_one_sheet_share_its_windows(rng):
    places = random_places(36, (6, 6), rng)
    shared = ts.Topography({"cortex": Sheet((6, 6), {"a": places[:20], "b": places[20:]})})
    whole = ts.Topography({"tap": Sheet((6, 6), {"tap": places})})
    x = torch.from_numpy(rng.normal(size=(1, 30, 36)).astype(np.float32))
    together = ts.spatial_loss({"a": x[..., :20], "b": x[..., 20:]}, shared, "all", radius=2)
    torch.testing.assert_close(together, ts.spatial_loss({"tap": x}, whole, "all", radius=2))


def test_silent_units_and_single_tokens_are_finite(rng):
    topo = one_tap((3, 3))
    x = torch.from_numpy(rng.normal(size=(1, 20, 9)).astype(np.float32))
    x[..., 4] = 0.1
    for case in (x, x[:, :1], torch.zeros_like(x)):
        leaf = case.clone().requires_grad_()
        loss = ts.spatial_loss({"tap": leaf}, topo)
        loss.backward()
        assert leaf.grad is not None
        assert loss.isfinite()
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() < 10


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_outlier_units_of_low_precision_are_correct_to_a_thousandth(dtype, rng):
    # Units of real language models can have means a thousand times their spread.
    topo = one_tap((5, 5))
    x = rng.normal(size=(400, 25))
    x[:, ::3] += 1000
    x = torch.from_numpy(x).to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    places = torch.from_numpy(topo.sheets["tap"].coordinates)
    ours, theirs = ts.spatial_loss({"tap": x[None]}, topo), torch64_loss(exact, places, "chebyshev")
    ours.backward()
    theirs.backward()
    assert x.grad is not None
    assert exact.grad is not None
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-3)
    tolerance = {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float32: 1e-3}[dtype]  # of the gradient's own digits
    torch.testing.assert_close(x.grad.double(), exact.grad, rtol=0, atol=tolerance * exact.grad.abs().max().item())


def test_tokens_worked_through_in_chunks_give_the_sum_of_all(rng, monkeypatch):
    topo = one_tap((6, 6))
    x = torch.from_numpy(rng.normal(size=(1, 100, 36)).astype(np.float32)).requires_grad_()

    def value_and_gradient():
        loss = ts.spatial_loss({"tap": x}, topo, radius=2, generator=torch.Generator().manual_seed(0))
        return loss.item(), torch.autograd.grad(loss, x)[0]

    whole, whole_gradient = value_and_gradient()
    monkeypatch.setitem(covariance._CHUNK, "cpu", 7)
    parts, parts_gradient = value_and_gradient()
    assert parts == pytest.approx(whole, abs=1e-6)
    torch.testing.assert_close(parts_gradient, whole_gradient, rtol=1e-4, atol=1e-8)


def test_autocast_changes_nothing(rng):
    topo = one_tap((4, 4))
    x = torch.from_numpy(rng.normal(size=(1, 64, 16)).astype(np.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ts.spatial_loss({"tap": x}, topo, "all")
    assert inside.item() == ts.spatial_loss({"tap": x}, topo, "all").item()


def test_wrong_input_is_refused_by_name():
    topo = one_tap((3, 3))
    x = torch.zeros(1, 5, 9)
    with pytest.raises(ValueError, match="no activations of the tap tap"):
        ts.spatial_loss({"other": x}, topo)
    with pytest.raises(ValueError, match="tap have 8 units, its sheet 9"):
        ts.spatial_loss({"tap": x[..., :8]}, topo)
    with pytest.raises(ValueError, match="neighborhoods is 0"):
        ts.spatial_loss({"tap": x}, topo, 0)
    with pytest.raises(ValueError, match="radius is -1"):
        ts.spatial_loss({"tap": x}, topo, radius=-1)
    with pytest.raises(ValueError, match="4 places for 9 units"):
        ts.spatial_correlation_loss(x[0], torch.zeros(4, 2, dtype=torch.long))
