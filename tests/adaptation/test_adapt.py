"""Adapting a model: what is left, what is measured beside it, and that a stopped adaptation goes on."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as hf
from tests.architectures.families import random_model
from tests.train.test_loop import KilledError, happening, killed

import toposheet as ts
from toposheet.adaptation import Placement, adapt
from toposheet.adaptation.folder import PLAN
from toposheet.adaptation.measure import ADAPTATION, DIFFERENCES
from toposheet.adaptation.place import PLACEMENT
from toposheet.adaptation.random_weights import with_random_weights
from toposheet.errors import UserError
from toposheet.recipes import ADAPTING
from toposheet.sheet import Neighborhoods
from toposheet.topography.storage import read_topography
from toposheet.train import run
from toposheet.train.hardware import machine
from toposheet.train.loop import train

SHORT = ADAPTING.changed(context=48, updates=6, batch=4, radius=2, neighborhoods="all", alpha=5.0, learning_rate=5e-3,
                       alpha_warmup_updates=0, warmup_updates=1, decay_updates=2, validation_blocks=8, validate_every=3,
                       checkpoint_every=2, distillation=0.5)  # fmt: skip
PLACED = Placement(tokens=256)


@pytest.fixture(scope="module")
def text(tmp_path_factory, prepared):
    rng = np.random.default_rng(0)
    syllables = [f"{c}{v}" for c in "bdfgklmnprst" for v in "aeiou"]
    words = ["".join(rng.choice(syllables, size=size)) + "nrst"[size % 4] for size in (1, 1, 1, 2) for _ in range(60)]
    documents = [" ".join(f"The {' '.join(rng.choice(words, size=10))}." for _ in range(12)) for _ in range(60)]
    return prepared(tmp_path_factory.mktemp("text"), documents, validation_fraction=0.3)


def opened(tokenizer, family="llama"):
    network = random_model(family)
    return ts.Subject(network, ts.Topography.per_tap(network, seed=3), tokenizer)


def rows_of(result, column, *models):
    return result.table.set_index("model").loc[list(models), column]


def adapted(tokenizer, text, out, **options):
    options = {"recipe": SHORT, "placement": PLACED, "permutations": 9} | options
    return adapt(opened(tokenizer), text, out, **options)


def test_placing_leaves_what_the_model_says_and_stands_beside_its_nulls(tokenizer, text, tmp_path):
    subject, ids = opened(tokenizer), torch.arange(12)[None]
    result = adapt(subject, text, tmp_path / "out", mode="place", recipe=SHORT, placement=PLACED, permutations=9)
    assert result.table["model"].tolist() == ["original", "placed", "random weights", "shuffled distances"]
    rows = result.table.set_index("model")
    assert rows.loc["placed", "task_loss"] == rows.loc["original", "task_loss"]
    assert rows.loc["placed", "spatial_loss"] < rows.loc["original", "spatial_loss"] - 0.05
    assert rows.loc["random weights", "spatial_loss"] < 0.45
    assert rows.loc["shuffled distances", "spatial_loss"] > 0.48
    assert rows["organisation_p"].between(0.1, 1).all()
    saved = ts.load(tmp_path / "out")
    with torch.no_grad():
        assert torch.equal(saved(ids), subject(ids))
    assert saved.fingerprint == result.subject.fingerprint
    for name, table, kind in (
        ("adaptation.csv", result.table, ADAPTATION), ("adaptation_differences.csv", result.differences, DIFFERENCES),
    ):  # fmt: skip
        assert (tmp_path / "out" / name).is_file()
        pd.testing.assert_frame_equal(kind.read(tmp_path / "out"), table)
    placement = PLACEMENT.read(tmp_path / "out")
    assert placement["loss"].mean() == pytest.approx(rows.loc["placed", "spatial_loss"], abs=0.02)
    (difference,) = result.differences.to_dict("records")
    assert (difference["model"], difference["other"]) == ("placed", "original")
    assert difference["organisation"] == pytest.approx(
        rows.loc["placed", "organisation"] - rows.loc["original", "organisation"]
    )
    assert difference["low"] < difference["organisation"] < difference["high"]


@pytest.mark.slow
def test_a_training_stands_beside_the_placed_original_its_twin_and_its_nulls(tokenizer, text, tmp_path):
    subject = opened(tokenizer)
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    result = adapt(subject, text, tmp_path / "out", recipe=SHORT, placement=PLACED, permutations=9,
                   nulls=("random-weights", "shuffled-distances"))  # fmt: skip
    for name, value in subject.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert result.table["model"].tolist() == [
        "original", "placed", "trained", "twin", "random weights, placed", "random weights",
        "shuffled distances, placed", "shuffled distances",
    ]  # fmt: skip
    assert (rows_of(result, "spatial_loss", "shuffled distances, placed", "shuffled distances") > 0.47).all()
    rows = result.table.set_index("model")
    assert rows.loc["trained", "spatial_loss"] < rows.loc["placed", "spatial_loss"] - 0.03
    assert rows.loc["twin", "spatial_loss"] > rows.loc["trained", "spatial_loss"] + 0.03
    assert rows.loc["random weights", "spatial_loss"] < rows.loc["random weights, placed", "spatial_loss"]
    trained = ["trained", "twin", "random weights", "shuffled distances"]
    assert (rows.loc[trained, "tokens"] == 6 * 4 * 48).all()
    assert (rows["tokens"].drop(trained) == 0).all()
    pairs = list(zip(result.differences["model"], result.differences["other"], strict=True))
    assert pairs == [("placed", "original"), ("trained", "placed"), ("trained", "twin"),
                     ("random weights", "random weights, placed"),
                     ("shuffled distances", "shuffled distances, placed")]  # fmt: skip
    cost = result.differences.set_index("other").loc["twin", "task_loss"]
    assert cost == pytest.approx(rows.loc["trained", "task_loss"] - rows.loc["twin", "task_loss"])
    saved = ts.load(tmp_path / "out")
    assert saved.recipe.objective.alpha == 5.0
    assert ts.load(tmp_path / "out" / "twin").recipe.objective.alpha == 0.0
    assert ts.load(tmp_path / "out" / "shuffled-distances").recipe.objective.name == "shuffled_correlation"
    for folder in (tmp_path / "out", tmp_path / "out" / "twin"):
        places = [s.coordinates for s in ts.load(folder).topography.sheets.values()]
        assert all(
            np.array_equal(a, b)
            for a, b in zip(places, [s.coordinates for s in result.subject.topography.sheets.values()], strict=True)
        )


@pytest.mark.slow
@pytest.mark.parametrize("share", ["tap", "width"])
def test_a_training_starts_from_bases_if_asked_to_and_is_compared_with_them(tokenizer, text, tmp_path, share):
    options = {"start": "rebased", "share": share, "recipe": SHORT}
    result = adapted(tokenizer, text, tmp_path / "out", **options)
    assert result.table["model"].tolist() == ["original", "placed", "rebased", "trained", "twin"]
    rows = result.table.set_index("model")
    assert rows.loc["rebased", "task_loss"] == rows.loc["original", "task_loss"]
    assert rows.loc["trained", "spatial_loss"] < rows.loc["rebased", "spatial_loss"]
    pairs = list(zip(result.differences["model"], result.differences["other"], strict=True))
    assert pairs == [("placed", "original"), ("rebased", "placed"), ("trained", "rebased"), ("trained", "twin")]
    start, saved = ts.load(tmp_path / "out" / "twin"), ts.load(tmp_path / "out")
    assert set(saved.topography.bases) == set(saved.topography.taps)
    for tap, basis in saved.topography.bases.items():
        assert np.array_equal(basis, start.topography.bases[tap])
    with pytest.raises(UserError, match="start is rebased there, but placed now"):
        adapted(tokenizer, text, tmp_path / "out", **options | {"start": "placed", "share": "tap"})


@pytest.mark.slow
def test_no_twin_is_trained_where_training_would_change_nothing(tokenizer, text, tmp_path):
    recipe = SHORT.changed(distillation=1.0)
    result = adapted(tokenizer, text, tmp_path / "out", recipe=recipe, nulls=("shuffled-distances",))
    assert result.table["model"].tolist() == [
        "original", "placed", "trained", "shuffled distances, placed", "shuffled distances"
    ]  # fmt: skip
    assert not (tmp_path / "out" / "twin").exists()
    for model, changes in (("gpt2", {}), ("llama", {"weight_decay": 0.1})):  # GPT-2 has dropout
        subject = opened(tokenizer, model)
        found = adapt(
            subject, text, tmp_path / model, recipe=recipe.changed(**changes), placement=PLACED, permutations=9
        )
        assert found.table["model"].tolist() == ["original", "placed", "trained", "twin"]


@pytest.mark.slow
def test_a_stopped_adaptation_goes_on_with_the_same_call(tokenizer, text, tmp_path):
    whole = adapted(tokenizer, text, tmp_path / "whole")
    with happening(5, killed), pytest.raises(KilledError):
        adapted(tokenizer, text, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "adaptation.csv").exists()
    again = adapted(tokenizer, text, tmp_path / "stopped")
    columns = [name for name in whole.table if name != "seconds"]
    pd.testing.assert_frame_equal(again.table[columns], whole.table[columns])
    once_more = adapted(tokenizer, text, tmp_path / "stopped")
    pd.testing.assert_frame_equal(once_more.table, again.table)


@pytest.mark.slow
def test_an_adaptation_goes_on_with_another_number_of_threads_only_if_this_is_accepted(
    tokenizer, text, tmp_path, monkeypatch
):
    with happening(5, killed), pytest.raises(KilledError):
        adapted(tokenizer, text, tmp_path / "out", twin=False)
    here = machine
    monkeypatch.setattr(run, "machine", lambda *given: here(*given) | {"threads": 99})
    with pytest.raises(UserError, match=r"on another machine .*threads"):
        adapted(tokenizer, text, tmp_path / "out", twin=False)
    again = adapted(tokenizer, text, tmp_path / "out", twin=False, on_other_machine=True)
    assert again.table["model"].tolist() == ["original", "placed", "trained"]


def test_the_seed_of_the_recipe_decides_all_random_choices_of_rebasing(tokenizer, text, tmp_path):
    bases = {}
    for seed in (0, 1):
        out = tmp_path / str(seed)
        adapted(tokenizer, text, out, mode="rebase", recipe=SHORT.changed(seed=seed), nulls=["shuffled-distances"])
        bases[seed] = next(iter(read_topography(out / "shuffled-distances" / "start").bases.values()))
    assert np.abs(np.asarray(bases[0]) - np.asarray(bases[1])).max() > 0.1


def test_a_folder_with_another_adaptation_or_model_is_refused_and_kept(tokenizer, text, tmp_path):
    adapted(tokenizer, text, tmp_path / "out", mode="place", nulls=())
    plan = json.loads((tmp_path / "out" / PLAN).read_text())
    assert plan["placement"] == {"method": "assignment", "tokens": 256}
    assert plan["recipe"]["subject"] == opened(tokenizer).fingerprint
    held = {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()}
    with pytest.raises(UserError, match=r"holds another adaptation \(mode is place there, but full now\): adapt into"):
        adapted(tokenizer, text, tmp_path / "out")
    with pytest.raises(UserError, match=r"placement.method is assignment there, but swaps now"):
        adapted(tokenizer, text, tmp_path / "out", mode="place", placement=Placement("swaps", 256))
    assert {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()} == held
    with pytest.raises(
        UserError,
        match=r"out holds an adaptation of another subject \(another model, or its sheets",
    ):
        adapt(opened(tokenizer, "gpt2"), text, tmp_path / "out", mode="place", recipe=SHORT, placement=PLACED)
    ts.save(tmp_path / "model", opened(tokenizer))
    with pytest.raises(UserError, match=r"holds a model or a run that is no adaptation \(no adaptation.json\)"):
        adapted(tokenizer, text, tmp_path / "model")
    for file in ("recipe.json", "adapter_config.json"):  # a stopped training; low-rank changes of another model
        folder = tmp_path / f"with-{file}"
        folder.mkdir()
        (folder / file).write_text("{}")
        with pytest.raises(UserError, match=r"holds a model or a run that is no adaptation \(no adaptation.json\)"):
            adapted(tokenizer, text, folder, mode="place")
        assert [path.name for path in folder.iterdir()] == [file]
    start = tmp_path / "out" / "start"  # a stage of another adaptation; a folder with files of the user
    start.mkdir(exist_ok=True)
    (start / "placement.csv").write_text("mine")
    with pytest.raises(UserError, match=r"start holds other files, such as .*: choose an empty or a new folder"):
        adapted(tokenizer, text, start, mode="place")
    assert (start / "placement.csv").read_text() == "mine"
    (tmp_path / "out" / PLAN).write_text("{")
    with pytest.raises(UserError, match=r"adaptation.json is damaged: adapt into another folder"):
        adapted(tokenizer, text, tmp_path / "out", mode="place")


def test_places_that_are_damaged_or_an_adaptation_that_is_not_finished_are_named(tokenizer, text, tmp_path):
    with happening(1, killed), pytest.raises(KilledError):
        adapted(tokenizer, text, tmp_path / "out", twin=False)
    with pytest.raises(UserError, match=r"the training in .*out is not finished: run the command that began it again"):
        ts.load(tmp_path / "out")
    for file, content in ((PLACEMENT.file, "{"), ("topography.json", "{")):
        path = tmp_path / "out" / "start" / file
        before = path.read_text()
        path.write_text(content)
        with pytest.raises(UserError, match=r"Or remove .*start: the same command then finds the places again"):
            adapted(tokenizer, text, tmp_path / "out", twin=False)
        path.write_text(before)


def test_the_folder_of_the_text_is_no_place_for_a_model(tokenizer, text, tmp_path):
    before = sorted(path.name for path in text.iterdir())
    with pytest.raises(UserError, match="holds prepared text: adapt into another folder"):
        adapted(tokenizer, text, text, mode="place")
    with pytest.raises(UserError, match="holds prepared text: train into another folder"):
        train(SHORT, text, text, subject=opened(tokenizer))
    assert sorted(path.name for path in text.iterdir()) == before


@pytest.mark.parametrize("file", ["README.md", "training.json", "snapshots.csv"])
def test_a_training_overwrites_no_files_of_the_user(tokenizer, text, tmp_path, file):
    (tmp_path / file).write_text("mine")
    with pytest.raises(UserError, match=f"holds other files, such as {file}: choose an empty or a new folder"):
        train(SHORT, text, tmp_path, subject=opened(tokenizer))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(file, "mine")]


def test_wrong_arguments_are_refused_before_anything_is_written(tokenizer, text, tmp_path):
    with pytest.raises(UserError, match="method is 'umap': it must be one of assignment, spectral"):
        Placement("umap")
    with pytest.raises(UserError, match="tokens is 0"):
        Placement(tokens=0)
    for options, message in (
        ({"share": "all", "mode": "rebase"}, "share is 'all': it must be one of tap, width"),
        ({"mode": "prune"}, "mode is 'prune': it must be one of place, rebase, lora, full"),
        ({"start": "raw"}, "start is 'raw': it must be one of placed, rebased"),
        ({"start": "rebased", "mode": "place"}, "start is 'rebased', but the mode place has no training"),
        ({"nulls": ("noise",)}, "a null is 'noise': it must be one of random-weights, shuffled-distances"),
        ({"nulls": ("shuffled-distances",), "recipe": SHORT.changed(objective="squared_difference")},
         "the null shuffled-distances belongs to the objective correlation, but the objective is squared_difference"),
        ({"nulls": ("shuffled-distances",), "mode": "place", "placement": Placement("spectral", 256)},
         "the null shuffled-distances belongs to the methods assignment and swaps, but the method is spectral"),
        ({"recipe": SHORT.changed(patience=2)}, "patience is 2, but the trainings of an adaptation are compared after"),
        ({"placement": Placement(tokens=10**7)}, "places are fitted on 10,000,000 tokens, but the training text in .* "
         "has .* blocks of 48 tokens: prepare more text, or give --tokens"),
        ({"recipe": SHORT.changed(radius=0 + 1)}, "no window"),
        ({"recipe": SHORT.changed(batch=10**5)}, "a batch has 100,000 blocks, but the training text has"),
        ({"share": "width"}, "share is 'width', but taps get no bases: leave share out, or use the mode rebase"),
        ({"recipe": SHORT.changed(lora_layers=("q_proj",))}, "lora_layers is .*, but the mode is full: use the mode"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            adapted(tokenizer, text, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="context is 1, and skip_first leaves out the first token of each block"):
        SHORT.changed(context=1)


def test_random_weights_have_no_token_without_vector(tokenizer):
    config = hf.LlamaConfig(vocab_size=300, hidden_size=36, intermediate_size=72, num_hidden_layers=12,
                            num_attention_heads=2, pad_token_id=2, bos_token_id=0, eos_token_id=2)  # fmt: skip
    network = hf.LlamaForCausalLM(config).eval()
    assert not network.model.embed_tokens.weight[2].any()
    drawn = with_random_weights(ts.Subject(network, ts.Topography.per_tap(network), tokenizer), seed=1)
    vectors = drawn.model.model.embed_tokens.weight
    assert 0.5 < (vectors[2].std() / vectors[3:].std()).item() < 2
    drawn.model(torch.tensor([[2, 5]])).logits.square().sum().backward()
    assert max(p.grad.abs().max().item() for p in drawn.model.parameters()) < 1e3


def test_the_mode_lora_has_a_rank_unless_one_is_given(tokenizer, text, tmp_path):
    pytest.importorskip("peft")
    ts.save(tmp_path / "model", opened(tokenizer))
    recipe = SHORT.changed(updates=2, lora_layers=("q_proj",))
    adapt(ts.load(tmp_path / "model"), text, tmp_path / "out", mode="lora", recipe=recipe, placement=PLACED, twin=False)
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["optimisation"]["lora_rank"] == 16


def test_the_mode_lora_refuses_weights_that_it_could_not_open_again(tokenizer, text, tmp_path):
    pytest.importorskip("peft")
    ts.save(tmp_path / "model", opened(tokenizer))
    changed, lost, nowhere = ts.load(tmp_path / "model"), opened(tokenizer), opened(tokenizer)
    with torch.no_grad():
        changed.model.lm_head.weight[0] += 1
    lost = ts.Subject(lost.model, lost.topography, tokenizer, source=tmp_path / "gone")
    for subject, message in (
        (changed, "the weights of model are not those in .*model, which low-rank changes would be added to: save"),
        (lost, "gone"),
        (nowhere, "has no folder, and low-rank changes are stored without it: save the subject"),
    ):
        with pytest.raises(UserError, match=message):
            adapt(subject, text, tmp_path / "out", mode="lora", recipe=SHORT, placement=PLACED)
    assert not (tmp_path / "out").exists()


def test_a_model_without_tokenizer_has_that_of_the_text(tokenizer, text, tmp_path):
    subject = ts.Subject(random_model("llama"), opened(tokenizer).topography)
    adapted = adapt(subject, text, tmp_path / "out", mode="place", recipe=SHORT, placement=PLACED, nulls=[])
    assert adapted.subject.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert ts.load(tmp_path / "out").tokenizer is not None


def test_what_comes_late_in_an_adaptation_is_refused_before_anything_is_written(tokenizer, text, tmp_path):
    ts.save(tmp_path / "model", opened(tokenizer))
    saved, network = ts.load(tmp_path / "model"), random_model("llama")
    wide = ts.Topography.per_tap(network, taps=["model.layers.1.*"], shape=(4, 9))
    two_shapes = ts.Topography.per_tap(network, taps=["model.layers.0.mlp"]).sheets | wide.sheets
    bert = hf.BertForMaskedLM(hf.BertConfig(vocab_size=300, hidden_size=36, num_hidden_layers=1, num_attention_heads=2))
    for subject, options, message in (
        (saved, {"mode": "lora", "recipe": SHORT.changed(lora_rank=2, lora_layers=("q_prj",))}, "names 'q_prj'"),
        (ts.Subject(network, ts.Topography(two_shapes), tokenizer), {"mode": "rebase", "share": "width"},
         "can share a basis only on sheets of one shape"),
        (ts.Subject(bert.eval(), ts.Topography.per_tap(bert), tokenizer), {"mode": "place"}, "is an encoder"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            adapt(subject, text, tmp_path / "out", **{"recipe": SHORT, "placement": PLACED, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["place", "rebase", "lora", "full"])
def test_a_subject_with_interventions_is_refused_before_anything_is_written(mode, tokenizer, text, tmp_path):
    subject = opened(tokenizer)
    tap, width = next(iter(subject.topography.widths.items()))
    silent = ts.Intervention("silent", {tap: ts.Effect.silence(np.ones(width, dtype=bool))})
    with pytest.raises(UserError, match="has interventions, and a folder cannot hold interventions: take the subject"):
        adapt(subject.intervened(silent), text, tmp_path / "out", mode=mode, recipe=SHORT, placement=PLACED)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["place", "rebase"])
def test_a_model_whose_modules_were_replaced_is_refused_before_anything_is_written(mode, tokenizer, text, tmp_path):
    subject = opened(tokenizer)
    mlp = subject.model.model.layers[0].mlp
    mlp.up_proj = torch.nn.Sequential(mlp.up_proj)
    with pytest.raises(
        UserError, match=r"cannot be saved: .* describes \(first model\.layers\.0\.mlp\.up_proj\.weight"
    ):
        adapt(subject, text, tmp_path / "out", mode=mode, recipe=SHORT, placement=PLACED)
    assert not (tmp_path / "out").exists()


def test_nearness_is_shuffled_within_windows_as_in_the_shuffled_objective():
    from toposheet.adaptation.placement import pair_gains

    whole, shuffled = (pair_gains((6, 6), 2, shuffled=value) for value in (False, True))
    assert whole.sum() == pytest.approx(shuffled.sum(), abs=1e-4)
    assert not np.allclose(whole, shuffled)
    np.testing.assert_allclose(shuffled, shuffled.T)
    assert Neighborhoods.of(ts.Sheet((6, 6), {"a": np.argwhere(np.ones((6, 6)))}), 2).units.shape == (16, 9)
