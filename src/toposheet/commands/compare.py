"""`toposheet compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from toposheet.commands._command import REQUIRED, Analysis, Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Options, check_model, opening, read_battery
from toposheet.errors import UserError
from toposheet.model_folders import groups_and_models, local_folder
from toposheet.settings import DEFAULT, check_margin


@deferred
def compare(
    models: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[GROUP=]MODEL [...]", help_behavior_hint=REQUIRED)
    ],
    out: Path,
    stimuli: str = "synthetic",
    contrast: Contrasts = (),
    margin: float | None = None,
    options: Options = AS_USUAL,
    settings: Analysis = DEFAULT,
) -> None:
    """Compare several models or groups of models, with intervals over the models of a group.

    Args:
        models: Model folders, hub ids or names of shipped models. Write GROUP=MODEL to put models into a group, such as
            models that differ only in their seed. A model without GROUP= is a group with one member.
        out: Folder for compare.csv, further tables and figures. If toposheet trained at least two of the models, it
            gets frontier.csv and a figure too: task loss and topography of each model, by method and strength.
        stimuli: synthetic (made from packages), published (read from your files), a CSV file, or the name of a set.
        contrast: Contrasts in a CSV file or a set, each written as A:B (or A-B).
        margin: The largest difference of two groups that counts as none, such as 0.1. Two groups are equivalent if the
            90 % interval of their difference is within it. Choose it before the results are known. None: equivalence is
            not tested.
        options: How stimuli are read.
        settings: How responses are computed and analysed.
    """
    check_out(out)
    pairs = groups_and_models(models)
    sources = [source for _, source in pairs]
    if margin is not None:
        check_margin(margin)
        _check_groups(pairs)
    for source in sources:
        check_model(source)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("computing", 80.0), Stage("comparing", 5.0)])
        preparing = stages.begin("preparing")
        for source in sources:  # a model that does not exist is named before any work
            local_folder(source)
        subject = opening(sources[0], preparing, settings.reading)
        battery = read_battery(stimuli, subject, contrast, options, settings.confounds, progress=preparing)
        from toposheet.commands._report import analysed, print_notes
        from toposheet.report import grouped, side_by_side

        first, *others = grouped(models)
        analysis = analysed([replace(first, source=subject()), *others], battery, settings, stages.begin("computing"))
        stages.begin("comparing", "intervals over models")
        comparison = side_by_side(analysis, margin=margin)
        with analysis.results.written_together(out) as aside:
            comparison.write(aside)
        stages.end("intervals over models")
    print(comparison)
    print_notes(analysis.results)
    print(f"The comparison: {out.resolve()} (compare.csv, statistics.csv, figures)")


def _check_groups(pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse groups of one model, which cannot be tested for equivalence.

    Raises:
        UserError: A group has one model.
    """
    groups = [group for group, _ in pairs]
    for group, model in pairs:
        if not group or groups.count(group) == 1:
            raise UserError(
                f"--margin needs at least 2 models in each group, but there is 1 of {group or model}: add models with "
                "other seeds (GROUP=MODEL GROUP=MODEL), or leave --margin out"
            )


COMMAND = Command(position=90, parser=compare)
