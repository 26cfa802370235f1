"""Everything that is made from responses says how their texts were read."""

import numpy as np
import pytest
from tests.cortex.planted import PROFILE, cortex, localizer, responses, to_stimuli

import toposheet as ts
from toposheet.cortex import consistency, profile_tests
from toposheet.cortex.localizer import save_localizer
from toposheet.cortex.maps import comparison_maps, joined_maps, maps_of_models
from toposheet.provenance import reading_attributes, reading_in_words, reading_of
from toposheet.results import MAPS, Results, read_maps
from toposheet.settings import Reading

READ = Reading("sum", "<|endoftext|>", skip_first=True)
OTHER = Reading("mean", "none")


@pytest.fixture
def topo():
    return cortex(n_taps=2)


def read_by(reading, data):
    return data.assign_attrs(reading_attributes(reading))


def measured(topo):
    """Noise in response to texts of the four conditions of a profile."""
    rng = np.random.default_rng(0)
    conditions = np.repeat(list(PROFILE), 5)
    return to_stimuli(topo, rng.normal(size=(len(conditions), 288)), conditions)


def maps_read_by(reading, topo):
    shapes = {name: sheet.shape for name, sheet in topo.sheets.items()}
    return joined_maps([comparison_maps(ts.Comparison(read_by(reading, responses(topo)), "a", "b"), shapes)])


@pytest.mark.parametrize("confounds", [(), ("weight",)])
def test_what_is_made_from_responses_has_their_reading(topo, confounds):
    data = read_by(READ, responses(topo, effect=2.0))
    data = data.assign_coords(weight=("stimulus", np.random.default_rng(0).normal(size=data.sizes["stimulus"])))
    whole = ts.Comparison(data, "a", "b", confounds=confounds)
    controls = ts.negative_controls(whole).values()
    for comparison in (whole, whole.readout(2.0), *whole.even_and_odd(), *next(whole.halves(1)), *controls):
        assert comparison.reading == READ
        for name in ("t", "p", "q", "d", "d_low", "d_high"):
            assert reading_of(getattr(comparison, name)) == READ, name
        assert {reading_of(grid) for grid in comparison.maps().values()} == {READ}
        mask = ts.localize(comparison)
        assert {reading_of(mask), *(reading_of(mask[name]) for name in mask)} == {READ}
        assert reading_of(ts.grow_clusters(comparison)) == reading_of(ts.grow_clusters(mask)) == READ
    maps = maps_of_models({"m": maps_read_by(READ, topo)})
    assert {reading_of(maps), *(reading_of(maps[name]) for name in maps)} == {READ}


def test_a_comparison_says_how_its_texts_were_read(topo):
    said = repr(ts.Comparison(read_by(READ, responses(topo)), "a", "b"))
    assert "\n  reading: sum over tokens, <|endoftext|> before each text, first token left out\n" in said
    assert "reading" not in repr(ts.Comparison(responses(topo), "a", "b"))


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (Reading("mean", "none"), "mean over tokens, no token before each text"),
        (Reading("last", "<s>"), "last token, <s> before each text"),
        (Reading("padded-mean", "none", True),
         "mean over tokens and padding, no token before each text, first token left out"),
    ],
)  # fmt: skip
def test_a_reading_has_words(reading, words):
    assert reading_in_words(reading) == words


def test_a_reading_is_the_same_after_a_file(topo, tmp_path):
    maps = maps_of_models({"m": maps_read_by(READ, topo)})
    Results({}, maps).write(tmp_path)
    data = read_by(READ, localizer(topo))
    save_localizer(ts.localize(ts.Comparison(data, "sentence", "nonword")).assign_attrs(n=3), tmp_path / "l.nc")
    data.to_netcdf(tmp_path / "responses.nc", engine="h5netcdf")
    stored = [read_maps(tmp_path / MAPS), ts.load_localizer(tmp_path / "l.nc"), read_maps(tmp_path / "responses.nc")]
    for one in (stored[0], stored[0]["t"], stored[1], stored[1]["t"], stored[2]["__xarray_dataarray_variable__"]):
        assert reading_of(one) == READ
        assert type(one.attrs["skip_first"]) is int
    assert type(stored[1].attrs["n"]) is int
    assert stored[0].attrs == maps.attrs


def test_maps_of_models_with_different_readings_say_which_model_has_which(topo):
    maps = maps_of_models({"a": maps_read_by(OTHER, topo), "b": maps_read_by(Reading("mean", "<s>"), topo)})
    assert maps["t"].attrs | maps.attrs == {"long_name": "Welch's t", "pooling": "mean", "skip_first": 0}
    assert maps["t"]["bos"].to_series().to_dict() == {"a": "none", "b": "<s>"}
    assert reading_of(maps) is None


def test_clusters_and_masks_of_another_reading_are_refused(topo, tmp_path):
    comparison = ts.Comparison(read_by(READ, localizer(topo, effect=2.0)), "sentence", "nonword")
    clusters, data = ts.grow_clusters(comparison), measured(topo)
    save_localizer(ts.localize(comparison), tmp_path / "l.nc")
    uses = [
        lambda data: ts.profiles(data, clusters),
        lambda data: profile_tests(data, clusters),
        lambda data: consistency(data, clusters, permutations=2),
        lambda data: ts.language_network(comparison, data, permutations=2),
        lambda data: ts.load_localizer(tmp_path / "l.nc", responses=data),
        lambda data: ts.profiles(data, ts.grow_clusters(ts.load_localizer(tmp_path / "l.nc"))),
    ]
    message = (
        r"^(the clusters|.*l\.nc) and the responses have different readings \(sum over tokens, <\|endoftext\|> before "
        r"each text, first token left out; mean over tokens, no token before each text\): make both [^\n]*$"
    )
    for use in uses:
        with pytest.raises(ts.UserError, match=message):
            use(read_by(OTHER, data))
        use(read_by(READ, data))
        use(data)  # made by hand: it does not say how texts were read
