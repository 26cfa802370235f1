import re

import numpy as np
import pandas as pd
import pytest

from toposheet import Contrast, stimulus_set
from toposheet.errors import UserError
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.stimulus_set import PUBLISHED, SETS, StimulusSet

FACTS = {"description": "long and short words", "source": "nowhere", "licence": "CC0", "conditions": ("long", "short")}


def drawn(reader, seed, per_condition):
    """Words made of letters drawn at random, twice as many tokens in the long ones."""
    n, rng = per_condition or 12, np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefgh"), size)) for size in [12] * n + [4] * n]
    counts = [0 if reader.count_tokens is None else reader.count_tokens(word) for word in words]
    labels = ["long"] * n + ["short"] * n
    return pd.DataFrame({"text": words, "condition": labels, "tokens": counts, "synthetic": True})


@pytest.fixture
def from_outside():
    """A set that stands in no file of toposheet."""
    SETS.register("outside", StimulusSet(**FACTS, contrasts=(Contrast("long", "short"),), make=drawn))
    yield SETS["outside"]
    SETS.unregister("outside")


def test_every_set_says_what_it_is():
    assert {"fedorenko2010", "fedorenko2011", "moseley2014", "language", "swjn", "words", "pairs"} == set(SETS)
    for _, entry in SETS.items():
        assert entry.description
        assert entry.source
        assert entry.licence
        assert entry.conditions
        assert entry.contrasts
        assert (entry.kind == PUBLISHED) == bool(entry.files) == bool(entry.sha256)


def test_an_unknown_set_lists_those_there_are():
    with pytest.raises(
        ValueError, match=r"no stimulus set 'nouns'\. Choose from: fedorenko2010, .*; or give a CSV file"
    ):
        stimulus_set("nouns")


@pytest.mark.parametrize("origin", [{}, {"make": drawn, "files": ("a.csv",), "sha256": "0"}, {"files": ("a.csv",)}])
def test_a_set_is_read_from_known_files_or_made(origin):
    with pytest.raises(UserError, match="either files and their sha256, or a function `make`"):
        StimulusSet(**FACTS, contrasts=(), **origin)


@pytest.mark.slow
def test_where_little_text_is_held_out_there_are_fewer_texts_unless_so_many_are_asked_for():
    pytest.importorskip("lemminflect")
    short = Reader(validation_fraction=0.02)
    assert set(stimulus_set("swjn", short)["condition"].value_counts()) == {22}
    with pytest.raises(ValueError, match="200 are needed"):
        stimulus_set("swjn", short, per_condition=100)


def test_the_seed_of_a_set_is_that_of_its_reader_unless_another_is_asked_for(from_outside):
    with_seed_of_reader = stimulus_set("outside", Reader(seed=3))
    assert with_seed_of_reader.equals(stimulus_set("outside", Reader(seed=3), seed=3))
    assert with_seed_of_reader.equals(stimulus_set("outside", seed=3))
    assert not with_seed_of_reader.equals(stimulus_set("outside", Reader(seed=3), seed=0))
    with pytest.raises(UserError, match="per_condition is 2: a contrast needs at least 3 texts"):
        stimulus_set("outside", per_condition=2)


def test_sets_are_listed_by_kind_published_ones_first(ran, from_outside):
    lines = [line.split() for line in ran("stimuli", "list").splitlines()]
    assert [line[1] for line in lines] == ["published"] * 3 + ["synthetic"] * 5
    assert [line[0] for line in lines] == [
        "fedorenko2010", "fedorenko2011", "moseley2014", "language", "pairs", "swjn", "words", "outside",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_set_from_outside_is_shown_built_for_a_model_checked_and_mapped(ran, tmp_path, from_outside):
    shown = ran("stimuli", "show", "outside")
    assert re.search(r"contrasts +long:short", shown)
    assert "long (12 texts)" in shown
    options = ["--model", "small", "--per-condition", 5, "--out", tmp_path / "a.csv"]
    built = ran("stimuli", "build", "outside", *options)
    assert "10 texts" in built
    table = pd.read_csv(tmp_path / "a.csv")
    assert table["condition"].value_counts().to_dict() == {"long": 5, "short": 5}
    assert (table["tokens"] > 0).all()
    assert "24 texts; long 12, short 12" in ran("stimuli", "check", "outside")
    arguments = ["--contrast", "long:short", "--permutations", "9", "--out", tmp_path / "map"]
    ran("map", "small", "--stimuli", "outside", *arguments)
    summary = pd.read_csv(tmp_path / "map" / "summary.csv")
    assert set(summary["contrast"].str.partition("/")[0]) == {"long:short"}
    assert summary["morans_i"].notna().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda *_: None, "returns NoneType: it must return a DataFrame"),
        (lambda *_: {"text": ["a"]}, "returns dict: it must return a DataFrame"),
        (lambda *_: pd.DataFrame(), "makes no column text, condition, tokens, synthetic; it makes: none"),
        (lambda *rest: drawn(*rest).drop(columns="tokens"), "makes no column tokens; it makes: text, condition, synth"),
        (lambda *rest: drawn(*rest).drop(columns="synthetic"), "makes no column synthetic"),
        (lambda *rest: drawn(*rest)[:12], "makes the conditions long; the set declares long, short"),
        (lambda *rest: drawn(*rest).replace("short", "brief"), "makes the conditions brief, long; the set declares"),
    ],
)
def test_what_a_set_makes_is_what_it_declares(make, message):
    SETS.register("wrong", StimulusSet(**FACTS, contrasts=(), columns=("tokens",), make=make))
    try:
        with pytest.raises(UserError, match=f"the function of the set wrong {message}"):
            stimulus_set("wrong")
    finally:
        SETS.unregister("wrong")


@pytest.mark.parametrize("name", ["words", "pairs", "fedorenko2010", "moseley2014"])
def test_a_set_of_a_fixed_number_of_texts_takes_no_other(name):
    with pytest.raises(UserError, match=f"per_condition is 5, but the set {name} has a fixed number of texts: omit"):
        stimulus_set(name, per_condition=5)
