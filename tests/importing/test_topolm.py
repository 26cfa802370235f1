"""A checkpoint of TopoLM with its positions becomes a subject that computes the same and has the same places."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.importing.published import (
    CONTEXT,
    LAYERS,
    VOCABULARY,
    WIDTH,
    arguments_of,
    coordinates_of,
    endless,
    expected_windows,
    fields_of,
    forward,
    pickled,
    weights_of,
    windows_of,
    write_checkpoint,
    write_positions,
)
from transformers import AutoModelForCausalLM

import toposheet as ts
from toposheet.errors import UserError
from toposheet.importing.occupancy import occupancy_in_words

IDS = torch.randint(VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("tap", "end", "side"), [("before-residual", "", "before"), ("after-residual", ">residual", "after")]
)
def test_the_subject_computes_what_the_published_model_computes_also_after_saving(
    checkpoint, positions, words, tmp_path, tap, end, side
):
    logits, tensors = forward(weights_of(), IDS)
    imported = ts.import_topolm(checkpoint, positions, tap=tap, tokenizer=words)
    ts.save(tmp_path / "model", imported)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert (plain(IDS).logits - logits).abs().max() < 1e-4
    for subject in (imported, ts.load(tmp_path / "model")):
        with torch.no_grad(), subject.record() as activations:
            assert (subject(IDS) - logits).abs().max() < 1e-4
        assert list(activations) == [
            f"transformer.h.{n}.{kind}{end}" for n in range(LAYERS) for kind in ("attn", "mlp")
        ]
        for n in range(LAYERS):
            for kind in ("attn", "mlp"):
                difference = activations[f"transformer.h.{n}.{kind}{end}"] - tensors[n, kind, side]
                assert difference.abs().max() < 1e-4


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("arrays", ["torch", "numpy", "integers", "lists of units"])
def test_coordinates_and_windows_are_those_of_the_files(checkpoint, positions, words, tmp_path, protocol, arrays):
    for number, name in enumerate(["layer.0.attn", "layer.0.mlp", "layer.1.attn", "layer.1.mlp"]):
        fields = fields_of(number)
        if arrays == "numpy":
            fields["coordinates"] = np.asfortranarray(fields["coordinates"].numpy())
            fields["neighborhood_indices"] = fields["neighborhood_indices"].bool().numpy()
            fields["neighborhood_width"], fields["dims"] = np.float64(9.0), (WIDTH,)
        if arrays == "integers":
            fields["coordinates"] = fields["coordinates"].to(torch.int16).T.contiguous().T  # columns first
            fields["neighborhood_indices"] = fields["neighborhood_indices"].bool()
        if arrays == "lists of units":
            fields["neighborhood_indices"] = torch.tensor([[1, 5, 9, 30], [2, 35, 0, -1]])
        (positions / f"{name}.pkl").write_bytes(pickled(name, protocol, **fields))
    subject = ts.import_topolm(checkpoint, positions, tap="before-residual", tokenizer=words)
    ts.save(tmp_path / "model", subject)
    for opened in (subject, ts.load(tmp_path / "model")):
        for number, (tap, sheet) in enumerate(opened.topography.sheets.items()):
            np.testing.assert_array_equal(sheet.places[tap], coordinates_of(number).numpy())
            assert sheet.shape == (6, 6)
            assert sheet.shared_cells
            assert sheet.windows is not None
            units = [set(row[row >= 0].tolist()) for row in sheet.windows]
            own = [{1, 5, 9, 30}, {2, 35, 0}] if arrays == "lists of units" else expected_windows(windows_of(number))
            assert units == own


def test_the_spatial_loss_within_stored_windows_is_that_of_the_published_formula(checkpoint, positions, words):
    subject = ts.import_topolm(checkpoint, positions, tap="after-residual", tokenizer=words)
    with torch.no_grad(), subject.record() as activations:
        subject(IDS)
    losses = []
    _, tensors = forward(weights_of(), IDS)
    for number, key in enumerate((n, kind, "after") for n in range(LAYERS) for kind in ("attn", "mlp")):
        x, coordinates = tensors[key].flatten(0, 1).double().numpy(), coordinates_of(number).double().numpy()
        within = []
        for mask in windows_of(number).bool().numpy():
            pairs = np.tril_indices(mask.sum(), -1)
            apart = np.linalg.norm(coordinates[mask][:, None] - coordinates[mask][None], axis=-1)
            r = np.corrcoef(x[:, mask].T)
            within.append((1 - np.corrcoef(r[pairs], 1 / (1 + apart[pairs]))[0, 1]) / 2)
        losses.append(np.mean(within))
    loss = ts.spatial_loss(activations, subject.topography, neighborhoods="all", metric="euclidean")
    assert float(loss) == pytest.approx(sum(losses), abs=1e-4)


def test_a_map_shows_the_mean_of_the_units_of_a_cell_and_notes_say_so(checkpoint, positions, words):
    subject = ts.import_topolm(checkpoint, positions, tap="before-residual", tokenizer=words)
    assert occupancy_in_words(subject.topography) == [
        "4 sheets of 6x6 cells with 144 units: on each sheet 5 of 36 cells are empty, and 5 have several units (a map "
        "shows the mean of the units of a cell)",
        "on each sheet 4 stored windows of 6 to 9 units: objectives compare units within these windows, and not within "
        "squares",
    ]
    texts = pd.DataFrame({"text": ["The river ran.", "A clever engineer wrote."], "condition": ["a", "b"]})
    responses = ts.respond(subject, texts, reading=ts.Reading(bos="none"))
    tap = "transformer.h.0.attn"
    maps = subject.topography.to_grid(responses.isel(stimulus=0))
    values = responses.isel(stimulus=0).values[responses["tap"].values == tap]
    places = coordinates_of(0).long().tolist()
    for y in range(6):
        for x in range(6):
            units = [value for value, place in zip(values, places, strict=True) if place == [y, x]]
            wanted = np.mean(units) if units else np.nan
            np.testing.assert_allclose(maps[tap].values[y, x], wanted, rtol=1e-5)


def test_positions_that_are_permutations_have_no_shared_cells(checkpoint, words, tmp_path):
    folder = write_positions(tmp_path / "clean", coordinates=coordinates_of(7, shared=False), neighborhood_indices=None)
    subject = ts.import_topolm(checkpoint, folder, tap="before-residual", tokenizer=words)
    assert not any(sheet.shared_cells or sheet.windows is not None for sheet in subject.topography.sheets.values())
    assert occupancy_in_words(subject.topography) == ["4 sheets of 6x6 cells with 144 units, one unit in each cell"]


def test_a_model_without_biases_keeps_them_at_zero_and_one_with_biases_has_its_own(positions, words, tmp_path):
    without = write_checkpoint(tmp_path / "without.pt")
    biased = weights_of(bias=True)
    with_biases = write_checkpoint(tmp_path / "with.pt", biased, arguments_of(bias=True, dropout=0.1))
    for path, weights in ((without, weights_of()), (with_biases, biased)):
        subject = ts.import_topolm(path, positions, tap="before-residual", tokenizer=words)
        ts.save(tmp_path / "model", subject)
        for opened in (subject, ts.load(tmp_path / "model")):
            biases = {n: p for n, p in opened.model.named_parameters() if n.endswith(".bias")}
            assert all(p.requires_grad == (path == with_biases) for p in biases.values())
            assert all(p.abs().max() == 0 for p in biases.values()) == (path == without)
            assert all(p.requires_grad for n, p in opened.model.named_parameters() if n not in biases)
            assert (opened(IDS) - forward(weights, IDS)[0]).abs().max() < 1e-4
            assert opened.model.config.resid_pdrop == (0.1 if path == with_biases else 0.0)


@pytest.mark.parametrize("form", ["compiled", "masks", "untied", "no head", "bfloat16", "parameters"])
def test_every_form_of_the_weights_gives_the_same_logits(positions, words, tmp_path, form):
    weights = weights_of()
    stored = dict(weights)
    if form == "compiled":
        stored = {f"_orig_mod.{name}": weight for name, weight in weights.items()}
    if form == "masks":
        mask = torch.tril(torch.ones(CONTEXT, CONTEXT)).view(1, 1, CONTEXT, CONTEXT)
        stored |= {f"transformer.h.{n}.attn.bias": mask for n in range(LAYERS)}
    if form == "untied":
        weights["lm_head.weight"] = stored["lm_head.weight"] = torch.randn(VOCABULARY, WIDTH)
    if form == "no head":
        del stored["lm_head.weight"]
    if form == "bfloat16":
        stored = {name: weight.bfloat16() for name, weight in weights.items()}
        weights = {name: weight.float() for name, weight in stored.items()}
    if form == "parameters":
        stored = {name: torch.nn.Parameter(weight) for name, weight in weights.items()}
    path = write_checkpoint(tmp_path / "form.pt", stored)
    subject = ts.import_topolm(path, positions, tap="before-residual", tokenizer=words)
    ts.save(tmp_path / "model", subject)
    for opened in (subject, ts.load(tmp_path / "model")):
        assert (opened(IDS) - forward(weights, IDS)[0]).abs().max() < 1e-4
        assert opened.model.config.tie_word_embeddings == (form != "untied")
        tied = opened.model.lm_head.weight is opened.model.transformer.wte.weight
        assert tied == (form != "untied")
        assert opened.model.dtype == torch.float32


def test_the_padded_vocabulary_stays_and_the_tokenizer_is_saved(checkpoint, positions, words, tmp_path, tokenizer):
    subject = ts.import_topolm(checkpoint, positions, tap="before-residual", tokenizer=words)
    assert subject(IDS).shape[-1] == VOCABULARY
    ts.save(tmp_path / "model", subject)
    assert len(ts.load(tmp_path / "model").tokenizer) == len(tokenizer) == 300
    assert subject.model.config.eos_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_layer": 3}, "6 weights missing, transformer.h.2.attn.c_attn.weight"),
        ({"n_layer": 1}, "6 weights that this GPT-2 does not have, transformer.h.1.attn.c_attn.weight"),
        ({"vocab_size": 300}, r"transformer.wte.weight has the shape \(320, 36\), and the sizes ask for \(300, 36\)"),
        ({"n_embed": 48}, r"has the shape .*, and the sizes ask for"),
        ({"block_size": 64}, r"transformer.wpe.weight has the shape \(48, 36\), and the sizes ask for \(64, 36\)"),
        ({"bias": True}, "weights missing, transformer.h.0.attn.c_attn.bias"),
        ({"n_head": 5}, "n_embed 36 and n_head 5 .* the width must be a multiple of the number of heads"),
        ({"n_head": "many"}, "has n_head 'many' in 'model_args', which must be a whole number of at least 1"),
        ({"n_layer": None}, "has n_layer None"),
        ({"n_layer": True}, "has n_layer True"),
        ({"n_layer": 10**9}, "the file is too small for them"),
        ({"block_size": 10**12}, r"sizes ask for \(1000000000000, 36\)"),
        ({"bias": 1}, "bias 1 and dropout 0.0"),
    ],
)
def test_sizes_that_do_not_fit_the_weights_are_refused(positions, words, tmp_path, arguments, message):
    path = write_checkpoint(tmp_path / "other.pt", arguments=arguments_of(**arguments))
    with pytest.raises(UserError, match=message) as refusal:
        ts.import_topolm(path, positions, tap="before-residual", tokenizer=words)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transformer.wte.weight": None}, "transformer.wte.weight is missing"),
        ({"transformer.ln_f.weight": None}, "1 weight missing, transformer.ln_f.weight"),
        ({"transformer.h.0.attn_proj.weight": torch.eye(36)}, "1 weight that this GPT-2 does not have, .*attn_proj"),
        ({"transformer.h.0.attn.c_attn.weight": torch.zeros(36, 108)}, r"shape \(36, 108\), .* ask for \(108, 36\)"),
        ({"transformer.ln_f.weight": torch.zeros(36, dtype=torch.int32)}, "holds torch.int32, which are no floating"),
        ({"transformer.ln_f.weight": [1.0] * 36}, "'transformer.ln_f.weight' of 'model' that is no weight"),
        ({"lm_head.weight": torch.zeros(7, 36)}, r"lm_head.weight has the shape \(7, 36\)"),
        ({"transformer.wpe.weight": torch.zeros(1, 1).expand(10**6, 10**6)}, "the file is too small for them"),
    ],
)
def test_weights_that_are_not_those_of_gpt2_are_refused(positions, words, tmp_path, changes, message):
    weights = {name: weight for name, weight in (weights_of() | changes).items() if weight is not None}
    path = write_checkpoint(tmp_path / "other.pt", weights)
    with pytest.raises(UserError, match=message) as refusal:
        ts.import_topolm(path, positions, tap="before-residual", tokenizer=words)
    assert "\n" not in str(refusal.value)


def changed(**fields):
    """Change fields of the file layer.1.mlp.pkl. A field that is None is left out."""

    def change(folder):
        new = {name: value for name, value in (fields_of(3) | fields).items() if value is not None}
        name = new.pop("name", "layer.1.mlp")
        (folder / "layer.1.mlp.pkl").write_bytes(pickled(name, **new))

    return change


def without(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def in_place_of_the_file(make):
    """Make something else at the place of the file layer.1.mlp.pkl."""

    def change(folder):
        (folder / "layer.1.mlp.pkl").unlink()
        make(folder / "layer.1.mlp.pkl")

    return change


def record_with_name(program):
    """Return a pickle of positions whose name is the value of a program."""
    data = pickled("here", 4, **fields_of(3))
    start = data.index(b"\x8c\x04here")
    return b"\x80\x04" + data[11:start] + program + data[start + 6 :]  # without its frame


COORDINATES = coordinates_of(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layer.1.mlp.pkl"), "lacks 1 file for a model of 2 layers: layer.1.mlp.pkl"),
        (without("layer.0.attn.pkl", "layer.1.attn.pkl"), "lacks 2 files .*: layer.0.attn.pkl, layer.1.attn.pkl"),
        (
            lambda folder: write_positions(folder, 3),
            "positions of more than the 2 layers of the model: layer.2.attn.pkl",
        ),
        (lambda folder: (folder / "unified_sheet.pkl").touch(), "other positions than expected: unified_sheet.pkl"),
        (changed(name="layer.0.mlp"), "layer.1.mlp.pkl holds the positions of 'layer.0.mlp'"),
        (changed(coordinates=None), "lacks coordinates"),
        (changed(neighborhood_indices=None), "lacks neighborhood_indices"),
        (changed(coordinates=COORDINATES[:30]), r"coordinates of shape \(30, 2\), but the model has 36 units"),
        (changed(coordinates=COORDINATES[:, :1]), r"coordinates of shape \(36, 1\)"),
        (changed(coordinates=COORDINATES + 0.5), "coordinates that are not whole numbers"),
        (changed(coordinates=COORDINATES * float("nan")), "coordinates that are no numbers, or too large"),
        (changed(coordinates=COORDINATES + 1e12), "coordinates that are no numbers, or too large"),
        (changed(coordinates=COORDINATES + 1), "outside of its sheet of 6x6 cells: rows 1 to 6, columns 1 to 6"),
        (changed(coordinates=COORDINATES - 1), "outside of its sheet of 6x6 cells: rows -1 to 4"),
        (changed(dims=(4, 9)), "outside of its sheet of 4x9 cells"),
        (changed(dims=(10**9, 10**9)), "far too large for its 36 units"),
        (changed(coordinates="here"), "holds str where an array of numbers must be"),
        (changed(neighborhood_indices=torch.zeros(4, 36)), "a window has fewer than 3 units"),
        (changed(neighborhood_indices=torch.tensor([[1, 2, 99]])), "windows have the units 1 to 99, but .* 36 units"),
        (changed(neighborhood_indices=torch.tensor([[1, 2, 2, 3]])), "a window .* that names a unit twice"),
        (changed(neighborhood_indices=torch.zeros(36)), r"windows \(neighborhood_indices\) of shape \(36,\)"),
        (lambda folder: (folder / "layer.1.mlp.pkl").write_text("places"), "is no complete pickle"),
        (changed(dims=(2**31, 1 << 20_000)), "has dims that are too large"),
        (changed(name=endless()), "holds the positions of a value of type list: it must hold those of 'layer.1.mlp'"),
        (in_place_of_the_file(Path.mkdir), "layer.1.mlp.pkl is a folder: there must be the file of positions"),
        (in_place_of_the_file(os.mkfifo), "layer.1.mlp.pkl is no file: there must be the file of positions"),
        (
            in_place_of_the_file(lambda path: path.symlink_to("nowhere")),
            "layer.1.mlp.pkl is no file: there must be the file of positions",
        ),
        (
            in_place_of_the_file(lambda path: path.write_bytes(record_with_name(b"](" * 5000 + b"e" * 5000))),
            "layer.1.mlp.pkl holds the positions of a value of type list",
        ),
    ],
)
def test_positions_that_do_not_fit_are_refused_with_the_name_of_the_file(checkpoint, positions, words, change, message):
    change(positions)
    with pytest.raises(UserError, match=message) as refusal:
        ts.import_topolm(checkpoint, positions, tap="before-residual", tokenizer=words)
    assert "\n" not in str(refusal.value)
    assert str(positions) in str(refusal.value)


def test_a_sheet_that_is_no_square_has_the_stored_sides_or_ends_at_the_largest_coordinates(words, tmp_path):
    width = 30
    weights = weights_of(width=width)
    path = write_checkpoint(tmp_path / "ckpt.pt", weights, arguments_of(n_embed=None, n_embd=width))
    cells = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:width]
    coordinates = torch.stack([cells // 8, cells % 8], dim=1)
    for dims, shape in (((width,), (5, 8)), ((6, 9), (6, 9))):
        folder = write_positions(tmp_path / str(shape), coordinates=coordinates, neighborhood_indices=None, dims=dims)
        subject = ts.import_topolm(path, folder, tap="before-residual", tokenizer=words)
        assert set(subject.topography.shapes.values()) == {shape}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tap": "before"}, "tap is 'before': it must be one of before-residual, after-residual"),
        ({"tokenizer": "nowhere/at/all"}, r"nowhere/at/all is not a folder.* \(--tokenizer PATH"),
        ({"tokenizer": "small"}, "the tokenizer small has 4,096 tokens, and the model in .*ckpt.pt has 320"),
        ({"positions": "nowhere"}, "there is no folder nowhere"),
        ({"checkpoint": "nowhere.pt"}, "there is no file nowhere.pt"),
        ({"checkpoint": "."}, r"\. is a folder: give the checkpoint in it"),
    ],
)
def test_wrong_arguments_are_refused(checkpoint, positions, words, arguments, message):
    given = {"checkpoint": checkpoint, "positions": positions, "tap": "before-residual", "tokenizer": words} | arguments
    with pytest.raises(UserError, match=message):
        ts.import_topolm(given.pop("checkpoint"), given.pop("positions"), **given)


def test_without_network_the_message_says_to_give_a_tokenizer(checkpoint, positions, monkeypatch):
    import huggingface_hub

    def unreachable(*args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(UserError, match=r"gpt2 .* hub cannot be reached .*Name or service.*\(--tokenizer PATH"):
        ts.import_topolm(checkpoint, positions, tap="before-residual")
