from toposheet.train.log import read_metrics


def test_half_a_last_line_of_metrics_is_that_of_a_run_that_was_killed(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"update": 1, "task_loss": 5.0}\n{"update": 2, "ta')
    assert read_metrics(tmp_path / "metrics.jsonl").to_dict("records") == [{"update": 1, "task_loss": 5.0}]
    assert read_metrics(tmp_path / "none.jsonl").empty
