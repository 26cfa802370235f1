"""Rotations of units: waves against scipy, the gradient against the loss, and what linear algebra can and cannot do."""

import numpy as np
import pytest
import torch
from scipy.fft import dctn

import toposheet as ts
from toposheet.adaptation.rotation import losses_of, principal_components, refined, rotated, smooth_modes
from toposheet.topography.objectives.moments import Scratch, moments
from toposheet.topography.objectives.windows import windows_of

CPU = torch.device("cpu")
CELLS = np.argwhere(np.ones((6, 6)))
SHEET = ts.Sheet((6, 6), {"tap": CELLS})


def windows(sheet=SHEET, radius=2):
    return windows_of(sheet, radius, "chebyshev", "open", False, CPU)


def measured(x):
    return moments([[torch.as_tensor(x, dtype=torch.float32)]], None, None, Scratch())


def falling(n=36, tokens=2000, seed=0):
    """Responses of units that are random mixtures of sources whose variance falls."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return (rng.normal(size=(tokens, n)) * np.exp(-np.arange(n) / 6) + 0.3) @ mixing


def loss(x, sheet=SHEET):
    return float(
        ts.spatial_loss({"tap": torch.as_tensor(x, dtype=torch.float32)[None]}, ts.Topography({"s": sheet}), "all", 2)
    )


@pytest.mark.parametrize("shape", [(6, 6), (3, 8)])
def test_modes_of_a_full_sheet_are_the_waves_of_scipy_from_long_to_short(shape):
    cells = np.random.default_rng(0).permutation(np.argwhere(np.ones(shape)))
    modes = smooth_modes(cells)
    np.testing.assert_allclose(modes.T @ modes, np.eye(len(cells)), atol=1e-12)
    frequencies = []
    for mode in modes.T:
        grid = np.empty(shape)
        grid[tuple(cells.T)] = mode
        spectrum = dctn(grid, norm="ortho")
        ky, kx = np.unravel_index(np.abs(spectrum).argmax(), shape)
        assert spectrum[ky, kx] == pytest.approx(1)  # one wave alone, with this sign
        frequencies.append(np.hypot(ky / shape[0], kx / shape[1]))
    assert np.diff(frequencies).min() > -1e-12


def test_modes_of_a_part_of_a_sheet_are_orthonormal_and_the_first_ones_are_the_long_waves():
    cells = np.random.default_rng(0).permutation(np.argwhere(np.ones((7, 7))))[:36]
    modes, whole = smooth_modes(cells), smooth_modes(np.argwhere(np.ones((7, 7))))
    np.testing.assert_allclose(modes.T @ modes, np.eye(36), atol=1e-12)
    restricted = whole[cells[:, 0] * 7 + cells[:, 1]]
    for k in (1, 3, 10):  # the first k modes span the first k waves, and no mode is turned round
        weights = np.linalg.lstsq(restricted[:, :k], modes[:, :k], rcond=None)[0]
        np.testing.assert_allclose(restricted[:, :k] @ weights, modes[:, :k], atol=1e-9)
        assert modes[:, k] @ restricted[:, k] > 0


def test_principal_components_are_the_singular_vectors_of_the_responses():
    x = falling()
    components = principal_components(measured(x).products[0]).numpy()
    vectors = np.linalg.svd(x - x.mean(axis=0))[2]
    np.testing.assert_allclose(np.abs(np.diag(vectors @ components))[:20], 1, atol=1e-3)
    assert (components[np.abs(components).argmax(axis=0), np.arange(36)] > 0).all()


def test_losses_of_moments_are_the_spatial_losses_also_after_a_rotation():
    x = falling()
    q = np.linalg.qr(np.random.default_rng(1).normal(size=(36, 36)))[0]
    for rotation in (np.eye(36), q):
        turned = rotated(measured(x), torch.from_numpy(rotation))
        assert float(losses_of([turned], [windows()])[0]) == pytest.approx(loss(x @ rotation.T), abs=1e-5)


def test_descent_makes_the_loss_small_step_by_step_and_stays_orthogonal():
    part = rotated(measured(falling()), principal_components(measured(falling()).products[0]).T)
    start = torch.from_numpy(smooth_modes(CELLS))
    everyone = torch.ones(36, 36, dtype=torch.bool)
    values = []
    for updates in (0, 10, 20, 40):
        u = refined(start, [part], [windows()], everyone, updates)
        torch.testing.assert_close(u @ u.T, torch.eye(36, dtype=torch.float64), atol=1e-9, rtol=0)
        values.append(float(losses_of([rotated(part, u)], [windows()])[0]))
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5 * values[0] < 0.1


def test_from_a_random_start_descent_follows_the_gradient_of_the_loss():
    """The first step is the sign of the gradient in the coordinates of U, which is compared with finite differences."""
    part = rotated(measured(falling()), principal_components(measured(falling()).products[0]).T)
    start = torch.from_numpy(np.linalg.qr(np.random.default_rng(2).normal(size=(36, 36)))[0])
    u = refined(start, [part], [windows()], torch.ones(36, 36, dtype=torch.bool), 1)
    skew = start.T @ u - u.T @ start
    compared = 0
    for i, j in [(0, 1), (0, 5), (2, 3), (1, 4), (3, 6)]:
        small = torch.zeros(36, 36, dtype=torch.float64)
        small[i, j], small[j, i] = 0.02, -0.02
        up, down = (losses_of([rotated(part, start @ torch.matrix_exp(s))], [windows()])[0] for s in (small, -small))
        if abs(slope := float(up - down)) > 2e-5:
            compared += 1
            assert np.sign(float(skew[i, j])) == -np.sign(slope)
    assert compared >= 3


def test_the_loss_depends_on_the_variances_of_components_alone():
    """Sources are mixed into units in two ways; other variances give another loss."""
    start, values = torch.from_numpy(smooth_modes(CELLS)), []
    for power, seed in ((1, 0), (1, 1), (3, 0)):
        sources = np.linalg.svd(falling() - falling().mean(axis=0), full_matrices=False)
        mixing = np.linalg.qr(np.random.default_rng(seed).normal(size=(36, 36)))[0]
        part = measured((sources[0] * sources[1] ** power) @ mixing)
        v = principal_components(part.products[0])
        values.append(float(losses_of([rotated(part, start @ v.T)], [windows()])[0]))
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    assert values[2] != pytest.approx(values[1], rel=0.1)


def test_no_rotation_makes_responses_smooth_whose_components_have_equal_variances():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(500, 37)))[0][:, :36]
    x = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0]  # white: all rotations have the same covariance
    part = measured(1000 * x)
    start = torch.from_numpy(smooth_modes(CELLS))
    u = refined(start, [part], [windows()], torch.ones(36, 36, dtype=torch.bool), 40)
    assert abs(loss(1000 * x @ u.numpy().T) - 0.5) < 0.02


def test_taps_of_one_sheet_are_not_mixed():
    part = measured(falling())
    tap = torch.arange(36) < 20
    start = torch.block_diag(torch.eye(20), torch.eye(16))
    u = refined(start, [part], [windows()], tap[:, None] == tap, 10)
    assert (u[:20, 20:] == 0).all()
    assert (u[20:, :20] == 0).all()
    assert (u != start).any()


def test_the_waves_of_a_band_are_those_of_its_own_rectangle():
    band = np.argwhere(np.ones((6, 6))) + np.array([0, 12])
    np.testing.assert_array_equal(smooth_modes(band), smooth_modes(np.argwhere(np.ones((6, 6)))))
