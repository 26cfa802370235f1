import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.importing.published import WIDTH, arguments_of, write_checkpoint, write_positions

import toposheet as ts


@pytest.fixture
def words(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_topolm_is_imported_and_mapped(ran, refused, tmp_path, words, table):
    checkpoint = write_checkpoint(tmp_path / "ckpt.pt")
    command = ["import", "topolm", checkpoint, "--positions", write_positions(tmp_path / "positions")]
    command += ["--tokenizer", words]
    assert "Missing" in refused(*command, "--out", tmp_path / "model")  # --tap has no default
    command += ["--tap", "after-residual"]
    printed = ran(*command, "--out", tmp_path / "model")
    assert "on each sheet 5 of 36 cells are empty, and 5 have several units" in printed
    assert "on each sheet 4 stored windows of 6 to 9 units" in printed
    assert ts.load(tmp_path / "model").topography.taps[0] == "transformer.h.0.attn>residual"
    assert "holds other files, such as " in refused(*command, "--out", tmp_path / "model")
    analysis = ["--stimuli", table, "--contrast", "long:short", "--bos", "none", "--permutations", "3"]
    ran("map", tmp_path / "model", *analysis, "--out", tmp_path / "maps")
    assert (tmp_path / "maps" / "maps.nc").is_file()


def test_nanogpt_and_a_grid_are_imported(ran, tmp_path, words):
    checkpoint = write_checkpoint(tmp_path / "ckpt.pt", arguments=arguments_of())
    printed = ran("import", "nanogpt", checkpoint, "--tokenizer", words, "--out", tmp_path / "nanogpt")
    assert "2 sheets of 12x12 cells with 288 units, one unit in each cell" in printed
    places = np.stack(np.divmod(np.arange(WIDTH), 9), axis=1)
    save_file({"transformer.h.1": places}, tmp_path / "grid.safetensors")
    printed = ran("import", "grid", tmp_path / "nanogpt", "--coordinates", tmp_path / "grid.safetensors", "--out",
                  tmp_path / "grid", "--sheet-shape", 5, 9)  # fmt: skip
    assert "1 sheet of 5x9 cells with 36 units: 9 of 45 cells are empty, and 0 have several units" in printed
    assert ts.load(tmp_path / "grid").topography.taps == ["transformer.h.1"]


def test_mistakes_leave_nothing(refused, tmp_path, words):
    checkpoint, positions = write_checkpoint(tmp_path / "ckpt.pt"), write_positions(tmp_path / "positions")
    (positions / "layer.1.mlp.pkl").unlink()
    command = ["import", "topolm", checkpoint, "--tap", "before-residual", "--out", tmp_path / "model", "--tokenizer"]
    assert "lacks 1 file" in refused(*command, words, "--positions", positions)
    write_positions(positions)
    assert "the tokenizer small has 4,096 tokens" in refused(*command, "small", "--positions", positions)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert "ckpt.pt is no file that torch.save wrote" in refused(*command, words, "--positions", positions)
    assert not (tmp_path / "model").exists()
