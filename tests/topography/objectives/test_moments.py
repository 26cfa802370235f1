import numpy as np
import pytest
import torch

from toposheet.topography.objectives.moments import Scratch, gradients_of_products, moments


@pytest.mark.parametrize("units", [191, 192, 257])  # around the size from which products are computed in halves
def test_products_and_their_gradient_are_those_of_numpy(units, rng):
    x = rng.normal(3, 1, size=(2, 70, units))
    responses = [[torch.tensor(one, dtype=torch.float32, requires_grad=True)] for one in x]
    with torch.no_grad():
        found = moments(responses, None, None, Scratch())
    deviations = x - x.mean(axis=1, keepdims=True)
    expected = np.swapaxes(deviations, 1, 2) @ deviations
    assert np.allclose(found.products, expected, atol=1e-4)
    assert torch.equal(found.products, found.products.mT)
    twice = rng.normal(size=expected.shape)
    twice += np.swapaxes(twice, 1, 2)
    arguments = found.mean, found.deviations, torch.tensor(twice, dtype=torch.float32), Scratch()
    for gradient, of_numpy in zip(
        gradients_of_products(responses, None, None, *arguments), deviations @ twice, strict=True
    ):
        assert np.allclose(gradient, of_numpy, atol=1e-3)


@pytest.mark.parametrize("read", [None, torch.arange(12).view(3, 4)])
def test_deviations_are_kept_for_the_gradient_of_one_chunk_only(read, rng):
    def kept(tokens, used, needed):
        x = torch.tensor(rng.normal(size=(tokens, 12)), dtype=torch.float32, requires_grad=needed)
        with torch.no_grad():
            return moments([[x]], used, read, Scratch())

    one = kept(512, None, needed=True)
    assert one.deviations is not None
    assert one.deviations.mean(dim=2).abs().max() < 1e-6
    assert kept(600, torch.arange(100), needed=True).deviations is not None
    assert kept(513, None, needed=True).deviations is None
    assert kept(512, None, needed=False).deviations is None
    assert one.merge(one).deviations is None  # the mean of both is another one
