"""Act on the units of `small` and `small-control` that prefer nouns or verbs: does it change the next words?

    python tools/nouns_and_verbs.py OUT

The table and the figure of each model and act go to OUT. If the command is stopped, run it again to continue. It takes
about 35 minutes on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

import toposheet as ts
from toposheet.cache import cache_folder
from toposheet.interventions import Region
from toposheet.interventions.outcomes import RegionOutcome
from toposheet.progress import shown

MODELS = ("small", "small-control")
NOUNS = [
    "man", "house", "river", "city", "king", "child", "road", "window", "woman", "village", "boy", "girl", "doctor",
    "army", "church", "door", "family", "government", "country", "people",
]  # fmt: skip
VERBS = [
    "go", "bring", "become", "give", "know", "write", "speak", "eat", "send", "learn", "choose", "destroy", "carry",
    "remain", "follow", "begin", "believe", "include", "receive", "allow",
]  # fmt: skip
CONTEXTS = {
    "after a determiner": [
        "They saw the", "She walked to the", "He spoke of his", "We looked at the", "It was a", "There is a",
        "He lived near the", "This is the story of the",
    ],
    "after to or an auxiliary": [
        "They want to", "She had to", "He will", "We can", "It may", "They began to", "You must", "The king tried to",
    ],
}  # fmt: skip
PERCENT = 2.0  # of all units: those that prefer nouns, and those that prefer verbs
DRAWS = 39
ACTS = (ts.Lesion(), ts.Stimulation(-4.0), ts.Stimulation(4.0))


def main(out: Path) -> None:
    """Act on the units of both models, print what it does, and write it."""
    for name in MODELS:
        subject = ts.load(name)
        contexts = [context for of_part in CONTEXTS.values() for context in of_part]
        parts = [part for part, of_part in CONTEXTS.items() for _ in of_part]
        measure = ts.Measure.words(subject, contexts, NOUNS, VERBS, name="preference for nouns", parts=parts)
        regions = preferring(subject)
        for act in ACTS:
            with shown() as progress:
                effects = ts.intervention_effects(
                    subject, regions, measure, act=act, draws=DRAWS, alternative="two-sided",
                    cache=cache_folder(), progress=progress,
                )  # fmt: skip
            outcome = RegionOutcome(effects, {"model": subject.fingerprint, "draws": DRAWS, "act": act.name})
            outcome.write(out / f"{name}-{act.name.replace(' ', '-')}")
            print(f"{name}\n{outcome}\n")


def preferring(subject: ts.Subject) -> list[Region]:
    """Return the units that respond most to nouns, those that respond most to verbs, and the largest cluster of each.

    They are chosen with other words than those whose probabilities are measured.
    """
    stimuli = ts.stimulus_set("words", subject.reader)
    responses = ts.respond(subject, stimuli, cache=cache_folder())
    regions: list[Region] = []
    for a, b in (("noun", "verb"), ("verb", "noun")):
        localizer = ts.localize(ts.Comparison(responses, a, b), percent=PERCENT, model=subject.fingerprint)
        clusters = ts.grow_clusters(localizer, min_size=1)
        largest = pd.Series(clusters.values[clusters.values > 0]).value_counts().index[0]
        regions.append(ts.Mask.of(localizer, f"{a} units"))
        regions.append(ts.Mask.of(clusters == largest, f"largest {a} cluster", subject.fingerprint))
    return regions


if __name__ == "__main__":
    main(Path(sys.argv[1]))
