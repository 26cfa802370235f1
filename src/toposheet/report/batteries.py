"""Which studies a report consists of: published stimuli, self-made ones, or a file of your own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toposheet.recipes import Recipe, demo
from toposheet.stimuli.build import build_stimuli
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.registry import described, stimulus_set
from toposheet.stimuli.synthetic import MIN_PER_CONDITION, swjn
from toposheet.stimuli.table import read_stimuli
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents
from toposheet.topography import check_model_folder, local_folder, token_counter, tokenizer_of

STIMULI = "stimuli.csv"  # beside a model: those that it is shown by default
SYNTHETIC, PUBLISHED = "synthetic", "published"
CONTRASTS = (Contrast("sentence", "nonword"), Contrast("noun", "verb"))


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
    """

    name: str
    studies: tuple[Study, ...]
    localizer: str | None = None
    measured: str | None = None

    def contrasts(self) -> dict[str, tuple[str, Contrast]]:
        """Return every contrast by the name it has in tables, with the name of its study.

        Where several studies have the same contrast, all but the first go by the study's name as well.
        """
        named: dict[str, tuple[str, Contrast]] = {}
        for study in self.studies:
            for contrast in study.contrasts:
                name = f"{study.name} {contrast.name}" if contrast.name in named else contrast.name
                named[name] = (study.name, contrast)
        return named

    @property
    def language(self) -> str | None:
        """The name, in tables, of the contrast of sentences against non-words that the localizer takes."""
        return next((name for name, (study, _) in self.contrasts().items() if study == self.localizer), None)


def published_battery(data: str | Path | None = None, pairs: str | Path | None = None) -> Battery:
    """Return the stimuli of TopoLM's analyses, read from files you have.

    The localizer (Fedorenko et al. 2010), sentences, word lists, Jabberwocky and non-words (2011), nouns and verbs,
    concrete and abstract (Moseley & Pulvermüller 2014), and, where given, pairs of nouns and of verbs (Elli et al.
    2019, Hauptman et al. 2024).

    Args:
        data: Where the files are, if not in `$TOPOSHEET_DATA`.
        pairs: A CSV file of pairs, columns `run, block, class, category, pair`, the classes `noun` and `verb`.

    Raises:
        FileNotFoundError: files are missing.
        ValueError: files are not those known, or the pairs are in no such file.
    """
    localizer, words = (_study(name, data=data) for name in ("fedorenko2010", "moseley2014"))
    measured = Study("fedorenko2011", stimulus_set("fedorenko2011", data), ())
    studies = (localizer, measured, words)
    if pairs is not None:
        nouns_and_verbs = Contrast("noun", "verb")
        table = read_stimuli(pairs)
        if absent := [column for column in ("run", "block", "category") if column not in table]:
            raise ValueError(
                f"{pairs} has no column {', '.join(absent)}: pairs come as run, block, class, category, pair"
            )
        nouns_and_verbs.check(table)
        studies += (Study("pairs", table, (nouns_and_verbs,)),)
    return Battery(PUBLISHED, studies, localizer.name, measured.name)


def synthetic_battery(model: str | Path) -> Battery:
    """Return self-made stimuli for a model: nothing but packages is needed (the extra `demo`).

    Args:
        model: A model folder, the name of a shipped model, or a hub id.

    Raises:
        FileNotFoundError: there is no such model, or a package is missing.
    """
    return battery_of(stimuli_for(model), recipe_of(model), tokens_of(model))


def battery_of(
    builtin: pd.DataFrame, recipe: Recipe, n_tokens: Callable[[str], int] | None, per_condition: int = 100
) -> Battery:
    """Return the self-made stimuli of a recipe's models.

    `built-in` sentences, non-words, nouns and verbs; `swjn`, `words` and `pairs` (`toposheet stimuli list`), made of
    text that the recipe holds out and matched for a tokenizer.

    Args:
        builtin: From `builtin_stimuli` or `stimuli_for`.
        recipe: Of the models.
        n_tokens: How many tokens they make of a text.
        per_condition: Sentences, word lists, Jabberwocky texts and non-word lists each.
    """
    sentences, seed = set(builtin.loc[builtin["condition"] == "sentence", "text"]), recipe.seed
    return Battery(
        SYNTHETIC,
        (
            Study("built-in", builtin, CONTRASTS),
            Study("swjn", profile_stimuli(recipe, sentences, per_condition, n_tokens), ()),
            *(_study(name, seed=seed, n_tokens=n_tokens) for name in ("words", "pairs")),
        ),
        localizer="built-in",
        measured="swjn",
    )


