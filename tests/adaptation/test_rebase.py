"""Bases that are learned: the model is unchanged, near units respond alike, on other text and without training too."""

import importlib
import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import toposheet as ts
from toposheet.adaptation import place, rebase
from toposheet.adaptation.place import PLACEMENT
from toposheet.adaptation.rotation import principal_components, smooth_modes
from toposheet.errors import UserError


def gpt2(seed=0, **sizes):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    return GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=36, vocab_size=60, n_positions=32, **sizes)).eval()


@pytest.fixture(scope="module")
def subject():
    """A model with random weights."""
    model = gpt2()
    return ts.Subject(model, ts.Topography.per_tap(model, shape=(6, 6)))


@pytest.fixture(scope="module")
def text():
    rng = torch.Generator().manual_seed(0)
    return [torch.randint(60, (60, 32), generator=rng) for _ in range(2)]


@pytest.fixture(scope="module")
def rebased(subject, text):
    return rebase(subject, *text, radius=2)


def recorded(subject, ids):
    with torch.no_grad(), subject.record() as activations:
        subject(ids)
    return {tap: values[:, 1:] for tap, values in activations.items()}


def test_the_null_of_bases_reaches_its_own_shuffled_distances_and_not_the_true_ones(subject, text):
    shuffled = rebase(subject, *text, radius=2, shuffled=True).subject
    assert rebase(subject, *text, radius=2, shuffled=True, seed=1).subject.fingerprint != shuffled.fingerprint
    activations = recorded(shuffled, text[0])
    losses = {
        objective: ts.spatial_losses(activations, shuffled.topography, "all", 2, objective=objective)
        for objective in ("correlation", "shuffled_correlation")
    }
    for sheet, loss in losses["shuffled_correlation"].items():
        assert float(loss) < 0.45, sheet
        assert float(losses["correlation"][sheet]) == pytest.approx(0.5, abs=0.1), sheet


def test_the_model_is_unchanged_to_the_bit_and_units_keep_their_places(subject, text):
    before, logits = {name: value.clone() for name, value in subject.model.state_dict().items()}, subject(text[0])
    rebased = rebase(subject, *text, radius=2, updates=2).subject
    assert rebased.model is subject.model
    assert all(torch.equal(value, before[name]) for name, value in rebased.model.state_dict().items())
    assert torch.equal(rebased(text[0]), logits)
    assert rebased.fingerprint != subject.fingerprint
    for name, sheet in subject.topography.sheets.items():
        assert rebased.topography.sheets[name] is sheet
    assert list(rebased.topography.bases) == subject.topography.taps
    assert not subject.topography.bases


def test_the_loss_falls_a_lot_also_on_other_text_and_is_that_of_the_recorded_units(subject, text, rebased):
    table = rebased.table.set_index("sheet")
    assert list(rebased.table.columns) == list(PLACEMENT.columns)
    assert table.index.tolist() == list(subject.topography.sheets)
    assert set(table["method"]) == {"rebase tap"}
    assert (table["loss_fitted"] < 0.05).all()
    assert (table["loss"] < 0.1).all()
    assert (table[["loss_fitted_before", "loss_before"]] > 0.4).all(axis=None)
    for column, one, ids in (
        ("loss_fitted_before", subject, text[0]), ("loss_fitted", rebased.subject, text[0]),
        ("loss_before", subject, text[1]), ("loss", rebased.subject, text[1]),
    ):  # fmt: skip
        losses = ts.spatial_losses(recorded(one, ids), one.topography, "all", 2)
        assert table[column].tolist() == pytest.approx([float(losses[name]) for name in table.index], abs=2e-4)
    own, units = recorded(subject, text[1]), recorded(rebased.subject, text[1])
    for tap, basis in rebased.subject.topography.bases.items():
        expected = own[tap].double().numpy() @ basis.astype(np.float64).T
        np.testing.assert_allclose(units[tap].numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_a_rotation_beats_every_placement_of_the_same_model(subject, text, rebased):
    placed = place(subject, *text, radius=2).table
    assert (rebased.table["loss"] < placed["loss"] - 0.1).all()


@pytest.mark.slow
def test_without_updates_the_components_are_waves_the_largest_ones_the_longest(subject, text):
    table = rebase(subject, *text, radius=2, updates=0)
    for name, sheet in subject.topography.sheets.items():
        x = recorded(subject, text[0])[name].flatten(0, 1).double().numpy()
        units = x @ table.subject.topography.bases[name].astype(np.float64).T
        waves = smooth_modes(sheet.coordinates)
        covariance = np.cov((units @ waves).T)
        variances = np.linalg.eigvalsh(np.cov(x.T))[::-1]
        np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-4 * variances[0])
        # In these waves, covariances of units are a sum of smooth maps, weighted by falling variances.
        np.testing.assert_allclose(np.cov(units.T), (waves * variances) @ waves.T, atol=1e-4 * variances[0])
        assert principal_components(torch.from_numpy(np.cov(x.T))).shape == (36, 36)


