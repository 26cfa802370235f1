"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import tyro

from toposheet import __version__, recipes
from toposheet.recipes import Recipe

if TYPE_CHECKING:
    import pandas as pd

DONE, FAILED, MISTAKE = 0, 1, 2
PROGRAM = "toposheet"

_Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """Let a command be parsed now and called later, so that only parsing is parsing."""

    @functools.wraps(command)
    def parsed(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return functools.partial(command, *args, **kwargs)

    return parsed


@_deferred
def demo(out: Path = Path("runs/demo"), recipe: str = "demo", permutations: int = 99) -> None:
    """The whole path, small, on this machine: text, a topographic model and its control, maps, a report.

    Stopped, it goes on where it was when it is called again.

    Args:
        out: Folder that everything goes to.
        recipe: What is trained; `tiny` takes seconds and shows nothing.
        permutations: Draws of each null.
    """
    chosen = recipes.named(recipe)
    _check_out(out)
    from toposheet import demo as whole_path
    from toposheet.report.page import PAGE

    checks = whole_path.run(chosen, out, permutations, say=lambda line: print(line, flush=True))
    print()
    for check in checks:
        print(f"  {'✓' if check.holds else '✗'} {check.claim}: {check.value:.3f} ({check.bound})")
    _print_table(out)
    print(f"\nThe report: {(out / PAGE).resolve()}")


def _group(description: str, **commands: Callable[..., Callable[[], None]]) -> Callable[..., Callable[[], None]]:
    """Return a command of commands: `toposheet GROUP COMMAND ...`."""
    parsers = [Annotated[Any, tyro.conf.subcommand(name, constructor=command)] for name, command in commands.items()]

    def group(command: Any) -> Callable[[], None]:
        return command

    group.__doc__ = description
    group.__annotations__["command"] = Union[*parsers, Annotated[None, tyro.conf.Suppress]]  # a union takes two
    return group


@_deferred
def data_prepare(
    source: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SOURCE [SOURCE ...]")],
    out: Path,
    tokenizer: str | None = None,
    vocabulary: int | None = None,
    validation_fraction: float = 0.0005,
    seed: int = 0,
    text_column: str = "text",
    licence: str | None = None,
    executor: Literal["local", "slurm", "ray"] = "local",
    workers: int | None = None,
    cpus: int = 1,
    slurm_partition: str | None = None,
    slurm_time: str = "24:00:00",
) -> None:
    """Turn text into shards of tokens that `train --data` reads; stopped, the same command goes on.

    Args:
        source: builtin, fineweb-edu, or files and folders (.txt .jsonl .parquet).
        out: Folder for shards, tokenizer and manifest.json.
        tokenizer: A folder or hub id; train: learn one from the text. None: train for builtin, else gpt2.
        vocabulary: Tokens of a tokenizer that is trained. None: 4096.
        validation_fraction: How large a part of the documents is held out.
        seed: Decides which documents.
        text_column: Where .jsonl and .parquet have the text.
        licence: Of your own files, for the record; a folder may say more in a corpora.json.
        executor: Where the work is done.
        workers: Tasks at a time. None: one for each core; on a cluster, as many as it gives.
        cpus: Cores of a task on a cluster.
        slurm_partition: Where Slurm runs it.
        slurm_time: How long a task may take there.
    """
    _check_out(out)
    from toposheet.text.pipeline import prepare
    from toposheet.text.plan import Executor, Preparation

    text = Preparation(source, tokenizer, vocabulary, validation_fraction, seed, text_column, licence)
    prepare(text, out, Executor(executor, workers, cpus, slurm_partition, slurm_time), say=print)


def _training(chosen: Recipe) -> Callable[..., Callable[[], None]]:
    """Return the command `train` for one recipe, whose fields are then the defaults of its options."""

    @_deferred
    def train(
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = chosen,
        data: Path | None = None,
        out: Path | None = None,
        log_to: tuple[str, ...] = (),
        stop_with: Path | None = None,
        on_other_machine: bool = False,
    ) -> None:
        """Train the model of a recipe; any field of the recipe can be changed.

        The same command goes on with a run that was stopped. Under `torchrun --nproc-per-node N --no-python` the
        processes share every update.

        Args:
            recipe: What is trained.
            data: Folder of prepared text. None: the built-in text is prepared in OUT/text.
            out: The model folder. None: runs/RECIPE.
            log_to: Trackers besides OUT/metrics.jsonl: tensorboard, wandb, trackio.
            stop_with: A finished run: end at the update at which it ended, as its control of equal compute.
            on_other_machine: Go on with a run that was begun on other hardware or by another number of processes.
        """
        out = out or Path("runs") / recipe.name
        _check_out(out)
        from toposheet.text.pipeline import prepare_builtin
        from toposheet.train.claims import RESULT, claim, stopping_with
        from toposheet.train.log import check_trackers
        from toposheet.train.loop import train
        from toposheet.train.parallel import check_processes, this_process

        if stop_with is not None:
            recipe = stopping_with(recipe, stop_with)
        state = this_process()
        claim(out, recipe)  # before text is prepared for it
        check_trackers(log_to)
        check_processes(recipe, state.num_processes)
        if data is None:
            data = out / "text"
            with state.main_process_first():
                prepare_builtin(data, recipe)
        train(recipe, data, out, log_to, on_other_machine)
        state.print(f"The model: {out.resolve()} (losses in {RESULT}, all updates in metrics.jsonl)")
        state.destroy_process_group()

    return train


@_deferred
def map_contrasts(
    model: _Model,
    stimuli: Path,
    contrast: tuple[str, ...],
    out: Path,
    text_column: str = "text",
    condition_column: str = "condition",
    fwhm_mm: float = 2.0,
    permutations: int = 99,
) -> None:
    """Map contrasts between conditions on the sheets of a model, raw and with readout, each with its nulls.

    Args:
        model: A model folder, hub id, or shipped model.
        stimuli: CSV file with a text and a condition in every row.
        contrast: Conditions to compare, A:B (or A-B); several if you like.
        out: Folder for summary.csv, maps.nc and figures.
        text_column: Column of the texts.
        condition_column: Column of the conditions.
        fwhm_mm: Full width at half maximum of the readout.
        permutations: Draws of each null.
    """
    _check_out(out)
    table, contrasts = _stimuli(stimuli, contrast, text_column, condition_column)
    from toposheet.report import compute, write_figures

    readouts = (0.0, fwhm_mm) if fwhm_mm != 0 else (0.0,)
    models = {_name(model): model}
    compute(models, table, contrasts, out, readouts, permutations, random_splits=0)
    write_figures(models, out)
    _print_table(out)
    print(f"\nThe maps: {out.resolve()} (summary.csv, maps.nc, figures)")


@_deferred
def report(
    model: _Model,
    control: str | None = None,
    stimuli: Path | None = None,
    contrast: tuple[str, ...] = (),
    out: Path = Path("runs/report"),
    text_column: str = "text",
    condition_column: str = "condition",
    permutations: int = 99,
) -> None:
    """Every analysis of a model, beside its control, in one HTML file.

    Args:
        model: A model folder, hub id, or shipped model.
        control: The same of a model without topography. None: that of a shipped model.
        stimuli: CSV file of stimuli. None: those that come with MODEL, or the project's own, built from text that the
            recipe of MODEL holds out.
        contrast: Conditions of your stimuli to compare, A:B (or A-B).
        out: Folder for report.html, summary.csv, maps.nc and figures.
        text_column: Column of the texts.
        condition_column: Column of the conditions.
        permutations: Draws of each null.
    """
    _check_out(out)
    if stimuli is not None:
        table, contrasts = _stimuli(stimuli, contrast, text_column, condition_column)
    elif contrast:
        raise ValueError("--contrast is given without --stimuli: say which texts have these conditions")
    else:
        from toposheet.demo import CONTRASTS, stimuli_for

        table, contrasts = stimuli_for(model), list(CONTRASTS)
    from toposheet.report import compute, write_report
    from toposheet.topography import local_folder, shipped

    if control is None and not Path(model).is_dir() and f"{model}-control" in shipped():
        control = f"{model}-control"
    models = {_name(model): model} if control is None else {"topographic": model, "control": control}
    models = {name: local_folder(source) for name, source in models.items()}
    compute(models, table, contrasts, out, permutations=permutations)
    page = write_report(models, table, out)
    _print_table(out)
    print(f"\nThe report: {page.resolve()}")


COMMANDS = {
    "demo": demo,
    "data": _group("Text, made ready for training.", prepare=data_prepare),
    "train": _training(recipes.demo()),
    "map": map_contrasts,
    "report": report,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the user's mistake (one line on stderr), 1 anything else."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = _parse(arguments)
        _quiet()
        command()
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from here" if arguments[:1] in (["demo"], ["train"], ["data"]) else ""
        print(f"\n{PROGRAM}: interrupted{goes_on}", file=sys.stderr)
        sys.exit(FAILED)
    except FloatingPointError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except (ValueError, OSError) as error:
        if isinstance(error, ValueError) and not _is_ours(error):
            raise
        rank = int(os.environ.get("RANK", "0"))
        if rank:  # where all processes of torchrun meet a mistake, the first says it and ends the others
            time.sleep(3)
        print(f"{PROGRAM}{f' (process {rank})' if rank else ''}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(MISTAKE)
    sys.exit(DONE)


def _is_ours(error: ValueError) -> bool:
    """Return whether toposheet itself raised an error, in words for the user; any other is a fault of ours."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("toposheet")


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command that the arguments ask for, ready to be called."""
    if arguments[:1] == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        sys.exit(DONE)
    commands: dict[str, Callable[..., Any]] = dict(COMMANDS)
    asked_for_help = {"-h", "--help"} & set(arguments[1:2])
    if arguments[:1] == ["train"] and not asked_for_help:
        if len(arguments) < 2 or arguments[1].startswith("-"):
            raise ValueError(f"train needs a recipe first: {PROGRAM} train {{{','.join(recipes.RECIPES)}}} ...")
        chosen = recipes.named(arguments.pop(1))
        commands["train"] = _training(chosen)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog=PROGRAM,
                description="Topographic language models: grow them, map them, and know what the maps mean.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ValueError(_one_line(errors.getvalue())) from None


def _one_line(box: str) -> str:
    """Return what a box of the argument parser says, on one line: its first part, without the help of options."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\[/?(?:bold|dim)\]", "", box)
    lines = [match[1].rstrip() for match in re.finditer(r"^│ (.*)│$", plain, re.MULTILINE)]
    if not lines:  # where the terminal knows no frames: a title, a rule, and everything two columns to the right
        lines = [line[2:].rstrip() for line in plain.splitlines()[2:]]
    rule = re.compile(r"\s*[─-]{5,}\s*")
    parts: list[list[str]] = [[]]
    for line in lines:
        if rule.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    complaint, *rest = parts
    words = [line.strip() for line in complaint if not line.startswith(" " * 8)]  # deeper lines explain options
    for part in rest:
        if part and part[0].startswith("Perhaps you meant"):
            words.append(f"(did you mean {part[1].split()[0]}?)")
        elif part and part[0].startswith("Available subcommands"):
            words.append(f"({part[0].lower()})")
    line = " ".join(word for word in words if word).partition(" Got errors:")[0]  # what each type of a union says
    return line or "the arguments cannot be understood; see --help"


def _stimuli(
    path: Path, contrast: Sequence[str], text_column: str, condition_column: str
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    from toposheet.stimuli.table import parse_contrast, read_stimuli

    table = read_stimuli(path, text_column, condition_column)
    conditions = list(dict.fromkeys(table["condition"]))
    if not contrast:
        raise ValueError(f"say what to compare with --contrast A:B; the conditions are: {', '.join(conditions)}")
    return table, [parse_contrast(text, conditions) for text in contrast]


def _name(model: str) -> str:
    """Return what a model is called in tables: the last part of its folder or hub id."""
    return Path(model).resolve().name or "model"


def _check_out(out: Path) -> None:
    """Refuse a folder that cannot be written to before any work is done."""
    there = out.absolute()
    while not there.exists():
        there = there.parent
    try:
        Path(tempfile.mkdtemp(dir=there, prefix=".writing-")).rmdir()
    except OSError as error:
        raise ValueError(f"cannot write to {out}: {there} says {error.strerror or error}") from None


def _print_table(out: Path) -> None:
    import pandas as pd

    from toposheet.figures.numbers import number
    from toposheet.report.page import medians

    print("\nMedians over taps:")
    print(f"{'contrast':18} {'fwhm':>4} {'model':12} {'signif.':>7} {'I':>6} {'place-null':>13} {'z':>6} "
          f"{'label-null':>13} {'z':>5} {'cross-half':>10}")  # fmt: skip
    for row in medians(pd.read_csv(out / "summary.csv")).to_dict("records"):
        place, label = (f"{number(row[n + '_mean'])} ± {number(row[n + '_sd'])}" for n in ("null", "label_null"))
        print(
            f"{row['contrast']:18} {row['fwhm_mm']:4g} {row['model']:12} {row['significant_fraction']:7.1%} "
            f"{number(row['morans_i']):>6} {place:>13} {number(row['z'], 1):>6} "
            f"{label:>13} {number(row['label_z'], 1):>5} {number(row['cross_half_i']):>10}"
        )


def _quiet() -> None:
    """Keep other libraries' bars and advice off the terminal; their errors still show."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()


if __name__ == "__main__":
    main()
