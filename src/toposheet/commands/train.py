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
    """Return the command `train` for one recipe, whose fields are then the defaults of its options."""

    def train(
        recipe_name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")],
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = chosen,
        data: Path | None = None,
        out: Path | None = None,
        log_to: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint=NONE_GIVEN)] = (),
        stop_with: Path | None = None,
        on_other_machine: bool = False,
    ) -> None:
        """Train the model of a recipe; any field of the recipe can be changed. The defaults are those of CHOSEN.

        The same command goes on with a run that was stopped. Under `torchrun --nproc-per-node N --no-python` the
        processes share every update.

        Args:
            recipe_name: What is trained: RECIPES.
            recipe: What is trained.
            data: Folder of prepared text. None: the built-in text is prepared in OUT/text.
            out: The model folder. None: runs/RECIPE.
            log_to: Trackers besides OUT/metrics.jsonl: tensorboard, wandb, trackio.
            stop_with: A finished run: end at the update at which it ended, as its control of equal compute.
            on_other_machine: Go on with a run that was begun on other hardware or by another number of processes.
        """
        out = out or Path("runs") / recipe.name
        check_out(out)
        from toposheet.train.log import METRICS
        from toposheet.train.loop import train
        from toposheet.train.parallel import this_process
        from toposheet.train.preconditions import stopping_with
        from toposheet.train.result import RESULT

        if stop_with is not None:
            recipe = stopping_with(recipe, stop_with)
        train(recipe, data, out, log_to, on_other_machine)
        this_process().print(f"The model: {out.resolve()} (losses in {RESULT}, all updates in {METRICS})")
        this_process().destroy_process_group()

    assert train.__doc__ is not None
    train.__doc__ = train.__doc__.replace("CHOSEN", chosen.name).replace("RECIPES", ", ".join(recipes.RECIPES))
    return deferred(train)


def parser_for(arguments: list[str]) -> Callable[..., Parsed]:
    """Return the parser of `train` for the recipe that the arguments begin with.

    Raises:
        UserError: there is no recipe, or none of that name.
    """
    if not arguments or arguments[0].startswith("-"):
        raise UserError(f"train needs a recipe first: toposheet train {{{','.join(recipes.RECIPES)}}} ...")
    return parser_of(recipes.named(arguments[0]))


COMMAND = Command(place=30, parser=parser_of(recipes.named("demo")), goes_on=True, parser_for=parser_for)
