"""Placing the units of a model: the model is unchanged, and the spatial loss falls, on other text too."""

import copy
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import toposheet as ts
from toposheet.adaptation import activations as module
from toposheet.adaptation import place
from toposheet.adaptation.activations import activations_on
from toposheet.adaptation.place import _METHODS, _placed
from toposheet.adaptation.placement import pair_gains
from toposheet.errors import UserError
from toposheet.recipes.adapting import Method
from toposheet.sheet import Sheet


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=36, vocab_size=60, n_positions=32)).eval()
    with torch.no_grad():  # units of one tap are mixtures of few sources, so that they are correlated
        for block in model.transformer.h:
            for layer in (block.attn.c_proj, block.mlp.c_proj):
                layer.weight.copy_(torch.randn(layer.weight.shape[0], 6) @ torch.randn(6, 36))
    return ts.Subject(model, ts.Topography.per_tap(model, shape=(6, 6)))


@pytest.fixture(scope="module")
def text():
    rng = torch.Generator().manual_seed(0)
    return [torch.randint(60, (12, 32), generator=rng) for _ in range(2)]


def test_the_model_is_unchanged_to_the_bit_and_the_loss_falls_on_other_text_too(subject, text):
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    placed = place(subject, *text, radius=2)
    assert placed.subject.model is subject.model
    for name, value in placed.subject.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(placed.subject(text[0]), subject(text[0]))
    assert placed.subject.fingerprint != subject.fingerprint
    table = placed.table.set_index("sheet")
    assert table.index.tolist() == list(subject.topography.sheets)
    assert (table["loss_fitted"] < table["loss_fitted_before"] - 0.1).all()
    assert (table["loss"] < table["loss_before"] - 0.1).all()
    # The losses are those of all windows, without the first token of each block.
    with placed.subject.record() as activations, torch.no_grad():
        placed.subject(text[1])
    rest = {tap: values[:, 1:] for tap, values in activations.items()}
    losses = ts.spatial_losses(rest, placed.subject.topography, "all", 2)
    assert table["loss"].tolist() == pytest.approx([float(losses[name]) for name in table.index], rel=1e-3)


@pytest.mark.parametrize("method", ["assignment", "spectral", "swaps"])
@pytest.mark.parametrize("silent", [1, 20, 33, 36])
def test_silent_units_get_a_cell_too(subject, text, method, silent):
    network = copy.deepcopy(subject.model)
    with torch.no_grad():
        for block in network.transformer.h:
            for layer in (block.attn.c_proj, block.mlp.c_proj):
                layer.weight[:, :silent] = 0.0
                layer.bias[:silent] = 0.0
    mute = ts.Subject(network, subject.topography)
    placed = place(mute, *text, method=method, radius=2)
    for sheet in placed.subject.topography.sheets.values():
        assert len({tuple(place) for place in sheet.coordinates.tolist()}) == 36
    if silent < 30 and method != "spectral":
        assert (placed.table["loss_fitted"] < placed.table["loss_fitted_before"]).all()


