"""Options for models, stimuli and contrasts that several commands share, and functions that read them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.commands._command import NONE_GIVEN
from toposheet.errors import UserError, did_you_mean, listed
from toposheet.files import path_of
from toposheet.model_folders import check_control, folder_on_disk, holds_model
from toposheet.stimuli.labels import plain_label

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.progress import Progress
    from toposheet.settings import Reading
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.studies import Battery
    from toposheet.subject import Subject

Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
Contrasts = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=NONE_GIVEN)]
Confounds = Contrasts


@dataclass(frozen=True)
class StimulusOptions:
    """How stimuli are read.

    Args:
        text_column: Name of the column with the texts in a CSV file.
        condition_column: Name of the column with the conditions in a CSV file.
        where: Use only texts with one value in one column, written as COLUMN=VALUE. None: use all texts.
        data: Folder with the files of published sets. None: the folder in the environment variable TOPOSHEET_DATA.
    """

    text_column: str = "text"
    condition_column: str = "condition"
    where: str | None = None
    data: Path | None = None


AS_USUAL = StimulusOptions()
Options = Annotated[StimulusOptions, tyro.conf.arg(name="stimulus")]  # the help has the heading `stimulus options`


def check_model(model: str) -> None:
    """Refuse a model that is neither a model folder nor a shipped model nor on the hub, before PyTorch is imported.

    Raises:
        UserError: The message says what is wrong with the model.
    """
    folder = folder_on_disk(model)
    if folder is not None and not (holds_model(folder) and (folder / "topography.json").is_file()):
        from toposheet.subject import load

        load(model)  # raises the error that says what is wrong


def check_model_and_control(model: str, control: str | None) -> None:
    """Refuse a control that is no model or that is the model itself; see `check_model`."""
    if control:
        check_model(control)
        check_control(control, folder_on_disk(control), folder_on_disk(model))


def opening(model: str, progress: Progress, reading: Reading | None = None) -> Callable[[], Subject]:
    """Return a function that opens a model at its first call. Faster checks of other arguments can thus come first.

    The function raises a UserError if the model cannot give the reading.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        progress: A function that is called when the model is opened.
        reading: How texts will be read. None: it is not checked.

    Raises:
        UserError: There is no such model.
    """
    check_model(model)

    @functools.cache
    def opened() -> Subject:
        progress(f"opening the model {model}", 0, 1)
        from toposheet.subject import load
        from toposheet.subject.respond import resolved_reading

        subject = load(model)
        if reading is not None:
            resolved_reading(subject, reading)
        return subject

    return opened


def read_table(
    stimuli: str | None,
    subject: Callable[[], Subject] | None,
    options: StimulusOptions = AS_USUAL,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the stimuli of a CSV file, of a named set, or of a model: those that `--where` selects.

    Args:
        stimuli: The path of a CSV file, or the name of a set. None: the stimuli that are saved with the model.
        subject: A function that opens the model for which sets are made. None: there is no model.
        options: How stimuli are read.
        progress: A function that is called while a set is made. None: no calls.

    Raises:
        UserError: The stimuli cannot be read, or `--where` is not written as COLUMN=VALUE, or selects no text.
    """
    from toposheet.stimuli.contrasts import rows_where

    table = _all_texts(stimuli, subject, options, progress)
    return table[rows_where(table, _where(options))]


def _all_texts(
    stimuli: str | None, subject: Callable[[], Subject] | None, options: StimulusOptions, progress: Progress | None
) -> pd.DataFrame:
    from toposheet.stimuli.stimulus_set import PUBLISHED, SETS, stimulus_set
    from toposheet.stimuli.table import read_stimuli

    if stimuli is None:
        assert subject is not None, "without a model, stimuli must be named"
        return subject().stimuli()
    if is_file(stimuli):
        table = read_stimuli(stimuli, options.text_column, options.condition_column)
        for note in table.attrs["notes"]:
            print(f"note: {stimuli}: {note}")
        return table
    if subject is None or SETS[stimuli].kind == PUBLISHED:
        return stimulus_set(stimuli, data=options.data, progress=progress)
    return stimulus_set(stimuli, subject().reader, progress=progress)


def is_file(stimuli: str) -> bool:
    """Return whether the user gave a file, and not the name of a set.

    If a folder has the name of a set, the set is read. If a file has the name of a set, the file is read.
    """
    from toposheet.stimuli.stimulus_set import SETS

    if "://" in stimuli:
        raise UserError(f"{stimuli} is an address, not a file: download the file first, and give its path")
    path = path_of(stimuli)
    return path.is_file() or (stimuli not in SETS and (bool(path.suffix) or path.exists()))


def read_contrasts(
    table: pd.DataFrame, contrasts: Sequence[str], options: StimulusOptions = AS_USUAL, or_language: bool = False
) -> tuple[Contrast, ...]:
    """Return the requested contrasts, after a check that the stimuli fit them.

    Args:
        table: The stimuli.
        contrasts: The contrasts, each written as `A:B` or `A-B`.
        options: How stimuli are read. Its `where` becomes a part of the name of each contrast.
        or_language: Whether the default is to compare sentences with non-words, if no contrast is requested.

    Raises:
        UserError: No contrast is given, a contrast does not name two conditions, `--where` is not written as
            COLUMN=VALUE, or the stimuli do not fit a contrast.
    """
    from toposheet.stimuli.naming import labels, source_name
    from toposheet.stimuli.studies import language_contrast

    conditions = list(dict.fromkeys(labels(table, "condition").tolist()))
    within = _where(options)
    language = language_contrast(table) if or_language and not contrasts else None
    if not contrasts and language is None:
        raise UserError(f"no contrast is given: give --contrast A:B; the conditions are: {listed(conditions)}")
    if language is not None:
        parsed = (replace(language, where=within),)
    else:
        parsed = _parsed(contrasts, conditions, within, source_name(table))
    for contrast in parsed:
        contrast.check(table)
    return parsed


