"""Attention sinks in a report: the table, the sentences and the part of the page."""

import re

import pytest

from toposheet.report import StudiedModel, compute, write_report
from toposheet.report.localizing import localize_subject
from toposheet.report.sinks import SINKS, SINKS_OF_MODELS, sink_notes
from toposheet.settings import Reading, Settings
from toposheet.subject import Subject


@pytest.fixture
def sunk(model, topo, tokenizer):
    """A tiny model, all units but one of whose last tap are 1,000 times more active at the first position."""

    def plant(module, args, output):
        output = output.clone()
        output[:, 0, 1:] += 1000.0
        return output

    model.transformer.h[1].mlp.c_proj.register_forward_hook(plant)
    return [StudiedModel("deep", Subject(model, topo, tokenizer))]


def settings(**reading):
    return Settings(permutations=3, min_size=2, negative_controls=False, reading=Reading(**reading))


@pytest.mark.slow
def test_sinks_are_named_with_what_to_do_and_are_gone_when_it_is_done(sunk, battery, tmp_path):
    analysis = compute(sunk, battery, settings=settings())
    table = analysis.results[SINKS_OF_MODELS]
    assert table["stimuli"].unique().tolist() == ["localizer", "profile"]
    assert table.groupby("tap", sort=False)["n_sinks"].max()["transformer.h.1.mlp"] == 35
    last = table[table["tap"] == "transformer.h.1.mlp"]
    assert (last["position"] == 0).all()
    assert (last["follow_length"] > 0.9).all()
    sinks, length = sink_notes(table)
    assert sinks.startswith("deep, ")
    assert re.search(r"3[56] of 144 units are attention sinks", sinks)
    assert "The worst is in transformer.h.1.mlp, row " in sinks
    assert "at token 1 of the texts" in sinks
    assert sinks.endswith("with a token before them (--bos TOKEN), or without their first token (--skip-first)")
    assert "% of the units follow 1 / number of tokens (r2 > 0.5)" in length
    page = write_report(analysis, tmp_path).read_text()
    assert "<h2>Attention sinks and the number of tokens</h2>" in page
    assert "of 144 units are attention sinks" in page
    assert "Reading: mean over tokens, no token before each text." in page
    for reading in ({"bos": "<|endoftext|>"}, {"skip_first": True}):
        mended = compute(sunk, battery, settings=settings(**reading))
        table = mended.results[SINKS_OF_MODELS]
        assert not table.loc[table["tap"] == "transformer.h.1.mlp", "n_sinks"].any()


def test_the_localizer_has_the_sinks_of_its_texts_and_the_same_note(sunk, battery):
    study, subject = battery.studies[0], sunk[0].source
    localized = localize_subject(
        subject, study.stimuli, study.contrasts[0], name="localizer", percent=10.0, settings=settings()
    )
    assert list(localized.sinks) == list(SINKS.columns)
    assert 35 <= localized.sinks["n_sinks"].max() <= 36
    (note, _) = localized.notes[-2:]
    assert note.startswith(f"{subject.name}, localizer: ")
    assert note.endswith("with a token before them (--bos TOKEN), or without their first token (--skip-first)")
    mended = localize_subject(
        subject, study.stimuli, study.contrasts[0], name="x", percent=10.0, settings=settings(skip_first=True)
    )
    assert not any("attention sinks" in note for note in mended.notes)
    assert "first token left out" in str(mended)


def test_a_reading_that_a_model_cannot_give_is_refused_before_any_model_is_read(models, battery, monkeypatch):
    from toposheet.report import computing

    monkeypatch.setattr(computing, "respond", lambda *_, **__: pytest.fail("a model read texts"))
    with pytest.raises(ValueError, match="bos is '<s>': the tokenizer of"):
        compute(models, battery, settings=settings(bos="<s>"))
