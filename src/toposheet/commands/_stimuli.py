"""The options by which commands are given stimuli, contrasts and models, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.progress import Progress
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.studies import Battery
    from toposheet.subject import Subject

Model = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]


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


def check_inputs(
    models: Sequence[str],
    stimuli: str | None = None,
    contrasts: Sequence[str] = (),
    options: StimulusOptions = AS_USUAL,
    or_language: bool = False,
) -> None:
    """Refuse what can be refused before PyTorch is imported, and so before work is announced.

    Args:
        models: Model folders, hub ids or shipped models.
        stimuli: A CSV file; of a set, and of None, nothing is known yet.
        contrasts: What is compared in a file.
        options: What is where.
        or_language: See `read_contrasts`.

    Raises:
        UserError: a model, the file or a contrast cannot be used.
    """
    from toposheet.hub import may_be_on_hub

    for model in models:
        shipped = Path(__file__).parents[1] / "shipped" / model
        folder = shipped if shipped.is_dir() and not Path(model).is_dir() else Path(model)
        whole = all((folder / file).is_file() for file in ("config.json", "topography.json"))
        if not whole and not may_be_on_hub(model):
            from toposheet.subject import load

            load(model)  # which says what is wrong
    if stimuli is not None and _is_file(stimuli):
        read_contrasts(read_table(stimuli, None, options), contrasts, options, or_language)


def check_battery(
    models: Sequence[str],
    stimuli: str,
    contrasts: Sequence[str] = (),
    options: StimulusOptions = AS_USUAL,
    pairs: Path | None = None,
) -> None:
    """Refuse what `check_inputs` refuses, and options that do not fit the studies of a report.

    Args:
        models: See `check_inputs`.
        stimuli: See `read_battery`, like all that follow.
        contrasts: What is compared in a file.
        options: What is where.
        pairs: Pairs of nouns and of verbs, beside published stimuli.

    Raises:
        UserError: the options do not fit each other, or a model, the file or a contrast cannot be used.
    """
    check_inputs(models)
    if not _is_file(stimuli) and pairs is None and not contrasts and options.where is None:
        return  # nothing else can be wrong, and pandas need not be imported
    from toposheet.stimuli.studies import PUBLISHED, SYNTHETIC

    if pairs is not None and stimuli != PUBLISHED:
        raise UserError(f"--pairs goes with --stimuli {PUBLISHED}, not with {stimuli}")
    if stimuli not in (SYNTHETIC, PUBLISHED):
        check_inputs((), stimuli, contrasts, options)
    elif contrasts or options.where:
        option = "--contrast" if contrasts else "--where"
        raise UserError(f"{option} is for stimuli of your own: {stimuli} stimuli come with their contrasts")


def _is_file(stimuli: str) -> bool:
    """Return whether stimuli are a file, not the name of a set."""
    return bool(Path(stimuli).suffix) or Path(stimuli).exists()


def read_table(
    stimuli: str | None,
    subject: Subject | None,
    options: StimulusOptions = AS_USUAL,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return stimuli: of a CSV file, of a set by its name, or those that come with a model.

    Args:
        stimuli: The file or the set. None: those of the model.
        subject: The model that sets are made for, None for none.
        options: What is where.
        progress: Told how far the making of a set is.
    """
    from toposheet.stimuli.stimulus_set import stimulus_set
    from toposheet.stimuli.table import read_stimuli

    if stimuli is None:
        assert subject is not None, "stimuli are of a model or named"
        return subject.stimuli()
    if _is_file(stimuli):
        return read_stimuli(stimuli, options.text_column, options.condition_column)
    reader = None if subject is None else subject.reader
    return stimulus_set(stimuli, reader, data=options.data, progress=progress)


def read_contrasts(
    table: pd.DataFrame, contrasts: Sequence[str], options: StimulusOptions = AS_USUAL, or_language: bool = False
) -> tuple[Contrast, ...]:
    """Return the contrasts that are asked for of stimuli.

    Args:
        table: The stimuli.
        contrasts: Each `A:B` or `A-B`.
        options: Where the texts are chosen from.
        or_language: Whether sentences against non-words are compared where nothing is asked for.

    Raises:
        UserError: there is none, one names no two conditions, or `--where` is not COLUMN=VALUE.
    """
    from toposheet.stimuli.contrasts import parse_contrast
    from toposheet.stimuli.studies import language_contrast

    column, sign, value = (options.where or "").partition("=")
    if options.where and not (column and sign and value):
        raise UserError(f"--where is {options.where!r}: write it as COLUMN=VALUE")
    conditions = list(dict.fromkeys(table["condition"].astype(str)))
    within = (column, value) if options.where else None
    if not contrasts and or_language and (language := language_contrast(table)) is not None:
        return (replace(language, where=within),)
    if not contrasts:
        raise UserError(f"say what to compare with --contrast A:B; the conditions are: {', '.join(conditions)}")
    try:
        return tuple(dict.fromkeys(parse_contrast(text, conditions, within) for text in contrasts))
    except UserError as error:
        raise UserError(f"{table.attrs.get('source', 'the stimuli')}: {error}") from None


def read_battery(
    stimuli: str,
    subject: Subject,
    contrasts: Sequence[str],
    options: StimulusOptions = AS_USUAL,
    pairs: Path | None = None,
    progress: Progress | None = None,
) -> Battery:
    """Return the studies of a report.

    Args:
        stimuli: `synthetic`, `published`, a CSV file or the name of a set.
        subject: The model that self-made stimuli are made for.
        contrasts: What is compared in a file.
        options: What is where.
        pairs: Pairs of nouns and of verbs, beside published stimuli.
        progress: Told how far the making of stimuli is.

    Raises:
        UserError: stimuli and contrasts do not fit each other.
    """
    from toposheet.stimuli.studies import PUBLISHED, SYNTHETIC, published_battery, synthetic_battery

    if stimuli == PUBLISHED:
        return published_battery(options.data, pairs)
    if stimuli == SYNTHETIC:
        subject.check_tokenizer()
        return synthetic_battery(subject.reader, progress=progress)
    return read_study(stimuli, subject, contrasts, options, progress)


def read_study(
    stimuli: str,
    subject: Subject,
    contrasts: Sequence[str],
    options: StimulusOptions = AS_USUAL,
    progress: Progress | None = None,
) -> Battery:
    """Return one set and what is compared in it.

    Args:
        stimuli: A CSV file or the name of a set.
        subject: The model that self-made stimuli are made for.
        contrasts: What is compared.
        options: What is where.
        progress: Told how far the making of a set is.

    Raises:
        UserError: stimuli and contrasts do not fit each other.
    """
    from toposheet.stimuli.studies import battery_of_table

    table = read_table(stimuli, subject, options, progress)
    return battery_of_table(stimuli, table, read_contrasts(table, contrasts, options))