@pytest.mark.parametrize(("width", "shape"), [(3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (9, (3, 3))])
@pytest.mark.parametrize("method", ["assignment", "swaps"])
def test_taps_of_a_few_units_are_placed_and_exchange_cells(width, shape, method):
    x = np.random.default_rng(1).normal(size=(50, width)).astype(np.float32)
    activations = {"tap": torch.from_numpy(x)}
    start = Sheet(shape, {"tap": np.argwhere(np.ones(shape))[:width]})
    gains = pair_gains(shape, 2)
    placed = _placed(start, activations, _METHODS[method], gains, np.random.default_rng(0))
    assert len({tuple(place) for place in placed.coordinates.tolist()}) == width


def test_the_methods_are_those_of_the_command():
    assert tuple(_METHODS) == get_args(Method)


def test_distances_are_shuffled_only_for_methods_that_use_them(subject, text):
    for method in ("spectral", "random", "shared"):
        with pytest.raises(
            UserError, match=f"the method {method} does not depend on distances: use assignment or swaps"
        ):
            place(subject, *text, method=method, radius=2, shuffled=True)


def test_each_method_gives_every_unit_a_cell_and_exchanges_are_the_best(subject, text):
    loss = {}
    for method in ("random", "shared", "swaps", "spectral", "assignment"):
        placed = place(subject, *text, method=method, radius=2, seed=1)
        for sheet in placed.subject.topography.sheets.values():
            assert len({tuple(place) for place in sheet.coordinates.tolist()}) == 36
        loss[method] = placed.table["loss_fitted"].mean()
        places = [sheet.coordinates for sheet in placed.subject.topography.sheets.values()]
        alike = all(np.array_equal(places[0], other) for other in places[1:])
        assert alike == (method == "shared")
    again = place(subject, *text, method="assignment", radius=2, seed=1).subject.topography.sheets
    for name, sheet in placed.subject.topography.sheets.items():  # the last one is an assignment
        assert np.array_equal(sheet.coordinates, again[name].coordinates)
    assert max(loss["assignment"], loss["swaps"]) < loss["spectral"] < loss["random"]
    assert abs(loss["assignment"] - loss["swaps"]) < 0.02  # both end where no exchange of a few units gains much
    assert abs(loss["random"] - 0.5) < 0.06


def test_text_is_read_in_several_passes_where_activations_are_many(subject, text, monkeypatch):
    whole = dict(activations_on(subject, text[0]))
    monkeypatch.setattr(module, "_VALUES", 1)
    told = []
    parts = dict(activations_on(subject, text[0], progress=lambda *step: told.append(step)))
    assert list(whole) == list(parts) == list(subject.topography.sheets)
    for name, taps in whole.items():
        for tap, values in taps.items():
            assert values.shape == (12 * 31, 36)
            assert torch.equal(values, parts[name][tap])
    assert told[0] == ("reading texts 0 of 12", 0, 4)
    assert told[-1] == ("reading texts 12 of 12", 4, 4)
    with_first = next(iter(activations_on(subject, text[0], skip_first=False)))[1]
    assert next(iter(with_first.values())).shape == (12 * 32, 36)


def test_a_model_in_training_mode_is_read_without_dropout_and_stays_in_it(subject, text):
    model = GPT2LMHeadModel(GPT2Config(**{**subject.model.config.to_dict(), "resid_pdrop": 0.5}))
    model.load_state_dict(subject.model.state_dict())
    in_training = ts.Subject(model.train(), subject.topography)
    first, second = place(in_training, *text, seed=1), place(subject, *text, seed=1)
    assert first.table.equals(second.table)
    assert model.training
    assert model.transformer.h[0].mlp.dropout.training


def test_an_unknown_method_is_refused(subject, text):
    with pytest.raises(UserError, match="method is 'umap': it must be one of assignment, spectral, swaps, random, sha"):
        place(subject, *text, method="umap")


@pytest.mark.parametrize("layout", ["bands", "interleaved", "free"])
@pytest.mark.parametrize("method", ["assignment", "spectral", "swaps", "random"])
def test_on_a_sheet_with_several_taps_the_units_of_a_tap_keep_the_cells_of_this_tap(subject, text, layout, method):
    topo = ts.Topography.of(subject.model, layout=layout)
    placed = place(subject.with_topography(topo), *text, method=method, radius=3)
    (sheet,) = placed.subject.topography.sheets.values()
    for tap, cells in topo.sheets["cortex"].places.items():
        assert set(map(tuple, sheet.places[tap].tolist())) == set(map(tuple, cells.tolist()))
    if method in ("assignment", "swaps"):
        row = placed.table.iloc[0]
        assert row["loss_fitted"] < row["loss_fitted_before"] - 0.05
        assert row["loss"] < row["loss_before"] - 0.05


def test_a_band_continues_the_map_of_the_band_before(text):
    # Both taps have the same sources, so units of one tap are as alike as units of two taps.
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=36, vocab_size=60, n_positions=32)).eval()
    with torch.no_grad():
        sources = torch.randn(36, 4)
        for block in model.transformer.h:
            block.attn.c_proj.weight.zero_()
            block.mlp.c_proj.weight.zero_()
        model.transformer.wte.weight.copy_(torch.randn(60, 4) @ sources.T)
    taps = ["transformer.h.0.attn>residual", "transformer.h.1.attn>residual"]
    subject = ts.Subject(model, ts.Topography.of(model, taps, layout="bands"))
    placed = place(subject, *text, radius=3)
    (sheet,) = placed.subject.topography.sheets.values()
    ((_, activations),) = activations_on(placed.subject, text[1])
    x = np.concatenate([activations[tap].numpy() for tap in taps], axis=1)
    unit_at = np.zeros(sheet.shape, dtype=int)
    unit_at[tuple(sheet.coordinates.T)] = np.arange(72)
    r = np.corrcoef(x.T)
    across = r[unit_at[:, 5], unit_at[:, 6]].mean()  # neighbours on both sides of the border
    assert across > 0.35
    assert abs(r[:36, 36:].mean()) < 0.3


def test_shuffled_distances_leave_no_more_order_on_a_shared_sheet_than_random_places(subject, text):
    topo = ts.Topography.of(subject.model, layout="interleaved")
    placed = place(subject.with_topography(topo), *text, radius=3, shuffled=True)
    assert placed.table["loss"].item() > placed.table["loss_before"].item() - 0.1


@pytest.mark.parametrize("layout", ["per_tap", "bands"])
def test_losses_before_and_after_have_the_same_windows_also_if_windows_were_stored(subject, text, layout):
    topo = ts.Topography.of(subject.model, layout=layout)
    windows = np.arange(36).reshape(4, 9)
    stored = {name: replace(sheet, windows=windows) for name, sheet in topo.sheets.items()}
    placed, expected = (
        place(subject.with_topography(of), *text, method="random", radius=2) for of in (ts.Topography(stored), topo)
    )
    assert all(sheet.windows is None for sheet in placed.subject.topography.sheets.values())
    pd.testing.assert_frame_equal(placed.table, expected.table)
