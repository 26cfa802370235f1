"""A run that is stopped, by somebody or by a full disk, ends in one line and goes on later."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def toposheet(*arguments):
    return subprocess.run([sys.executable, "-m", "toposheet", *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.slow
def test_ctrl_c_ends_without_a_traceback_and_the_run_goes_on(tmp_path, prepared):
    text = prepared(tmp_path / "text", [f"{i} rivers ran past the mill and {i + 1} children" for i in range(400)])
    sizes = ["--vocabulary", "300", "--context", "24", "--updates", "300"]
    command = [sys.executable, "-m", "toposheet", "train", "tiny", *sizes, "--data", text, "--out", tmp_path / "run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted; run the same command again to continue" in errors
    done = len(metrics.read_text().splitlines())
    assert 0 < done < 300
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    log = metrics.read_text().splitlines()
    assert sum('"task_loss"' in line for line in log) == 300


def _tmpfs(path: Path, size: str) -> bool:
    path.mkdir()
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True
        ).returncode
        == 0
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", ["64k", "7m", "7300k", "7700k"])
def test_a_full_disk_is_one_line_and_what_was_there_stays(tmp_path, size):
    disk = tmp_path / "disk"
    if os.geteuid() != 0 or not _tmpfs(disk, size):
        pytest.skip("needs the right to mount a small disk")
    try:
        (disk / "notes.txt").write_text("mine")
        done = toposheet("demo", "--recipe", "tiny", "--out", disk / "demo")
        assert done.returncode == 1, done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr
        assert (disk / "notes.txt").read_text() == "mine"
        assert not list(disk.rglob(".writing*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)  # somebody makes room
        done = toposheet("demo", "--recipe", "tiny", "--permutations", "5", "--out", disk / "demo")
        assert done.returncode == 0, done.stderr[-2000:]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
