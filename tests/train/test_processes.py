"""Training as a command: in several processes, and killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.train.conftest import newest

import toposheet as ts
from toposheet import recipes
from toposheet.recipes.result import RESULT
from toposheet.text.shards import Manifest
from toposheet.train.batches import prepare_builtin
from toposheet.train.log import read_metrics
from toposheet.train.run import CHECKPOINTS
from toposheet.train.snapshots import read_snapshots

FIELDS = {"vocabulary": 300, "context": 16, "batch": 8, "micro-batch": 2, "validation-blocks": 5}


def command(text, out, processes=1, **fields):
    """Return the command line of a training in several processes."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    given = FIELDS | fields | ({"data": text} if text else {})
    options = [f"--{name}={value}" for name, value in given.items()]
    return [sys.executable, *launcher, "-m", "toposheet", "train", "tiny", f"--out={out}", *options]


def run(*arguments, **fields):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command(*arguments, **fields), capture_output=True, text=True, env=environment)


def assert_close_runs(one, two, tolerance):
    weights = [ts.load(folder).model.state_dict() for folder in (one, two)]
    for name, tensor in weights[0].items():
        np.testing.assert_allclose(weights[1][name], tensor, rtol=0, atol=tolerance, err_msg=name)
    assert_close_metrics(one, two)


def assert_close_metrics(one, two):
    metrics = [read_metrics(folder / "metrics.jsonl") for folder in (one, two)]
    assert metrics[0]["update"].tolist() == metrics[1]["update"].tolist()
    for column in ("task_loss", "spatial_loss", "gradient_norm", "validation_task_loss", "validation_spatial_loss"):
        np.testing.assert_allclose(metrics[1][column], metrics[0][column], rtol=1e-4, err_msg=column)


