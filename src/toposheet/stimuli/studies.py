"""Which stimulus sets answer which question: published stimuli, self-made ones, or a file of your own."""

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
from toposheet.stimuli.labels import plain_label
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.sets.swjn import MIN_PER_CONDITION, swjn
from toposheet.stimuli.stimulus_set import PUBLISHED, SETS, SYNTHETIC, stimulus_set
from toposheet.stimuli.table import read_stimuli

_EXTRA = "toposheet[demo]"  # brings what every self-made set needs
CONTRASTS = (Contrast("sentence", "nonword"), Contrast("noun", "verb"))


_LANGUAGE = (Contrast("sentence", "nonword"), Contrast("S", "N"))  # as self-made and as published stimuli say it


def language_contrast(stimuli: pd.DataFrame) -> Contrast | None:
    """Return the contrast of sentences against non-words, None where the stimuli have no such conditions."""
    conditions = set(map(plain_label, stimuli["condition"].unique()))
    return next((contrast for contrast in _LANGUAGE if {contrast.a, contrast.b} <= conditions), None)


@dataclass(frozen=True)
class Study:
    """A stimulus set and what is compared in it.

    Args:
        name: Of the set.
        stimuli: Its table, columns `text` and `condition`.
        contrasts: What is compared; none for a set that only measures the language network.
    """

    name: str
    stimuli: pd.DataFrame
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class Battery:
    """The studies of a report.

    Args:
        name: What the stimuli are: `synthetic`, `published`, or a file's name.
        studies: Each with its contrasts.
        localizer: Name of the study whose first contrast is sentences against non-words; none: no language network.
        measured: Name of the study with the conditions S, W, J and N that measures the network.
        left_out: Names of the studies that cannot be made here, as packages are missing.
    """

    name: str
    studies: tuple[Study, ...]
    localizer: str | None = None
    measured: str | None = None
    left_out: tuple[str, ...] = ()

    def contrasts(self) -> dict[str, tuple[str, Contrast]]:
        """Return every contrast by the name it has in tables, with the name of its study.

        Where several studies have the same contrast, all but the first go by the study's name as well.
        """
        by_name: dict[str, tuple[str, Contrast]] = {}
        for study in self.studies:
            for contrast in study.contrasts:
                name = f"{study.name} {contrast.name}" if contrast.name in by_name else contrast.name
                by_name[name] = (study.name, contrast)
        return by_name

    @property
    def language(self) -> str | None:
        """The name, in tables, of the contrast of sentences against non-words that the localizer takes."""
        return next((name for name, (study, _) in self.contrasts().items() if study == self.localizer), None)

    @property
    def note(self) -> str:
        """What is left out, in words, and how to get it; nothing where nothing is."""
        if not self.left_out:
            return ""
        return f"left out are the stimuli {', '.join(self.left_out)}: they need packages (pip install '{_EXTRA}')"


def published_battery(data: str | Path | None = None, pairs: str | Path | None = None) -> Battery:
    """Return the stimuli of TopoLM's analyses, read from files you have.

    The localizer (Fedorenko et al. 2010), sentences, word lists, Jabberwocky and non-words (2011), nouns and verbs,
    concrete and abstract (Moseley & Pulvermüller 2014), and, where given, pairs of nouns and of verbs (Elli et al.
    2019, Hauptman et al. 2024).

    Args:
        data: Where the files are, if not in `$TOPOSHEET_DATA`.
        pairs: A CSV file of pairs, columns `run, block, class, category, pair`, the classes `noun` and `verb`.

    Raises:
        NotFound: files are missing.
        UserError: files are not those known, or the pairs are in no such file.
    """
    localizer, words = (_study(name, data=data) for name in ("fedorenko2010", "moseley2014"))
    measured = Study("fedorenko2011", stimulus_set("fedorenko2011", data=data), ())
    studies = (localizer, measured, words)
    if pairs is not None:
        nouns_and_verbs = Contrast("noun", "verb")
        table = read_stimuli(pairs)
        if absent := [column for column in ("run", "block", "category") if column not in table]:
            raise UserError(
                f"{pairs} has no column {', '.join(absent)}: pairs come as run, block, class, category, pair"
            )
        nouns_and_verbs.check(table)
        studies += (Study("pairs", table, (nouns_and_verbs,)),)
    return Battery(PUBLISHED, studies, localizer.name, measured.name)


def synthetic_battery(reader: Reader, per_condition: int = 100, progress: Progress | None = None) -> Battery:
    """Return self-made stimuli for a model: nothing but packages is needed (the extra `demo`).

    `built-in` sentences, non-words, nouns and verbs (those that came with the model, if any); `swjn`, `words` and
    `pairs` (`toposheet stimuli list`), made of text that was held out from the model and matched for its tokenizer.
    Where stimuli came with the model, a set whose packages are missing is left out.

    Args:
        reader: The model.
        per_condition: Sentences, word lists, Jabberwocky texts and non-word lists each.
        progress: Told how far the making is. None: nobody is told.

    Raises:
        MissingPackage: a package is missing, and no stimuli came with the model.
    """
    names = ("built-in", "swjn", "words", "pairs")
    readers = {
        name: replace(reader, progress=part_of(progress, number, len(names), f"making the stimuli {name}"))
        for number, name in enumerate(names)
    }
    builtin = own_stimuli(readers["built-in"], per_condition)
    sentences = set(builtin.loc[builtin["condition"] == "sentence", "text"])
    made: dict[str, Callable[[], Study]] = {
        "swjn": lambda: Study("swjn", profile_stimuli(readers["swjn"], sentences, per_condition), ()),
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
    """Return the one study of a user's own table, called as its file is."""
    file = path_of(stimuli)
    return Battery(file.name, (Study(file.stem, table, tuple(contrasts)),))


def _study(name: str, reader: Reader | None = None, data: str | Path | None = None) -> Study:
    """Return a set of the registry with all its contrasts."""
    return Study(name, stimulus_set(name, reader, data=data), SETS[name].contrasts)


def own_stimuli(reader: Reader, per_condition: int = 100) -> pd.DataFrame:
    """Return the stimuli that came with a model, or those that are built for it.

    Args:
        reader: The model.
        per_condition: Texts a condition of stimuli that are built.

    Returns:
        A table with columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

    Raises:
        NotFound: a package of the extra `demo`, which building needs, is missing.
    """
    return builtin_stimuli(reader, per_condition) if reader.shipped is None else reader.shipped


def builtin_stimuli(reader: Reader, per_condition: int = 100) -> pd.DataFrame:
    """Return stimuli that are built from the built-in text that a model was not trained on."""
    training, held_out = reader.documents()
    return build_stimuli(held_out, training, per_condition, reader.seed, reader.count_tokens, reader.progress)


def profile_stimuli(reader: Reader, without: set[str], per_condition: int = 100) -> pd.DataFrame:
    """Return sentences, word lists, Jabberwocky and non-word lists, made of other sentences than those given.

    Where the held-out text is short there are fewer texts a condition, down to 20.
    """
    training, held_out = reader.documents()
    return swjn(
        held_out, training, per_condition, reader.seed, without, MIN_PER_CONDITION, reader.count_tokens, reader.progress
    )
