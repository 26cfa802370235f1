"""What texts differ in besides their condition: length, frequency, number of tokens."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toposheet.errors import NotFound
from toposheet.results import Table
from toposheet.stimuli.lexicon import FUNCTION_WORDS, zipf

SHARED_WORDS = "shared_words"
"""The column of stimuli whose equal values mark texts that are not independent of each other."""

MATCHING = Table(
    "matching.csv",
    {"measure": "text", "group": "text", "mean": "number", "sd": "number", "p": "number"},
    "a measure of the texts of one condition",
)


def word_frequency(texts: Sequence[str]) -> np.ndarray | None:
    """Return the mean Zipf frequency (`lexicon.zipf`) of the words of each text.

    None where the package `wordfreq` is not installed.
    """
    try:
        means = [np.mean([zipf(word) for word in text.split()] or [0.0]) for text in texts]
    except NotFound:
        return None
    return np.array(means, dtype=float)


def text_length(texts: Sequence[str]) -> np.ndarray:
    """Return the number of letters of each text."""
    return np.array([sum(sign.isalpha() for sign in text) for text in texts], dtype=float)


def sharing_words(texts: Sequence[str], conditions: Sequence[str]) -> np.ndarray:
    """Return a number for each text, equal for those of a condition that share words, directly or through others.

    Texts that share words are not independent of each other; function words (`lexicon.FUNCTION_WORDS`) do not count.
    """
    lists = [set(re.findall(r"[\w'-]+", text.lower())) - FUNCTION_WORDS for text in texts]
    words = [
        {(condition, word) for word in words_in_text}
        for condition, words_in_text in zip(conditions, lists, strict=True)
    ]
    index = {word: i for i, word in enumerate(sorted(set().union(*words)))}
    rows = [row for row, words_in_text in enumerate(words) for _ in words_in_text]
    columns = [len(texts) + index[word] for words_in_text in words for word in sorted(words_in_text)]
    n = len(texts) + len(index)
    _, labels = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n)), directed=False)
    return labels[: len(texts)]


def with_groups(stimuli: pd.DataFrame) -> pd.DataFrame:
    """Return stimuli with a column `shared_words`, equal for those of a condition that share words.

    Nulls move such groups as a whole between conditions; what texts of two conditions share binds none of them.
    """
    groups = sharing_words(stimuli["text"].tolist(), stimuli["condition"].tolist())
    return stimuli.assign(**{SHARED_WORDS: groups})


def matching(
    stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None, by: Sequence[str] = ("condition",)
) -> pd.DataFrame:
    """Return how far groups of stimuli differ in what they are not meant to differ in, as a table to read.

    Args:
        stimuli: A table with columns `text` and `condition`.
        count_tokens: Returns how many tokens a model makes of a text; none leaves that out.
        by: Columns whose values make the groups; those of fewer than 3 texts are left out.

    Returns:
        A row for each measure (letters, words, Zipf frequency, tokens): the mean ± sd of each group, and the p of a
        difference between any of them (`p_of_difference`; nan for a single one).
    """
    return groups_as_columns(group_means(stimuli, count_tokens, by))


def group_means(
    stimuli: pd.DataFrame, count_tokens: Callable[[str], int] | None = None, by: Sequence[str] = ("condition",)
) -> pd.DataFrame:
    """Return the numbers of `matching`: a row for each measure and group, columns `measure, group, mean, sd, p`.

    Args:
        stimuli: A table with columns `text` and `condition`.
        count_tokens: Returns how many tokens a model makes of a text; none leaves that out.
        by: Columns whose values make the groups.
    """
    texts = stimuli["text"].tolist()
    measures = {"letters": text_length(texts), "words": np.array([len(text.split()) for text in texts], dtype=float)}
    if (frequency := word_frequency(texts)) is not None:
        measures["Zipf frequency"] = frequency
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
    """Return `group_means` with a row for each measure, its groups beside each other."""
    rows = []
    for name, groups in measures.groupby("measure", sort=False):
        spread = zip(groups["group"], groups["mean"], groups["sd"], strict=True)
        values_by_group = {group: f"{mean:.2f} ± {sd:.2f}" for group, mean, sd in spread}
        rows.append({"measure": name} | values_by_group | {"p": groups["p"].iloc[0]})
    return pd.DataFrame(rows, columns=None if rows else ["measure", "p"])


def p_of_difference(groups: Sequence[np.ndarray | pd.Series]) -> float:
    """Return the p of a difference between the means of groups of unequal variance: Alexander & Govern 1994.

    doi:10.2307/1165140. Where a group does not vary, which that test needs, p is that of Kruskal & Wallis.
    """
    values = [np.asarray(group, dtype=float) for group in groups]
    if np.ptp(np.concatenate(values)) == 0:
        return 1.0
    if any(np.ptp(group) == 0 for group in values):
        return float(scipy_stats.kruskal(*values).pvalue)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal means are what we are after; scipy doubts them
        return float(scipy_stats.alexandergovern(*values).pvalue)
