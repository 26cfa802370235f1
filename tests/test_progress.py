import io
import re

import pytest

from toposheet import progress
from toposheet.progress import SILENT, shown


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to go on."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def later(seconds):
        now[0] += seconds

    return later


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_silence_and_what_is_shown_are_progress_and_silence_prints_nothing(capsys):
    assert callable(SILENT)
    SILENT("reading", 1, 2)
    with shown("text") as show:
        assert callable(show)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_log_gets_a_line_every_half_minute_at_most_with_the_time_left(capsys, clock):
    with shown("study") as show:
        for done in range(1, 9):
            clock(10)
            show(f"model: study {done}", done, 10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "model: study 3: 30% after 30 s, about 70 s left",
        "model: study 6: 60% after 60 s, about 40 s left",
    ]


def test_a_log_does_not_guess_the_time_left_before_anything_is_done(capsys, clock):
    with shown("study") as show:
        clock(31)
        show("model: study", 0, 4)
    assert capsys.readouterr().err == "model: study: 0% after 31 s\n"


def test_work_that_ends_soon_leaves_no_line_in_a_log(capsys):
    with shown("study") as show:
        show("model: study", 1, 2)
        show("model: study", 2, 2)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_says_what_is_done_and_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with shown("study") as show:
        show("topographic: swjn", 1, 4)
        show("topographic: swjn, reading texts", 1.5, 4)
        show("control: built-in", 2, 4)
        during = terminal.getvalue()
    for words in (r"topographic: swjn: +25%", r"topographic: swjn, reading texts: +38%", r"control: built-in: +50%"):
        assert re.search(words, during)
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().rsplit("\r", 2)[-2].strip() == ""
