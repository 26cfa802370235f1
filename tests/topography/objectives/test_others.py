"""The objectives beside TopoLM's, each against a slow reference of its own."""

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet import recipes
from toposheet.errors import UserError
from toposheet.sheet import Sheet, random_places
from toposheet.topography.objectives.known.all_tnn import all_tnn
from toposheet.topography.objectives.known.topoloss import topoloss
from toposheet.train.preconditions import check_sheets


def test_squared_difference_is_the_mean_over_pairs(rng):
    places = random_places(10, (3, 4), rng)
    topo = ts.Topography({"tap": Sheet((3, 4), {"tap": places})})
    x = rng.normal(size=(30, 10)) + 2
    values = []
    for i in range(10):
        for j in range(i):
            cosine = x[:, i] @ x[:, j] / np.sqrt((x[:, i] @ x[:, i]) * (x[:, j] @ x[:, j]))
            values.append((cosine - 1 / (1 + np.abs(places[i] - places[j]).max())) ** 2)
    ours = ts.spatial_loss({"tap": torch.from_numpy(x).float()[None]}, topo, 2, objective="squared_difference")
    assert ours.item() == pytest.approx(np.mean(values), abs=1e-6)


def test_squared_difference_has_the_gradient_of_float64(rng):
    places = random_places(12, (3, 4), rng)
    topo = ts.Topography({"tap": Sheet((3, 4), {"tap": places})})
    x = torch.from_numpy(rng.normal(size=(30, 12)) + 1)
    exact, ours = x.clone().requires_grad_(), x.float().requires_grad_()
    unit = exact / exact.norm(dim=0)
    i, j = torch.triu_indices(12, 12, 1)
    step = torch.from_numpy(np.abs(places[:, None] - places[None]).max(axis=-1))
    (((unit.T @ unit)[i, j] - (1 / (1 + step))[i, j]) ** 2).mean().backward()
    ts.spatial_loss({"tap": ours[None]}, topo, "all", objective="squared_difference").backward()
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=0, atol=1e-5 * exact.grad.abs().max().item())


@pytest.mark.parametrize(("shape", "radius"), [((10, 10), 2), ((10, 10), 3), ((12, 12), 5), ((4, 12), 5)])
def test_shuffled_distances_keep_no_order_over_the_windows_of_a_sheet(shape, radius):
    from toposheet.topography.objectives.windows import windows_of

    sheet = Sheet(shape, {"tap": np.argwhere(np.ones(shape))})
    true, shuffled = (
        windows_of(sheet, radius, "chebyshev", "open", value, torch.device("cpu")) for value in (False, True)
    )
    n, sums = shape[0] * shape[1], []
    for windows in (true, shuffled):
        nearness, units = windows.nearness[0].numpy(), windows.units.numpy()
        total = np.zeros((n, n))
        for window in units:
            total[np.ix_(window, window)] += nearness - nearness[np.triu_indices(len(nearness), 1)].mean()
        sums.append(total)
    inside = np.triu(sums[0] != 0, 1)  # pairs that are together in a window
    assert abs(np.corrcoef(sums[0][inside], sums[1][inside])[0, 1]) < 0.1


def test_shuffled_distances_are_the_same_distances_of_other_pairs(rng):
    """The control has the loss of one assignment of the window's distances to pairs, the same in every call."""
    from toposheet.sheet import Neighborhoods
    from toposheet.topography.objectives.windows import windows_of

    sheet = Sheet((5, 5), {"tap": random_places(25, (5, 5), rng)})
    device = torch.device("cpu")
    real = windows_of(sheet, 2, "euclidean", "open", False, device).nearness[0].numpy()
    shuffled = windows_of(sheet, 2, "euclidean", "open", True, device).nearness[0].numpy()
    i, j = np.triu_indices(9, 1)
    np.testing.assert_array_equal(np.sort(real[i, j]), np.sort(shuffled[i, j]))
    np.testing.assert_array_equal(shuffled, shuffled.T)
    assert (real[i, j] != shuffled[i, j]).mean() > 0.3

    topo = ts.Topography({"tap": sheet})
    x = rng.normal(size=(40, 25))
    values = []
    for units in Neighborhoods.of(sheet, 2, "euclidean").units:
        r = np.corrcoef(x[:, units].T)[i, j]
        values.append((1 - np.corrcoef(r, shuffled[i, j])[0, 1]) / 2)
    ours = ts.spatial_loss(
        {"tap": torch.from_numpy(x).float()[None]}, topo, "all", 2, "euclidean", objective="shuffled_correlation"
    )
    assert ours.item() == pytest.approx(np.mean(values), abs=1e-6)


def bilinear(values, size, width):
    """One axis resampled linearly at the centres of `size` new cells, each `width` old cells wide, ends held."""
    at = np.clip((np.arange(size) + 0.5) * width - 0.5, 0, len(values) - 1)
    return np.interp(at, np.arange(len(values)), values)