def battery_of_table(stimuli: str, table: pd.DataFrame, contrasts: Sequence[Contrast]) -> Battery:
    """Return the one study of a user's own table, called as its file is."""
    return Battery(Path(stimuli).name, (Study(Path(stimuli).stem, table, tuple(contrasts)),))


def _study(name: str, **options: Any) -> Study:
    """Return a set of the registry with all its contrasts."""
    return Study(name, stimulus_set(name, **options), described(name).contrasts)


def stimuli_for(model: str | Path) -> pd.DataFrame:
    """Return the stimuli that come with a model, or those that are built for its recipe, the demo's if it has none.

    Args:
        model: A model folder, the name of a shipped model, or a hub id.

    Returns:
        A table with columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

    Raises:
        FileNotFoundError: there is no such model, or a package of the extra `demo`, which building needs, is missing.
    """
    folder = local_folder(model)
    if (folder / STIMULI).is_file():
        return read_stimuli(folder / STIMULI)
    tokenizer = tokenizer_of(folder)
    return builtin_stimuli(recipe_of(model), n_tokens=token_counter(tokenizer, model) if tokenizer else None)


def builtin_stimuli(
    recipe: Recipe, per_condition: int = 100, n_tokens: Callable[[str], int] | None = None
) -> pd.DataFrame:
    """Return stimuli for the models of a recipe: built from the built-in text that they are not trained on."""
    training, held_out = split_documents(builtin_documents(), recipe.validation_fraction, recipe.seed)
    return build_stimuli(held_out, training, per_condition, recipe.seed, n_tokens)


def profile_stimuli(
    recipe: Recipe, without: set[str], per_condition: int = 100, n_tokens: Callable[[str], int] | None = None
) -> pd.DataFrame:
    """Return sentences, word lists, Jabberwocky and non-word lists, made of other sentences than those given.

    Where the held-out text is short there are fewer texts a condition, down to 20.
    """
    training, held_out = split_documents(builtin_documents(), recipe.validation_fraction, recipe.seed)
    return swjn(held_out, training, per_condition, recipe.seed, without, MIN_PER_CONDITION, n_tokens)


def recipe_of(model: str | Path) -> Recipe:
    """Return the recipe that a model was trained by, the demo's if it has none."""
    stored = local_folder(model) / "recipe.json"
    return Recipe.load(stored) if stored.is_file() else demo()


def tokens_of(model: str | Path) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text as a model reads it; see `token_counter`."""
    folder = local_folder(model)
    check_model_folder(folder)
    return token_counter(tokenizer_of(folder), model)


def context_of(model: str | Path) -> int | None:
    """Return how many tokens a model reads at most, if its configuration says."""
    config = json.loads((local_folder(model) / "config.json").read_text())
    return config.get("max_position_embeddings") or config.get("n_positions")


def named_stimuli(name: str, model: str | Path | None = None, data: str | Path | None = None) -> pd.DataFrame:
    """Return a stimulus set by its name, made for a model where it is a synthetic one.

    Raises:
        ValueError: there is no such set.
        FileNotFoundError: its files or packages are missing.
    """
    if model is None:
        return stimulus_set(name, data)
    recipe, tokenizer = recipe_of(model), tokenizer_of(local_folder(model))
    n_tokens = token_counter(tokenizer, model) if tokenizer else None
    return stimulus_set(name, data, validation_fraction=recipe.validation_fraction, seed=recipe.seed, n_tokens=n_tokens)