def _where(options: StimulusOptions) -> tuple[str, str] | None:
    """Return the column and the value of `--where`, or None if the user did not give it."""
    if options.where is None:
        return None
    column, _, value = (plain_label(part) for part in options.where.partition("="))
    if not (column and value):
        raise UserError(f"--where is {options.where!r}: write it as COLUMN=VALUE")
    return column, value


def _parsed(
    contrasts: Sequence[str], conditions: Sequence[str], within: tuple[str, str] | None, source: str
) -> tuple[Contrast, ...]:
    from toposheet.stimuli.contrasts import parse_contrast

    try:
        return tuple(dict.fromkeys(parse_contrast(text, conditions, within) for text in contrasts))
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def read_battery(
    stimuli: str,
    subject: Callable[[], Subject],
    contrasts: Sequence[str] = (),
    options: StimulusOptions = AS_USUAL,
    confounds: Sequence[str] = (),
    pairs: Path | None = None,
    progress: Progress | None = None,
) -> Battery:
    """Return the studies of a report. The model is opened only if stimuli are made for it.

    Args:
        stimuli: `synthetic`, `published`, the path of a CSV file, or the name of a set.
        subject: A function that opens the model for which synthetic stimuli are made.
        contrasts: The contrasts, if `stimuli` is a file or a set.
        options: How stimuli are read.
        confounds: Variables that a regression removes from the responses.
        pairs: A file of noun pairs and verb pairs that is added to the published stimuli.
        progress: A function that is called while stimuli are made. None: no calls.

    Raises:
        UserError: Two options cannot be used together, or the stimuli, contrasts and confounds do not fit together.
    """
    from toposheet.stimuli.stimulus_set import SETS
    from toposheet.stimuli.studies import PUBLISHED, SYNTHETIC, published_battery, synthetic_battery

    if pairs is not None and stimuli != PUBLISHED:
        raise UserError(
            f"--pairs can only be used with --stimuli {PUBLISHED}, not with --stimuli {stimuli}: leave it out"
        )
    if stimuli not in (SYNTHETIC, PUBLISHED):
        if not is_file(stimuli) and stimuli not in SETS:
            choices = [*SETS, SYNTHETIC, PUBLISHED]
            raise UserError(
                f"there is no stimulus set {stimuli!r}.{did_you_mean(stimuli, choices)} Choose from: "
                f"{', '.join(choices)}; or give a CSV file"
            )
        return read_study(stimuli, subject, contrasts, options, confounds, progress)
    if contrasts or options.where:
        option = "--contrast" if contrasts else "--where"
        raise UserError(
            f"{option} is only for a CSV file or a set: {stimuli} stimuli have fixed contrasts, so leave it out"
        )
    if stimuli == PUBLISHED:
        battery = published_battery(options.data, pairs)
    else:
        subject().check_tokenizer()
        battery = synthetic_battery(subject().reader, progress=progress)
    _check_confounds(battery, confounds)
    return battery


def read_study(
    stimuli: str,
    subject: Callable[[], Subject],
    contrasts: Sequence[str],
    options: StimulusOptions = AS_USUAL,
    confounds: Sequence[str] = (),
    progress: Progress | None = None,
) -> Battery:
    """Return a battery with one study: the stimuli of a CSV file or of a built-in set, with the given contrasts.

    Args:
        stimuli: The path of a CSV file, or the name of a set.
        subject: A function that opens the model for which synthetic stimuli are made.
        contrasts: The contrasts, each written as `A:B` or `A-B`.
        options: How stimuli are read.
        confounds: Variables that a regression removes from the responses.
        progress: A function that is called while a set is made. None: no calls.

    Raises:
        UserError: The stimuli, contrasts and confounds do not fit together.
    """
    from toposheet.stimuli.stimulus_set import SETS
    from toposheet.stimuli.studies import battery_of_table

    _where(options)
    if contrasts and not is_file(stimuli):
        # Wrong contrasts are refused before the model is opened.
        _parsed(contrasts, SETS[stimuli].conditions, None, f"the set {stimuli}")
    table = read_table(stimuli, subject, options, progress)
    parsed = read_contrasts(table, contrasts, options)
    if is_file(stimuli) and (note := _note_on_other_rows(table, parsed)):
        print(f"note: {stimuli}: {note}")
    battery = battery_of_table(stimuli, table, parsed)
    _check_confounds(battery, confounds)
    return battery


def _note_on_other_rows(table: pd.DataFrame, contrasts: Sequence[Contrast]) -> str:
    """Return a note on the stimuli that no contrast uses. Empty: the contrasts use all stimuli."""
    from toposheet.stimuli.naming import labels

    conditions = labels(table, "condition")
    for contrast in contrasts:
        for mask in contrast.masks(table):
            conditions[mask] = None
    unused = [str(condition) for condition in conditions if condition is not None]
    if not unused:
        return ""
    rows = "1 row is" if len(unused) == 1 else f"{len(unused):,} rows are"
    return f"{rows} in none of the contrasts (conditions: {listed(dict.fromkeys(unused))})"


def _check_confounds(battery: Battery, confounds: Sequence[str]) -> None:
    from toposheet.stimuli.confounds import check_confounds

    for study in battery.studies:
        for contrast in study.contrasts:
            check_confounds(study.stimuli, contrast, confounds)
