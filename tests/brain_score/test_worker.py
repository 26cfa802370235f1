"""What the process of a subject answers, asked in this process, and what it refuses."""

import json
import re
import sys

import numpy as np
import pytest

import toposheet as ts
from toposheet.brain_score import worker
from toposheet.brain_score.messages import PROTOCOL, array_in, line_of, message_in
from toposheet.brain_score.worker import Worker, _answered

TAP = "transformer.h.0.mlp"


def opening(model, regions=None, bos=None, **options):
    regions = {"language_system": None} if regions is None else regions
    return {
        "ask": "open",
        "protocol": PROTOCOL,
        "model": str(model),
        "bos": bos,
        "options": options,
        "regions": regions,
    }


def told(one, question):
    """Ask over the line, as the other process does."""
    return message_in(line_of(_answered(one, line_of(question))))


def refused(question):
    reply = told(Worker(), question)
    assert "\n" not in reply["message"]
    return reply["error"], reply["message"]


def test_neuroids_have_the_places_of_their_units_in_mm(tmp_path, model, tokenizer):
    topo = ts.Topography.of(model, shape=(10, 16), layout="bands", spacing_mm=0.25, seed=1)
    ts.save(tmp_path / "model", ts.Subject(model, topo, tokenizer))
    answer = told(Worker(), opening(tmp_path / "model"))["answer"]
    neuroids = answer["neuroids"]
    (sheet,) = topo.sheets.values()
    places = np.concatenate([sheet.places[tap] for tap in topo.taps])
    np.testing.assert_array_equal(array_in(neuroids["tissue_y"]), 0.25 * places[:, 0])
    np.testing.assert_array_equal(array_in(neuroids["tissue_x"]), 0.25 * places[:, 1])
    assert neuroids["layer"] == [tap for tap in topo.taps for _ in range(36)]
    assert neuroids["neuron_number_in_layer"] == [*range(36)] * 4
    assert set(neuroids["sheet"]) == {"cortex"}
    assert answer["regions"] == {"language_system": [*range(144)]}


def test_a_region_has_the_units_of_all_its_places_in_the_order_of_the_topography(folder, subject):
    disc = ts.Disc(TAP, 2, 2, 1)
    regions = {
        "one": ["transformer.h.1.mlp", "disc:transformer.h.0.mlp:2:2:1"],
        "ring": [f"tap:{TAP} - disc:{TAP}:2:2:1"],
        "two": [f"disc:{TAP}:2:2:1", f"disc:{TAP}:5:5:0"],
    }
    answer = told(Worker(), opening(folder, regions))["answer"]
    taps = subject.topography.taps
    assert taps.index(TAP) == 1
    inside = np.flatnonzero(disc.units(subject)[TAP])
    assert answer["regions"]["one"] == [*(36 + inside), *range(108, 144)]
    corner = np.flatnonzero(ts.Disc(TAP, 5, 5, 0).units(subject)[TAP])
    assert answer["regions"]["two"] == sorted([*(36 + inside), *(36 + corner)])
    assert answer["regions"]["ring"] == [36 + unit for unit in range(36) if unit not in inside]


def test_what_is_put_out_is_what_the_subject_answers_in_toposheet(folder, subject):
    from toposheet.brain_score.answers import next_words, parts_of, responses, surprisals

    lesioned = ts.lesion(subject, ts.WholeTap(TAP))
    one = Worker()
    answer = told(one, opening(folder, {"a": ["transformer.h.1.attn"], "b": [TAP]}, lesion=f"tap:{TAP}"))["answer"]
    assert answer["fingerprint"] == lesioned.fingerprint
    assert lesioned.interventions[0].name in answer["name"]
    contexts = ["the river", "the river ran"]
    question = {"ask": "digest", "contexts": contexts, "regions": ["b", "a"], "behavior": "reading_times"}
    parts = parts_of(lesioned, contexts)
    digested = told(one, question)["answer"]
    np.testing.assert_array_equal(array_in(digested["behavior"]), surprisals(lesioned, parts))
    expected = responses(lesioned, parts)
    np.testing.assert_array_equal(array_in(digested["neural"]), expected[:, [*range(36, 72), *range(72, 108)]])
    assert not array_in(digested["neural"])[:, :36].any()
    words = told(one, question | {"behavior": "next_word", "regions": []})["answer"]
    assert words == {"n_truncated": 0, "behavior": next_words(lesioned, parts)}


