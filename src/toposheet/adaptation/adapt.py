"""Adaptation: a trained language model becomes a topographic subject, with the nulls of what the adaptation shows."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from toposheet.adaptation.measure import ADAPTATION, DIFFERENCES, Measured, measured
from toposheet.adaptation.place import PLACEMENT, Placed, check_method, place
from toposheet.adaptation.random_weights import with_random_weights
from toposheet.adaptation.rebase import check_share, rebase
from toposheet.adaptation.text import AdaptationText, adaptation_text
from toposheet.errors import UserError, check_type
from toposheet.fields import differences
from toposheet.files import path_of, write_file
from toposheet.progress import Progress, Stage, Stages
from toposheet.recipes import ADAPTING, Recipe, stored_form
from toposheet.settings import PERMUTATIONS, check_choice, check_count, check_permutations
from toposheet.subject import Subject, load, save
from toposheet.subject.adapter import check_peft
from toposheet.topography.storage import read_topography, write_topography
from toposheet.train.loop import train
from toposheet.train.model import recipe_for
from toposheet.train.preconditions import check_learner, check_objective
from toposheet.train.result import read_result
from toposheet.wording import listed

Mode = Literal["place", "rebase", "lora", "full"]
Start = Literal["placed", "rebased"]
Null = Literal["random-weights", "shuffled-distances"]
NULLS: tuple[str, ...] = get_args(Null)
PLAN = "adaptation.json"
"""File with the settings of an adaptation. A folder in which it is complete holds a finished or a stopped one."""
_START, _REBASED, _TWIN, _BASE = "start", "rebased", "twin", "base"
_LORA_RANK = 16


@dataclass(frozen=True)
class Placement:
    """How units get their places before anything is trained.

    Args:
        method: How places are found, see `place`: assignment, spectral, swaps, random or shared.
        tokens: Number of tokens of the training text on which places are fitted.
    """

    method: str = "assignment"
    tokens: int = 8192

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: The method is unknown, or `tokens` is no whole number of at least 1.
        """
        check_method(self.method)
        check_count("tokens", self.tokens, 1)


@dataclass(frozen=True, eq=False)
class Adapted:
    """The result of an adaptation.

    Args:
        subject: The adapted subject.
        table: A row for each stage and each null, the columns of `ADAPTATION`.
        differences: What each stage adds to the one before, the columns of `DIFFERENCES`.
    """

    subject: Subject
    table: pd.DataFrame
    differences: pd.DataFrame


