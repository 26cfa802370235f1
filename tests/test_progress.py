import io
import threading
import time

import pytest

from toposheet import progress
from toposheet.progress import SILENT, Stage, Stages, duration, part_of, shown


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def later(seconds):
        now[0] += seconds

    return later


@pytest.fixture
def told():
    """What a progress was told."""
    calls = []

    def tell(what, done, total, /):
        calls.append((what, done, total))

    tell.calls = calls
    return tell


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at_once(monkeypatch):
    """What is shown is written when it is due, not up to half a second later."""
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.005)


def test_silence_and_what_is_shown_are_progress_and_silence_prints_nothing(capsys):
    SILENT("reading", 1, 2)
    with shown() as show:
        assert callable(show)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_log_gets_a_line_after_a_second_then_every_ten_and_the_last(capsys, clock):
    log = progress._Log()
    log("drawing figure", 0, 120)
    for second in range(1, 61):
        clock(1)
        log("drawing figure", 2 * second, 120)
        log.refresh()
    log.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "[2%, 1 s, about 59 s left] drawing figure 2 of 120",
        "[18%, 11 s, about 49 s left] drawing figure 22 of 120",
        "[35%, 21 s, about 39 s left] drawing figure 42 of 120",
        "[52%, 31 s, about 29 s left] drawing figure 62 of 120",
        "[68%, 41 s, about 19 s left] drawing figure 82 of 120",
        "[85%, 51 s, about 9 s left] drawing figure 102 of 120",
        "[100%, 60 s, about 0 s left] drawing figure 120 of 120",
    ]


def test_the_time_left_gets_smaller_between_two_calls(clock):
    display = progress._Display()
    display("draw", 0, 100)
    clock(10)
    display("draw", 25, 100)
    assert display.line() == "[25%, 10 s, about 30 s left] draw 25 of 100"
    clock(12)
    assert display.line() == "[25%, 22 s, about 18 s left] draw 25 of 100"
    clock(50)
    assert display.line() == "[25%, 72 s, about 0 s left] draw 25 of 100"
    display("draw", 50, 100)
    assert display.line() == "[50%, 72 s, about 72 s left] draw 50 of 100"


def test_a_log_of_a_day_has_few_hundred_lines_and_never_five_silent_minutes(capsys, clock):
    log = progress._Log()
    for second in range(24 * 3600):
        log("reading texts", second, 24 * 3600)
        log.refresh()
        clock(1)
    lines = capsys.readouterr().err.splitlines()
    assert 24 * 60 / 5 < len(lines) < 400
    assert lines[-1].startswith("[100%, 23 h 5")


def test_a_log_says_what_goes_on_while_nobody_tells_it_anything(capsys, clock):
    log = progress._Log()
    log("opening the model small", 0, 1)
    for _ in range(12):
        clock(1)
        log.refresh()
    assert capsys.readouterr().err.splitlines() == ["[1 s] opening the model small", "[11 s] opening the model small"]


def test_the_time_left_is_reckoned_from_where_the_work_began(capsys, clock):
    log = progress._Log()
    log("opening the model small", 0, 1)
    clock(30)
    log("reading texts", 0, 100)
    clock(10)
    log("reading texts", 50, 100)
    log.refresh()
    assert capsys.readouterr().err == "[50%, 40 s, about 10 s left] reading texts 50 of 100\n"


def test_work_that_fails_before_the_first_second_is_over_leaves_its_error_alone(capsys):
    def fail():
        with shown() as show:
            show("reading texts", 1, 2)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line_at_once_that_is_rewritten_and_goes_away(monkeypatch, at_once):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    with shown() as show:
        show("opening the model small", 0, 1)
        assert "opening the model small" in terminal.getvalue()
        show("reading texts", 1, 4)
        while "] reading texts 1 of 4" not in terminal.getvalue():
            time.sleep(0.005)
        show("reading texts " + 100 * "x", 2, 4)
        while "xxx" not in terminal.getvalue():
            time.sleep(0.005)
    written = terminal.getvalue()
    assert "\n" not in written
    assert written.endswith("\r\x1b[K")
    assert max(len(line) for line in written.split("\r\x1b[K")) < 60
    assert not [thread for thread in threading.enumerate() if "watch" in thread.name]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "60 s"), (99.4, "99 s"), (100, "2 min"), (3599, "60 min"), (7260, "2 h 1 min")],
)
def test_a_duration_is_seconds_then_minutes_then_hours(seconds, words):
    assert duration(seconds) == words


