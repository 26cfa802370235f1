"""Claims: `small` answers all of BLiMP in less than 8 minutes, and no slower than with lm-evaluation-harness.

Every eighth paradigm is scored whole, and the time is multiplied by 67 / 9. The same texts, 60 pairs of each of these
paradigms, are scored by toposheet and by lm-evaluation-harness (its class for `transformers` models), alternately, in
batches of the same size. The files are those in `$TOPOSHEET_DATA/blimp`, or else those of the hub.
"""

from __future__ import annotations

import logging
from typing import Any

from benchmarks.timing import device, once, paired
from toposheet.evaluation import TASKS, Item
from toposheet.packages import import_package
from toposheet.subject import load, score_requests, tokenise
from toposheet.subject.log_probabilities import BATCH_SIZE

AT_MOST_MINUTES, FASTER_AT_LEAST = 8.0, 1.0
_EVERY, _PAIRS = 8, 60


def measure(pairs: int = 5) -> list[dict[str, Any]]:
    """Return one row for all pairs of BLiMP, and one row for the comparison with lm-evaluation-harness."""
    paradigms: dict[tuple[str, ...], list[Item]] = {}
    for item in TASKS["blimp"].read(None):
        paradigms.setdefault(item.groups, []).append(item)
    chosen = list(paradigms.values())[::_EVERY]
    subject = load("small", device=device())
    requests = [[request for item in items for request in item.requests] for items in chosen]

    def blimp() -> None:
        for of_paradigm in requests:
            score_requests(subject, tokenise(subject, of_paradigm))

    minutes = once(blimp) * len(paradigms) / len(chosen) / 60
    some = [request for of_paradigm in requests for request in of_paradigm[: 2 * _PAIRS]]
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    purpose = ("the comparison needs", "toposheet[lm-eval]")
    harness = import_package("lm_eval.models.huggingface", *purpose).HFLM(
        pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=BATCH_SIZE
    )
    instance = import_package("lm_eval.api.instance", *purpose).Instance
    asked = [instance("loglikelihood", {}, ("", request.text), number) for number, request in enumerate(some)]
    pair = paired(
        lambda: score_requests(subject, tokenise(subject, some)),
        lambda: harness.loglikelihood(asked, disable_tqdm=True),
        pairs=pairs,
        warm_up=1,
    )
    return [
        {"what": "blimp", "pairs": sum(map(len, paradigms.values())), "minutes": minutes, "at_most": AT_MOST_MINUTES},
        {"what": "harness", "pairs": len(some) // 2, "seconds": pair.first, "beside_seconds": pair.second,
         "ratio": pair.ratio, "at_least": FASTER_AT_LEAST},
    ]  # fmt: skip