def adapt(
    subject: Subject,
    data: str | Path,
    out: str | Path,
    *,
    mode: str = "full",
    recipe: Recipe = ADAPTING,
    placement: Placement | None = None,
    start: str = "placed",
    share: str = "tap",
    nulls: Sequence[str] | None = None,
    twin: bool = True,
    permutations: int = PERMUTATIONS,
    progress: Progress | None = None,
) -> Adapted:
    """Make a subject that has a trained model topographic, and measure what this shows. The result is a model folder.

    Every mode begins with a placement (`place`): the weights stay, and the units get places at which near units respond
    alike. This shows the topography that any correlated units have, without training. So the placed original stands
    beside every trained result, and what training adds is the difference between the result and its start.

    If an adaptation is stopped, call it again with the same arguments to go on.

    Args:
        subject: The subject. `attach` gives sheets to a pretrained model. It is not changed.
        data: A folder of text that was prepared with the tokenizer of the model (`toposheet data prepare`).
        out: The model folder.
        mode: What is adapted.
            - `"place"`: only the places of the units. What the model says is unchanged to the bit.
            - `"rebase"`: the basis of each tap (`rebase`), kept in the topography. What the model says is unchanged to
              the bit; units are mixtures of the coordinates of the network. It shows what linear algebra alone can do.
            - `"full"`: all weights are trained further with the task and the objective.
            - `"lora"`: low-rank changes of the weights are trained in the same way (LoRA, arXiv:2106.09685). The folder
              holds only these changes, so the subject must come from a folder or the hub.
        recipe: The recipe of the training: objective, optimisation, bookkeeping, seed and `model.context`. The mode
            place takes the windows of the objective, the seed and the context from it. The mode lora sets `lora_rank`
            to 16 if it is None.
        placement: How units get their places. None: the defaults of `Placement`.
        start: What a training starts from.
            - `"placed"`: the placement.
            - `"rebased"`: new bases (`rebase`). Their spatial loss is lower. With
              `share="width"`, all taps of one width have the same basis. For a model whose layers add to one residual
              stream, this is a rotation of the stream: rotated weights would compute the same.
        share: Which taps share a basis, in the mode rebase or if a training starts from bases: `"tap"` or `"width"`,
            see `rebase`.
        nulls: Which nulls are computed with the same procedure: `"random-weights"`, a model of the same architecture
            that has learned nothing, and `"shuffled-distances"`, in which nearness on the sheet is shuffled among the
            pairs of cells. None: both without a training, none with a training, because each is a training as long as
            that of the subject.
        twin: Whether a twin is trained on the same tokens with alpha 0. The cost of topography is the difference
            between the task losses of the two. No twin is trained if the training would not change it: the task is only
            to predict as the original did (`distillation` 1), without dropout and weight decay. The cost is then the
            difference to the start.
        permutations: Number of draws of each null of a map.
        progress: A function that is called with the finished part of the work. None: no calls. A training shows its own
            progress bar.

    Returns:
        The subject, and the tables that the folder holds as well: `adaptation.csv`, `adaptation_differences.csv` and
        `placement.csv`.

    Raises:
        UserError: The subject, the text and the recipe do not fit together, or the folder holds another adaptation.
        RunError: A training diverged, or the disk is full.

    Example:
        ts.adapt(ts.attach("HuggingFaceTB/SmolLM2-135M"), "text", "smollm2-placed", mode="place")
    """
    check_type("subject", subject, Subject, "what toposheet.load or toposheet.attach returns")
    check_type("recipe", recipe, Recipe, "a toposheet recipe, such as toposheet.recipes.ADAPTING")
    if mode not in get_args(Mode):
        raise UserError(f"mode is {mode!r}: it must be one of {listed(get_args(Mode))}")
    check_choice("start", start, get_args(Start))
    check_share(share)
    check_permutations(permutations)
    trains = mode in ("lora", "full")
    chosen = (() if trains else NULLS) if nulls is None else tuple(nulls)
    if odd := [null for null in chosen if null not in NULLS]:
        raise UserError(f"there is no null {odd[0]!r}: use {listed(NULLS)}")
    if start == "rebased" and not trains:
        raise UserError(
            f"start is {start!r}, but the mode {mode} has no training: leave start out, or use lora or full"
        )
    bases = share if mode == "rebase" or start == "rebased" else None
    recipe = _with_rank(recipe, mode, subject)
    placing = placement or Placement()
    if trains:
        check_learner(subject)
    recipe = recipe_for(subject, recipe)
    check_objective(subject, recipe)
    out = path_of(out)
    data = path_of(data)
    text = adaptation_text(data, subject, recipe, placing.tokens, trains)
    _check_plan(out, _plan(mode, placing, start, share, recipe, text))
    twin = twin and not (trains and _twin_stays(recipe, subject))
    stages = Stages(progress, _stages(bases is not None, trains, chosen, twin))
    work = _Work(data, text, recipe, placing, bases, out, permutations, trains, stages)
    return work.run(subject, chosen, twin)


def _with_rank(recipe: Recipe, mode: str, subject: Subject) -> Recipe:
    """Return the recipe with the rank of the low-rank changes, if the mode is lora.

    Raises:
        UserError: Another mode has a rank, or the subject has no folder from which its weights can be read again.
    """
    rank = recipe.optimisation.lora_rank
    if mode != "lora":
        if rank is not None:
            raise UserError(f"lora_rank is {rank}, but the mode is {mode}: use the mode lora, or leave lora_rank out")
        return recipe
    check_peft()
    if subject.source is None:
        raise UserError(
            f"{subject.name} has no folder, and the mode lora keeps no weights of it: save the subject "
            "(toposheet.save) and load it again, or use the mode full"
        )
    return recipe.changed(lora_rank=rank or _LORA_RANK)


def _twin_stays(recipe: Recipe, subject: Subject) -> bool:
    """Return whether a training with alpha 0 changes no weight: it begins where all that is asked for is reached."""
    with subject.running() as model:
        config = model.config.to_dict()
    drops = any(value for name, value in config.items() if "drop" in name and isinstance(value, int | float))
    return recipe.optimisation.distillation == 1 and recipe.optimisation.weight_decay == 0 and not drops


