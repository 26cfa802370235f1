"""A checkpoint of nanoGPT becomes a subject with the sheets of TopoLoss."""

import pytest
import torch
from tests.importing.published import CONTEXT, VOCABULARY, WIDTH, arguments_of, forward, weights_of, write_checkpoint

import toposheet as ts
from toposheet.errors import UserError
from toposheet.sheet.grid import full_rectangle

IDS = torch.randint(VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(0))
ARGUMENTS = {
    "n_layer": 2, "n_head": 3, "n_embd": WIDTH, "block_size": CONTEXT, "bias": False, "vocab_size": VOCABULARY,
    "dropout": 0.0,
}  # fmt: skip


@pytest.fixture
def nanogpt(tmp_path):
    compiled = {f"_orig_mod.{name}": weight for name, weight in weights_of().items()}
    return write_checkpoint(tmp_path / "tau_50.0.pt", compiled, ARGUMENTS)


def test_the_subject_computes_the_same_and_lays_units_out_as_topoloss_does(nanogpt, words, tmp_path):
    weights = weights_of()
    imported = ts.import_nanogpt(nanogpt, tokenizer=words)
    ts.save(tmp_path / "model", imported)
    for subject in (imported, ts.load(tmp_path / "model")):
        assert (subject(IDS) - forward(weights, IDS)[0]).abs().max() < 1e-4
        assert subject.topography.taps == [f"transformer.h.{n}.mlp.c_fc" for n in range(2)]
        by_unit = subject.topography.weights(subject.model)
        for n, (tap, sheet) in enumerate(subject.topography.sheets.items()):
            assert sheet.shape == (12, 12)
            published = weights[f"transformer.h.{n}.mlp.c_fc.weight"].reshape(12, 12, WIDTH)  # (height, width, inputs)
            for unit, (y, x) in enumerate(sheet.places[tap].tolist()):
                torch.testing.assert_close(by_unit[tap][:, unit], published[y, x])


def test_taps_can_be_chosen(nanogpt, words):
    subject = ts.import_nanogpt(nanogpt, taps=["transformer.h.*.attn", "transformer.h.1.mlp>residual"], tokenizer=words)
    taps = ["transformer.h.0.attn", "transformer.h.1.attn", "transformer.h.1.mlp>residual"]
    assert subject.topography.taps == taps
    with pytest.raises(UserError, match=r"'model.layers.\*' matches no module"):
        ts.import_nanogpt(nanogpt, taps=["model.layers.*"], tokenizer=words)
    with pytest.raises(UserError, match="taps is a str: it must be a list"):
        ts.import_nanogpt(nanogpt, taps="transformer.h.*.attn", tokenizer=words)


@pytest.mark.parametrize(
    ("n_units", "shape"), [(3072, (48, 64)), (768, (24, 32)), (784, (28, 28)), (7, (1, 7)), (1, (1, 1)), (12, (3, 4))]
)
def test_the_shape_is_the_most_square_like_without_empty_cells(n_units, shape):
    assert full_rectangle(n_units) == shape


def test_the_name_of_the_width_in_topolms_code_is_read_too(words, tmp_path):
    path = write_checkpoint(tmp_path / "ckpt.pt", arguments=arguments_of())
    assert ts.import_nanogpt(path, tokenizer=words).model.config.n_embd == WIDTH
