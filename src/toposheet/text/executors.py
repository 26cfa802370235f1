"""datatrove's executors: processes of this machine, a Slurm or a Ray cluster, one pipeline on all of them."""

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
    """Run the tasks of a plan that are not finished yet; return how many still are not.

    On Slurm the call returns when the work is submitted; elsewhere when it is done.

    Args:
        out: The folder that holds the plan.
        plan: What it says.
        where: Where the tasks run.

    Raises:
        UserError: a task found something in its source that is no text, or the cluster does not take the work.
        NotFound: there is no such cluster here.
        RunError: a file on the hub cannot be read.
        OSError: a file cannot be read or written.
    """
    with _silence():
        try:
            if where.kind == "slurm":
                return _on_slurm(out, plan, where)
            executor = _on_ray(out, plan, where) if where.kind == "ray" else _local(out, plan, where)
            executor.run()
            return len(executor.get_incomplete_ranks())
        except SourceError as error:  # without the traceback of another process
            raise SourceError(str(error)) from None


class _Local(LocalPipelineExecutor):
    """Processes of this machine that keep quiet: what goes wrong is raised, and told once."""

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> Any:
        logger.disable("datatrove")
        return super()._run_for_rank(rank, local_rank, node_rank)


def _local(out: Path, plan: Plan, where: Executor) -> PipelineExecutor:
    n_tasks, workers = len(plan.tasks), where.workers or os.cpu_count() or 1
    settings = _settings(out, plan, parallel=n_tasks < workers)
    if min(workers, n_tasks) > 1:
        _start_server()
    return _Local(**settings, workers=min(workers, n_tasks))


def _on_ray(out: Path, plan: Plan, where: Executor) -> PipelineExecutor:
    check_package("ray", "the Ray executor needs", "ray[default]")
    settings = _settings(out, plan, parallel=where.cpus > 1)
    return RayPipelineExecutor(**settings, workers=where.workers or -1, cpus_per_task=where.cpus)


def _on_slurm(out: Path, plan: Plan, where: Executor) -> int:
    if shutil.which("sbatch") is None:
        raise NotFound("the Slurm executor needs the command sbatch: call it on a login node of the cluster")
    executor = SlurmPipelineExecutor(
        **_settings(out, plan, parallel=where.cpus > 1),
        workers=where.workers or -1,
        cpus_per_task=where.cpus,
        partition=str(where.slurm_partition),
        time=where.slurm_time,
        qos="",
        job_name="toposheet-text",
        env_command=f'export PATH="{Path(sys.executable).parent}:$PATH"',
    )
    job = (out / JOB).read_text() if (out / JOB).is_file() else None
    if executor.get_incomplete_ranks() and not (job and _in_queue(job)):
        try:
            executor.run()
        except subprocess.CalledProcessError as error:
            raise UserError(
                f"sbatch did not take the job (exit code {error.returncode}); see its message above"
            ) from None
        (out / JOB).write_text(str(executor.job_id))
    return len(executor.get_incomplete_ranks())


def _in_queue(job: str) -> bool:
    """Return whether Slurm still has a job; one that it has forgotten is over."""
    return bool(subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True).stdout.strip())


def _settings(out: Path, plan: Plan, parallel: bool) -> dict[str, Any]:
    from_outside = {name: source for name, source in SOURCES.registered.items() if name in plan.preparation.sources}
    read = ReadDocuments(str(out), from_outside, FORMATS.registered)
    return {
        "pipeline": [read, WriteTokens(str(out), parallel)],
        "tasks": len(plan.tasks),
        "logging_dir": str(out / WORK),
    }


def _start_server() -> None:
    """Start the process that the workers are forked from, deaf to Ctrl-C: the main process hears it, and ends them."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        multiprocess.forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _silence() -> Generator[None, None, None]:
    """Keep datatrove's messages off the terminal, and Python's about its way to start processes."""
    logger.disable("datatrove")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            yield
    finally:
        logger.enable("datatrove")
