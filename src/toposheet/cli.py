"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import tyro

from toposheet import __version__, recipes
from toposheet.errors import RunError, UserError
from toposheet.recipes import Recipe
from toposheet.settings import DEFAULT, Contiguity, Pooling, Settings, check_seed

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.studies import Battery

DONE, FAILED, MISTAKE = 0, 1, 2
PROGRAM = "toposheet"

_Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]


@dataclass(frozen=True)
class Reading:
    """How stimuli are read.

    Args:
        text_column: Column of a CSV file that has the texts.
        condition_column: Column that has the conditions.
        where: Only texts of a CSV file with a value in a column, COLUMN=VALUE.
        data: Where the files of published sets are. None: TOPOSHEET_DATA.
    """

    text_column: str = "text"
    condition_column: str = "condition"
    where: str | None = None
    data: Path | None = None


_AS_USUAL = Reading()


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
        from toposheet.train.batches import prepare_builtin
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
    stimuli: str,
    contrast: tuple[str, ...],
    out: Path,
    reading: Reading = _AS_USUAL,
    settings: Settings = DEFAULT,
) -> None:
    """Map contrasts between conditions on the sheets of a model, raw and with readout, each with its nulls.

    Args:
        model: A model folder, hub id, or shipped model.
        stimuli: CSV file with a text and a condition in every row, or the name of a set (toposheet stimuli list).
        contrast: Conditions to compare, A:B (or A-B); several if you like.
        out: Folder for summary.csv, statistics.csv, maps.nc, clusters.csv and figures.
        reading: How stimuli are read.
        settings: How responses are analysed.
    """
    _check_out(out)
    from toposheet.cache import cache_folder
    from toposheet.report import compute, write_figures
    from toposheet.report.page import check_histories
    from toposheet.stimuli.studies import battery_of_table

    table = _table(stimuli, model, reading)
    battery = battery_of_table(stimuli, table, _contrasts(table, contrast, reading))
    models = {_name(model): model}
    check_histories(models)
    compute(models, battery, out, settings, cache_folder())
    write_figures(models, out)
    _print_table(out)
    print(f"\nThe maps: {out.resolve()} (summary.csv, statistics.csv, maps.nc, clusters.csv, figures)")


@_deferred
def localize(
    model: _Model,
    out: Path,
    stimuli: str | None = None,
    contrast: str | None = None,
    percent: float | None = None,
    q: float = 0.05,
    min_size: int = DEFAULT.min_size,
    contiguity: Contiguity = DEFAULT.contiguity,
    pooling: Pooling = DEFAULT.reading.pooling,
    reading: Reading = _AS_USUAL,
) -> None:
    """Find the units that prefer one condition, by default sentences: a functional localizer.

    Args:
        model: A model folder, hub id, or shipped model.
        out: Folder for localizer.nc (the mask, with the model's hash), cross_validated.csv and figures.
        stimuli: CSV file, or the name of a set. None: those that come with the model.
        contrast: A:B, where A is preferred. None: sentence:nonword, or S:N.
        percent: The most selective units, this many of a hundred. None: all under q.
        q: Bound of the false discovery rate.
        min_size: Units of the smallest cluster of selected units that counts.
        contiguity: Neighbours in a cluster share an edge or a corner (queen), or an edge (rook).
        pooling: What a response is: mean, sum or last of the activations over a text's own tokens.
        reading: How stimuli are read.
    """
    from toposheet.settings import Reading as HowRead

    settings = Settings(min_size=min_size, contiguity=contiguity, reading=HowRead(pooling))
    _check_out(out)
    from toposheet.report.localizing import write_localizer

    table = _table(stimuli, model, reading)
    conditions = set(table["condition"])
    default = next((f"{a}:{b}" for a, b in (("sentence", "nonword"), ("S", "N")) if {a, b} <= conditions), None)
    contrast = contrast or default
    wanted = _contrasts(table, [contrast] if contrast else [], reading)[0]
    found = write_localizer(model, table, wanted, out, Path(stimuli or "synthetic").name, percent, q, settings)
    print(f"{found.rule}: {found.n_selected:,} of {found.n_units:,} units ({found.n_selected / found.n_units:.1%})")
    print(found.held_out)
    print(f"\nThe localizer: {out.resolve()} (localizer.nc, cross_validated.csv, figures)")


