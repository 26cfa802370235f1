"""Measures of texts (length, word frequency, number of tokens), and how well conditions are matched in them."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.packages import MissingPackage, check_package
from toposheet.results import Table
from toposheet.stimuli.lexicon import FOR_STIMULI, FUNCTION_WORDS, zipf
from toposheet.wording import mean_and_sd

SHARED_WORDS = "shared_words"
"""Name of a column of the stimuli. Texts with the same value in this column are not independent of each other."""

MATCHING = Table(
    "matching.csv",
    {"measure": "text", "group": "text", "mean": "number", "sd": "number", "p": "number"},
    "a measure of the texts of one condition",
)


def check_word_frequency() -> None:
    """Refuse to compute word frequencies if the package `wordfreq` is missing.

    Raises:
        MissingPackage: The package is not installed.
    """
    check_package("wordfreq", "word frequencies need", FOR_STIMULI[1])


def word_frequency(texts: Sequence[str]) -> np.ndarray:
    """Return the mean Zipf frequency (`lexicon.zipf`) of the words of each text.

    Raises:
        MissingPackage: The package `wordfreq` is not installed.
    """
    check_word_frequency()
    return np.array([np.mean([zipf(word) for word in text.split()] or [0.0]) for text in texts], dtype=float)


def text_length(texts: Sequence[str]) -> np.ndarray:
    """Return the number of letters of each text."""
    return np.array([sum(sign.isalpha() for sign in text) for text in texts], dtype=float)


def content_words(text: str) -> set[str]:
    """Return the words of a text in small letters, without function words (`lexicon.FUNCTION_WORDS`)."""
    return set(re.findall(r"[\w'-]+", text.lower())) - FUNCTION_WORDS


def sharing_words(texts: Sequence[str], conditions: Sequence[str]) -> np.ndarray:
    """Return a group number for each text. The texts of a group are linked by shared words.

    Two texts of one condition are in the same group if they share a word, or if a chain of texts links them in which
    each text shares a word with the next. Texts in one group are not independent of each other. Only content words
    count (`content_words`).
    """
    words = [
        {(condition, word) for word in content_words(text)} for condition, text in zip(conditions, texts, strict=True)
    ]
    index = {word: i for i, word in enumerate(sorted(set().union(*words)))}
    rows = [row for row, words_in_text in enumerate(words) for _ in words_in_text]
    columns = [len(texts) + index[word] for words_in_text in words for word in sorted(words_in_text)]
    n = len(texts) + len(index)
    _, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)), directed=False)
    return labels[: len(texts)]


def with_groups(stimuli: pd.DataFrame) -> pd.DataFrame:
    """Return the stimuli with the column `shared_words`, the group numbers of `sharing_words`.

    When a null shuffles labels, it moves all texts of a group together from one condition to the other. Words that
    texts of different conditions share do not make a group.
    """
    groups = sharing_words(stimuli["text"].tolist(), stimuli["condition"].tolist())
    return stimuli.assign(**{SHARED_WORDS: groups})


def matching(
    stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None, by: Sequence[str] = ("condition",)
) -> pd.DataFrame:
    """Return a table that shows how much groups of stimuli differ in length, frequency and number of tokens.

    If the package `wordfreq` is not installed, frequency is left out.

    Args:
        stimuli: A table with the columns `text` and `condition`.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not compared.
        by: Columns whose values define the groups. Groups with fewer than 3 texts are left out.

    Returns:
        One row for each measure (letters, words, Zipf frequency, tokens). It holds the mean ± sd of each group, and the
        p of a difference between the means of the groups (`p_of_difference`; nan if there is only one group).
    """
    return groups_as_columns(group_means(stimuli, count_tokens, by))


def group_means(
    stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None, by: Sequence[str] = ("condition",)
) -> pd.DataFrame:
    """Return the numbers of `matching`: one row for each measure and group, columns `measure, group, mean, sd, p`.

    Args:
        stimuli: A table with the columns `text` and `condition`.
        count_tokens: A function that returns the number of tokens of a text for a model. None: tokens are not compared.
        by: Columns whose values define the groups. Groups with fewer than 3 texts are left out.
    """
    texts = stimuli["text"].tolist()
    measures = {"letters": text_length(texts), "words": np.array([len(text.split()) for text in texts], dtype=float)}
    with contextlib.suppress(MissingPackage):
        measures["Zipf frequency"] = word_frequency(texts)
    if count_tokens is not None:
        measures["tokens"] = np.array([count_tokens(text) for text in texts], dtype=float)
    labels = stimuli[list(by)].astype(str).agg(" ".join, axis=1).to_numpy()
    groups = [label for label in dict.fromkeys(labels.tolist()) if (labels == label).sum() > 2]
    rows = []
    for name, values in measures.items():
        values_by_group = {label: values[labels == label] for label in groups}
        p = p_of_difference(list(values_by_group.values())) if len(groups) > 1 else float("nan")
        rows += [(name, label, group.mean(), group.std(ddof=1), p) for label, group in values_by_group.items()]
    return MATCHING.frame(pd.DataFrame(rows, columns=list(MATCHING.columns)))


def groups_as_columns(measures: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `group_means` with one row for each measure and one column for each group."""
    rows = []
    for name, groups in measures.groupby("measure", sort=False):
        spread = zip(groups["group"], groups["mean"], groups["sd"], strict=True)
        values_by_group = {group: mean_and_sd(mean, sd) for group, mean, sd in spread}
        rows.append({"measure": name} | values_by_group | {"p": groups["p"].iloc[0]})
    return pd.DataFrame(rows, columns=None if rows else ["measure", "p"])


def p_of_difference(groups: Sequence[np.ndarray | pd.Series]) -> float:
    """Return the p of a difference between the means of groups, by the test of Alexander & Govern 1994.

    This test (doi:10.2307/1165140) allows unequal variances. It needs some variance in every group. If all values of a
    group are equal, the test of Kruskal & Wallis is used instead. If all values of all groups are equal, p is 1.
    """
    values = [np.asarray(group, dtype=float) for group in groups]
    if np.ptp(np.concatenate(values)) == 0:
        return 1.0
    if any(np.ptp(group) == 0 for group in values):
        return float(scipy_stats.kruskal(*values).pvalue)
    with warnings.catch_warnings():
        # Scipy warns when all means are equal, but equal means are wanted here.
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(scipy_stats.alexandergovern(*values).pvalue)
