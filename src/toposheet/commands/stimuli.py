"""`toposheet stimuli`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.commands._command import Command, check_out, deferred, group
from toposheet.commands._stimuli import (
    AS_USUAL,
    Confounds,
    Contrasts,
    Options,
    is_file,
    opening,
    read_contrasts,
    read_table,
)
from toposheet.errors import NotFound, UserError, listed
from toposheet.settings import DEFAULT, check_seed

if TYPE_CHECKING:
    import pandas as pd

    from toposheet.stimuli.contrasts import Contrast


@deferred
def list_sets() -> None:
    """List all stimulus sets."""
    from toposheet.stimuli.stimulus_set import PUBLISHED, SETS

    for name, entry in sorted(SETS.items(), key=lambda item: item[1].kind != PUBLISHED):
        print(f"{name:14} {entry.kind:9} {', '.join(entry.conditions):18} {entry.description}")


@deferred
def show_set(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    data: Path | None = None,
    texts: int = 3,
) -> None:
    """Show the description of a set, and some of its texts.

    Args:
        name: Name of a set (see `toposheet stimuli list`).
        data: Folder with the files of published sets. None: the folder in the environment variable TOPOSHEET_DATA.
        texts: Number of texts to show for each condition.
    """
    if texts < 0:
        raise UserError(f"texts is {texts}: it must be at least 0")
    from toposheet.progress import shown
    from toposheet.stimuli.stimulus_set import SETS, stimulus_set
    from toposheet.wording import counted

    _check_is_set(name)
    entry = SETS[name]
    facts = {
        "content": entry.description,
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
        try:
            with shown() as progress:
                table = stimulus_set(name, data=data, progress=progress)
        except NotFound as error:
            if data is not None:
                raise
            print(f"texts       cannot be shown: {error}")
            return
        for condition, rows in table.groupby("condition", sort=False):
            print(f"\n{condition} ({counted(len(rows), 'text')})")
            for text in rows["text"].head(texts):
                print(f"  {text}")


@deferred
def build_set(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")],
    out: Path,
    model: str | None = None,
    per_condition: int | None = None,
    seed: int = 0,
    data: Path | None = None,
) -> None:
    """Write a set to a CSV file, and print how well its conditions are matched.

    Args:
        name: Name of a set (see `toposheet stimuli list`).
        out: Path of the new CSV file.
        model: Make the set for this model: from its held-out text, and matched in its tokens. None: the held-out text
            of the demo is used, and the set is not matched in tokens.
        per_condition: Number of texts in each condition, for the sets language and swjn. None: 100, or fewer for swjn
            if the held-out text is short.
        seed: Seed of all random choices in the set. Without a model it also decides which text is held out; with
            --model, the text that this model did not train on is used, whatever the seed.
        data: Folder with the files of published sets. None: the folder in the environment variable TOPOSHEET_DATA.
    """
    check_seed(seed)
    _check_new_file(out)
    _check_is_set(name)
    from toposheet.progress import shown

    with shown() as progress:
        progress(f"making the stimuli {name}", 0, 1)
        from toposheet.files import write_file
        from toposheet.stimuli.contrasts import factors_of
        from toposheet.stimuli.measures import matching
        from toposheet.stimuli.reader import Reader
        from toposheet.stimuli.stimulus_set import SETS, stimulus_set
        from toposheet.wording import counted

        reader = Reader(seed=seed)
        if model is not None:
            reader = opening(model, progress)().reader
        table = stimulus_set(name, reader, seed=seed, per_condition=per_condition, data=data, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, table.to_csv(index=False))
    _print_matching(matching(table, reader.count_tokens, factors_of(SETS[name].contrasts)))
    print(f"\n{counted(len(table), 'text')}: {out.resolve()}")


@deferred
def check_set(
    stimuli: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE_OR_NAME")],
    model: str | None = None,
    contrast: Contrasts = (),
    groups: str = DEFAULT.groups,
    paired_by: str = DEFAULT.paired_by,
    confounds: Confounds = DEFAULT.confounds,
    out: Path | None = None,
    options: Options = AS_USUAL,
) -> None:
    """Check whether analyses accept a set, and print notes about problems that could mislead an analysis.

    Args:
        stimuli: A CSV file, or the name of a set (see `toposheet stimuli list`).
        model: Also check whether this model can read all texts, and compare the conditions in its tokens. None: no
            model is checked.
        contrast: Contrasts, each written as A:B (or A-B), in which conditions are compared. Without them, the contrasts
            of a set are used; the conditions of a file are compared all together.
        groups: Name of the column that defines groups of dependent texts. The default is used only if the stimuli have
            this column.
        paired_by: Name of the column that defines pairs of texts, one of each condition. Empty: there are no pairs.
        confounds: Confounds of an analysis: length, frequency, tokens, or numeric columns of the stimuli.
        out: Path of a new CSV file: the same stimuli with the column shared_words, which groups the texts of a
            condition that share words. None: no file is written.
        options: How stimuli are read.
    """
    if out is not None:
        _check_new_file(out)
    from toposheet.progress import shown
    from toposheet.stimuli.checks import check
    from toposheet.stimuli.measures import matching
    from toposheet.stimuli.stimulus_set import SETS
    from toposheet.wording import counted

    with shown() as progress:
        opened = None if model is None else opening(model, progress)
        table = read_table(stimuli, opened, options, progress)
        if contrast:
            contrasts = read_contrasts(table, contrast, options)
        else:
            contrasts = () if is_file(stimuli) or options.where else SETS[stimuli].contrasts
        _check_as_analyses_do(table, contrasts, groups, paired_by, confounds)
        grouped = None if out is None else _with_groups(table, contrasts)
        count_tokens = None
        if opened is not None:
            from toposheet.subject.reading import reading_of_tokenizer
            from toposheet.subject.respond import tokenised

            opened().check_tokenizer()
            tokenised(
                opened(), table, reading_of_tokenizer(opened().tokenizer)
            )  # raises an error if the model cannot read a text
            count_tokens = opened().count_tokens
    warnings = check(table, count_tokens, contrasts, groups, confounds)
    counts = table.groupby("condition", sort=False).size()
    print(f"{stimuli}: {counted(len(table), 'text')}; " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    for name, texts in [(c.name, c.compared(table)) for c in contrasts] or [("all conditions", table)]:
        print(f"\n{name}:")
        _print_matching(matching(texts, count_tokens))
    for warning in warnings:
        print(f"note: {warning}")
    if out is not None and grouped is not None:
        from toposheet.files import write_file

        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, grouped.to_csv(index=False))
        n_groups = ", ".join(f"{name} {n}" for name, n in _number_of_groups(grouped).items())
        print(f"\n{counted(len(table), 'text')} with the column shared_words (groups: {n_groups}): {out.resolve()}")


def _check_as_analyses_do(
    table: pd.DataFrame, contrasts: Sequence[Contrast], groups: str, paired_by: str, confounds: Sequence[str]
) -> None:
    """Refuse groups, pairs and confounds that an analysis refuses. Two conditions are a contrast.

    Raises:
        UserError: The groups, pairs or confounds do not fit a contrast. Or pairs or confounds are given without one.
    """
    from toposheet.cortex.design import contrast_design
    from toposheet.stimuli.confounds import check_confounds
    from toposheet.stimuli.contrasts import Contrast
    from toposheet.stimuli.naming import labels

    conditions = list(dict.fromkeys(labels(table, "condition").tolist()))
    if not contrasts and len(conditions) == 2:
        contrasts = [Contrast(*conditions)]
    if (paired_by or confounds) and not contrasts:
        raise UserError(
            f"{'--paired-by' if paired_by else '--confounds'} needs a contrast, and there are {len(conditions)} "
            f"conditions: give --contrast A:B; the conditions are: {listed(conditions)}"
        )
    for contrast in contrasts:
        contrast_design(contrast.compared(table), contrast, groups, paired_by or None)
        check_confounds(table, contrast, confounds)


def _with_groups(table: pd.DataFrame, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Return the stimuli with the column `shared_words`.

    Raises:
        UserError: So few conditions have 3 groups or more that an analysis would refuse the groups.
    """
    from toposheet.stimuli.contrasts import MIN_TEXTS
    from toposheet.stimuli.measures import with_groups
    from toposheet.wording import counted

    grouped = with_groups(table)
    for texts in [contrast.compared(grouped) for contrast in contrasts] or [grouped]:
        counts = _number_of_groups(texts)
        few = {condition: n for condition, n in counts.items() if n < MIN_TEXTS}
        if len(few) > max(len(counts) - 2, 0):  # no two conditions can be compared
            condition, n = next(iter(few.items()))
            raise UserError(
                f"--out would write {counted(n, 'group')} of the condition {condition!r}, because chains of shared "
                f"words link its texts, and analyses refuse fewer than {MIN_TEXTS}: leave --out out, and use texts "
                "that share fewer words"
            )
    return grouped