@_deferred
def report(
    model: _Model,
    control: str | None = None,
    stimuli: str = "synthetic",
    contrast: tuple[str, ...] = (),
    pairs: Path | None = None,
    out: Path = Path("runs/report"),
    reading: Reading = _AS_USUAL,
    settings: Settings = DEFAULT,
) -> None:
    """Every analysis of a model, beside its control, in one HTML file.

    Args:
        model: A model folder, hub id, or shipped model.
        control: The same of a model without topography. None: that of a shipped model.
        stimuli: synthetic (made from packages, of text that the recipe of MODEL holds out), published (read from
            files you have), or a CSV file.
        contrast: Conditions of your CSV file to compare, A:B (or A-B).
        pairs: Noun and verb pairs in the format of Elli et al. (run, block, class, category, pair) for the published
            stimuli, which have none.
        out: Folder for report.html, the tables, maps.nc and figures (PNG and PDF).
        reading: How stimuli are read.
        settings: How responses are analysed.
    """
    _check_out(out)
    from toposheet.cache import cache_folder
    from toposheet.report import compute, write_report

    battery = _battery(stimuli, model, contrast, reading, pairs)
    models = _with_control(model, control)
    compute(models, battery, out, settings, cache_folder())
    page = write_report(models, out)
    _print_table(out)
    print(f"\nThe report: {page.resolve()}")


@_deferred
def ledger(
    model: _Model,
    control: str | None = None,
    stimuli: Literal["synthetic", "published"] = "synthetic",
    pairs: Path | None = None,
    out: Path = Path("runs/ledger"),
    data: Path | None = None,
    settings: Settings = DEFAULT,
) -> None:
    """The numbers TopoLM published against those of a model, with nulls and a verdict.

    Args:
        model: A model folder, hub id, or shipped model.
        control: A model without topography. None: that of a shipped model.
        stimuli: published (read from files you have), or synthetic: others, so that no value need agree.
        pairs: Noun and verb pairs in the format of Elli et al. (run, block, class, category, pair) for the published
            stimuli, which have none.
        out: Folder for ledger.md and ledger.csv.
        data: Where the files of published sets are. None: TOPOSHEET_DATA.
        settings: How responses are analysed.
    """
    _check_out(out)
    from toposheet.cache import cache_folder
    from toposheet.report import compute
    from toposheet.report.ledger import write_ledger

    battery = _battery(stimuli, model, (), Reading(data=data), pairs)
    models = _with_control(model, control)
    compute(models, battery, out, settings, cache_folder())
    print(write_ledger(models, out))
    _print_left_out(out)
    print(f"The ledger: {(out / 'ledger.md').resolve()} (and ledger.csv)")


@_deferred
def compare(
    models: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[GROUP=]MODEL [...]")],
    out: Path,
    stimuli: str = "synthetic",
    contrast: tuple[str, ...] = (),
    reading: Reading = _AS_USUAL,
    settings: Settings = DEFAULT,
) -> None:
    """Several models side by side, seeds of one group together, with hierarchical bootstrap intervals.

    Args:
        models: Model folders, hub ids or shipped models; models named GROUP=MODEL belong together (seeds of one
            objective), others are groups of their own.
        out: Folder for compare.csv, the tables and figures.
        stimuli: synthetic, published, or a CSV file.
        contrast: Conditions of your CSV file to compare, A:B (or A-B).
        reading: How stimuli are read.
        settings: How responses are analysed.
    """
    _check_out(out)
    from toposheet.cache import cache_folder
    from toposheet.report import compute
    from toposheet.report.comparison import grouped, write_comparison

    groups = grouped(models)
    first = next(iter(next(iter(groups.values())).values()))
    battery = _battery(stimuli, first, contrast, reading)
    every = {name: model for of_group in groups.values() for name, model in of_group.items()}
    compute(every, battery, out, settings, cache_folder())
    print(write_comparison({group: list(of_group) for group, of_group in groups.items()}, out, seed=settings.seed))
    _print_left_out(out)
    print(f"The comparison: {out.resolve()} (compare.csv, statistics.csv, figures)")


@_deferred
def stimuli_list() -> None:
    """The stimulus sets there are."""
    from toposheet.stimuli.registry import SETS

    for entry in SETS.values():
        print(f"{entry.name:14} {entry.kind:9} {', '.join(entry.conditions):18} {entry.what}")


