import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toposheet as ts
from toposheet.sheet import Sheet, distances, one_sheet, random_places
from toposheet.topography import OBJECTIVES
from toposheet.topography.objectives import moments


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


def windows_of(sheet, side):
    """The units of every window that lies on the sheet, counted cell by cell."""
    height, width = (min(side, cells) for cells in sheet.shape)
    for top in range(sheet.shape[0] - height + 1):
        for left in range(sheet.shape[1] - width + 1):
            y, x = sheet.coordinates.T - np.array([[top], [left]])
            inside = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
            if len(inside) >= 3:
                yield inside


@METRICS
@pytest.mark.parametrize("window", ["open", "closed"])
@pytest.mark.parametrize("neighborhoods", ["all", 7])
@pytest.mark.parametrize(("shape", "n_units"), [((6, 6), 36), ((4, 9), 36), ((6, 7), 30)])
def test_values_and_gradients_of_windows_equal_float64(metric, window, neighborhoods, shape, n_units, rng):
    topo = one_tap(shape, n_units)
    sheet = topo.sheets["tap"]
    x = torch.from_numpy(rng.normal(size=(40, n_units)) * 3 + rng.normal(size=n_units) * 10).float()
    windows = list(windows_of(sheet, 3 if window == "open" else 5))
    if neighborhoods == 7:
        drawn = torch.randint(len(windows), (7,), generator=torch.Generator().manual_seed(4))
        windows = [windows[i] for i in drawn]
    exact, ours = x.double().requires_grad_(), x.clone().requires_grad_()
    places = torch.from_numpy(sheet.coordinates)
    expected = torch.stack([torch64_loss(exact[:, w], places[w], metric) for w in windows]).mean()
    value = ts.spatial_loss(
        {"tap": ours[None]}, topo, neighborhoods, 2, metric, window, torch.Generator().manual_seed(4)
    )
    expected.backward()
    value.backward()
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert exact.grad is not None
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0, atol=1e-5 * exact.grad.abs().max().item())


def test_more_windows_than_fit_a_block_equal_float64(rng):
    topo = one_tap((24, 24))
    sheet = topo.sheets["tap"]
    x = torch.from_numpy(rng.normal(size=(30, 576))).float()
    windows = list(windows_of(sheet, 3))
    drawn = torch.randint(len(windows), (150,), generator=torch.Generator().manual_seed(4))
    exact, ours = x.double().requires_grad_(), x.clone().requires_grad_()
    places = torch.from_numpy(sheet.coordinates)
    chosen = [windows[i] for i in drawn]
    torch.stack([torch64_loss(exact[:, w], places[w], "chebyshev") for w in chosen]).mean().backward()
    ts.spatial_loss({"tap": ours[None]}, topo, 150, 2, generator=torch.Generator().manual_seed(4)).backward()
    assert exact.grad is not None
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0, atol=1e-5 * exact.grad.abs().max().item())