@pytest.fixture(scope="module")
def alone(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "model"
    done = run(text, out)
    assert done.returncode == 0, done.stderr
    return out


def test_two_processes_train_the_model_of_one(alone, text, tmp_path):
    done = run(text, tmp_path / "model", 2)
    assert done.returncode == 0, done.stderr
    assert_close_runs(alone, tmp_path / "model", 1e-5)
    assert json.loads((tmp_path / "model" / RESULT).read_text())["machine"]["processes"] == 2


@pytest.mark.slow
def test_two_processes_with_sharded_weights_train_the_model_of_one(alone, text, tmp_path):
    done = run(text, tmp_path / "model", 2, parallel="fsdp2")
    assert done.returncode == 0, done.stderr
    assert_close_runs(alone, tmp_path / "model", 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("parallel", "updates"), [("ddp", 8), ("fsdp2", 8), ("fsdp2", 9)])  # at 9, one is due anyway
def test_snapshots_are_those_of_one_process_whenever_they_are_taken(tmp_path, parallel, updates):
    fields = {"vocabulary": 1024, "context": 96, "updates": updates, "snapshot-every": 3, "validate-every": 4}
    prepare_builtin(tmp_path / "text", recipes.named("tiny"))
    for processes in (1, 2):
        done = run(tmp_path / "text", tmp_path / str(processes), processes, parallel=parallel, **fields)
        assert done.returncode == 0, done.stderr
    one, two = (read_snapshots(tmp_path / n) for n in "12")
    assert one["update"].unique().tolist() == [0, 1, 2, 3, 6, updates]
    assert not one.duplicated(["update", "tap"]).any()
    np.testing.assert_allclose(two["morans_i"], one["morans_i"], atol=1e-3)


def kill_when(process, condition, number, later=0.0):
    """Send a signal some seconds after a condition holds."""
    while not condition() and process.poll() is None:
        time.sleep(0.002)
    time.sleep(later)
    process.send_signal(number)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp2"])
def test_sigterm_stops_all_processes_after_the_same_update_and_they_go_on(alone, text, tmp_path, parallel):
    out = tmp_path / "model"
    process = subprocess.Popen(command(text, out, 2, parallel=parallel), stderr=subprocess.PIPE, text=True,
                               env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    metrics = out / "metrics.jsonl"
    kill_when(process, lambda: metrics.exists() and metrics.read_text().count("\n") >= 3, signal.SIGTERM)
    _, said = process.communicate()
    assert said.count("run the same command again to continue") == 1
    stopped = newest(out / CHECKPOINTS).update
    assert 3 <= stopped < 20
    done = run(text, out, 2, parallel=parallel)
    assert done.returncode == 0, done.stderr
    assert_close_runs(alone, out, 1e-5)


@pytest.mark.slow
def test_without_text_of_its_own_a_run_is_on_the_builtin_text_which_one_process_prepares(tmp_path):
    done = run(None, tmp_path / "model", 2, updates=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"The model: {tmp_path / 'model'} (losses in training.json, all updates in metrics.jsonl)"
    ]
    prepare_builtin(tmp_path / "text", recipes.named("tiny", vocabulary=300))
    assert json.loads((tmp_path / "model" / RESULT).read_text())["text"] == Manifest.load(tmp_path / "text").checksum
    assert Manifest.load(tmp_path / "model" / "text") == Manifest.load(tmp_path / "text")


@pytest.mark.slow
def test_processes_that_cannot_share_an_update_are_refused_in_one_line_before_text_is_prepared(tmp_path):
    done = run(None, tmp_path / "model", 3)
    said = [line for line in done.stderr.splitlines() if line.startswith("toposheet:")]
    assert said == [
        "toposheet: 3 processes cannot share an update evenly: a batch of 8 blocks has 4 micro-batches of 2 blocks; "
        "set batch and micro_batch so that batch / micro_batch is a multiple of 3"
    ]
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_run_killed_at_random_moments_has_the_losses_of_one_that_was_not(text, tmp_path):
    fields = {"updates": 60, "checkpoint-every": 7, "validate-every": 5}
    whole, out = tmp_path / "whole", tmp_path / "model"
    assert run(text, whole, **fields).returncode == 0
    moments = random.Random(0)
    kills = 0
    while kills < 5:
        process = subprocess.Popen(command(text, out, **fields), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
        metrics = out / "metrics.jsonl"
        checkpoint = newest(out / CHECKPOINTS)
        wanted = f'{{"update": {(checkpoint.update if checkpoint else 0) + moments.randint(1, 12)},'
        kill_when(
            process,
            lambda at=wanted, m=metrics: m.exists() and at in m.read_text(),
            signal.SIGKILL,
            0.03 * moments.random(),
        )
        process.wait()
        kills += process.returncode == -signal.SIGKILL
    finished = run(text, out, **fields)
    assert finished.returncode == 0, finished.stderr
    one, two = (read_metrics(folder / "metrics.jsonl") for folder in (whole, out))
    for column in ("update", "task_loss", "spatial_loss", "gradient_norm", "validation_task_loss"):
        np.testing.assert_array_equal(one[column], two[column])
    assert (whole / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_compiled_and_bf16_runs_train_what_a_plain_one_trains(text, tmp_path):
    script = Path(__file__).with_name("compiled.py")
    done = subprocess.run([sys.executable, str(script), str(text), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def run_subject(text, out, processes=1, parallel="ddp", lora_rank=0):
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    script = Path(__file__).with_name("subject_in_processes.py")
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    command = [sys.executable, *launcher, str(script), str(text), str(out), parallel, str(lora_rank)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_processes_train_a_subject_as_one_does_replicated_or_sharded(text, tmp_path):
    run_subject(text, tmp_path / "alone")
    for parallel in ("ddp", "fsdp2"):
        run_subject(text, tmp_path / parallel, 2, parallel)
        assert_close_runs(tmp_path / "alone", tmp_path / parallel, 1e-5)


@pytest.mark.slow
def test_two_processes_train_the_low_rank_changes_of_one(text, tmp_path):
    for processes in (1, 2):
        run_subject(text, tmp_path / str(processes), processes, lora_rank=2)
    assert_close_metrics(tmp_path / "1", tmp_path / "2")
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in "12")
    for name, matrix in one.items():
        np.testing.assert_allclose(two[name].float(), matrix.float(), rtol=2**-7, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_processes_train_the_topoformer_of_one(text, tmp_path):
    fields = {"heads": 1, "alpha": 0, "mechanism": "topoformer", "mechanism-radius": 2, "snapshot-every": "None"}
    for processes in (1, 2):
        done = run(text, tmp_path / str(processes), processes, **fields)
        assert done.returncode == 0, done.stderr
    weights, others = (ts.load(tmp_path / str(processes)).model.state_dict() for processes in (1, 2))
    for name, tensor in weights.items():
        np.testing.assert_allclose(others[name], tensor, rtol=0, atol=1e-5, err_msg=name)
