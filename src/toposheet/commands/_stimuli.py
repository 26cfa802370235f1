"""The options by which commands are given stimuli, contrasts and models, and what they stand for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.commands._command import NONE_GIVEN
from toposheet.errors import UserError, did_you_mean
from toposheet.files import path_of

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.progress import Progress
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.studies import Battery
    from toposheet.subject import Subject

Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
Contrasts = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=NONE_GIVEN)]


@dataclass(frozen=True)
class StimulusOptions:
    """Where stimuli are, and what they are called there.

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


AS_USUAL = StimulusOptions()
Options = Annotated[StimulusOptions, tyro.conf.arg(name="stimulus")]  # the help calls them `stimulus options`


def check_model(model: str) -> None:
    """Refuse a model that is neither a model folder nor a shipped model nor on the hub, before PyTorch is imported.

    Raises:
        UserError: The message says what is wrong with the model.
    """
    from toposheet.hub import may_be_on_hub

    shipped = Path(__file__).parents[1] / "shipped" / model
    folder = shipped if shipped.is_dir() and not path_of(model).is_dir() else path_of(model)
    whole = all((folder / file).is_file() for file in ("config.json", "topography.json"))
    if not whole and not may_be_on_hub(model):
        from toposheet.subject import load

        load(model)  # which says what is wrong


def opening(model: str, progress: Progress) -> Callable[[], Subject]:
    """Return a function that opens a model when it is first called, after everything that is cheaper to refuse.

    Args:
        model: A model folder, hub id or shipped model.
        progress: A function that is called when the model is opened.

    Raises:
        UserError: There is no such model.
    """
    check_model(model)

    @functools.cache
    def opened() -> Subject:
        progress(f"opening the model {model}", 0, 1)
        from toposheet.subject import load

        return load(model)

    return opened


def read_table(
    stimuli: str | None,
    subject: Callable[[], Subject] | None,
    options: StimulusOptions = AS_USUAL,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return stimuli: of a CSV file, of a set by its name, or those that come with a model.

    Args:
        stimuli: The file or the set. None: those of the model.
        subject: A function that opens the model for which sets are made. None: there is no model.
        options: What is where.
        progress: A function that is called while a set is made. None: no calls.
    """
    from toposheet.stimuli.stimulus_set import PUBLISHED, SETS, stimulus_set
    from toposheet.stimuli.table import read_stimuli

    if stimuli is None:
        assert subject is not None, "stimuli are of a model or named"
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
    """Return whether stimuli are meant as a file, and not as the name of a set."""
    return bool(Path(stimuli).suffix) or path_of(stimuli).exists()


def read_contrasts(
    table: pd.DataFrame, contrasts: Sequence[str], options: StimulusOptions = AS_USUAL, or_language: bool = False
) -> tuple[Contrast, ...]:
    """Return the contrasts that are asked for of stimuli, which fit them.

    Args:
        table: The stimuli.
        contrasts: Each `A:B` or `A-B`.
        options: Where the texts are chosen from.
        or_language: Whether sentences against non-words are compared where nothing is asked for.

    Raises:
        UserError: there is none, one names no two conditions, `--where` is not COLUMN=VALUE, or the stimuli do not fit.
    """
    from toposheet.stimuli.studies import language_contrast

    conditions = list(dict.fromkeys(table["condition"].astype(str)))
    within = _where(options)
    language = language_contrast(table) if or_language and not contrasts else None
    if not contrasts and language is None:
        raise UserError(f"say what to compare with --contrast A:B; the conditions are: {', '.join(conditions)}")
    if language is not None:
        parsed = (replace(language, where=within),)
    else:
        parsed = _parsed(contrasts, conditions, within, table.attrs.get("source", "the stimuli"))
    for contrast in parsed:
        contrast.check(table)
    return parsed


def _where(options: StimulusOptions) -> tuple[str, str] | None:
    """Return the column and the value of `--where`, None where it is not given."""
    if options.where is None:
        return None
    column, _, value = (part.strip() for part in options.where.partition("="))
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
    """Return the studies of a report. The model is opened only where stimuli are made for it.

    Args:
        stimuli: `synthetic`, `published`, a CSV file or the name of a set.
        subject: Opens the model that self-made stimuli are made for.
        contrasts: What is compared in a file.
        options: What is where.
        confounds: What is regressed out.
        pairs: Pairs of nouns and of verbs, beside published stimuli.
        progress: A function that is called while stimuli are made. None: no calls.

    Raises:
        UserError: the options do not fit each other, or stimuli, contrasts and confounds do not.
    """
    from toposheet.stimuli.stimulus_set import SETS
    from toposheet.stimuli.studies import PUBLISHED, SYNTHETIC, published_battery, synthetic_battery

    if pairs is not None and stimuli != PUBLISHED:
        raise UserError(f"--pairs goes with --stimuli {PUBLISHED}, not with {stimuli}")
    if stimuli not in (SYNTHETIC, PUBLISHED):
        if not is_file(stimuli) and stimuli not in SETS:
            choices = [*SETS, SYNTHETIC, PUBLISHED]
            raise UserError(
                f"there is no stimulus set {stimuli!r}.{did_you_mean(stimuli, choices)} There are: "
                f"{', '.join(choices)}; or give a CSV file"
            )
        return read_study(stimuli, subject, contrasts, options, confounds, progress)
    if contrasts or options.where:
        option = "--contrast" if contrasts else "--where"
        raise UserError(f"{option} is for stimuli of your own: {stimuli} stimuli come with their contrasts")
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
    """Return one set and what is compared in it.

    Args:
        stimuli: A CSV file or the name of a set.
        subject: Opens the model that self-made stimuli are made for.
        contrasts: What is compared.
        options: What is where.
        confounds: What is regressed out.
        progress: A function that is called while a set is made. None: no calls.

    Raises:
        UserError: stimuli, contrasts and confounds do not fit each other.
    """
    from toposheet.stimuli.stimulus_set import SETS
    from toposheet.stimuli.studies import battery_of_table

    _where(options)
    if contrasts and not is_file(stimuli):
        _parsed(contrasts, SETS[stimuli].conditions, None, f"the set {stimuli}")  # before a model is opened for it
    table = read_table(stimuli, subject, options, progress)
    battery = battery_of_table(stimuli, table, read_contrasts(table, contrasts, options))
    _check_confounds(battery, confounds)
    return battery


def _check_confounds(battery: Battery, confounds: Sequence[str]) -> None:
    from toposheet.stimuli.confounds import check_confounds

    for study in battery.studies:
        if study.contrasts:
            check_confounds(study.stimuli, confounds)
