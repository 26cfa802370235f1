"""The process of a subject that dies, stops, or is no subject: an error within seconds, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from toposheet.brain_score import process
from toposheet.brain_score.process import SubjectProcess, find_python
from toposheet.errors import NotFound, RunError, UserError

SOURCE = str(Path(__file__).parents[2] / "src")


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Start a process whose answers are a piece of Python, with which a program in place of Python is made."""
    running = []

    def started(code):
        program = tmp_path / "python"
        lines = textwrap.indent(textwrap.dedent(code), "    ")
        head = "import os, signal, subprocess, sys, time, json\n"
        body = f"{head}for line in sys.stdin:\n{lines}"
        program.write_text(f"#!{sys.executable}\n{body}")
        program.chmod(0o755)
        one = SubjectProcess(str(program), "a subject")
        running.append(one)
        return one

    yield started
    for one in running:
        one.close()


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


ANSWER = "print(json.dumps({'answer': json.loads(line)}), flush=True)\n"


def test_long_questions_and_answers_come_back_whole_and_signs_of_life_are_no_answers(started):
    one = started("print('{\"alive\": true}', flush=True)\n" + ANSWER)
    question = {"text": "x" * 3_000_000, "more": ["é\n", 0.1]}
    assert one.ask(question) == question
    assert one.ask({"text": ""}) == {"text": ""}
    one.close()
    assert gone(one.pid)
    assert not one.runs


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"was ended by SIGKILL \(perhaps the memory was too small\)"),
        (
            "sys.stderr.write('first\\nMemoryError: too much\\n')\nsys.exit(3)",
            "exit code 3; its last line: MemoryError",
        ),
        ("os.close(1); os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        # a program that it has started still holds the pipe
        ("subprocess.Popen(['sleep', '20'])\nos._exit(4)", "ended with exit code 4"),
        ("print('Hello')\nsys.stdout.flush()", "wrote what is no answer: b'Hello'"),
    ],
)
def test_a_process_that_ends_or_talks_nonsense_is_an_error_within_seconds(started, code, words):
    one, began = started(code), time.monotonic()
    with pytest.raises(RunError, match=words) as error:
        one.ask({"text": "x" * 200_000})
    assert time.monotonic() - began < 8
    assert "\n" not in str(error.value)
    assert gone(one.pid)


def test_a_process_that_died_between_two_questions_is_an_error(started):
    one = started(ANSWER)
    one.ask({})
    os.kill(one.pid, signal.SIGTERM)
    with pytest.raises(RunError, match="was ended by SIGTERM"):
        one.ask({"text": "x" * 200_000})


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_process_that_is_stopped_is_ended_after_a_silence(started, monkeypatch, size):
    monkeypatch.setattr(process, "SILENCE_SECONDS", 1.0)
    one = started(ANSWER)
    os.kill(one.pid, signal.SIGSTOP)
    with pytest.raises(RunError, match="gave no sign of life for 1 s"):
        one.ask({"text": "x" * size})
    assert gone(one.pid)


def test_an_interruption_ends_the_process(started):
    one = started("time.sleep(60)")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        one.ask({})
    assert gone(one.pid)


def test_a_process_ends_with_the_program_that_asks():
    code = (
        "from toposheet.brain_score.process import SubjectProcess; import os, sys\n"
        "one = SubjectProcess(sys.executable, 'a subject'); print(one.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = os.environ | {"PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    pid, began = int(done.stdout), time.monotonic()
    while not gone(pid):
        assert time.monotonic() - began < 20
        time.sleep(0.1)


def test_a_python_that_is_none_or_has_no_toposheet_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv(process.PYTHON, raising=False)
    with pytest.raises(UserError, match="set TOPOSHEET_PYTHON"):
        find_python(None)
    monkeypatch.setenv(process.PYTHON, "/nowhere/python")
    with pytest.raises(NotFound, match="no program /nowhere/python"):
        find_python(None)
    monkeypatch.setenv(process.PYTHON, sys.executable)
    assert find_python(None) == sys.executable
    isolated = tmp_path / "isolated"
    isolated.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    isolated.chmod(0o755)
    with pytest.raises(UserError, match="has no toposheet: set TOPOSHEET_PYTHON"):
        SubjectProcess(str(isolated), "a subject").ask({})
    broken = tmp_path / "broken"
    broken.write_text("no program\n")
    broken.chmod(0o755)
    with pytest.raises(UserError, match="cannot be started"):
        SubjectProcess(str(broken), "a subject")


def test_the_side_of_brain_score_imports_neither_torch_nor_xarray():
    code = (
        "import sys\nfrom toposheet.brain_score import process, messages\n"
        "assert not {'torch', 'transformers', 'xarray', 'jaxtyping'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": SOURCE})