@pytest.mark.parametrize(
    ("question", "kind", "words"),
    [
        ({"model": "./nowhere"}, "NotFound", "nowhere does not exist"),
        ({"regions": {"v1": ["transformer.h.9.mlp"]}}, "UserError", "the region v1: .*transformer.h.9.mlp"),
        ({"regions": {"v1": ["ball:3"]}}, "UserError", "the region v1: 'ball:3' is no region"),
        ({"regions": {"v1": ["localizer:nowhere.nc"]}}, "NotFound", "the region v1: .*nowhere.nc"),
        ({"bos": "<none>"}, "UserError", "has no such token"),
        ({"options": {"lesion": "disc:nowhere:1:1:1"}}, "UserError", "there is no sheet 'nowhere'"),
        ({"options": {"stimulate": f"tap:{TAP}"}}, "UserError", "stimulate and strength go together"),
        ({"options": {"stimulate": f"tap:{TAP}", "strength": "much"}}, "UserError", "strength is 'much'"),
        ({"options": {"dtype": "float7"}}, "UserError", "dtype is 'float7'"),
        ({"options": {"device": "tpu9"}}, "UserError", "device is 'tpu9'"),
        ({"protocol": PROTOCOL + 1}, "UserError", "different versions of toposheet"),
        ({"model": "nowhere.py"}, "NotFound", "there is no script nowhere.py"),
        ({"model": "nowhere.py", "options": {"lesion": "tap:x"}}, "UserError", "lesion is given, but"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_refused_in_one_line(folder, tmp_path, monkeypatch, question, kind, words):
    monkeypatch.chdir(tmp_path)
    found, message = refused(opening(folder) | question)
    assert found == kind
    assert re.search(words, message), message


def test_a_subject_without_tokenizer_is_refused_when_it_is_opened(tmp_path, model, topo):
    ts.save(tmp_path / "mute", ts.Subject(model, topo))
    assert "has no tokenizer" in refused(opening(tmp_path / "mute"))[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1\nsubject = 1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("subject = 3\n", "makes `subject`, which is a int"),
        ("import toposheet\n", "makes no variable `subject`"),
        ("subject = (\n", "line 1: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "ends with sys.exit(3)"),
        ("import toposheet as ts\nsubject = ts.load('./nowhere')\n", "nowhere does not exist"),
    ],
)
def test_a_script_that_makes_no_subject_is_refused_by_its_line(tmp_path, code, words):
    (tmp_path / "mine.py").write_text(code)
    assert words in refused(opening(tmp_path / "mine.py"))[1]


def test_a_script_makes_any_subject_also_with_a_file_beside_it(tmp_path, folder, subject, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "beside_it.py").write_text(f"import toposheet as ts\ndisc = ts.Disc({TAP!r}, 2, 2, 1)\n")
    (tmp_path / "mine.py").write_text(
        f"import toposheet as ts\nfrom beside_it import disc\nsubject = ts.lesion(ts.load({str(folder)!r}), disc)\n"
    )
    answer = told(Worker(), opening(tmp_path / "mine.py"))["answer"]
    assert answer["fingerprint"] == ts.lesion(subject, ts.Disc(TAP, 2, 2, 1)).fingerprint


def test_a_fault_is_told_with_its_traceback(folder, monkeypatch):
    monkeypatch.setattr("toposheet.brain_score.opening.neuroids", lambda _: 1 / 0)
    reply = told(Worker(), opening(folder))
    assert (reply["error"], reply["message"]) == ("fault", "ZeroDivisionError: division by zero")
    assert "Traceback" in reply["traceback"]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i8"])
def test_arrays_go_over_the_line_to_the_bit(dtype):
    values = np.array([[0.1, -0.0, 3.0], [np.pi, 1e-30, 7.0]]).astype(dtype)
    line = line_of({"values": values, "empty": np.zeros((0, 4), dtype=np.float32), "none": float("nan")})
    assert line.count(b"\n") == 1
    assert message_in(line_of({"strength": np.float32(2.5)})) == {"strength": 2.5}
    message = message_in(line)
    np.testing.assert_array_equal(array_in(message["values"]), values)
    assert array_in(message["empty"]).shape == (0, 4)
    assert json.loads(line)["none"] != json.loads(line)["none"]
    with pytest.raises(ValueError, match="JSON object"):
        message_in(b"[1]\n")
    with pytest.raises(TypeError, match="a set cannot be in a message"):
        line_of({"values": {1}})


def test_started_by_hand_it_says_what_it_is(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    with pytest.raises(SystemExit) as stop:
        worker.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