def test_sheets_of_any_shapes_are_worked_through_together_and_alone_alike(rng):
    shapes = {"a": (9, 9), "b": (9, 9), "c": (4, 20), "d": (9, 9), "e": (9, 10)}
    places = {tap: random_places(80, shape, rng) for tap, shape in shapes.items()}
    sheets = {tap: Sheet(shapes[tap], {tap: places[tap]}) for tap in shapes}
    x = {tap: torch.from_numpy(rng.normal(size=(2, 15, 80)) + 5).float().requires_grad_() for tap in shapes}
    together = ts.spatial_losses(x, ts.Topography(sheets), 3, 3, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(torch.stack(list(together.values())).sum(), list(x.values()))
    generator = torch.Generator().manual_seed(0)
    for (tap, loss), gradient in zip(together.items(), gradients, strict=True):
        alone = ts.spatial_loss({tap: x[tap]}, ts.Topography({tap: sheets[tap]}), 3, 3, generator=generator)
        assert loss.item() == pytest.approx(alone.item(), abs=1e-6)
        torch.testing.assert_close(gradient, torch.autograd.grad(alone, x[tap])[0], rtol=1e-4, atol=1e-7)


def test_the_parts_of_a_batch_share_the_loss_and_the_gradient_of_the_whole(rng):
    places = random_places(70, (8, 9), rng)
    topo = ts.Topography({"cortex": Sheet((8, 9), {"a": places[:40], "b": places[40:]})})
    x = {tap: torch.from_numpy(rng.normal(size=(50, 1, n)) + 30).float() for tap, n in (("a", 40), ("b", 30))}
    for neighborhoods in ("all", 5):
        whole = {tap: value.clone().requires_grad_() for tap, value in x.items()}
        generator = torch.Generator().manual_seed(2)
        exact = ts.spatial_loss(whole, topo, neighborhoods, 3, generator=generator)
        exact.backward()
        statistics = ts.SpatialStatistics(topo, neighborhoods, 3, generator=torch.Generator().manual_seed(2))
        parts = [
            {tap: value[cut].requires_grad_() for tap, value in x.items()}
            for cut in (slice(1), slice(1, 30), slice(30, 50))
        ]
        for part in parts:
            statistics.add(part)
        for part in parts:
            value = 2 * statistics.losses(part)["cortex"]  # once for each tap
            assert value.item() == pytest.approx(exact.item(), abs=1e-6)
            value.backward()
        for tap, value in whole.items():
            joined = torch.cat([part[tap].grad for part in parts])
            torch.testing.assert_close(joined, value.grad, rtol=0, atol=1e-5 * value.grad.abs().max().item())


def test_parts_are_added_before_losses_are_asked_for():
    topo = one_tap((3, 3))
    x = {"tap": torch.randn(1, 20, 9)}
    statistics = ts.SpatialStatistics(topo)
    with pytest.raises(ValueError, match="no activations of 20 tokens were added"):
        statistics.losses(x)
    statistics.add(x)
    statistics.losses(x)
    with pytest.raises(ValueError, match="nothing can be added: add all parts first"):
        statistics.add(x)


def test_max_samples_draws_tokens_uniformly_and_looks_at_no_others(rng):
    topo = one_tap((3, 3))
    x = torch.from_numpy(rng.normal(size=(4, 15, 9))).float().requires_grad_()
    seen = torch.zeros(60)
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        loss = ts.spatial_loss({"tap": x}, topo, generator=generator, max_samples=20)
        (gradient,) = torch.autograd.grad(loss, x)
        tokens = gradient.flatten(0, 1).abs().sum(dim=1) > 0
        assert tokens.sum() == 20
        alone = ts.spatial_loss({"tap": x.flatten(0, 1)[None, tokens]}, topo)
        assert loss.item() == pytest.approx(alone.item(), abs=1e-6)
        (gradient_alone,) = torch.autograd.grad(alone, x)
        torch.testing.assert_close(gradient, gradient_alone, rtol=1e-4, atol=1e-7)
        seen += tokens
    # 300 draws of a third: binomial, mean 100, sd 8.2.
    assert (seen - 100).abs().max() < 4.5 * 8.2
    assert ts.spatial_loss({"tap": x}, topo, max_samples=60).item() == ts.spatial_loss({"tap": x}, topo).item()


def test_the_first_token_of_each_text_can_be_left_out_also_where_tokens_are_drawn(rng):
    topo = one_tap((3, 3))
    x = torch.from_numpy(rng.normal(size=(4, 15, 9))).float()
    x[:, 0] *= 1e4
    x.requires_grad_()
    rest = ts.spatial_loss({"tap": x[:, 1:]}, topo)
    loss = ts.spatial_loss({"tap": x}, topo, skip_first=True)
    assert loss.item() == pytest.approx(rest.item(), abs=1e-6)
    assert abs(ts.spatial_loss({"tap": x}, topo).item() - rest.item()) > 0.01
    gradients = [torch.autograd.grad(one, x)[0] for one in (loss, rest)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)
    drawn = ts.spatial_loss({"tap": x}, topo, max_samples=20, skip_first=True)
    tokens = torch.autograd.grad(drawn, x)[0].abs().sum(dim=2) > 0
    assert tokens.sum() == 20
    assert not tokens[:, 0].any()


def test_auto_looks_at_all_windows_of_small_sheets_and_draws_from_large_ones(rng):
    for shape, exact in (((6, 6), True), ((20, 20), False)):
        topo = one_tap(shape)
        x = {"tap": torch.from_numpy(rng.normal(size=(1, 30, shape[0] * shape[1]))).float()}
        values = [ts.spatial_loss(x, topo, "auto", 3, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]
        assert (values[0] == values[1]).item() == exact
        assert (values[0] == ts.spatial_loss(x, topo, "all", 3)).item() == exact


def test_tables_are_built_once(rng, monkeypatch):
    from toposheet.topography.objectives import windows

    topo, x = one_tap((7, 7)), {"tap": torch.from_numpy(rng.normal(size=(1, 30, 49))).float()}
    built = []
    of = windows.Neighborhoods.of
    monkeypatch.setattr(windows.Neighborhoods, "of", lambda *a: built.append(a) or of(*a))
    for _ in range(3):
        ts.spatial_loss(x, topo)
    assert len(built) == 1


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


def test_the_loss_is_the_sum_over_taps(model, topo):
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
    for of_shared, of_whole in (("all", "all"), (2, 4)):  # a sheet has 2 windows for each of its taps
        losses = []
        parts = ((shared, of_shared, {"a": x[..., :20], "b": x[..., 20:]}), (whole, of_whole, {"tap": x}))
        for topo, neighborhoods, activations in parts:
            leaves = {tap: value.clone().requires_grad_() for tap, value in activations.items()}
            loss = ts.spatial_loss(leaves, topo, neighborhoods, 2, generator=torch.Generator().manual_seed(0))
            gradient = torch.cat(torch.autograd.grad(loss, list(leaves.values())), dim=-1)
            losses.append((loss / len(topo.taps), gradient / len(topo.taps)))  # it counts once for each tap
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-8)


def test_windows_in_parts_have_the_losses_and_gradients_of_all_together(rng, monkeypatch):
    sheet = one_sheet({"a": 200, "b": 100}, "bands", None, 1.0, rng)
    x = {
        tap: torch.from_numpy(rng.normal(size=(1, 600, n)).astype(np.float32))
        for tap, n in {"a": 200, "b": 100}.items()
    }

    def measured(neighborhoods):
        leaves = {tap: value.clone().requires_grad_() for tap, value in x.items()}
        generator = torch.Generator().manual_seed(0)
        loss = ts.spatial_loss(leaves, ts.Topography({"cortex": sheet}), neighborhoods, 2, generator=generator)
        return loss, *torch.autograd.grad(loss, list(leaves.values()))

    expected = [measured(neighborhoods) for neighborhoods in (30, "all")]
    monkeypatch.setattr(moments, "_RESPONSES", {"cpu": 7 * 9 * 512})  # 7 windows at a time
    for neighborhoods, wanted in zip((30, "all"), expected, strict=True):
        torch.testing.assert_close(measured(neighborhoods), wanted, rtol=1e-5, atol=1e-8)


def test_a_loss_that_is_only_measured_keeps_no_gradient_and_can_be_learned_from_later(rng):
    topo = ts.Topography({"s": Sheet((6, 6), {"tap": random_places(36, (6, 6), rng)})})
    x = torch.from_numpy(rng.normal(size=(1, 30, 36)).astype(np.float32))
    statistics = ts.SpatialStatistics(topo, "all", 2)
    statistics.add({"tap": x})
    with torch.no_grad():
        measured = statistics.losses({"tap": x})["s"]
    leaf = x.clone().requires_grad_()
    learned = statistics.losses({"tap": leaf})["s"]
    assert learned.item() == measured.item()
    other = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(ts.spatial_loss({"tap": other}, topo, "all", 2), other)
    torch.testing.assert_close(torch.autograd.grad(learned, leaf)[0], expected)


@pytest.mark.parametrize("max_samples", [None, 800])
def test_sheets_that_are_computed_together_have_the_losses_and_gradients_of_each_alone(max_samples, rng):
    widths = {"one": (20, 16), "two": (20, 16), "other": (10, 26), "tap": (36,), "tap2": (36,), "wide": (49,)}
    sheets, x = {}, {}
    for name, of_taps in widths.items():
        side = 6 if sum(of_taps) == 36 else 7
        places = np.split(random_places(side**2, (side, side), rng), np.cumsum(of_taps)[:-1])
        sheets[name] = Sheet((side, side), {f"{name}.{n}": at for n, at in enumerate(places)})
        x |= {f"{name}.{n}": torch.from_numpy(rng.normal(size=(1, 900, w)) + n).float() for n, w in enumerate(of_taps)}

    def losses_and_gradients(sheets):
        leaves = {tap: x[tap].clone().requires_grad_() for sheet in sheets.values() for tap in sheet.places}
        generator = torch.Generator().manual_seed(0)  # of the tokens
        losses = ts.spatial_losses(
            leaves, ts.Topography(sheets), "all", 3, generator=generator, max_samples=max_samples
        )
        gradients = torch.autograd.grad(sum(losses.values()), list(leaves.values()))
        return losses, dict(zip(leaves, gradients, strict=True))

    together, gradients = losses_and_gradients(sheets)
    for name, sheet in sheets.items():
        loss, alone = losses_and_gradients({name: sheet})
        assert together[name].item() == pytest.approx(loss[name].item(), abs=1e-6)
        for tap, gradient in alone.items():
            torch.testing.assert_close(gradients[tap], gradient, rtol=1e-4, atol=1e-8)


def test_silent_units_and_single_tokens_are_finite(rng):
    topo = one_tap((3, 3))
    x = torch.from_numpy(rng.normal(size=(1, 20, 9)).astype(np.float32))
    x[..., 4] = 0.1
    whisper = x.clone()
    whisper[..., 4] = 0
    whisper[0, 7, 4] = 1e-10
    # A silent unit; one token; all silent; all units alike, so that correlations have no spread; a unit next to silent.
    for case in (x, x[:, :1], torch.zeros_like(x), x[..., :1].expand_as(x), whisper):
        leaf = case.clone().requires_grad_()
        loss = ts.spatial_loss({"tap": leaf}, topo)
        loss.backward()
        assert leaf.grad is not None
        assert loss.isfinite()
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() < 10


def test_a_giant_unit_silences_no_units_of_windows_with_holes_in_which_it_is_not(rng):
    topo = one_tap((6, 6), 30)
    places = torch.from_numpy(topo.sheets["tap"].coordinates)
    x = torch.from_numpy(rng.normal(size=(40, 30))).float()
    x[:, 0] *= 1e6  # holes have the number of unit 0
    windows = list(windows_of(topo.sheets["tap"], 3))
    exact, ours = x.double().requires_grad_(), x.clone().requires_grad_()
    torch.stack([torch64_loss(exact[:, w], places[w], "chebyshev") for w in windows]).mean().backward()
    ts.spatial_loss({"tap": ours[None]}, topo, "all", 2).backward()
    units = sorted(set(range(30)) - {int(unit) for w in windows if 0 in w for unit in w})
    assert len(units) > 5
    assert exact.grad is not None
    assert ours.grad is not None
    largest = exact.grad[:, units].abs().max().item()
    torch.testing.assert_close(ours.grad[:, units].double(), exact.grad[:, units], rtol=0, atol=1e-4 * largest)


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
    monkeypatch.setitem(moments._CHUNK, "cpu", 7)
    parts, parts_gradient = value_and_gradient()
    assert parts == pytest.approx(whole, abs=1e-6)
    torch.testing.assert_close(parts_gradient, whole_gradient, rtol=1e-4, atol=1e-8)


def test_nothing_waits_for_the_device_and_nothing_is_looked_at_on_the_way():
    # On the device "meta" there are no values: whoever asks for one gets an error.
    places = random_places(144, (12, 12), np.random.default_rng(0))
    topo = ts.Topography({tap: Sheet((12, 12), {tap: places}) for tap in "ab"})
    for objective in OBJECTIVES:
        x = {tap: torch.empty(4, 300, 144, device="meta", dtype=torch.bfloat16, requires_grad=True) for tap in "ab"}
        for neighborhoods in (5, "all"):
            for max_samples in (None, 100):
                generator = torch.Generator().manual_seed(0)
                loss = ts.spatial_loss(
                    x, topo, neighborhoods, generator=generator, objective=objective, max_samples=max_samples
                )
                loss.backward()
        assert x["b"].grad.shape == (4, 300, 144)


def test_the_gradient_has_no_gradient_and_says_so(rng):
    topo = one_tap((3, 3))
    x = torch.from_numpy(rng.normal(size=(1, 20, 9))).float().requires_grad_()
    (gradient,) = torch.autograd.grad(ts.spatial_loss({"tap": x}, topo), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"grad_fn|once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize(("shape", "radius"), [((4, 4), 5), ((12, 12), 2)])
def test_autocast_changes_nothing(shape, radius, rng):
    topo = one_tap(shape)
    x = torch.from_numpy(rng.normal(size=(1, 64, shape[0] * shape[1])).astype(np.float32)).requires_grad_()

    def value_and_gradient():
        loss = ts.spatial_loss({"tap": x}, topo, radius=radius, generator=torch.Generator().manual_seed(0))
        return loss, torch.autograd.grad(loss, x)[0]

    value, gradient = value_and_gradient()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, gradient_inside = value_and_gradient()
    assert inside.item() == value.item()
    assert torch.equal(gradient_inside, gradient)


def test_wrong_input_is_refused_by_name():
    topo = one_tap((3, 3))
    x = torch.zeros(1, 5, 9)
    with pytest.raises(ValueError, match="no activations of the tap tap"):
        ts.spatial_loss({"other": x}, topo)
    with pytest.raises(ValueError, match="tap have 8 units, but its sheet has 9"):
        ts.spatial_loss({"tap": x[..., :8]}, topo)
    two = ts.Topography({tap: Sheet((3, 3), {tap: random_places(9, (3, 3), np.random.default_rng(0))}) for tap in "ab"})
    with pytest.raises(ValueError, match="taps have different numbers of tokens"):
        ts.spatial_loss({"a": x, "b": x[:, 1:]}, two)
    with pytest.raises(ValueError, match="neighborhoods is 0"):
        ts.spatial_loss({"tap": x}, topo, 0)
    with pytest.raises(ValueError, match="radius is -1"):
        ts.spatial_loss({"tap": x}, topo, radius=-1)
    with pytest.raises(ValueError, match="metric is 'cityblock': it must be"):
        distances(np.zeros((2, 2), dtype=int), "cityblock")
    with pytest.raises(
        ValueError, match=r"there is no objective 'moran'\. Choose from: all_tnn, correlation, shuffled"
    ):
        ts.spatial_loss({"tap": x}, topo, objective="moran")
    with pytest.raises(ValueError, match="reduce is 'global', but there is no process group"):
        ts.spatial_loss({"tap": x}, topo, reduce="global")
    with pytest.raises(ValueError, match="max_samples is 1"):
        ts.spatial_loss({"tap": x}, topo, max_samples=1)
    with pytest.raises(ValueError, match="4 places for 9 units"):
        ts.spatial_correlation_loss(x[0], torch.zeros(4, 2, dtype=torch.long))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nan_and_inf_are_refused_by_tap_wherever_they_are(value, dtype, rng):
    places = random_places(400, (20, 20), rng)
    topo = ts.Topography({"cortex": Sheet((20, 20), {"a": places[:200], "b": places[200:]})})
    x = {tap: torch.from_numpy(rng.normal(size=(2, 600, 200))).to(dtype) for tap in "ab"}
    ts.spatial_loss(x, topo, 1)
    x["b"][1, 598, 7] = value
    with pytest.raises(ValueError, match="activations of b hold nan, inf"):
        ts.spatial_loss(x, topo, 1)
    with pytest.raises(ValueError, match="responses hold nan, inf"):
        ts.spatial_correlation_loss(x["b"][1], torch.from_numpy(places[200:]))


@pytest.mark.parametrize("n_taps", [1, 2])
@pytest.mark.parametrize("options", [{"neighborhoods": "all"}, {"radius": 3}, {"radius": 3, "max_samples": 500}])
def test_memory_beyond_the_gradient_does_not_grow_with_the_tokens(n_taps, options, rng):
    from benchmarks.memory import peak_bytes

    places = np.split(random_places(144, (12, 12), rng), n_taps)
    topo = ts.Topography({"cortex": Sheet((12, 12), {f"tap{i}": part for i, part in enumerate(places)})})

    def beyond_gradient(tokens):
        x = {tap: torch.randn(1, tokens, width, requires_grad=True) for tap, width in topo.widths.items()}

        def run():
            torch.autograd.grad(ts.spatial_loss(x, topo, **options), list(x.values()))

        run()  # tables are built once
        return peak_bytes(run) - sum(value.nbytes for value in x.values())

    small, large = (beyond_gradient(tokens) for tokens in (1024, 16384))
    assert small > 0
    drawn = 3 * 8 * 16384 if "max_samples" in options else 0  # the order that tokens are drawn in
    assert large < 1.01 * small + drawn


def _unchecked(topo, x):
    """The loss of activations of any kind: the checks of axes that pytest turns on would refuse them first."""
    from toposheet.topography.objectives.statistics import responses_of

    responses_of({"tap": x}, topo)
    return ts.spatial_loss({"tap": x}, topo)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.zeros(9), r"activations of tap are torch.float32 of shape \(9,\): it must be a float tensor"),
        (torch.zeros(1, 5, 9, dtype=torch.long), "activations of tap are torch.int64"),
        (torch.zeros(1, 5, 9, dtype=torch.complex64), "activations of tap are torch.complex64"),
        (torch.zeros(1, 0, 9), "different numbers of tokens, or 0 tokens"),
        (1e19 * torch.arange(45.0).cos().view(1, 5, 9), "activations of tap hold nan, inf or numbers too large"),
    ],
)
def test_what_is_no_activation_is_refused_by_tap(wrong, message):
    with pytest.raises(ValueError, match=message):
        _unchecked(one_tap((3, 3)), wrong)