@pytest.mark.slow
def test_taps_of_one_width_can_share_one_basis_and_then_have_the_same_places(subject, text, rebased):
    shared = rebase(subject, *text, radius=2, share="width", updates=40)
    topography = shared.subject.topography
    assert len({id(basis) for basis in topography.bases.values()}) == 1
    first = subject.topography.sheets[subject.topography.taps[0]]
    for sheet in topography.sheets.values():
        np.testing.assert_array_equal(sheet.coordinates, first.coordinates)
    assert set(shared.table["method"]) == {"rebase width"}
    assert (shared.table["loss"] < shared.table["loss_before"] - 0.1).all()
    assert shared.table["loss_fitted"].mean() > rebased.table["loss_fitted"].mean()
    losses = ts.spatial_losses(recorded(shared.subject, text[1]), topography, "all", 2)
    assert shared.table["loss"].tolist() == pytest.approx([float(loss) for loss in losses.values()], abs=2e-4)


@pytest.mark.slow
def test_taps_of_two_widths_have_two_shared_bases(text):
    model = gpt2(n_inner=64)
    taps = ("transformer.h.*.mlp", "transformer.h.*.mlp.c_fc")
    narrow, wide = (ts.Topography.per_tap(model, (tap,)) for tap in taps)
    subject = ts.Subject(model, ts.Topography({**narrow.sheets, **wide.sheets}))
    bases = rebase(subject, *text, radius=2, share="width", updates=1).subject.topography.bases
    assert [len(basis) for basis in bases.values()] == [36, 36, 64, 64]
    assert len({id(basis) for basis in bases.values()}) == 2


def test_taps_of_one_sheet_are_rotated_together_each_in_itself(text):
    model = gpt2()
    places = np.random.default_rng(0).permutation(np.argwhere(np.ones((8, 10))))[:72]  # with holes
    taps = ("transformer.h.0.mlp", "transformer.h.1.attn")
    sheet = ts.Sheet((8, 10), dict(zip(taps, (places[:36], places[36:]), strict=True)))
    subject = ts.Subject(model, ts.Topography({"both": sheet}))
    result = rebase(subject, *text, radius=3)
    losses = ts.spatial_losses(recorded(result.subject, text[1]), result.subject.topography, "all", 3)
    assert result.table["loss"].tolist() == pytest.approx([float(losses["both"])], abs=2e-4)
    assert result.table["loss"][0] < result.table["loss_before"][0] - 0.15
    with pytest.raises(
        UserError, match="the sheet both has 2 taps, whose units cannot have the same places: use share"
    ):
        rebase(subject, *text, share="width")


def test_a_sheet_whose_matrices_are_too_large_is_refused(text, monkeypatch):
    subject = ts.Subject(model := gpt2(), ts.Topography.of(model, layout="bands"))
    monkeypatch.setattr(importlib.import_module("toposheet.adaptation.rebase"), "_MOST_UNITS", 100)
    with pytest.raises(UserError, match=r"the sheet cortex has 144 units, but bases are learned for at most 100 units"):
        rebase(subject, *text)


@pytest.mark.slow
def test_a_rebased_subject_can_be_rebased_placed_and_saved(rebased, text, tokenizer, tmp_path):
    subject = rebased.subject
    worse = ts.Subject(
        subject.model, replace(subject.topography, sheets=ts.Topography.per_tap(subject.model, seed=5).sheets)
    )
    again = rebase(worse, *text, radius=2)
    assert (again.table["loss_before"] > 0.35).all()
    assert (again.table["loss"] < 0.1).all()
    losses = ts.spatial_losses(recorded(again.subject, text[1]), again.subject.topography, "all", 2)
    assert again.table["loss"].tolist() == pytest.approx([float(loss) for loss in losses.values()], abs=2e-4)
    placed = place(worse, *text, radius=2)
    for tap, basis in subject.topography.bases.items():
        assert placed.subject.topography.bases[tap] is basis
    assert (placed.table["loss"] < 0.3).all()
    ts.save(tmp_path, again.subject.with_tokenizer(tokenizer))
    loaded = ts.load(tmp_path)
    for tap, basis in again.subject.topography.bases.items():
        np.testing.assert_array_equal(loaded.topography.bases[tap], basis)


