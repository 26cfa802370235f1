"""Studies: a stimulus set with its contrasts. A battery holds the studies of a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from toposheet.errors import UserError
from toposheet.files import path_of
from toposheet.packages import MissingPackage
from toposheet.progress import Progress, part_of
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.naming import check_column, labels
from toposheet.stimuli.published import find_pairs
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.sets.swjn import MIN_PER_CONDITION, swjn
from toposheet.stimuli.stimulus_set import PUBLISHED, SETS, SYNTHETIC, stimulus_set
from toposheet.stimuli.table import read_stimuli

_EXTRA = "toposheet[demo]"  # installs the packages that synthetic sets need
CONTRASTS = (Contrast("sentence", "nonword"), Contrast("noun", "verb"))


_LANGUAGE = (Contrast("sentence", "nonword"), Contrast("S", "N"))  # names in synthetic and in published stimuli


def language_contrast(stimuli: pd.DataFrame) -> Contrast | None:
    """Return the contrast of sentences with non-words, or None if the stimuli lack these conditions."""
    conditions = set(labels(stimuli, "condition"))
    return next((contrast for contrast in _LANGUAGE if {contrast.a, contrast.b} <= conditions), None)


@dataclass(frozen=True)
class Study:
    """A stimulus set and its contrasts.

    Args:
        name: Name of the set.
        stimuli: The table of the set, with the columns `text` and `condition`.
        contrasts: The contrasts that are computed. Empty for a set that only measures the profile of the language
            network.
    """

    name: str
    stimuli: pd.DataFrame
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Battery:
    """The studies of a report.

    Args:
        name: `synthetic`, `published`, or the name of a file.
        studies: The studies.
        localizer: Name of the study whose first contrast compares sentences with non-words. This contrast selects the
            language network. None: no language network is selected.
        measured: Name of the study with the conditions S, W, J and N. In this study the responses of the selected
            network are measured. None: they are not measured.
        left_out: Names of the studies that are left out because a package is missing.
    """

    name: str
    studies: tuple[Study, ...]
    localizer: str | None = None
    measured: str | None = None
    left_out: tuple[str, ...] = ()

    def contrasts(self) -> dict[str, tuple[str, Contrast]]:
        """Return a dict from the name of each contrast in tables to the name of its study and the contrast.

        If several studies have the same contrast, the name of the study is added to the name of the second and of
        later ones.
        """
        by_name: dict[str, tuple[str, Contrast]] = {}
        for study in self.studies:
            for contrast in study.contrasts:
                name = f"{study.name} {contrast.name}" if contrast.name in by_name else contrast.name
                by_name[name] = (study.name, contrast)
        return by_name

    @property
    def language(self) -> str | None:
        """The name in tables of the contrast that selects the language network, or None."""
        return next((name for name, (study, _) in self.contrasts().items() if study == self.localizer), None)

    @property
    def note(self) -> str:
        """One sentence that says which stimuli are left out and what to install. Empty if no stimuli are left out."""
        if not self.left_out:
            return ""
        return (
            f"the stimuli {', '.join(self.left_out)} are left out, because packages are missing: pip install '{_EXTRA}'"
        )


def published_battery(data: str | Path | None = None, pairs: str | Path | None = None) -> Battery:
    """Return the published stimuli that TopoLM was analysed with. They are read from files that the user has.

    The battery holds the language localizer (Fedorenko et al. 2010); sentences, word lists, Jabberwocky and non-words
    (Fedorenko et al. 2011); and concrete and abstract nouns and verbs (Moseley & Pulvermüller 2014). If `pairs` is
    given, or if the folder holds `elli_stimuli.csv`, it also holds pairs of nouns and pairs of verbs (Elli et al. 2019,
    Hauptman et al. 2024).

    Args:
        data: The folder of the files. None: `$TOPOSHEET_DATA`.
        pairs: A CSV file with the columns `run, block, class, category, pair`. The classes are `noun` and `verb`. None:
            `elli_stimuli.csv`, if the folder holds it. This file needs only a text and a condition in each row.

    Raises:
        NotFound: A file is missing.
        UserError: A file differs from the published file, or the file of pairs has other columns or classes.
    """
    localizer, words = (_study(name, data=data) for name in ("fedorenko2010", "moseley2014"))
    measured = Study("fedorenko2011", stimulus_set("fedorenko2011", data=data), ())
    studies = (localizer, measured, words)
    nouns_and_verbs = Contrast("noun", "verb")
    if pairs is not None:
        table = read_stimuli(pairs)
        for column in ("run", "block", "category"):
            check_column(table, column, " A file of pairs needs run, block, class, category, pair")
        nouns_and_verbs.check(table)
        studies += (Study("pairs", table, (nouns_and_verbs,)),)
    elif (file := find_pairs(data)) is not None:
        try:
            table = read_stimuli(file)
            nouns_and_verbs.check(table)
        except UserError as error:
            raise UserError(
                f"{error}. The file is read because of its name: it must hold nouns and verbs (columns pair, class). "
                "Correct it, rename it, or give another file with --pairs"
            ) from None
        studies += (Study("pairs", table, (nouns_and_verbs,)),)
    return Battery(PUBLISHED, studies, localizer.name, measured.name)


def synthetic_battery(reader: Reader, per_condition: int = 100, progress: Progress | None = None) -> Battery:
    """Return synthetic stimuli for a model. They need only packages (the extra `demo`).

    The battery has the studies `built-in` (sentences, non-words, nouns, verbs), `swjn`, `words` and `pairs` (see
    `toposheet stimuli list`). They are matched in the tokens of the model, and texts come from text that was held out
    from its training. If stimuli were saved with the model, they are the study `built-in`. A study is left out if a
    package that it needs is missing.

    Args:
        reader: The facts about the model.
        per_condition: Number of texts in each condition of `built-in` and of `swjn`.
        progress: A function that is called while stimuli are made. None: no calls.

    Raises:
        MissingPackage: A package is missing, and no stimuli were saved with the model.
    """
    names = ("built-in", "swjn", "words", "pairs")
    readers = {
        name: replace(reader, progress=part_of(progress, number, len(names), f"making the stimuli {name}"))
        for number, name in enumerate(names)
    }
    builtin = own_stimuli(readers["built-in"], per_condition)
    made: dict[str, Callable[[], Study]] = {
        "swjn": lambda: Study("swjn", profile_stimuli(readers["swjn"], set(builtin["text"]), per_condition), ()),
        "words": lambda: _study("words", readers["words"]),
        "pairs": lambda: _study("pairs", readers["pairs"]),
    }
    studies, left_out = [Study("built-in", builtin, CONTRASTS)], []
    for name, make in made.items():
        try:
            studies.append(make())
        except MissingPackage:
            left_out.append(name)
    measured = None if "swjn" in left_out else "swjn"
    return Battery(SYNTHETIC, tuple(studies), "built-in", measured, tuple(left_out))


def battery_of_table(stimuli: str, table: pd.DataFrame, contrasts: Sequence[Contrast]) -> Battery:
    """Return a battery with one study: a table of the user and its contrasts. The file gives the name."""
    file = path_of(stimuli)
    return Battery(file.name, (Study(file.stem, table, tuple(contrasts)),))


def _study(name: str, reader: Reader | None = None, data: str | Path | None = None) -> Study:
    """Return the study of a registered set, with all contrasts of the set."""
    return Study(name, stimulus_set(name, reader, data=data), SETS[name].contrasts)


def own_stimuli(reader: Reader, per_condition: int = 100) -> pd.DataFrame:
    """Return the stimuli that were saved with a model. If there are none, build stimuli for the model.

    Args:
        reader: The facts about the model.
        per_condition: Number of texts in each condition, if stimuli are built.

    Returns:
        A table with the columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

    Raises:
        NotFound: The model has no stimuli of its own, and a package that builds them (extra `demo`) is missing.
    """
    return builtin_stimuli(reader, per_condition) if reader.shipped is None else reader.shipped


def builtin_stimuli(reader: Reader, per_condition: int = 100) -> pd.DataFrame:
    """Return stimuli that are built from the built-in text, without the documents of the training of the model."""
    training, held_out = reader.documents()
    return build_stimuli(held_out, training, per_condition, reader.seed, reader.count_tokens, reader.progress)


def profile_stimuli(reader: Reader, without: set[str], per_condition: int = 100) -> pd.DataFrame:
    """Return sentences, word lists, Jabberwocky and non-word lists (`swjn`) without sentences and non-words of others.

    The sentences in `without` are not used again, and no word of its texts is used as a non-word.

    If the held-out text is too short, each condition has fewer texts, but at least 20.
    """
    training, held_out = reader.documents()
    return swjn(
        held_out, training, per_condition, reader.seed, without, MIN_PER_CONDITION, reader.count_tokens, reader.progress
    )