def _plan(
    mode: str, placement: Placement, start: str, share: str, recipe: Recipe, text: AdaptationText
) -> dict[str, Any]:
    plan = {
        "mode": mode,
        "placement": asdict(placement),
        "start": start,
        "share": share,
        "text": text.checksum,
        "recipe": stored_form(recipe),
    }
    return json.loads(json.dumps(plan))  # with lists for tuples, as it is read


def _check_plan(out: Path, plan: dict[str, Any]) -> None:
    """Refuse a folder that holds another adaptation or another model; otherwise write the plan.

    Raises:
        UserError: The message names what differs.
    """
    path = out / PLAN
    if path.is_file():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            changes, model = differences(_flat(stored), _flat(plan)), stored["recipe"]["subject"]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise UserError(f"{path} is damaged: adapt into another folder, or remove this one") from None
        if model != plan["recipe"]["subject"]:
            raise UserError(
                f"{out} holds an adaptation of another model: adapt into another folder, or remove this one"
            )
        if changes:
            raise UserError(
                f"{out} holds another adaptation ({'; '.join(changes)}): adapt into another folder, or remove this one"
            )
    elif (out / "config.json").is_file():
        raise UserError(f"{out} holds a model that is no adaptation (no {PLAN}): adapt into another folder")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(plan, indent=2) + "\n")


def _stages(rebases: bool, trains: bool, nulls: Sequence[str], twin: bool) -> list[Stage]:
    """Return the stages of an adaptation, in order, with guessed times for a model of 135 M parameters on 2 cores."""
    measuring, placing, training = Stage("measuring", 60.0), Stage("placing", 90.0), Stage("training", 3000.0)
    of_training = [training, measuring] if trains else []
    stages = [measuring, placing, measuring, *([placing, measuring] if rebases else [])]
    stages += [*of_training, *(of_training if twin else [])]
    if "random-weights" in nulls:
        stages += [placing, measuring, *of_training]
    if "shuffled-distances" in nulls:
        stages += of_training or [placing, measuring]
    return stages


