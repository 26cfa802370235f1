"""The verdicts of a report: the results of the tests of each contrast, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from toposheet.cortex import SIGNIFICANT
from toposheet.cortex.layout import MEAN_OVER_TAPS
from toposheet.cortex.summary import raw_rows, without_negative_controls
from toposheet.cortex.verdicts import EXPLAINED, map_verdict, needed_draws, verdict_of_models
from toposheet.report.draws import draws_of
from toposheet.report.sections.contrasts import ORGANISATION_OF_MODELS, STATISTICS_OF_MODELS
from toposheet.results import Results, paragraph, rows_with


def verdict_lines(results: Results, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the verdict on the raw map of each contrast for each group of models, as paragraphs for a terminal.

    With several contrasts, a last paragraph says which effects are ordered if p is corrected for their number.

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
                map_verdict(
                    rows_with(statistics, **keys), rows_with(ordered, **keys), draws_of(results.facts, contrast)
                )
                for keys in maps
            ]
            lines.append(paragraph(f"{contrast}, {group}: {verdict_of_models(verdicts)}"))
    if statistics["contrast"].nunique() > 1:
        lines.append(paragraph(_corrected(ordered, groups, results.facts["permutations"])))
    return lines


def _corrected(ordered: pd.DataFrame, groups: Mapping[str, Sequence[str]], permutations: int) -> str:
    """Return which effects are spatially ordered if p is corrected for the number of contrasts, in words.

    Args:
        ordered: The organisation of the raw maps of all contrasts.
        groups: The names of the models in each group.
        permutations: Number of draws of the null.
    """
    n_contrasts = ordered["contrast"].nunique()
    if needed := needed_draws(n_contrasts, permutations):
        return f"corrected for the number of contrasts (Holm): not tested, because {needed}"
    raw = rows_with(ordered, **MEAN_OVER_TAPS)
    raw = raw[(raw["p_holm"] <= SIGNIFICANT) & (raw["value"] > 0)]
    names = []
    for contrast in dict.fromkeys(raw["contrast"]):
        for group, models in groups.items():
            if n := int(rows_with(raw, contrast=contrast)["model"].isin(models).sum()):
                names.append(f"{contrast} ({group if len(models) == 1 else f'{n} of {len(models)} models of {group}'})")
    return (
        f"p corrected for the {n_contrasts} contrasts of each model (Holm): the effect is spatially ordered in "
        f"{', '.join(names) or 'none'}"
    )