def blurred(grid):
    """Shrunk to floor(side / 3) cells, each 3 wide, and stretched back: the published convention."""
    rows, columns = grid.shape
    small = np.stack([bilinear(row, columns // 3, 3.0) for row in grid])
    small = np.stack([bilinear(column, rows // 3, 3.0) for column in small.T], axis=1)
    wide = np.stack([bilinear(row, columns, (columns // 3) / columns) for row in small])
    return np.stack([bilinear(column, rows, (rows // 3) / rows) for column in wide.T], axis=1)


@pytest.mark.parametrize("shape", [(6, 6), (5, 10), (16, 16)])
def test_topoloss_compares_weights_with_their_blur(shape, rng):
    sheet = Sheet(shape, {"tap": random_places(shape[0] * shape[1], shape, rng)})
    weights = rng.normal(size=(7, shape[0] * shape[1]))
    smooth = np.empty_like(weights)
    for n, row in enumerate(weights):
        grid = np.empty(shape)
        grid[tuple(sheet.coordinates.T)] = row
        smooth[n] = blurred(grid)[tuple(sheet.coordinates.T)]
    cosine = (weights * smooth).sum(axis=0) / np.sqrt((weights**2).sum(axis=0) * (smooth**2).sum(axis=0))
    assert topoloss(torch.from_numpy(weights).float(), sheet).item() == pytest.approx(1 - cosine.mean(), abs=1e-6)


def test_all_tnn_is_the_cosine_distance_of_neighbours_that_share_an_edge(rng):
    sheet = Sheet((4, 5), {"a": random_places(14, (4, 5), rng)})  # with holes
    weights = rng.normal(size=(7, 14))
    values = []
    for i, (y, x) in enumerate(sheet.coordinates):
        for j, (v, u) in enumerate(sheet.coordinates):
            if (v - y, u - x) in ((0, 1), (1, 0)):
                a, b = weights[:, i], weights[:, j]
                values.append(1 - a @ b / np.sqrt((a @ a) * (b @ b)))
    assert all_tnn(torch.from_numpy(weights).float(), sheet).item() == pytest.approx(np.mean(values), abs=1e-6)


@pytest.mark.parametrize("objective", [topoloss, all_tnn])
def test_weights_get_the_gradient_of_finite_differences(objective, rng):
    sheet = Sheet((4, 5), {"a": random_places(17, (4, 5), rng)})
    weights = torch.from_numpy(rng.normal(size=(3, 17))).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: objective(w, sheet), weights)


def test_weights_of_a_tap_are_those_its_units_read(model, topo):
    seen = {}
    for tap in topo.taps:
        model.get_submodule(tap).c_proj.register_forward_hook(lambda m, i, o, tap=tap: seen.update({tap: (i[0], o)}))
    model(torch.arange(9)[None])
    for tap, weights in topo.weights(model).items():
        before, after = seen[tap]
        assert weights.shape[1] == topo.widths[tap]
        bias = model.get_submodule(tap).c_proj.bias
        torch.testing.assert_close(before @ weights + bias, after)


def test_objectives_on_weights_are_called_alike_and_reach_the_weights(model, topo):
    for objective in ("topoloss", "all_tnn"):
        model.zero_grad()
        losses = ts.spatial_losses(topo.weights(model), topo, objective=objective)
        assert list(losses) == topo.taps
        torch.stack(list(losses.values())).sum().backward()
        assert model.transformer.h[1].mlp.c_proj.weight.grad.abs().max() > 0
        assert model.transformer.h[1].mlp.c_fc.weight.grad is None


@pytest.mark.parametrize("objective", ["topoloss", "all_tnn"])
def test_units_without_weights_get_no_gradient_and_nan_is_refused_by_tap(objective, rng):
    topo = ts.Topography({"sheet": Sheet((4, 5), {"tap": random_places(20, (4, 5), rng)})})
    weights = torch.from_numpy(rng.normal(size=(6, 20))).float()
    weights[:, 3] = 0
    weights.requires_grad_()
    ts.spatial_loss({"tap": weights}, topo, objective=objective).backward()
    assert weights.grad.isfinite().all()
    assert weights.grad.abs().max() < 10
    with pytest.raises(ValueError, match="the weights of tap hold nan"):
        ts.spatial_loss({"tap": weights.detach() * torch.nan}, topo, objective=objective)


def test_sheets_on_which_an_objective_on_weights_means_nothing_are_refused():
    apart = Sheet((3, 3), {"tap": np.array([[0, 0], [2, 2], [0, 2]])})
    with pytest.raises(ValueError, match="no two units of the sheet share an edge"):
        all_tnn(torch.ones(4, 3), apart)
    with pytest.raises(ValueError, match="2x9 is too small for topoloss"):
        topoloss(torch.ones(4, 3), Sheet((2, 9), {"tap": apart.coordinates[:0]}))


def test_a_tap_without_a_linear_layer_is_refused(model, topo):
    wrong = ts.Topography.per_tap(model, ["transformer.h.*.ln_1"])
    with pytest.raises(ValueError, match=r"transformer.h.0.ln_1 contains no linear layer"):
        wrong.weights(model)


def test_what_was_recorded_is_refused_by_an_objective_on_weights(subject):
    with subject.record() as activations:
        subject(torch.zeros((1, 4), dtype=torch.long))
    with pytest.raises(ValueError, match="topoloss is an objective on weights"):
        ts.spatial_loss(activations, subject.topography, objective="topoloss")


@pytest.mark.parametrize("objective", ["topoloss", "all_tnn"])
def test_taps_of_one_sheet_with_other_inputs_are_refused_before_training(objective):
    recipe = recipes.named("tiny", vocabulary=300, layout="bands", objective=objective)
    with pytest.raises(UserError, match=r"on the sheet cortex the units of .* have 36 inputs and those of .* 144"):
        check_sheets(recipe)
