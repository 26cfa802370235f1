import numpy as np
import pandas as pd
import pytest

import toposheet as ts
from toposheet.evaluation import TASKS, Item, Task, items_table
from toposheet.subject import Request
from toposheet.subject.log_probabilities import span_sums


def test_a_limit_takes_the_first_items_of_each_finest_group(subject, blimp):
    everything, some = (ts.evaluate(subject, "blimp", path=blimp, limit=limit) for limit in (None, 3))
    assert some["item"].tolist() == ["0", "1", "2"] * 3
    same = everything[everything["item"].isin(["0", "1", "2"])].reset_index(drop=True)
    assert some.drop(columns=["good", "bad"]).equals(same.drop(columns=["good", "bad"]))
    np.testing.assert_allclose(some[["good", "bad"]], same[["good", "bad"]], rtol=1e-6)


def test_the_table_of_items_is_read_as_it_was_written(subject, blimp, tmp_path):
    items = ts.evaluate(subject, "blimp", path=blimp)
    table = items_table("blimp")
    table.write(items, tmp_path)
    pd.testing.assert_frame_equal(table.read(tmp_path), items)


def test_an_interrupted_evaluation_continues_where_it_stopped(subject, blimp, tmp_path, monkeypatch):
    expected = ts.evaluate(subject, "blimp", path=blimp)
    scored = _count_scored(monkeypatch)

    def stop_in_the_third(what, done, total):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ts.evaluate(subject, "blimp", path=blimp, cache=tmp_path / "cache", progress=stop_in_the_third)
    assert len(scored) == 3
    pd.testing.assert_frame_equal(ts.evaluate(subject, "blimp", path=blimp, cache=tmp_path / "cache"), expected)
    assert len(scored) == 4


def test_scores_of_another_model_or_with_other_settings_are_never_used(subject, blimp, tmp_path, monkeypatch):
    scored = _count_scored(monkeypatch)

    def evaluated(subject, **options):
        scored.clear()
        ts.evaluate(subject, "blimp", path=blimp, cache=tmp_path / "cache", **options)
        return len(scored)

    assert evaluated(subject) == 3
    assert evaluated(subject) == 0
    assert evaluated(subject, bos="none") == 3
    assert evaluated(subject, limit=2) == 3
    tap = subject.topography.taps[0]
    silent = ts.Intervention("silent", {tap: ts.Effect.silence(np.arange(36) < 3)})
    assert evaluated(subject.intervened(silent)) == 3
    subject.model.transformer.wte.weight.data[5] += 1
    assert evaluated(subject) == 3
    handle = subject.model.register_forward_hook(lambda *_: None)
    assert evaluated(subject) == 3
    assert evaluated(subject) == 3
    handle.remove()


def _count_scored(monkeypatch):
    """Return a list that gets an entry for each group of items that is really scored."""
    scored = []

    def counted(*args, **options):
        scored.append(1)
        return span_sums(*args, **options)

    monkeypatch.setattr("toposheet.subject.log_probabilities.span_sums", counted)
    return scored


def test_progress_names_the_group_and_counts_its_texts(subject, blimp):
    calls = []
    ts.evaluate(subject, "blimp", path=blimp, progress=lambda *call: calls.append(call))
    assert calls[0] == ("agreement, scoring texts 0 of 16", 0, 3)
    assert calls[-1] == ("islands, scoring texts 16 of 16", 3, 3)


def test_a_task_of_another_package_is_evaluated_by_its_name(subject):
    def items(path):
        texts = ("The river ran.", "The river run.", "Snow covered the road.")
        return [Item(("all",), str(n), (Request(text, ((0, 4), (4, len(text)))),), 0.1) for n, text in enumerate(texts)]

    def outcome(item, sums):
        return {"value": float(sums.sum() < -1), "first": sums[0]}

    ts.register("task", "mine", Task("three texts", "here", ("kind",), {"first": "number"}, items, outcome))
    try:
        items = ts.evaluate(subject, "mine")
        assert items.columns.tolist() == ["model", "task", "kind", "item", "first", "value", "chance"]
        assert items["chance"].tolist() == [0.1] * 3
        assert (items["first"] < 0).all()
        assert ts.accuracy(items)["accuracy"].tolist() == [1, 1]
    finally:
        TASKS.unregister("mine")


def test_wrong_arguments_are_refused(subject, model, topo, blimp):
    with pytest.raises(ts.UserError, match=r"there is no task 'blipm'\. Did you mean blimp\?"):
        ts.evaluate(subject, "blipm")
    with pytest.raises(ts.UserError, match="limit is 0"):
        ts.evaluate(subject, "blimp", path=blimp, limit=0)
    with pytest.raises(ts.UserError, match="has no tokenizer"):
        ts.evaluate(ts.Subject(model, topo), "blimp", path=blimp)
    with pytest.raises(ts.UserError, match="a task must be a Task"):
        ts.register("task", "mine", 3)


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_a_task_without_items_is_refused(subject, tmp_path, content):
    (tmp_path / "none.jsonl").write_text(content)
    for read in (ts.evaluate, ts.task_measure):
        with pytest.raises(ts.UserError, match=r"has no items of blimp: give the files of the task"):
            read(subject, "blimp", path=tmp_path)


def test_a_file_with_a_byte_order_mark_is_read(subject, blimp):
    file = sorted(blimp.glob("*.jsonl"))[0]
    expected = ts.evaluate(subject, "blimp", path=file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    pd.testing.assert_frame_equal(ts.evaluate(subject, "blimp", path=file), expected)


def test_a_lesioned_subject_is_a_model_of_its_own_in_tables(subject, blimp):
    lesioned = ts.lesion(subject, ts.Disc(subject.topography.taps[0], 2, 2, 1))
    items = pd.concat([ts.evaluate(one, "blimp", path=blimp) for one in (subject, lesioned)])
    assert items["model"].nunique() == 2
    assert lesioned.name in ts.accuracy(items)["model"].unique()
    with pytest.raises(ts.UserError, match="is there twice for"):
        ts.accuracy(pd.concat([items, items]))
