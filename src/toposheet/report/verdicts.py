"""The verdicts of a report: the results of the tests of each contrast, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toposheet.cortex.summary import raw_rows, without_negative_controls
from toposheet.cortex.verdicts import EXPLAINED, map_verdict, verdict_of_models
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.results import Results, paragraph, rows_with


def verdict_lines(results: Results, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the verdict on the raw map of each contrast for each group of models, as paragraphs for a terminal.

    Args:
        results: The results of an analysis.
        groups: The names of the models in each group.
    """
    statistics, ordered = (
        raw_rows(without_negative_controls(results[table])) for table in (STATISTICS_OF_MODELS, ORGANISATION_OF_MODELS)
    )
    lines = [paragraph(f"Verdicts on the raw maps ({EXPLAINED}):", indent="")]
    for contrast in dict.fromkeys(statistics["contrast"]):
        for group, models in groups.items():
            maps = [{"contrast": contrast, "model": model} for model in models]
            verdicts = [
                map_verdict(rows_with(statistics, **keys), rows_with(ordered, **keys), results.facts["permutations"])
                for keys in maps
            ]
            lines.append(paragraph(f"{contrast}, {group}: {verdict_of_models(verdicts)}"))
    return lines
