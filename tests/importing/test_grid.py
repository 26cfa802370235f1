"""A causal language model gets one sheet from a file of coordinates."""

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.numpy import save_file
from tests.architectures.families import random_model

import toposheet as ts
from toposheet.errors import UserError
from toposheet.importing.occupancy import occupancy_in_words

TAPS = ["model.layers.0", "model.layers.1.mlp"]


@pytest.fixture
def llama(tmp_path, tokenizer):
    random_model("llama").save_pretrained(tmp_path / "llama")
    tokenizer.save_pretrained(tmp_path / "llama")
    return tmp_path / "llama"


def grid_of(seed=0, dtype="int64"):
    cells = np.random.default_rng(seed).permutation(80)[:72]
    places = np.stack(np.divmod(cells, 8), axis=1).astype(dtype)
    return {TAPS[0]: places[:36], TAPS[1]: places[36:]}


@pytest.fixture
def written(tmp_path):
    def written(arrays, name="coordinates.safetensors"):
        save_file({tap: np.ascontiguousarray(array) for tap, array in arrays.items()}, tmp_path / name)
        return tmp_path / name

    return written


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32"])
def test_all_taps_lie_on_one_sheet_at_the_coordinates_of_the_file(llama, written, tmp_path, dtype):
    subject = ts.import_grid(llama, written(grid_of(dtype=dtype)))
    ts.save(tmp_path / "model", subject)
    ids = torch.arange(1, 9)[None]
    for opened in (subject, ts.load(tmp_path / "model")):
        (sheet,) = opened.topography.sheets.values()
        assert (sheet.shape, sheet.shared_cells, sheet.windows) == ((10, 8), False, None)
        for tap, places in grid_of().items():
            np.testing.assert_array_equal(sheet.places[tap], places)
        with torch.no_grad():
            torch.testing.assert_close(opened(ids), random_model("llama")(ids).logits)
        assert len(opened.tokenizer) == 300


def test_taps_are_in_the_order_of_their_numbers(written, tmp_path):
    config = hf.GPT2Config(vocab_size=50, n_positions=8, n_embd=4, n_layer=11, n_head=1, bos_token_id=0, eos_token_id=0)
    hf.GPT2LMHeadModel(config).save_pretrained(tmp_path / "deep")
    taps = [f"transformer.h.{n}{end}" for n in (1, 2, 10) for end in ("", ".attn", ".mlp>residual")]
    arrays = {tap: np.stack([np.full(4, n), np.arange(4)], axis=1) for n, tap in enumerate(taps)}
    subject = ts.import_grid(tmp_path / "deep", written(dict(sorted(arrays.items()))))
    assert subject.topography.taps == taps


def test_taps_of_a_layer_are_in_the_order_of_the_network_on_the_sheet_that_layouts_give_too(llama, written):
    taps = [f"model.layers.{n}.{kind}" for n in range(2) for kind in ("self_attn", "mlp")]
    arrays = {tap: np.stack([np.full(36, n), np.arange(36)], axis=1) for n, tap in enumerate(taps)}
    topography = ts.import_grid(llama, written(dict(sorted(arrays.items())))).topography
    assert topography.taps == ts.Topography.of(random_model("llama"), taps).taps == taps
    assert list(topography.sheets) == list(ts.Topography.of(random_model("llama"), taps, layout="free").sheets)
    for tap, places in arrays.items():
        np.testing.assert_array_equal(topography.sheets["cortex"].places[tap], places)


def test_a_shape_and_shared_cells(llama, written):
    arrays = grid_of()
    arrays[TAPS[1]][:3] = arrays[TAPS[0]][:3]
    subject = ts.import_grid(llama, written(arrays), shape=(12, 20))
    (sheet,) = subject.topography.sheets.values()
    assert (sheet.shape, sheet.shared_cells) == ((12, 20), True)
    assert occupancy_in_words(subject.topography) == [
        "1 sheet of 12x20 cells with 72 units: 171 of 240 cells are empty, and 3 have several units (a map shows the "
        "mean of the units of a cell)"
    ]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no coordinates"),
        ({TAPS[0]: np.zeros((36, 3), int)}, r"an array model.layers.0 of int64 of shape \(36, 3\): it must be whole"),
        ({"line\nbreak": grid_of()[TAPS[0]]}, r"an array 'line\\nbreak', which is no path of a module"),
        ({"x" * 10**6: grid_of()[TAPS[0]]}, r"an array 'x{80}', which is no path of a module"),
        ({TAPS[0]: np.zeros(36, int)}, r"of shape \(36,\)"),
        ({TAPS[0]: np.zeros((36, 2), bool)}, "an array model.layers.0 of bool"),
        ({TAPS[0]: grid_of()[TAPS[0]] + 0.5}, "coordinates of model.layers.0 that are not whole numbers"),
        ({TAPS[0]: grid_of()[TAPS[0]] * np.nan}, "coordinates of model.layers.0 that are no numbers"),
        ({TAPS[0]: grid_of()[TAPS[0]] - 1}, r"outside of its sheet of .*: rows -1 to \d"),
        ({TAPS[0]: grid_of()[TAPS[0]] * 10**6}, "far too large for its 36 units"),
        ({TAPS[0]: grid_of()[TAPS[0]][:30]}, "the topography has 30 units of model.layers.0, but the model has 36"),
        ({"model.layers.7": grid_of()[TAPS[0]]}, "a tap model.layers.7, which LlamaForCausalLM does not have"),
    ],
)
def test_coordinates_that_do_not_fit_are_refused(llama, written, arrays, message):
    with pytest.raises(UserError, match=message) as refusal:
        ts.import_grid(llama, written(arrays))
    assert "\n" not in str(refusal.value)


def test_files_and_shapes_that_do_not_fit_are_refused(llama, written, tmp_path):
    path = written(grid_of())
    with pytest.raises(UserError, match="outside of its sheet of 3x3 cells: rows 0 to 9, columns 0 to 7"):
        ts.import_grid(llama, path, shape=(3, 3))
    with pytest.raises(UserError, match=r"shape is \(0, 8\)"):
        ts.import_grid(llama, path, shape=(0, 8))
    with pytest.raises(UserError, match=r"there is no file .*nowhere.safetensors"):
        ts.import_grid(llama, tmp_path / "nowhere.safetensors")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="is no safetensors file, or it is damaged"):
        ts.import_grid(llama, path)
    with pytest.raises(UserError, match="nowhere does not exist"):
        ts.import_grid("nowhere", written(grid_of()))