@_deferred
def stimuli_show(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    data: Path | None = None,
    texts: int = 3,
) -> None:
    """What is known of a set, and some of its texts.

    Args:
        name: A set of `toposheet stimuli list`.
        data: Where the files of published sets are. None: TOPOSHEET_DATA.
        texts: How many of each condition are shown.
    """
    if texts < 0:
        raise UserError(f"texts is {texts}: it must be at least 0")
    from toposheet.stimuli.registry import described, stimulus_set

    entry = described(name)
    facts = {
        "what": entry.what,
        "kind": entry.kind,
        "source": entry.source,
        "licence": entry.licence,
        "conditions": ", ".join(entry.conditions),
        "columns": ", ".join(("text", "condition", *entry.columns)),
        "contrasts": ", ".join(contrast.name for contrast in entry.contrasts),
        "files": ", ".join(entry.files),
        "SHA-256": entry.sha256,
    }
    for fact, value in facts.items():
        if value:
            print(f"{fact:11} {value}")
    if texts:
        table = stimulus_set(name, data)
        for condition, rows in table.groupby("condition", sort=False):
            print(f"\n{condition} ({len(rows)} texts)")
            for text in rows["text"].head(texts):
                print(f"  {text}")


@_deferred
def stimuli_build(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    out: Path,
    model: str | None = None,
    per_condition: int | None = None,
    seed: int = 0,
    data: Path | None = None,
) -> None:
    """Write a set to a CSV file, and print how well its conditions are matched.

    Args:
        name: A set of `toposheet stimuli list`.
        out: The CSV file.
        model: Whose held-out text and tokenizer it is made for. None: the demo's text, and no matching in tokens.
        per_condition: Texts a condition of the sets made from text. None: 100, or, of swjn, as many as the
            held-out text allows.
        seed: Of what is drawn. With a model its recipe's seed decides which text is held out.
        data: Where the files of published sets are. None: TOPOSHEET_DATA.
    """
    check_seed(seed)
    if out.is_dir():
        raise UserError(f"--out is {out}, a folder: name the CSV file")
    _check_out(out.parent)
    from toposheet.files import write_file
    from toposheet.stimuli.contrasts import factors_of
    from toposheet.stimuli.measures import matching
    from toposheet.stimuli.registry import described, stimulus_set

    options: dict[str, Any] = {}
    if model is not None:
        from toposheet.subject import load

        reader = load(model).reader
        options = {
            "validation_fraction": reader.validation_fraction,
            "split_seed": reader.seed,
            "n_tokens": reader.n_tokens,
        }
    table = stimulus_set(name, data, per_condition, seed=seed, **options)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, table.to_csv(index=False))
    _print_matching(matching(table, options.get("n_tokens"), factors_of(described(name).contrasts)))
    print(f"\n{len(table)} texts: {out.resolve()}")