@pytest.mark.parametrize("field", ["radius", "neighborhoods", "max_samples"])
@pytest.mark.parametrize("value", [0, -1, 2.5, float("nan"), True, "some"])
def test_numbers_that_are_no_counts_are_refused_by_name(field, value):
    from toposheet.topography.objectives.statistics import checked_count

    with pytest.raises(ValueError, match=rf"{field} is {value!r}: it must be a whole number of at least 1"):
        checked_count(field, value)
    assert checked_count(field, np.int64(3)) == 3


def test_neighborhoods_that_do_not_fit_are_refused_before_work():
    for value in (5.5, 0, "some", None):
        with pytest.raises((ValueError, TypeError)):
            ts.SpatialStatistics(one_tap((3, 3)), value)


def test_bare_responses_need_three_units_in_two_dimensions():
    for x in (torch.zeros(5, 2), torch.zeros(5)):
        with pytest.raises((ValueError, TypeError)):
            ts.spatial_correlation_loss(x, torch.zeros(2, 2, dtype=torch.long))


@METRICS
@pytest.mark.parametrize("neighborhoods", ["all", 7])
@pytest.mark.parametrize("stored", [False, True])
def test_shared_cells_and_stored_windows_equal_float64(metric, neighborhoods, stored, rng):
    places = rng.integers(0, 5, size=(30, 2))
    windows = None
    if stored:  # windows of other sizes, far from square
        windows = np.full((9, 14), -1)
        for row in windows:
            n = rng.integers(4, 15)
            row[:n] = rng.permutation(30)[:n]
    topo = ts.Topography({"tap": ts.Sheet((5, 5), {"tap": places}, shared_cells=True, windows=windows)})
    x = torch.from_numpy(rng.normal(size=(40, 30)) * 3 + rng.normal(size=30) * 10).float()
    of_units = list(windows_of(topo.sheets["tap"], 3)) if windows is None else [row[row >= 0] for row in windows]
    if neighborhoods == 7:
        drawn = torch.randint(len(of_units), (7,), generator=torch.Generator().manual_seed(4))
        of_units = [of_units[i] for i in drawn]
    exact, ours = x.double().requires_grad_(), x.clone().requires_grad_()
    cells = torch.from_numpy(places)
    expected = torch.stack([torch64_loss(exact[:, w], cells[w], metric) for w in of_units]).mean()
    generator = torch.Generator().manual_seed(4)
    value = ts.spatial_loss({"tap": ours[None]}, topo, neighborhoods, 2, metric, "open", generator)
    expected.backward()
    value.backward()
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0, atol=1e-5 * exact.grad.abs().max().item())


def test_windows_of_shared_cells_can_be_shuffled_and_objectives_on_weights_refuse_them(rng):
    topo = ts.Topography({"tap": ts.Sheet((5, 5), {"tap": rng.integers(0, 5, size=(30, 2))}, shared_cells=True)})
    x = torch.from_numpy(rng.normal(size=(1, 40, 30))).float()
    names = ("correlation", "shuffled_correlation")
    losses = [ts.spatial_loss({"tap": x}, topo, "all", 2, objective=name) for name in names]
    assert losses[0] != losses[1]
    with pytest.raises(ValueError, match="share cells"):
        ts.spatial_loss({"tap": x[0]}, topo, objective="topoloss")