def test_a_part_is_told_as_a_share_of_the_whole(told):
    part = part_of(told, 1, 4, "raw")
    part("draw", 0, 10)
    part("draw", 5, 10)
    part("draw", 10, 10)
    assert told.calls == [
        ("raw, draw 0 of 10", 1.0, 4.0),
        ("raw, draw 5 of 10", 1.5, 4.0),
        ("raw, draw 10 of 10", 2.0, 4.0),
    ]


def test_a_part_of_a_part_counts_only_things(told):
    part_of(part_of(told, 1, 2, "swjn"), 0, 2)("text", 5, 10)
    assert told.calls == [("swjn, text 5 of 10", 1.25, 2.0)]


def test_nobody_may_be_told(clock, capsys):
    assert part_of(None, 0, 2) is SILENT
    stages = Stages(None, [Stage("reading", 1.0)])
    stages.begin("reading", "reading")("text", 1, 2)
    stages.end("read")
    assert capsys.readouterr() == ("", "")


def plan_of(n):
    return [Stage("reading", 1.0), Stage("mapping", 1.0)] * n


def test_stages_begin_with_nothing_and_end_with_everything(told, clock):
    stages = Stages(told, plan_of(2))
    clock(50)  # until it begins nothing counts
    for kind, seconds in (("reading", 10), ("mapping", 1)) * 2:
        stage = stages.begin(kind, kind)
        clock(seconds)
        stage("text", 5, 5)
    stages.end("done")
    done = [call[1] for call in told.calls]
    assert done[0] == 0
    assert done == sorted(done)
    assert told.calls[-1] == ("done", 22, 22)
    assert ("reading, text 5 of 5", 10) in [call[:2] for call in told.calls]


def test_what_one_stage_took_tells_the_time_of_others_of_its_kind_whatever_was_guessed(told, clock):
    stages = Stages(told, plan_of(5))  # guessed alike; reading takes 100 s, mapping none
    for _ in range(2):
        stages.begin("reading", "reading")
        clock(100)
        stages.begin("mapping", "mapping")
    stages.begin("reading", "reading")
    _, spent, total = told.calls[-1]
    assert spent == 200
    assert total - spent == pytest.approx(300, rel=0.1)


def test_within_a_stage_the_time_left_follows_what_is_measured(told, clock):
    stages = Stages(told, [Stage("reading", 1.0)])
    stage = stages.begin("reading", "reading")
    clock(100)
    stage("text", 50, 100)
    _, spent, total = told.calls[-1]
    assert total - spent == pytest.approx(100, rel=0.15)


def test_stages_that_turn_out_not_to_be_needed_are_not_waited_for(told, clock):
    stages = Stages(
        told, [Stage("reading", 1.0), Stage("mapping", 1000.0), Stage("mapping", 1000.0), Stage("network", 1.0)]
    )
    stages.begin("reading", "reading")
    stages.begin("network", "network")
    assert told.calls[-1][2] < 2
    stages.begin("surprise", "not planned")
    stages.end("done")


def test_the_finished_part_stays_when_stages_turn_out_to_be_longer_than_expected(told, clock):
    stages = Stages(told, [Stage("reading", 1.0), Stage("mapping", 1.0), Stage("mapping", 1.0)])
    for seconds in (1, 100, 100):
        stage = stages.begin("reading" if seconds == 1 else "mapping", "work")
        for n in range(11):
            stage("text", n, 10)
            clock(seconds / 10)
    stages.end("done")
    parts = [done / total for _, done, total in told.calls if total]
    assert parts == sorted(parts)


def test_stages_within_a_stage_are_one_count(told, clock):
    outer = Stages(told, [Stage("preparing", 1.0), Stage("computing", 9.0)])
    outer.begin("preparing")("opening", 0, 1)
    clock(1)
    inner = Stages(outer.begin("computing"), plan_of(2))
    for kind in ("reading", "mapping") * 2:
        stage = inner.begin(kind, kind)
        clock(2)
        stage("text", 1, 1)
    inner.end("computed")
    parts = [done / total for _, done, total in told.calls if total]
    assert parts == sorted(parts)
    assert told.calls[-1] == ("computed", 9, 9)
    assert told.calls[0][0] == "opening"
