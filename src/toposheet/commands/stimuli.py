"""`toposheet stimuli`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from toposheet.commands._command import Command, check_out, deferred, group
from toposheet.commands._stimuli import AS_USUAL, Options, is_file, read_table
from toposheet.errors import NotFound, UserError
from toposheet.settings import check_seed

if TYPE_CHECKING:
    import pandas as pd


@deferred
def list_sets() -> None:
    """The stimulus sets there are."""
    from toposheet.stimuli.stimulus_set import PUBLISHED, SETS

    for name, entry in sorted(SETS.items(), key=lambda item: item[1].kind != PUBLISHED):
        print(f"{name:14} {entry.kind:9} {', '.join(entry.conditions):18} {entry.description}")


@deferred
def show_set(
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
    from toposheet.progress import shown
    from toposheet.stimuli.stimulus_set import SETS, stimulus_set

    _check_is_set(name)
    entry = SETS[name]
    facts = {
        "what": entry.description,
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
            print(f"texts       not here: {error}")
            return
        for condition, rows in table.groupby("condition", sort=False):
            print(f"\n{condition} ({len(rows)} texts)")
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
    check_out(out.parent)
    _check_is_set(name)
    from toposheet.progress import shown

    with shown() as progress:
        progress(f"making the stimuli {name}", 0, 1)
        from toposheet.files import write_file
        from toposheet.stimuli.contrasts import factors_of
        from toposheet.stimuli.measures import matching
        from toposheet.stimuli.reader import Reader
        from toposheet.stimuli.stimulus_set import SETS, stimulus_set

        reader = Reader(seed=seed)
        if model is not None:
            progress(f"opening the model {model}", 0, 1)
            from toposheet.subject import load

            reader = load(model).reader
        table = stimulus_set(name, reader, seed=seed, per_condition=per_condition, data=data, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, table.to_csv(index=False))
    _print_matching(matching(table, reader.count_tokens, factors_of(SETS[name].contrasts)))
    print(f"\n{len(table)} texts: {out.resolve()}")


@deferred
def check_set(
    stimuli: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="FILE_OR_NAME")],
    model: str | None = None,
    options: Options = AS_USUAL,
) -> None:
    """Read a set as the analyses would, and say what they would refuse or what could mislead them.

    Args:
        stimuli: A CSV file, or a set of `toposheet stimuli list`.
        model: Also whether it can read them: tokens, length.
        options: Where stimuli are, and what they are called there.
    """
    from toposheet.progress import shown
    from toposheet.stimuli.checks import check
    from toposheet.stimuli.measures import matching

    with shown() as progress:
        table = read_table(stimuli, None, options, progress)
        count_tokens = None
        if model is not None:
            progress(f"opening the model {model}", 0, 1)
            from toposheet.subject import load
            from toposheet.subject.respond import tokenised

            subject = load(model)
            tokenised(subject, table)  # what it cannot read is refused
            count_tokens = subject.count_tokens
    warnings = check(table, count_tokens)
    counts = table.groupby("condition", sort=False).size()
    print(f"{stimuli}: {len(table)} texts; " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    _print_matching(matching(table, count_tokens))
    for warning in warnings:
        print(f"note: {warning}")


def _check_is_set(name: str) -> None:
    """Refuse a file where a set is wanted, and a set that does not exist.

    Raises:
        UserError: the message says what reads a file, or which sets there are.
    """
    from toposheet.stimuli.stimulus_set import SETS

    if name not in SETS and is_file(name):
        raise UserError(f"{name} is no stimulus set but a file: read it with toposheet stimuli check {name}")
    SETS.check(name)


def _print_matching(table: pd.DataFrame) -> None:
    with_p = table.assign(p=[f"{p:.3f}" for p in table["p"]])
    print(with_p.to_string(index=False))


COMMAND = Command(
    place=40,
    parser=group(
        "Stimulus sets, published and self-made.", list=list_sets, show=show_set, build=build_set, check=check_set
    ),
)
