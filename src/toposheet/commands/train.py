"""`toposheet train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from toposheet import recipes
from toposheet.commands._command import NONE_GIVEN, Command, Parsed, check_out, deferred
from toposheet.errors import UserError
from toposheet.recipes import Recipe


def parser_of(chosen: Recipe) -> Callable[..., Parsed]:
    """Return the command `train` for one recipe. The fields of the recipe are the defaults of the options."""

    def train(
        recipe_name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")],
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = chosen,
        data: Path | None = None,
        out: Path | None = None,
        log_to: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=NONE_GIVEN)] = (),
        stop_with: Path | None = None,
        on_other_machine: bool = False,
    ) -> None:
        """Train a model by a recipe. Every field of the recipe is an option. The defaults are from the recipe CHOSEN.

        If a run is stopped, run the same command again to continue. Under `torchrun --nproc-per-node N --no-python`,
        N processes share the work of every update.

        Args:
            recipe_name: Name of the recipe: RECIPES.
            recipe: The recipe.
            data: Folder of prepared text (see `toposheet data prepare`). None: the built-in text is prepared in
                OUT/text.
            out: The model folder. None: runs/RECIPE.
            log_to: Experiment trackers that also receive the metrics: tensorboard, wandb, trackio. The metrics are
                always written to OUT/metrics.jsonl.
            stop_with: Folder of a finished run. The new run ends at the update at which that run ended, so that a
                control gets equal compute. None: the recipe decides the last update.
            on_other_machine: Continue a run that began on other hardware or with another number of processes. The
                losses then differ slightly, because other hardware rounds differently.
        """
        out = out or Path("runs") / recipe.name
        check_out(out)
        from toposheet.recipes.result import RESULT
        from toposheet.train.log import METRICS
        from toposheet.train.loop import train
        from toposheet.train.parallel import this_process
        from toposheet.train.preconditions import stopping_with

        if stop_with is not None:
            recipe = stopping_with(recipe, stop_with)
        train(recipe, data, out, log_to, on_other_machine)
        this_process().print(f"The model: {out.resolve()} (losses in {RESULT}, all updates in {METRICS})")
        this_process().destroy_process_group()

    assert train.__doc__ is not None
    train.__doc__ = train.__doc__.replace("CHOSEN", chosen.name).replace("RECIPES", ", ".join(recipes.RECIPES))
    return deferred(train)


def parser_for(arguments: list[str]) -> Callable[..., Parsed]:
    """Return the parser of `toposheet train RECIPE` for the recipe of a command line.

    Raises:
        UserError: The first argument is missing, or no recipe has this name.
    """
    if not arguments or arguments[0].startswith("-"):
        raise UserError(
            f"train needs a recipe as its first argument: toposheet train {{{','.join(recipes.RECIPES)}}} ..."
        )
    return parser_of(recipes.named(arguments[0]))


COMMAND = Command(position=30, parser=parser_of(recipes.named("demo")), goes_on=True, parser_for=parser_for)
