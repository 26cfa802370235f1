"""The executors of datatrove run the pipeline: on processes of this machine, on a Slurm cluster or on a Ray cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import multiprocess.forkserver
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.utils.logging import logger

from toposheet.errors import NotFound, UserError
from toposheet.packages import check_package
from toposheet.text.documents import FORMATS, SOURCES, SourceError
from toposheet.text.plan import WORK, Executor, Plan
from toposheet.text.steps import ReadDocuments, WriteTokens

JOB = f"{WORK}/slurm_job"


def execute(out: Path, plan: Plan, where: Executor) -> int:
    """Run the unfinished tasks of a plan, and return the number of tasks that are still unfinished.

    On Slurm the function returns as soon as the job is submitted. Otherwise it returns when the tasks have run.

    Args:
        out: The output folder. It holds the plan.
        plan: The plan.
        where: The place where the tasks run.

    Raises:
        UserError: A source file is damaged or holds something other than text, or Slurm refused the job.
        NotFound: The software of the cluster (Slurm's `sbatch`, or the package `ray`) is not installed here.
        RunError: A file on the hub cannot be read.
        OSError: A file cannot be read or written.
    """
    with _datatrove_silenced():
        try:
            if where.kind == "slurm":
                return _run_on_slurm(out, plan, where)
            executor = _ray_executor(out, plan, where) if where.kind == "ray" else _local_executor(out, plan, where)
            executor.run()
            return len(executor.get_incomplete_ranks())
        except SourceError as error:  # removes the traceback of the worker process
            raise SourceError(str(error)) from None


class _QuietLocalExecutor(LocalPipelineExecutor):
    """Runs tasks in processes of this machine without log messages. An error is raised, and so reported once."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        logger.disable("datatrove")
        return super()._run_for_rank(rank, local_rank, node_rank)


def _local_executor(out: Path, plan: Plan, where: Executor) -> PipelineExecutor:
    n_tasks, workers = len(plan.tasks), where.workers or os.cpu_count() or 1
    settings = _executor_settings(out, plan, parallel=n_tasks < workers)
    if min(workers, n_tasks) > 1:
        _start_fork_server()
    return _QuietLocalExecutor(**settings, workers=min(workers, n_tasks))


def _ray_executor(out: Path, plan: Plan, where: Executor) -> PipelineExecutor:
    check_package("ray", "the Ray executor needs", "ray[default]")
    settings = _executor_settings(out, plan, parallel=where.cpus > 1)
    return RayPipelineExecutor(**settings, workers=where.workers or -1, cpus_per_task=where.cpus)


def _run_on_slurm(out: Path, plan: Plan, where: Executor) -> int:
    if shutil.which("sbatch") is None:
        raise NotFound("the Slurm executor needs the command sbatch: run this command on a login node of the cluster")
    executor = SlurmPipelineExecutor(
        **_executor_settings(out, plan, parallel=where.cpus > 1),
        workers=where.workers or -1,
        cpus_per_task=where.cpus,
        partition=str(where.slurm_partition),
        time=where.slurm_time,
        qos="",
        job_name="toposheet-text",
        env_command=f'export PATH="{Path(sys.executable).parent}:$PATH"',
    )
    job = (out / JOB).read_text(encoding="utf-8") if (out / JOB).is_file() else None
    if executor.get_incomplete_ranks() and not (job and _in_queue(job)):
        try:
            executor.run()
        except subprocess.CalledProcessError as error:
            raise UserError(
                f"sbatch refused the job (exit code {error.returncode}): read the message of sbatch above"
            ) from None
        (out / JOB).write_text(str(executor.job_id), encoding="utf-8")
    return len(executor.get_incomplete_ranks())


def _in_queue(job: str) -> bool:
    """Return whether a job is still in the queue of Slurm. A job that Slurm does not know has ended."""
    return bool(subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True).stdout.strip())


def _executor_settings(out: Path, plan: Plan, parallel: bool) -> dict[str, Any]:
    from_outside = {name: source for name, source in SOURCES.registered.items() if name in plan.preparation.sources}
    read = ReadDocuments(str(out), from_outside, FORMATS.registered)
    return {
        "pipeline": [read, WriteTokens(str(out), parallel)],
        "tasks": len(plan.tasks),
        "logging_dir": str(out / WORK),
    }


def _start_fork_server() -> None:
    """Start the server process from which the workers are forked. It ignores Ctrl-C.

    After Ctrl-C the main process ends the workers.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        multiprocess.forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _datatrove_silenced() -> Generator[None, None, None]:
    """Hide the log messages of datatrove, and a Python warning about forking, inside this context."""
    logger.disable("datatrove")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            yield
    finally:
        logger.enable("datatrove")