@_deferred
def stimuli_check(
    stimuli: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE_OR_NAME")],
    model: str | None = None,
    reading: Reading = _AS_USUAL,
) -> None:
    """Read a set as the analyses would, and say what they would refuse or what could mislead them.

    Args:
        stimuli: A CSV file, or a set of `toposheet stimuli list`.
        model: Also whether it can read them: tokens, length.
        reading: How stimuli are read.
    """
    from toposheet.stimuli.checks import check
    from toposheet.stimuli.measures import matching

    table = _table(stimuli, None, reading)
    n_tokens = context = None
    if model is not None:
        from toposheet.subject import load

        subject = load(model)
        n_tokens, context = subject.n_tokens, subject.context
    warnings = check(table, n_tokens, context)
    counts = table.groupby("condition", sort=False).size()
    print(f"{stimuli}: {len(table)} texts; " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    _print_matching(matching(table, n_tokens))
    for warning in warnings:
        print(f"note: {warning}")


@_deferred
def brain_moran(
    map: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MAP")],
    hemisphere: Literal["left", "right"] = "left",
    variable: str = "t_values",
    which: int = 0,
    permutations: int = 0,
    seed: int = 0,
    figure: Path | None = None,
) -> None:
    """A surface map's Moran's I, over its mesh.

    Args:
        map: GIFTI (.gii), NetCDF (.nc) or CIFTI dense scalar (.dscalar.nii) file on fs_LR 32k or fsaverage5.
        hemisphere: Which, where the file does not say.
        variable: Of a NetCDF file.
        which: Which data array of a GIFTI or row of a CIFTI file, from 0.
        permutations: Draws of the null in which the values change places; 0 for none.
        seed: Of the draws.
        figure: Draw the map to this PNG or PDF file.
    """
    check_seed(seed)
    if figure is not None:
        if figure.suffix not in (".png", ".pdf", ".svg") or figure.is_dir():
            raise UserError(f"--figure is {figure}: name a file that ends in .png, .pdf or .svg")
        _check_out(figure.parent)
    from toposheet.brain.surface import read_surface_map, surface_morans_i

    surface = read_surface_map(map, hemisphere, variable=variable, which=which)
    found = surface_morans_i(surface, permutations, seed)
    undefined = math.isnan(found.morans_i)
    why = " (undefined: the map is constant, or no two of its vertices are neighbours)" if undefined else ""
    print(f"Moran's I = {found.morans_i:.3f}{why}")
    where = f"{surface.space}, {surface.hemisphere}"
    print(f"{found.n_vertices:,} finite non-zero vertices of {len(surface.values):,} ({where})")
    if permutations and not undefined:
        null = f"{found.null_mean:.3f} ± {found.null_sd:.3f}"
        print(f"null of {permutations} shuffles: {null}, z = {found.z:.1f}, p = {found.p:.3g}")
    if figure is not None:
        from toposheet.figures.files import write_figure
        from toposheet.figures.surface import surface_figure

        figure.parent.mkdir(parents=True, exist_ok=True)
        write_figure(surface_figure(surface, map.name), figure)
        print(f"The figure: {figure.resolve()}")


@_deferred
def brain_export(
    model: _Model,
    out: Path,
    stimuli: str | None = None,
    contrast: tuple[str, ...] = (),
    reading: Reading = _AS_USUAL,
) -> None:
    """A model's maps as flat surfaces (GIFTI) that neuroimaging tools open: a mesh and its t-maps for each sheet.

    Args:
        model: A model folder, hub id, or shipped model.
        out: Folder for the .surf.gii and .func.gii files.
        stimuli: CSV file, or the name of a set. None: those that come with the model.
        contrast: Conditions to compare, A:B. None, for the model's own stimuli: sentence:nonword.
        reading: How stimuli are read.
    """
    _check_out(out)
    from toposheet.report.localizing import export_maps

    table = _table(stimuli, model, reading)
    wanted = _contrasts(table, contrast or (("sentence:nonword",) if stimuli is None else ()), reading)
    files = export_maps(model, table, wanted, out)
    print(f"{len(files)} files: {out.resolve()}")


COMMANDS = {
    "demo": demo,
    "data": _group("Text, made ready for training.", prepare=data_prepare),
    "train": _training(recipes.named("demo")),
    "stimuli": _group(
        "Stimulus sets, published and self-made.",
        list=stimuli_list,
        show=stimuli_show,
        build=stimuli_build,
        check=stimuli_check,
    ),
    "map": map_contrasts,
    "localize": localize,
    "report": report,
    "ledger": ledger,
    "compare": compare,
    "brain": _group("The brain's surface, and sheets as surfaces.", moran=brain_moran, export=brain_export),
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
    except RunError as error:
        _say(error)
        sys.exit(FAILED)
    except UserError as error:
        _say(error)
        sys.exit(MISTAKE)
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:  # the system refuses a path, or else the fault is ours
            raise
        _say(error)
        sys.exit(FAILED if error.errno in _FULL else MISTAKE)
    sys.exit(DONE)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _say(error: Exception) -> None:
    """Print an error as one line on stderr."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:  # where all processes of torchrun meet a mistake, the first says it and ends the others
        time.sleep(3)
    print(f"{PROGRAM}{f' (process {rank})' if rank else ''}: {' '.join(str(error).split())}", file=sys.stderr)


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command that the arguments ask for, ready to be called."""
    if arguments[:1] == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        sys.exit(DONE)
    commands: dict[str, Callable[..., Any]] = dict(COMMANDS)
    asked_for_help = {"-h", "--help"} & set(arguments[1:2])
    if arguments[:1] == ["train"] and not asked_for_help:
        if len(arguments) < 2 or arguments[1].startswith("-"):
            raise UserError(f"train needs a recipe first: {PROGRAM} train {{{','.join(recipes.RECIPES)}}} ...")
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
        raise UserError(_one_line(errors.getvalue())) from None


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
            words.append(f"({' '.join(line.strip() for line in part).replace('Available', 'available')})")
    line = re.sub(r"^Error parsing \S*tyro-dummy\S*: ", "", " ".join(word for word in words if word))  # has no name
    line = line.partition(" Got errors:")[0]  # what each type of a union says
    return line or "the arguments cannot be understood; see --help"


def _table(stimuli: str | None, model: str | None, reading: Reading) -> pd.DataFrame:
    """Return stimuli: of a CSV file, a set by its name, or those that come with a model."""
    from toposheet.stimuli.table import read_stimuli

    if stimuli is None:
        from toposheet.subject import load

        assert model is not None, "stimuli are of a model or named"
        return load(model).stimuli()
    if Path(stimuli).suffix or Path(stimuli).exists():
        return read_stimuli(stimuli, reading.text_column, reading.condition_column)
    from toposheet.stimuli.studies import named_stimuli

    if model is None:
        return named_stimuli(stimuli, None, reading.data)
    from toposheet.subject import load

    return named_stimuli(stimuli, load(model).reader, reading.data)


def _contrasts(table: pd.DataFrame, contrast: Sequence[str], reading: Reading) -> tuple[Contrast, ...]:
    """Return the contrasts that are asked for of stimuli, checked."""
    from toposheet.stimuli.contrasts import parse_contrast

    column, sign, value = (reading.where or "").partition("=")
    if reading.where and not (column and sign and value):
        raise UserError(f"--where is {reading.where!r}: write it as COLUMN=VALUE")
    conditions = list(dict.fromkeys(table["condition"].astype(str)))
    if not contrast:
        raise UserError(f"say what to compare with --contrast A:B; the conditions are: {', '.join(conditions)}")
    within = (column, value) if reading.where else None
    try:
        wanted = tuple(dict.fromkeys(parse_contrast(text, conditions, within) for text in contrast))
    except ValueError as error:
        raise UserError(f"{table.attrs.get('source', 'the stimuli')}: {error}") from None
    for one in wanted:
        one.check(table)
    return wanted


def _battery(stimuli: str, model: str, contrast: Sequence[str], reading: Reading, pairs: Path | None = None) -> Battery:
    """Return the studies of a report."""
    from toposheet.stimuli.studies import (
        PUBLISHED,
        SYNTHETIC,
        battery_of_table,
        published_battery,
    )

    if pairs is not None and stimuli != PUBLISHED:
        raise UserError(f"--pairs goes with --stimuli {PUBLISHED}, not with {stimuli}")
    if stimuli in (SYNTHETIC, PUBLISHED):
        if contrast or reading.where:
            option = "--contrast" if contrast else "--where"
            raise UserError(f"{option} is for a CSV file: {stimuli} stimuli come with their contrasts")
        return _synthetic(model) if stimuli == SYNTHETIC else published_battery(reading.data, pairs)
    table = _table(stimuli, model, reading)
    return battery_of_table(stimuli, table, _contrasts(table, contrast, reading))


def _synthetic(model: str) -> Battery:
    from toposheet.stimuli.studies import synthetic_battery
    from toposheet.subject import load

    return synthetic_battery(load(model).reader)


def _with_control(model: str, control: str | None) -> dict[str, Path]:
    """Return the folders of a model and its control, whose training can be read, by what tables call them."""
    from toposheet.report.page import check_histories
    from toposheet.subject import local_folder, shipped

    if control is None and not Path(model).is_dir() and f"{model}-control" in shipped():
        control = f"{model}-control"
    models = {_name(model): model} if control is None else {"topographic": model, "control": control}
    folders = {name: local_folder(source) for name, source in models.items()}
    check_histories(folders)
    return folders


def _print_matching(table: pd.DataFrame) -> None:
    with_p = table.assign(p=[f"{p:.3f}" for p in table["p"]])
    print(with_p.to_string(index=False))


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
        raise UserError(f"cannot write to {out}: {there} says {error.strerror or error}") from None


def _print_table(out: Path) -> None:
    import pandas as pd

    from toposheet.figures.numbers import number
    from toposheet.report.page import medians, of_interest

    print("\nMedians over taps:")
    print(f"{'contrast':18} {'fwhm':>4} {'model':12} {'signif.':>7} {'I':>6} {'place-null':>13} {'z':>6} "
          f"{'label-null':>13} {'z':>5} {'cross-half':>10}")  # fmt: skip
    for row in medians(of_interest(pd.read_csv(out / "summary.csv"))).to_dict("records"):
        place, label = (f"{number(row[n + '_mean'])} ± {number(row[n + '_sd'])}" for n in ("null", "label_null"))
        print(
            f"{row['contrast']:18} {row['fwhm_mm']:4g} {row['model']:12} {row['significant_fraction']:7.1%} "
            f"{number(row['morans_i']):>6} {place:>13} {number(row['z'], 1):>6} "
            f"{label:>13} {number(row['label_z'], 1):>5} {number(row['cross_half_i']):>10}"
        )
    _print_left_out(out)


def _print_left_out(out: Path) -> None:
    """Say which negative control is not in what was computed."""
    from toposheet.report.results import read_settings

    if note := read_settings(out)["left_out"]:
        print(f"note: {note}")


def _quiet() -> None:
    """Keep other libraries' bars and advice off the terminal; their errors still show."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.disable_progress_bar()


if __name__ == "__main__":
    main()