def _flat(values: dict[str, Any], where: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {where + name: value}
    return flat


@dataclass(frozen=True)
class _Work:
    """The stages of an adaptation: each gives a subject, which is measured.

    Args:
        data: The folder of the text.
        text: The text.
        recipe: The recipe, which describes the subject.
        placing: How units get their places.
        share: Which taps share a basis. None: taps get no bases.
        out: The model folder.
        permutations: Number of draws of each null of a map.
        trains: Whether there is a training.
        stages: The progress.
    """

    data: Path
    text: AdaptationText
    recipe: Recipe
    placing: Placement
    share: str | None
    out: Path
    permutations: int
    trains: bool
    stages: Stages

    def run(self, subject: Subject, nulls: Sequence[str], twin: bool) -> Adapted:
        """Return the adapted subject, measured beside the original, the placed original, the twin and the nulls."""
        original = self._measured("original", subject)
        start = self._placed(subject, _START, None)
        of_start = self._measured("placed", start.subject)
        found, pairs = [original, of_start], [(of_start, original)]
        if self.share is not None:
            start = self._placed(subject, _REBASED, self.share)
            of_start = self._measured("rebased", start.subject)
            pairs.append((of_start, found[-1]))
            found.append(of_start)
        PLACEMENT.write(start.table, self.out)
        adapted = start.subject
        if self.trains:
            adapted, of_adapted = self._trained("trained", start.subject, "", self.recipe)
            found.append(of_adapted)
            pairs.append((of_adapted, of_start))
            if twin:
                _, of_twin = self._trained("twin", start.subject, _TWIN, self.recipe.control())
                found.append(of_twin)
                pairs.append((of_adapted, of_twin))
        if "random-weights" in nulls:
            of_null = self._random_weights(subject)
            found += of_null
            pairs += [(of_null[1], of_null[0])] if self.trains else []
        if "shuffled-distances" in nulls:
            found.append(self._shuffled_distances(subject, start.subject))
        if not self.trains:
            save(self.out, adapted)
        table = ADAPTATION.frame([one.row for one in found])
        added = DIFFERENCES.frame([one.minus(other) for one, other in pairs])
        ADAPTATION.write(table, self.out)
        DIFFERENCES.write(added, self.out)
        self.stages.end("adapted")
        return Adapted(adapted, table, added)

    def _random_weights(self, subject: Subject) -> list[Measured]:
        """Return the same procedure on a model that has learned nothing: placed, and trained where the subject is."""
        folder = "random-weights"
        drawn = with_random_weights(subject, self.recipe.seed)
        if self.recipe.optimisation.lora_rank is not None:  # low-rank changes are read again with their base model
            if not (self.out / folder / _BASE / "config.json").is_file():
                save(self.out / folder / _BASE, drawn)
            drawn = load(self.out / folder / _BASE)
        placed = self._placed(drawn, f"{folder}/{_START}", self.share).subject
        if not self.trains:
            return [self._measured("random weights", placed)]
        of_placed = self._measured("random weights, placed", placed)
        recipe = self.recipe.changed(name=f"{self.recipe.name}_random_weights")
        return [of_placed, self._trained("random weights", placed, folder, recipe)[1]]

    def _shuffled_distances(self, subject: Subject, start: Subject) -> Measured:
        """Return the same procedure with nearness shuffled among the pairs of cells of a window."""
        name, folder = "shuffled distances", "shuffled-distances"
        if not self.trains:
            return self._measured(name, self._placed(subject, folder, self.share, shuffled=True).subject)
        changes = {"name": f"{self.recipe.name}_shuffled_distances", "objective": "shuffled_correlation"}
        return self._trained(name, start, folder, self.recipe.changed(**changes))[1]

    def _measured(self, name: str, subject: Subject, **more: Any) -> Measured:
        tell = self.stages.begin("measuring")
        return measured(name, subject, self.text, self.recipe, self.permutations, tell, **more)

    def _placed(self, subject: Subject, name: str, share: str | None, shuffled: bool = False) -> Placed:
        """Return the subject with new places or bases. They are read from a folder in `out` if they were found before.

        Args:
            subject: The subject.
            name: Name of the folder, inside `out`.
            share: Which taps share a basis. None: units get places, and no bases.
            shuffled: Whether nearness is shuffled among the pairs of cells.
        """
        progress, folder = self.stages.begin("placing"), self.out / name
        if (folder / PLACEMENT.file).is_file():
            with subject.running() as model:
                placed = Subject(model, read_topography(folder), subject.tokenizer, source=subject.source)
            return Placed(placed.intervened(*subject.interventions), PLACEMENT.read(folder))
        objective = self.recipe.objective
        texts = (self.text.fitted, self.text.held_out[:, :-1])
        options: dict[str, Any] = {
            "radius": objective.radius, "metric": objective.metric, "window": objective.window,
            "skip_first": objective.skip_first, "shuffled": shuffled, "progress": progress,
        }  # fmt: skip
        if share is None:
            placed = place(subject, *texts, method=self.placing.method, seed=self.recipe.seed, **options)
        else:
            placed = rebase(subject, *texts, share=share, **options)
        folder.mkdir(parents=True, exist_ok=True)
        write_topography(placed.subject.topography, folder)
        PLACEMENT.write(placed.table, folder)  # last: a folder with this table holds a whole placement
        return placed

    def _trained(self, name: str, start: Subject, folder: str, recipe: Recipe) -> tuple[Subject, Measured]:
        """Return the subject after its training in a folder in `out`, and how it was measured.

        Args:
            name: Name of the stage or the null.
            start: The subject at the start. It is not changed.
            folder: The folder, inside `out`. Empty: `out` itself.
            recipe: The recipe.
        """
        self.stages.begin("training")("", 0, 1)  # the training has its own progress bar
        with start.running() as model:
            pass  # outside of this block, the model has no hooks of interventions
        copied = Subject(copy.deepcopy(model), start.topography, start.tokenizer, source=start.source)
        train(recipe, self.data, self.out / folder, subject=copied.intervened(*start.interventions))
        result = read_result(self.out / folder)
        assert result is not None, "the training is finished"
        trained = load(self.out / folder).intervened(*start.interventions)
        more = {"tokens": result["tokens"], "seconds": result["seconds_since_start_or_resume"]}
        return trained, self._measured(name, trained, **more)