def _number_of_groups(table: pd.DataFrame) -> dict[str, int]:
    from toposheet.stimuli.measures import SHARED_WORDS

    return {str(name): int(n) for name, n in table.groupby("condition", sort=False)[SHARED_WORDS].nunique().items()}


def _check_new_file(out: Path) -> None:
    """Refuse the path of a new CSV file if it exists or cannot be written.

    Raises:
        UserError: The path is a folder or an existing file, or its folder cannot be written to.
    """
    if out.is_dir():
        raise UserError(f"--out is {out}, a folder: give the path of a CSV file")
    if out.exists():
        raise UserError(f"--out is {out}, which exists: give the path of a new CSV file, or remove this one first")
    check_out(out.parent)


def _check_is_set(name: str) -> None:
    """Refuse a name that is not the name of a set.

    Raises:
        UserError: The name is a file, or no set has this name. The message says which command reads a file, or it lists
            the sets.
    """
    from toposheet.stimuli.stimulus_set import SETS

    if name not in SETS and is_file(name):
        raise UserError(f"{name} is a file, not the name of a set: read a file with toposheet stimuli check {name}")
    SETS.check(name, otherwise=False)


def _print_matching(table: pd.DataFrame) -> None:
    from toposheet.wording import p_value

    with_p = table.assign(p=[p_value(p) for p in table["p"]])
    print(with_p.to_string(index=False))


COMMAND = Command(
    position=40,
    parser=group(
        "List, show, build and check stimulus sets.", list=list_sets, show=show_set, build=build_set, check=check_set
    ),
)
