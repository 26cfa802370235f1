"""The verdicts of a report: the results of the tests of each contrast, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toposheet.cortex.summary import raw_rows, without_negative_controls
from toposheet.cortex.verdicts import EXPLAINED, map_verdict, verdict_of_models
from toposheet.report.sections.contrasts import STATISTICS_OF_MODELS
from toposheet.results import Results, paragraph


def verdict_lines(results: Results, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the verdict on the raw map of each contrast for each group of models, as paragraphs for a terminal.

    Args:
        results: The results of an analysis.
        groups: The names of the models in each group.
    """
    raw = raw_rows(without_negative_controls(results[STATISTICS_OF_MODELS]))
    lines = [paragraph(f"Verdicts on the raw maps ({EXPLAINED}):", indent="")]
    for contrast in dict.fromkeys(raw["contrast"]):
        statistics = raw[raw["contrast"] == contrast]
        for group, models in groups.items():
            maps = [statistics[statistics["model"] == model] for model in models]
            verdicts = [map_verdict(rows, results.facts["permutations"]) for rows in maps]
            lines.append(paragraph(f"{contrast}, {group}: {verdict_of_models(verdicts)}"))
    return lines
