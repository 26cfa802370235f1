import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dill
import pytest
from tests.text.test_pipeline import DOCUMENTS, FILES, INLINE, asked, contents
from tests.text.written import fineweb

from toposheet.errors import RunError, UserError
from toposheet.text import executors, plan
from toposheet.text.documents import SourceError
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Plan
from toposheet.text.shards import read_manifest
from toposheet.text.steps import ReadDocuments, WriteTokens

# The command line with every file a task, as files of gigabytes would be.
# Ctrl-C is heard as in a terminal, though the tests may run in the background, where shells turn it off.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from toposheet.text import plan; plan.TASK_BYTES = 1; "
    "from toposheet.cli import main; main(['data', 'prepare', *sys.argv[1:]])"
)
SLURM = Executor("slurm", slurm_partition="cpu", slurm_time="01:00:00", cpus=2)


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Files that take a moment each."""
    folder = tmp_path_factory.mktemp("source")
    for i in range(2 * FILES):
        fineweb(folder / f"{i:03d}.parquet", [f"{i}.{j} {text}" for j in range(25) for text in DOCUMENTS])
    return folder


@pytest.fixture(scope="module")
def whole(source, saved, tmp_path_factory):
    """The same work, not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "TASK_BYTES", 1)
        prepare(asked(source, saved), out, INLINE)
    return out


