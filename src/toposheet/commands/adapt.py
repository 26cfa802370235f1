"""`toposheet adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import Model
from toposheet.errors import UserError
from toposheet.recipes import ADAPTING
from toposheet.recipes.adapting import Method, Mode, Null, Share, Start
from toposheet.recipes.parts import Bookkeeping, Objective, Optimisation, Sheets
from toposheet.settings import PERMUTATIONS

if TYPE_CHECKING:
    from toposheet.adaptation.adapt import Adapted
    from toposheet.recipes import Recipe
    from toposheet.subject import Subject

# The options that count also in the modes without a training.
_WITHOUT_TRAINING = {
    "objective": ("radius", "metric", "window", "skip-first"),
    "optimisation": ("batch", "micro-batch", "precision"),
    "bookkeeping": ("validation-blocks",),
}


@deferred
def adapt(
    model: Model,
    data: Path,
    out: Path,
    mode: Mode = "full",
    method: Method = "assignment",
    tokens: int = 8192,
    start: Start = "placed",
    share: Share = "tap",
    twin: bool = True,
    nulls: tuple[Null, ...] | Literal["by-mode"] = "by-mode",
    permutations: int = PERMUTATIONS,
    on_other_machine: bool = False,
    context: int = ADAPTING.model.context,
    seed: int = ADAPTING.seed,
    sheets: Annotated[Sheets, tyro.conf.arg(name="")] = ADAPTING.sheets,
    objective: Annotated[Objective, tyro.conf.arg(name="")] = ADAPTING.objective,
    optimisation: Annotated[Optimisation, tyro.conf.arg(name="")] = ADAPTING.optimisation,
    bookkeeping: Annotated[Bookkeeping, tyro.conf.arg(name="")] = ADAPTING.bookkeeping,
) -> None:
    """Make a trained language model topographic, and measure what this shows: beside its twin, and beside nulls.

    If the command is stopped, run it again to continue.

    Args:
        model: A model folder or a hub id. A model without sheets gets new ones, see --layout.
        data: Folder of prepared text (toposheet data prepare SOURCE --tokenizer MODEL).
        out: The model folder of the adapted model, also for adaptation.csv and further tables.
        mode: place: only the units get places; what the model says is unchanged to the bit. rebase: the units of a tap
            become mixtures of its coordinates, by an orthogonal matrix in the topography; what the model says is
            unchanged too. lora: low-rank changes of the weights are trained with task and objective (--lora-rank, 16).
            full: all weights are trained so.
        method: How units get their places. assignment: spectral, then blocks of units exchange their cells. spectral:
            an embedding of their correlations. swaps: pairs of units swap. random. shared: random, equal for all taps.
        tokens: Number of tokens of the training text on which places or bases are fitted.
        start: What a training starts from. placed: the placement. rebased: new bases, as in the mode rebase.
        share: Of bases: tap, each tap has a basis of its own; width, all taps of one width share a basis.
        twin: Whether a twin is trained on the same tokens with alpha 0. None is trained if this would change no weight
            (--distillation 1 without dropout and weight decay).
        nulls: The nulls that are computed by the same procedure. by-mode: both in the modes place and rebase, and none
            in lora and full, where each is one more training. `--nulls` alone: none.
        permutations: Number of random draws of each null of a map.
        on_other_machine: Continue a training that began on other hardware or with another number of threads. The losses
            then differ slightly, because other hardware rounds differently.
        context: Number of tokens in a block of text.
        seed: Seed of all random choices.
        sheets: The sheets of a model that has none. A model with sheets keeps them.
        objective: The objective.
        optimisation: The training.
        bookkeeping: Held-out text and checkpoints.
    """
    check_out(out)
    from dataclasses import replace

    from toposheet.adaptation.adapt import Placement, adapt
    from toposheet.progress import shown

    recipe = replace(
        ADAPTING, seed=seed, model=replace(ADAPTING.model, context=context), objective=objective,
        optimisation=optimisation, bookkeeping=bookkeeping,
    )  # fmt: skip
    _check_options(recipe, mode, twin, on_other_machine)
    subject = _opened(model, sheets, seed)
    with shown() as progress:
        adapted = adapt(
            subject, data, out, mode=mode, recipe=recipe, placement=Placement(method, tokens), start=start,
            share=share, nulls=None if nulls == "by-mode" else nulls, twin=twin, permutations=permutations,
            on_other_machine=on_other_machine, progress=progress,
        )  # fmt: skip
    _print(adapted)
    print(f"\nThe model: {out.resolve()} (adaptation.csv, adaptation_differences.csv, placement.csv)")


def _opened(model: str, sheets: Sheets, seed: int) -> Subject:
    """Return the subject of a model folder or a hub id. A model without sheets gets the sheets that are asked for.

    Raises:
        UserError: The model has sheets, and others are asked for.
    """
    from toposheet.model_folders import local_folder
    from toposheet.subject import attach, load
    from toposheet.topography.storage import DESCRIPTION

    if (local_folder(model) / DESCRIPTION).is_file():
        if given := _given(sheets, ADAPTING.sheets):
            raise UserError(f"{model} has sheets already, so --{given[0]} would change nothing: leave it out")
        return load(model)
    return attach(
        model, sheets.taps, shape=sheets.sheet_shape, layout=sheets.layout, spacing_mm=sheets.spacing_mm, seed=seed
    )


def _check_options(recipe: Recipe, mode: Mode, twin: bool, on_other_machine: bool) -> None:
    """Refuse options that would change nothing: of the built-in text, and of a training in a mode that has none.

    Raises:
        UserError: The message names the option.
    """
    if recipe.bookkeeping.validation_fraction != ADAPTING.bookkeeping.validation_fraction:
        raise UserError(
            "--validation-fraction would change nothing, because the prepared text is already divided: leave it out, "
            "and give it to toposheet data prepare"
        )
    if mode in ("lora", "full"):
        return
    unused = ["no-twin"] * (not twin) + ["on-other-machine"] * on_other_machine
    for part, used in _WITHOUT_TRAINING.items():
        given = _given(getattr(recipe, part), getattr(ADAPTING, part))
        unused += [option for option in given if option not in used]
    if unused:
        raise UserError(
            f"--{unused[0]} belongs to a training, and the mode {mode} has none: leave it out, or use the mode lora or "
            "full"
        )


def _given(part: Sheets | Objective | Optimisation | Bookkeeping, default: object) -> list[str]:
    """Return the names of the options of a part of the recipe that differ from its default.

    Args:
        part: The part.
        default: The same part of the default recipe.
    """
    changed = [name for name, value in vars(part).items() if value != getattr(default, name)]
    return ["objective" if name == "name" else name.replace("_", "-") for name in changed]


def _print(adapted: Adapted) -> None:
    """Print the table of an adaptation, and what each stage adds to the one before."""
    from toposheet.results import text_table
    from toposheet.wording import interval, mean_and_sd, number, p_value, signed

    rows = adapted.table.to_dict("records")
    columns = {
        "model": [row["model"] for row in rows],
        "tokens": [f"{row['tokens']:,}" for row in rows],
        "task loss": [number(row["task_loss"], 3) for row in rows],
        "spatial loss": [number(row["spatial_loss"], 3) for row in rows],
        "organi- sation": [number(row["organisation"]) for row in rows],
        "p": [p_value(row["organisation_p"]) for row in rows],
        "Moran I": [number(row["morans_i"]) for row in rows],
        "small- est z": [number(row["smallest_z"], 1) for row in rows],
        "place-null": [mean_and_sd(row["null_mean"], row["null_sd"]) for row in rows],
        "label-null": [number(row["label_null_mean"]) for row in rows],
        "cross- half I": [number(row["cross_half_i"]) for row in rows],
    }
    print("\nHeld-out text, and the map of sentences against non-words (raw, mean over taps):")
    print(text_table(columns, ("model",)))
    print()
    for row in adapted.differences.to_dict("records"):
        organised = f"organisation {signed(row['organisation'], 2)} (95 % interval {interval(row['low'], row['high'])})"
        losses = f"task loss {signed(row['task_loss'], 3)}, spatial loss {signed(row['spatial_loss'], 3)}"
        print(f"{row['model']} - {row['other']}: {organised}, {losses}")


COMMAND = Command(position=35, parser=adapt, goes_on=True)