@pytest.mark.slow
def test_equal_text_gives_equal_bases_and_progress_is_told(subject, text, rebased):
    told = []
    again = rebase(subject, *text, radius=2, progress=lambda *step: told.append(step))
    for tap, basis in rebased.subject.topography.bases.items():
        np.testing.assert_array_equal(again.subject.topography.bases[tap], basis)
    assert told[0][1] == 0
    assert told[-1][1:] == (3, 3)
    assert all(one[1] <= other[1] for one, other in itertools.pairwise(told))
    assert any("learning bases, transformer.h.1.mlp, update 7 of 20" in what for what, *_ in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": "layer"}, "share is 'layer': it must be one of tap, width"),
        ({"updates": -1}, "updates is -1: it must be a whole number of at least 0"),
        ({"radius": 0}, "radius is 0: it must be at least 1 cell"),
    ],
)
def test_options_out_of_range_are_refused(subject, text, options, message):
    with pytest.raises(UserError, match=message):
        rebase(subject, *text, **options)


def test_a_subject_whose_units_would_lose_their_meaning_is_refused(subject, text):
    silenced = ts.Intervention("mine", {subject.topography.taps[0]: ts.Effect.silence(np.arange(36) < 3)})
    with pytest.raises(UserError, match="has interventions, and new bases would give their units another meaning"):
        rebase(subject.intervened(silenced), *text)


def test_taps_on_sheets_of_two_shapes_cannot_share_a_basis(text):
    model = gpt2()
    sheets = [
        ts.Topography.per_tap(model, (f"transformer.h.{i}.mlp",), shape=s).sheets
        for i, s in enumerate([(6, 6), (4, 9)])
    ]
    subject = ts.Subject(model, ts.Topography(sheets[0] | sheets[1]))
    with pytest.raises(UserError, match=r"sheets of \(6, 6\) and of \(4, 9\) cells, and can share a basis only on"):
        rebase(subject, *text, share="width")


def test_a_basis_that_all_taps_share_is_a_rotation_of_the_residual_stream(text):
    """Weights that are rotated by hand say the same, and their taps put out the units of the rebased subject."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, hidden_size=36, intermediate_size=50,
        vocab_size=60, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    for norm in (n for name, n in model.named_parameters() if "norm" in name):
        norm.data.uniform_(0.5, 2.0)
    subject = ts.Subject(model, ts.Topography.per_tap(model, shape=(6, 6)))
    rebased = rebase(subject, *text, radius=2, share="width", updates=3).subject
    (basis,) = {id(q): torch.tensor(q) for q in rebased.topography.bases.values()}.values()
    turned = LlamaForCausalLM(config).eval()
    turned.load_state_dict(model.state_dict())

    def reads(gains, *layers):  # the gains of a norm go into the layers that read it, then all read rotated values
        for layer in layers:
            layer.weight.data = layer.weight.data * gains.weight.data @ basis.T
        gains.weight.data.fill_(1.0)

    stream = turned.model
    stream.embed_tokens.weight.data = stream.embed_tokens.weight.data @ basis.T
    for block in stream.layers:
        attention, mlp = block.self_attn, block.mlp
        reads(block.input_layernorm, attention.q_proj, attention.k_proj, attention.v_proj)
        reads(block.post_attention_layernorm, mlp.gate_proj, mlp.up_proj)
        for writes in (attention.o_proj, mlp.down_proj):
            writes.weight.data = basis @ writes.weight.data
    reads(stream.norm, turned.lm_head)
    torch.testing.assert_close(turned(text[0]).logits, subject(text[0]), rtol=1e-4, atol=1e-5)
    plain = ts.Subject(turned, ts.Topography(rebased.topography.sheets))
    of_weights, of_bases = recorded(plain, text[0]), recorded(rebased, text[0])
    for tap, values in of_bases.items():
        torch.testing.assert_close(of_weights[tap], values, rtol=1e-4, atol=1e-5)


def test_stored_windows_stay_where_units_stay_and_both_losses_have_the_windows_after(subject, text):
    topo = subject.topography
    stored = ts.Topography({n: replace(s, windows=np.arange(36).reshape(4, 9)) for n, s in topo.sheets.items()})
    first, *others = topo.sheets
    own = rebase(subject.with_topography(stored), *text, radius=2, updates=1)
    assert all(sheet.windows is not None for sheet in own.subject.topography.sheets.values())
    shared = rebase(subject.with_topography(stored), *text, radius=2, updates=1, share="width")
    windows = {name: sheet.windows for name, sheet in shared.subject.topography.sheets.items()}
    assert windows[first] is not None
    assert [windows[name] for name in others] == [None] * len(others)
    squares = rebase(subject, *text, radius=2, updates=1, share="width").table.set_index("sheet")
    before = shared.table.set_index("sheet")[["loss_before", "loss_fitted_before"]]
    pd.testing.assert_frame_equal(before.loc[others], squares.loc[others, before.columns])
    assert before.loc[first].tolist() != squares.loc[first, before.columns].tolist()
