import io
import os
import subprocess
import sys

import pytest

from toposheet.terminal import make_printable


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "toposheet", *arguments], capture_output=True, env={**os.environ, **environment}
    )


ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
]


@pytest.mark.parametrize("environment", ENCODINGS)
def test_every_terminal_shows_what_is_printed(environment):
    code = (
        "import sys\nfrom toposheet.terminal import make_printable\nmake_printable()\n"
        "for stream in (sys.stdout, sys.stderr):\n    print('0.5 ± 0.1 – … ✓ ✗ 雪 Müller \\udce9', file=stream)"
    )
    code = code.encode("ascii", "backslashreplace").decode()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    latin = environment["PYTHONIOENCODING"] == "latin-1"
    printed = "0.5 ± 0.1 - ... + x ? Müller ?" if latin else "0.5 +- 0.1 - ... + x ? Muller ?"
    assert done.stdout.decode("latin-1" if latin else "ascii").strip() == printed
    assert done.stderr == done.stdout


@pytest.mark.parametrize("environment", ENCODINGS)
def test_a_command_and_a_refusal_get_through_any_terminal(environment, tmp_path):
    assert run("stimuli", "list", **environment).returncode == 0
    assert run("--help", **environment).returncode == 0
    refused = run("stimuli", "check", str(tmp_path / "Müller±.csv"), **environment)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", [["stimuli", "list"], ["stimuli", "--help"], ["stimuli", "show", "nothing"]])
def test_a_reader_that_goes_away_is_no_failure(command):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "toposheet", *command], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    if command[-1] == "nothing":  # a mistake stays one
        assert done.returncode == 2
        assert b"no stimulus set" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_stream_of_somebody_else_is_left_where_it_is(monkeypatch):
    theirs = io.StringIO()
    monkeypatch.setattr(sys, "stdout", theirs)
    make_printable()
    assert sys.stdout is theirs
