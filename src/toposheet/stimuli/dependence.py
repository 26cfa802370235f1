"""Texts that are not independent of each other: the groups that a column declares, and signs of undeclared ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from toposheet.settings import NO_GROUPS
from toposheet.stimuli.contrasts import MIN_TEXTS, texts_spaced_once
from toposheet.stimuli.labels import check_capitals
from toposheet.stimuli.measures import SHARED_WORDS, content_words, sharing_words
from toposheet.stimuli.naming import labels, source_name
from toposheet.wording import counted

FEW_ITEMS = 10
"""With fewer texts, groups or pairs in a condition, analyses give a note: the tests were not measured with fewer."""

_ALIKE = 1 / 3  # two texts share much if they share this fraction of the content words of the longer text
_SHARED, _MANY = 0.5, 0.5
_MOST_TEXTS = 2000  # of a larger condition, the first texts are looked at
_ORDERS = 999  # random orders; a text's neighbours are too alike if they are more alike than in every random order
_FEWEST_NEIGHBOURS = 5
_FEWEST_GROUPS = 2 * MIN_TEXTS  # of a condition, so that groups can be divided into halves
_IGNORED = "Ignored, this makes p too small: dependent texts count as independent ones"
_NO_GROUPS = ("text", "condition", "synthetic", "n_tokens")


def dependent_stimuli(stimuli: pd.DataFrame, column: str | None) -> Int[np.ndarray, " stimuli"] | None:
    """Return a number for each stimulus. Stimuli with equal values in a column get the same number.

    Values are compared as people read them (`plain_label`). A stimulus without a value gets a number that no other
    stimulus has.

    Args:
        stimuli: The stimuli.
        column: Name of a column of the stimuli. None, or `none`: all stimuli are independent.

    Returns:
        The numbers. None if all stimuli are independent: `column` says so, or it is `shared_words` and the stimuli have
        no such column.

    Raises:
        UserError: The column does not exist, and it is not `shared_words`. Or two values differ only in capitals.
    """
    if column is None or column == NO_GROUPS:
        return None
    if column == SHARED_WORDS and column not in stimuli:
        return None
    values = labels(stimuli, column)
    alone = stimuli[column].isna().to_numpy() | (values == "")
    check_capitals(values[~alone].tolist(), column, source_name(stimuli))
    names = [(value, number if alone[number] else -1) for number, value in enumerate(values.tolist())]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names])


def dependence_notes(stimuli: pd.DataFrame, groups: str | None = SHARED_WORDS) -> list[str]:
    """Return a note for each sign that texts of one condition depend on each other more than a column declares.

    Three signs are looked for among texts of different groups:

    - Texts that repeat an earlier text of their condition. The other two signs are looked for without them.
    - Shared content words. The overlap of two texts is the number of content words that they share, divided by the
      number of content words of the longer text. A text depends on others if its overlaps of 1/3 or more add up to at
      least 1/2. There is a note if this holds for half of the texts of a condition. If responses are means over words,
      the variance of the mean of the condition is then at least 1.25 times the variance of independent texts.
    - Order, in the file or by the values of a column. Texts that follow each other, or that have the same value in a
      column (`story`), overlap more than in each of 999 random orders (p = 0.001).

    The threshold of half of the texts is between measured sets. Independent texts share words too: up to 8 % of the
    texts of a condition depend on others in this sense in the sets `language`, `swjn` and `words` and in the stimuli
    saved with `small` (its non-word lists share short non-words), and up to 7 % of 30 to 1000 random sentences of an
    encyclopedia. Sets in which the same words come again are above it: all pairs of the set `pairs` without their
    groups, 96 % of 100 lists of 3 words from 150, 63 % of 100 lists of 4 words from 80. Texts that share less get no
    note. Of 225 sets of random sentences 1 got a note (on order); of 120 sets with 20 to 60 passages of 3 to 10
    consecutive sentences all did.

    Args:
        stimuli: The texts of a contrast, with the columns `text` and `condition`.
        groups: Name of the column that defines the groups. None: all texts are independent.
    """
    numbers = dependent_stimuli(stimuli, groups)
    conditions = labels(stimuli, "condition")
    if (repeated := _repeated(stimuli, conditions, numbers)).any():
        rest = dependence_notes(stimuli[~repeated], groups)
        return [_repeats(stimuli, conditions, repeated), *rest]
    rows_of = {str(name): np.flatnonzero(conditions == name)[:_MOST_TEXTS] for name in dict.fromkeys(conditions)}
    overlaps = {name: _overlaps(stimuli["text"].iloc[rows].tolist()) for name, rows in rows_of.items()}
    if numbers is not None:
        for name, rows in rows_of.items():
            overlaps[name][numbers[rows][:, None] == numbers[rows]] = 0
    if shared := _sharing(stimuli, overlaps, groups if numbers is not None else None):
        return [shared]
    if column := _grouping_column(stimuli, rows_of, overlaps, groups):
        return [column]
    ordered = [name for name, overlap in overlaps.items() if _are_alike(overlap, *_in_order(len(overlap)))]
    if not ordered:
        return []
    return [
        f"{_texts_of(ordered, rows_of)} stand in an order with a meaning: neighbours share more words than in each of "
        f"{_ORDERS} random orders. {_IGNORED}. Number the passages in a column, and name it with --groups (in Python: "
        "groups=)"
    ]


def few_items_note(n_items: Mapping[str, int], what: str) -> str:
    """Return a note on conditions with fewer than 10 independent items. Empty: there are none.

    Args:
        n_items: The number of items of each condition.
        what: What the items are: `texts`, `groups` or `pairs`.
    """
    few = {condition: n for condition, n in n_items.items() if n < FEW_ITEMS}
    if not few:
        return ""
    counts = " and ".join(f"{condition!r} has {counted(n, f'independent {what[:-1]}')}" for condition, n in few.items())
    return (
        f"{counts}, fewer than {FEW_ITEMS}: the level of the tests was not measured with so few, "
        f"and one of them can decide the result. Add {what}"
    )


def _repeated(
    stimuli: pd.DataFrame, conditions: np.ndarray, numbers: Int[np.ndarray, " stimuli"] | None
) -> Bool[np.ndarray, " stimuli"]:
    """Return a mask: True for a text that repeats an earlier text of its condition, which is in another group."""
    texts = pd.DataFrame({"text": texts_spaced_once(stimuli), "condition": conditions})
    if numbers is None:
        return texts.duplicated().to_numpy()
    first = texts.assign(number=numbers).groupby(["text", "condition"], sort=False)["number"].transform("first")
    return first.to_numpy() != numbers


def _repeats(stimuli: pd.DataFrame, conditions: np.ndarray, repeated: Bool[np.ndarray, " stimuli"]) -> str:
    """Return the note on repeated texts."""
    counts = pd.Series(conditions[repeated]).value_counts(sort=False)
    some = " and ".join(f"{counted(n, 'text')} of {str(name)!r}" for name, n in counts.items())
    repeat = (
        "repeats an earlier text of its condition" if repeated.sum() == 1 else "repeat earlier texts of their condition"
    )
    example = texts_spaced_once(stimuli)[int(repeated.argmax())][:60]
    return (
        f"{some} {repeat} (the first is {example!r}). {_IGNORED}. Remove the repeats, or give equal texts the same "
        "value in a column, and name it with --groups (in Python: groups=)"
    )


def _overlaps(texts: Sequence[str]) -> Float[np.ndarray, "texts texts"]:
    """Return for each two texts the fraction of the content words of the longer text that they share."""
    words = [content_words(text) for text in texts]
    index = {word: i for i, word in enumerate(sorted(set().union(*words)))}
    rows = [row for row, words_of_text in enumerate(words) for _ in words_of_text]
    columns = [index[word] for words_of_text in words for word in words_of_text]
    counts = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(texts), max(len(index), 1)))
    size = np.array([len(words_of_text) for words_of_text in words], dtype=np.float32)
    overlaps = (counts @ counts.T).toarray() / np.maximum(np.maximum.outer(size, size), 1)
    np.fill_diagonal(overlaps, 0)
    return overlaps


def _sharing(stimuli: pd.DataFrame, overlaps: Mapping[str, np.ndarray], groups: str | None) -> str:
    """Return the note on shared content words. Empty: there is nothing to say."""
    edge = 1e-6  # overlaps are in float32
    depends = {
        name: np.where(overlap > _ALIKE - edge, overlap, 0).sum(axis=1) > _SHARED - edge
        for name, overlap in overlaps.items()
    }
    many = {name: mask for name, mask in depends.items() if mask.mean() >= _MANY}
    if not many:
        return ""
    counts = " and ".join(f"{mask.sum():,} of {len(mask):,} texts of {name!r}" for name, mask in many.items())
    although = f", although the column {groups!r} puts them in different groups" if groups else ""
    conditions = labels(stimuli, "condition")
    linked = sharing_words(stimuli["text"].tolist(), conditions.tolist())
    fewest = min(len(np.unique(linked[conditions == name])) for name in overlaps)
    if fewest >= _FEWEST_GROUPS:
        advice = f"toposheet stimuli check FILE --out NEW.csv adds the column {SHARED_WORDS}, which groups such texts"
    else:
        advice = (
            f"Groups do not help: chains of shared words leave {counted(fewest, 'group')} in a condition. "
            "Use texts that share fewer words"
        )
    return f"{counts} share many content words with other texts{although}. {_IGNORED}. {advice}"


def _grouping_column(
    stimuli: pd.DataFrame, rows_of: Mapping[str, np.ndarray], overlaps: Mapping[str, np.ndarray], groups: str | None
) -> str:
    """Return the note on a column whose equal values mark texts that are alike. Empty: no column does."""
    for column in map(str, stimuli.columns):
        if column in (*_NO_GROUPS, groups):
            continue
        values = labels(stimuli, column)
        alike = [name for name, rows in rows_of.items() if _are_alike(overlaps[name], *_same_value(values[rows]))]
        if alike:
            first, *others = (set(values[rows].tolist()) for rows in rows_of.values())
            crossed = any(first & other for other in others)
            first_step = ", after you gave each condition values of its own" if crossed else ""
            return (
                f"{_texts_of(alike, rows_of)} share more words if they have the same value in the column {column!r}. "
                f"{_IGNORED}. Group them with --groups {column} (in Python: groups={column!r}){first_step}"
            )
    return ""


def _texts_of(conditions: Sequence[str], rows_of: Mapping[str, np.ndarray]) -> str:
    return "the " + " and the ".join(f"{counted(len(rows_of[name]), 'text')} of {name!r}" for name in conditions)


Neighbours = tuple[Int[np.ndarray, " neighbours"], Int[np.ndarray, " neighbours"]]


def _in_order(n_texts: int) -> Neighbours:
    """Return the positions of each text and of the next one."""
    return np.arange(n_texts - 1), np.arange(1, n_texts)


def _same_value(values: np.ndarray) -> Neighbours:
    """Return the positions of texts with the same value: each text, and the next one with its value."""
    _, numbers = np.unique(values.astype(str), return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    same = (numbers[order][1:] == numbers[order][:-1]) & (values[order][1:] != "")
    return order[:-1][same], order[1:][same]


def _are_alike(
    overlaps: Float[np.ndarray, "texts texts"],
    first: Int[np.ndarray, " neighbours"],
    second: Int[np.ndarray, " neighbours"],
) -> bool:
    """Return whether neighbours overlap more than they do in each of 999 random orders of the texts."""
    n = len(overlaps)
    if n < FEW_ITEMS or len(first) < _FEWEST_NEIGHBOURS:
        return False
    observed = overlaps[first, second].sum(dtype=np.float64)
    null = (overlaps[order[first], order[second]].sum(dtype=np.float64) for order in _orders(n))
    return bool(observed > 0 and all(observed > value for value in null))


def _orders(n_texts: int) -> Iterator[Int[np.ndarray, " texts"]]:
    rng = np.random.default_rng(0)  # the same texts always give the same note
    for _ in range(_ORDERS):
        yield rng.permutation(n_texts)