def started(source, saved, out):
    arguments = [source, "--tokenizer", saved, "--validation-fraction", "0.2", "--out", out, "--workers", "2"]
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("n_finished", [0, 2])
def test_work_that_is_killed_goes_on_with_the_finished_tasks_kept(source, saved, whole, tmp_path, n_finished):
    out = tmp_path / "out"
    process = started(source, saved, out)
    if n_finished:
        wait_for(lambda: len(list((out / ".work" / "completions").glob("*"))) >= n_finished, process)
    else:
        wait_for((out / ".work" / "plan.json").is_file, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    finished = [path.name for path in (out / ".work").glob("completions/*")]
    assert n_finished <= len(finished) < 2 * FILES
    with pytest.raises(FileNotFoundError, match="no prepared text"):
        read_manifest(out)
    kept = {path: path.stat().st_mtime_ns for task in finished for path in out.glob(f"*-{task}.bin")}

    process = started(source, saved, out)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "tokens/s" in said
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert contents(out) == contents(whole)


@pytest.mark.slow
def test_ctrl_c_ends_every_process_in_one_line_and_the_same_command_goes_on(source, saved, whole, tmp_path):
    out = tmp_path / "out"
    process = started(source, saved, out)
    wait_for(lambda: list((out / ".work").glob("completions/*")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.split("\n")[-2:] == ["toposheet: interrupted; run the same command again to continue", ""]
    assert "Traceback" not in errors
    assert started(source, saved, out).communicate()[1] == ""
    assert contents(out) == contents(whole)


def test_what_goes_wrong_in_a_process_is_one_line(saved, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(plan, "TASK_BYTES", 1)
    for name, ending in (("a", ""), ("b", '{"text"')):
        lines = [json.dumps({"text": text}) for text in DOCUMENTS]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, ending]))
    with pytest.raises(SourceError, match=r"b.jsonl, line 125: not a JSON record") as raised:
        prepare(asked(tmp_path, saved), tmp_path / "out", Executor(workers=2))
    assert raised.value.__cause__ is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("step", [ReadDocuments("/out"), WriteTokens("/out", parallel=True)])
def test_the_steps_travel_to_other_machines(step):
    copy = dill.loads(dill.dumps(step, fmode=dill.CONTENTS_FMODE))
    assert type(copy) is type(step)
    assert {**vars(copy), "stats": None} == {**vars(step), "stats": None}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of shell scripts: sbatch keeps the script, `run` is the cluster's turn."""
    commands = {
        "sbatch": 'script="${@: -1}"; n=$(ls -d %s/job-* 2>/dev/null | wc -l); cp "$script" %s/job-$n; echo "job 4$n"',
        "squeue": 'cat "%s/queue" 2>/dev/null',
        "srun": 'exec "${@:4}"',
        "scontrol": "echo localhost",
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, command in commands.items():
        (folder / name).write_text(f"#!/bin/bash\n{command.replace('%s', str(tmp_path))}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_NODELIST", "localhost")

    def run(job, ranks):
        for rank in ranks:
            environment = os.environ | {"SLURM_ARRAY_TASK_ID": str(rank), "RUN_OFFSET": "0"}
            done = subprocess.run(["bash", tmp_path / job], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

    return run


def test_slurm_runs_the_same_pipeline_and_the_same_command_finishes(saved, tmp_path, monkeypatch, cluster):
    monkeypatch.setattr(plan, "TASK_BYTES", 1)
    source, out, said = tmp_path / "source", tmp_path / "out", []
    source.mkdir()
    for i in range(2):
        fineweb(source / f"{i}.parquet", DOCUMENTS[i::2])

    def ask():
        return prepare(asked(source, saved), out, SLURM, say=said.append)

    assert ask() is None
    assert said[-1] == "2 of 2 tasks are on Slurm: run the same command again when they are done"
    script = (tmp_path / "job-0").read_text()
    for line in ("--partition=cpu", "--time=01:00:00", "--cpus-per-task=2", "--array=0-1"):
        assert f"#SBATCH {line}\n" in script

    (tmp_path / "queue").write_text("40_1 RUNNING\n")
    cluster("job-0", [0])
    assert ask() is None  # it still runs: nothing is submitted twice
    assert said[-1].startswith("1 of 2 tasks")
    assert not (tmp_path / "job-2").exists()

    (tmp_path / "queue").unlink()
    assert ask() is None  # it ended with a task undone: that alone is submitted
    assert "--array=0-0" in (tmp_path / "job-2").read_text()
    cluster("job-2", [0])
    assert ask() == read_manifest(out)
    prepare(asked(source, saved), tmp_path / "here", INLINE)
    assert contents(out) == contents(tmp_path / "here")


def test_a_cluster_that_is_not_there_is_one_line(source, saved, tmp_path, monkeypatch, without):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="needs the command sbatch: run this command on a login node"):
        prepare(asked(source, saved), tmp_path / "out", SLURM)
    without("ray")
    with pytest.raises(FileNotFoundError, match=r"needs the package ray: pip install 'ray\[default\]'"):
        prepare(asked(source, saved), tmp_path / "out", Executor("ray"))


def test_slurm_that_takes_no_job_is_one_line(source, saved, tmp_path, cluster):
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/bash\nexit 3\n")
    with pytest.raises(UserError, match=r"sbatch refused the job \(exit code 3\)"):
        prepare(asked(source, saved), tmp_path / "out", SLURM)


def test_tasks_that_fail_without_an_error_are_not_taken_for_finished(source, saved, tmp_path, monkeypatch):
    monkeypatch.setattr(executors._QuietLocalExecutor, "run", lambda self: None)
    with pytest.raises(RunError, match=r"1 of 1 task failed: read .*/.work/logs, then run the same command"):
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"workers": 0}, "workers is 0"), ({"cpus": 0}, "cpus is 0"), ({"kind": "slurm"}, "--slurm-partition")],
)
def test_settings_that_no_executor_can_have_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Executor(**settings)


def test_a_plan_is_all_that_a_task_needs(source, saved, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(executors._QuietLocalExecutor, "run", lambda self: None)
    monkeypatch.setattr(plan, "TASK_BYTES", 1)
    with pytest.raises(RunError, match="tasks failed"):
        prepare(asked(source, saved), tmp_path / "out", INLINE)
    out = str(tmp_path / "out")
    monkeypatch.chdir(Path("/"))
    WriteTokens(out, parallel=False).run(ReadDocuments(out).run(rank=3), rank=3)
    assert len(Plan.load(tmp_path / "out").tasks) == 2 * FILES
    for split in ("train", "validation"):
        name = f"{split}-00003.bin"
        assert (tmp_path / "out" / name).read_bytes() == (whole / name).read_bytes()
