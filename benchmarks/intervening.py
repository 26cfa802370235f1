"""Claims: an intervention costs at most 3 % of a forward pass; 100 discs with 500 pairs take less than 10 minutes.

The forward pass is that of a Llama of the size of SmolLM2-135M with random weights, on 4 blocks of 128 tokens: as it
is, and with a lesion of a disc in one tap or in all taps, alternately. The searchlight lesions discs on all sheets of
`small` with pairs of BLiMP, without draws; its time is divided by the number of discs and pairs, and multiplied by 100
and 500.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch

from benchmarks.language_models import SMALL, language_model
from benchmarks.timing import device, once, paired
from toposheet.evaluation import task_measure
from toposheet.interventions import Disc, lesion, searchlight
from toposheet.subject import Subject, load
from toposheet.topography import Topography
from toposheet.train.hardware import keep_freed_memory

COST_AT_MOST, MINUTES_AT_MOST = 1.03, 10.0
_DISCS, _PAIRS = 100, 500


def costs(pairs: int = 40) -> list[dict[str, Any]]:
    """Return the time of a forward pass with interventions in all taps, beside the same pass without."""
    model = language_model().eval().to(device())  # pyright: ignore
    subject = Subject(model, Topography.per_tap(model))
    ids = torch.randint(SMALL.vocab_size, (4, 128), generator=torch.Generator().manual_seed(0)).to(device())
    discs = reduce(lambda a, b: a | b, [Disc(sheet, 11, 11, 4) for sheet in subject.topography.sheets])
    some = Disc(next(iter(subject.topography.sheets)), 11, 11, 4)
    intervened = {
        "a lesion to zero in one tap": lesion(subject, some),
        "a lesion to zero in all taps": lesion(subject, discs),
    }
    rows = []
    for what, changed in intervened.items():
        with torch.no_grad():
            pair = paired(lambda: subject(ids, use_cache=False), lambda one=changed: one(ids, use_cache=False), pairs)
        rows.append({"what": what, "seconds": pair.second, "beside_seconds": pair.first, "ratio": pair.ratio,
                     "at_most": COST_AT_MOST})  # fmt: skip
    return rows


def light() -> dict[str, Any]:
    """Return the time of a searchlight."""
    subject = load("small", device=device())
    measured = task_measure(subject, "blimp", limit=1)
    n_discs = 0

    def run() -> None:
        nonlocal n_discs
        n_discs = len(searchlight(subject, measured, draws=0)) // len(measured.items)

    seconds = once(run) / n_discs / measured.n_items
    return {"what": "searchlight", "minutes": seconds * _DISCS * _PAIRS / 60, "at_most": MINUTES_AT_MOST}


def measure() -> list[dict[str, Any]]:
    """Return one row for each kind of intervention, and one for the searchlight."""
    keep_freed_memory()
    return [*costs(), light()]
