"""Gives every public function a wrong value, and prints what is no one-line UserError. Run by test_types.py."""

from functools import partial

import numpy as np
import pandas as pd
import torch
import xarray as xr

import toposheet as ts
from toposheet.cortex.profiles import consistency

subject = ts.load("small")
topo, model = subject.topography, subject.model
texts = pd.DataFrame({"text": [f"word {w} here" for w in "abcdefghijkl"], "condition": ["a", "b"] * 6})
half = pd.DataFrame({"text": ["ok", "a\ud800b"], "condition": ["a", "b"]}, dtype=object)
responses = ts.respond(subject, texts)
comparison = ts.Comparison(responses, "a", "b")
network_texts = responses.assign_coords(condition=("stimulus", [*"SWJN"] * 3))
network = ts.Comparison(network_texts.assign_coords(condition=("stimulus", ["S", "N"] * 6)), "S", "N")
recorded = xr.DataArray(
    np.random.default_rng(0).normal(size=(12, 4)),
    dims=("stimulus", "voxel"),
    coords={"text": ("stimulus", texts["text"].to_numpy())},
)
of_comparisons = (
    "map_statistics", "topography_statistics", "selective_clusters", "localize", "negative_controls", "organisation",
    "plot", "grow_clusters", "noise_smoothness",
)  # fmt: skip
disc = ts.Disc(topo.taps[0], 2, 2, 2)
pairs = ts.Measure.pairs(subject, ["It is good."], ["It are good."])
clusters = ts.grow_clusters(comparison, min_size=1)
draws, readouts = "seed permutations", "seed permutations fwhm_mm"
TAKERS = {
    "organisation": (partial(ts.organisation, comparison), readouts),
    "map_statistics": (partial(ts.map_statistics, comparison), readouts),
    "topography_statistics": (partial(ts.topography_statistics, comparison), f"{readouts} min_size"),
    "noise_smoothness": (partial(ts.noise_smoothness, comparison), "fwhm_mm"),
    "selective_clusters": (partial(ts.selective_clusters, comparison), draws),
    "response_statistics": (partial(ts.response_statistics, responses), draws),
    "correlation_curve": (partial(ts.correlation_curve, responses), draws),
    "consistency": (partial(consistency, responses, clusters), draws),
    "negative_controls": (partial(ts.negative_controls, comparison), "seed"),
    "language_network": (partial(ts.language_network, network, network_texts), f"{draws} min_size"),
    "halves": (lambda n=1, seed=0: next(comparison.halves(n, seed)), "seed n"),
    "grow_clusters": (partial(ts.grow_clusters, comparison), "min_size"),
    "per_tap": (partial(ts.Topography.per_tap, model), "seed"),
    "encode": (partial(ts.encode, responses, recorded), draws),
    "rsa": (partial(ts.rsa, responses, recorded), draws),
    "cka": (partial(ts.cka, responses, recorded), draws),
    "surface_morans_i": (partial(ts.surface_morans_i, ts.SurfaceMap(np.arange(10_242.0), "left", "fsaverage5")), draws),
}
CALLS = {
    **{f"{name}(responses)": lambda name=name: getattr(ts, name)(responses) for name in of_comparisons},
    "respond(list)": lambda: ts.respond(subject, ["a"]),
    "respond(name)": lambda: ts.respond("small", texts),
    "respond(reading)": lambda: ts.respond(subject, texts, reading="mean"),
    "respond(batch_size)": lambda: ts.respond(subject, texts, batch_size=0),
    "respond(half a character)": lambda: ts.respond(subject, half),
    "score(name)": lambda: ts.score("small", ["a"]),
    "score(one text)": lambda: ts.score(subject, "a"),
    "score(table)": lambda: ts.score(subject, texts),
    "score(numbers)": lambda: ts.score(subject, [3]),
    "score(half a character)": lambda: ts.score(subject, half["text"].tolist()),
    "score(batch_size)": lambda: ts.score(subject, ["a"], batch_size=0),
    "score(bos)": lambda: ts.score(subject, ["a"], bos=3),
    "evaluate(name)": lambda: ts.evaluate("small", "blimp"),
    "evaluate(task)": lambda: ts.evaluate(subject, ["blimp"]),
    "evaluate(path)": lambda: ts.evaluate(subject, "blimp", path=3),
    "evaluate(limit)": lambda: ts.evaluate(subject, "blimp", limit="3"),
    "accuracy": lambda: ts.accuracy(texts),
    "accuracy(list)": lambda: ts.accuracy([1]),
    "accuracy_difference": lambda: ts.accuracy_difference(texts, texts),
    "Comparison(table)": lambda: ts.Comparison(texts, "a", "b"),
    "Comparison(array)": lambda: ts.Comparison(responses.values, "a", "b"),
    "Comparison(one axis)": lambda: ts.Comparison(responses.mean("unit"), "a", "b"),
    "organisation_difference": lambda: ts.organisation_difference(comparison, responses),
    "language_network": lambda: ts.language_network(comparison, texts),
    "profiles": lambda: ts.profiles(responses, texts),
    "response_statistics": lambda: ts.response_statistics(comparison),
    "correlation_curve": lambda: ts.correlation_curve(texts),
    "import_topolm": lambda: ts.import_topolm(3, "positions", tap="before-residual"),
    "import_topolm(tap)": lambda: ts.import_topolm("ckpt.pt", "positions", tap=["before-residual"]),
    "import_nanogpt": lambda: ts.import_nanogpt("ckpt.pt", taps="transformer.h.*.attn"),
    "import_grid": lambda: ts.import_grid("small", "coordinates.safetensors", shape=3),
    "morans_i(dict)": lambda: ts.morans_i(comparison.maps()),
    "morans_i(one axis)": lambda: ts.morans_i(np.ones(4)),
    "morans_i(comparison)": lambda: ts.morans_i(comparison),
    "subject(text)": lambda: subject("text"),
    "subject(batch)": lambda: subject(subject.tokenizer("text", return_tensors="pt")),
    "subject(numbers)": lambda: subject(torch.ones(1, 3)),
    "subject(small numbers)": lambda: subject(torch.ones(1, 3, dtype=torch.int8)),
    "subject(one axis)": lambda: subject(torch.arange(3)),
    "subject(nothing)": lambda: subject(torch.zeros(1, 0, dtype=torch.long)),
    "subject(too long)": lambda: subject(torch.zeros(1, 129, dtype=torch.long)),
    "subject(strange)": lambda: subject(torch.full((1, 3), 4096)),
    "subject(negative)": lambda: subject(torch.full((1, 3), -1)),
    "Subject(name)": lambda: ts.Subject("small", topo),
    "Subject(topography)": lambda: ts.Subject(model, None),
    "Subject(tokenizer)": lambda: ts.Subject(model, topo, "small"),
    "intervened": lambda: subject.intervened(ts.Effect.silence(np.ones(3, bool))),
    "Intervention": lambda: subject.intervened(ts.Intervention("x", {topo.taps[0]: 1})),
    "lesion(region)": lambda: ts.lesion(subject, topo.taps[0]),
    "lesion(subject)": lambda: ts.lesion(model, disc),
    "lesion(to)": lambda: ts.lesion(subject, disc, to="one"),
    "lesion(texts)": lambda: ts.lesion(subject, disc, to="mean", texts="a text"),
    "lesion(texts, numbers)": lambda: ts.lesion(subject, disc, to="mean", texts=[1]),
    "lesion(seed)": lambda: ts.lesion(subject, disc, seed=-1),
    "lesion(another tap)": lambda: ts.lesion(subject, ts.WholeTap("model")),
    "stimulate(strength)": lambda: ts.stimulate(subject, disc, "2"),
    "stimulate(region)": lambda: ts.stimulate(subject, 3, 2),
    "unit_activity": lambda: ts.unit_activity("small"),
    "Disc(y)": lambda: ts.Disc(topo.taps[0], "2", 2, 2),
    "Disc(sheet)": lambda: ts.Disc(3, 2, 2, 2).units(subject),
    "WholeSheet": lambda: ts.WholeSheet(3).units(subject),
    "WholeTap": lambda: ts.WholeTap(3).units(subject),
    "Disc or name": lambda: disc | topo.taps[0],
    "Mask(list)": lambda: ts.Mask.of([1]),
    "Mask.top": lambda: ts.Mask.top(comparison.t, "1"),
    "Mask.top(0)": lambda: ts.Mask.top(comparison.t, 0),
    "Measure.pairs": lambda: ts.Measure.pairs(subject, ["a"], []),
    "intervention_effects(region)": lambda: ts.intervention_effects(subject, "disc", pairs),
    "intervention_effects(nothing)": lambda: ts.intervention_effects(subject, [], pairs),
    "intervention_effects(measure)": lambda: ts.intervention_effects(subject, disc, "blimp"),
    "intervention_effects(draws)": lambda: ts.intervention_effects(subject, disc, pairs, draws=1),
    "intervention_effects(act)": lambda: ts.intervention_effects(subject, disc, pairs, act="lesion"),
    "intervention_effects(comparison)": lambda: ts.intervention_effects(subject, disc, pairs, comparison=responses),
    "Lesion(to)": lambda: ts.Lesion("one"),
    "Lesion(seed)": lambda: ts.Lesion(seed=0.5),
    "Stimulation(strength)": lambda: ts.Stimulation("2"),
    "intervention_effects(alternative)": lambda: ts.intervention_effects(subject, disc, pairs, alternative="more"),
    "searchlight(measure)": lambda: ts.searchlight(subject, "blimp"),
    "searchlight(radius)": lambda: ts.searchlight(subject, pairs, radius_mm="3"),
    "searchlight(sheets)": lambda: ts.searchlight(subject, pairs, sheets=topo.taps[0]),
    "searchlight(act)": lambda: ts.searchlight(subject, pairs, act=ts.Lesion),
    "searchlight(draws)": lambda: ts.searchlight(subject, pairs, draws=0.5),
    "dose_curve(radii)": lambda: ts.dose_curve(subject, pairs, topo.taps[0], 2, 2, radii_mm=3),
    "dose_curve(acts)": lambda: ts.dose_curve(subject, pairs, topo.taps[0], 2, 2, acts=ts.Lesion()),
    "load(model)": lambda: ts.load(model),
    "attach(model)": lambda: ts.attach(model),
    "attach(taps)": lambda: ts.attach("small", "model.layers.*.mlp"),
    "attach(no taps)": lambda: ts.attach("small", []),
    "attach(shape)": lambda: ts.attach("small", shape=24),
    "adapt(data)": lambda: ts.adapt(subject, 5, "nowhere", mode="place"),
    "adapt(out)": lambda: ts.adapt(subject, "nowhere", None, mode="place"),
    "adapt(twin)": lambda: ts.adapt(subject, "nowhere", "nowhere", twin="no"),
    "adapt(nulls)": lambda: ts.adapt(subject, "nowhere", "nowhere", mode="place", nulls="random-weights"),
    "adapt(recipe)": lambda: ts.adapt(subject, "nowhere", "nowhere", recipe="demo"),
    "adapt(placement)": lambda: ts.adapt(subject, "nowhere", "nowhere", placement="swaps"),
    "save(swapped)": lambda: ts.save(subject, "folder"),
    "save(model)": lambda: ts.save("nowhere", model),
    "per_tap": lambda: ts.Topography.per_tap(subject),
    "Topography": lambda: ts.Topography({"a": 1}),
    "Sheet(list)": lambda: ts.Sheet((2, 2), {"a": [[0, 0]]}),
    "Sheet(shape)": lambda: ts.Sheet(4, {"a": np.zeros((1, 2), int)}),
    "Sheet(array)": lambda: ts.Sheet((2, 2), np.zeros((1, 2), int)),
    "spatial_loss(nothing)": lambda: ts.spatial_loss({}, topo),
    "spatial_loss(list)": lambda: ts.spatial_loss([1], topo),
    "spatial_losses(subject)": lambda: ts.spatial_losses({"a": torch.ones(1)}, subject),
    "SpatialStatistics": lambda: ts.SpatialStatistics(subject),
    "spatial_correlation_loss": lambda: ts.spatial_correlation_loss(np.ones((3, 4)), np.ones((4, 2))),
    "load_localizer": lambda: ts.load_localizer(3),
    "read_stimuli": lambda: ts.read_stimuli(texts),
    "stimulus_set": lambda: ts.stimulus_set(3),
    "read_surface_map": lambda: ts.read_surface_map(None),
    "surface_morans_i": lambda: ts.surface_morans_i(np.ones(3)),
    "export_sheet": lambda: ts.export_sheet(topo, comparison, "x"),
    **{
        f"{name}({what})": lambda name=name, pair=pair: getattr(ts, name)(*pair)
        for name in ("encode", "rsa", "cka")
        for what, pair in {
            "comparison": (comparison, recorded),
            "table": (texts, recorded),
            "array": (responses, recorded.values),
            "responses": (responses, responses),
            "swapped": (recorded, responses),
        }.items()
    },
    "encode(passages)": lambda: ts.encode(responses, recorded, passages=3),
    "encode(untrained)": lambda: ts.encode(responses, recorded, untrained=subject),
    "encode(folds)": lambda: ts.encode(responses, recorded, folds="5"),
    "encode(gap)": lambda: ts.encode(responses, recorded, gap=1.5),
    "encode(oasm_width)": lambda: ts.encode(responses, recorded, oasm_width="2"),
    "rsa(measure)": lambda: ts.rsa(responses, recorded, measure="pearson"),
    "read_recording": lambda: ts.read_recording(recorded),
    "to_grid": lambda: topo.to_grid(np.ones(3)),
    **{
        f"{name}({option}={value!r})": lambda call=call, option=option, value=value: call(**{option: value})
        for option, values in {
            "seed": (-1, "a", 1.5, None),
            "permutations": (1, "9", 9.0, True),
            "fwhm_mm": (-1, (), ("2",), None, "2"),
            "n": (0, -1, 1.5),
            "min_size": (0, "a"),
        }.items()
        for name, (call, options) in TAKERS.items()
        if option in options.split()
        for value in values
    },
    "Settings": lambda: ts.Settings(fwhm_mm=2.0),
}

for name, call in CALLS.items():
    try:
        print(name, "gave", type(call()).__name__)
    except ts.UserError as error:
        if "\n" in str(error):
            print(name, "has several lines:", error)
    except Exception as error:
        print(name, "raised", type(error).__name__, error)
