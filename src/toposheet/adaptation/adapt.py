"""Adaptation: a trained language model becomes a topographic subject, with the nulls of what the adaptation shows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from toposheet.adaptation.folder import claim_folder
from toposheet.adaptation.measure import ADAPTATION, DIFFERENCES, Measured, measured
from toposheet.adaptation.place import BY_DISTANCE, PLACEMENT, Placed, check_method, place
from toposheet.adaptation.random_weights import with_random_weights
from toposheet.adaptation.rebase import check_share, check_sheets, rebase
from toposheet.adaptation.text import AdaptationText, adaptation_text
from toposheet.errors import UserError, check_type
from toposheet.files import path_of
from toposheet.progress import Progress, Stage, Stages
from toposheet.recipes import ADAPTING, Recipe, stored_form
from toposheet.recipes.adapting import Mode, Null, Start
from toposheet.recipes.result import read_result
from toposheet.settings import PERMUTATIONS, check_choice, check_count, check_permutations
from toposheet.subject import Subject, load, save
from toposheet.subject.checkpoint import check_can_be_saved, check_source
from toposheet.subject.next_token import check_predicts
from toposheet.topography.storage import read_topography, write_topography
from toposheet.train.distillation import stays
from toposheet.train.loop import train
from toposheet.train.model import recipe_for
from toposheet.train.preconditions import check_learner, check_lora, check_objective, lora_option

NULLS: tuple[str, ...] = get_args(Null)
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
    on_other_machine: bool = False,
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
        recipe: The recipe of the training: objective, optimisation, bookkeeping, seed and `model.context`. The modes
            without a training take from it what the losses on held-out text need. The mode lora sets `lora_rank` to 16
            if it is None.
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
            to predict as the original did (`distillation` 1), there is no weight decay, and in training the model
            computes to the bit what the original computes (so there is no dropout). The cost is then the difference to
            the start.
        permutations: Number of draws of each null of a map.
        on_other_machine: Continue a training that began on other hardware, or with another number of threads. Other
            hardware rounds differently, see `train`.
        progress: A function that is called with the finished part of the work. None: no calls. A training shows its own
            progress bar.

    Returns:
        The subject, and the tables that the folder holds as well: `adaptation.csv`, `adaptation_differences.csv` and
        `placement.csv`.

    Raises:
        UserError: The subject, the text, the recipe and the nulls do not fit together, the subject has interventions,
            or the folder holds another adaptation.
        RunError: A training diverged, or the disk is full.

    Example:
        ts.adapt(ts.attach("HuggingFaceTB/SmolLM2-135M"), "text", "smollm2-placed", mode="place")
    """
    check_type("subject", subject, Subject, "what toposheet.load or toposheet.attach returns")
    check_type("recipe", recipe, Recipe, "a toposheet recipe, such as toposheet.recipes.ADAPTING")
    check_type("placement", placement, (Placement, type(None)), "a toposheet.adaptation.Placement")
    check_choice("mode", mode, get_args(Mode))
    check_choice("start", start, get_args(Start))
    check_share(share)
    check_permutations(permutations)
    check_type("twin", twin, bool, "True or False")
    trains = mode in ("lora", "full")
    placing, bases = placement or Placement(), share if mode == "rebase" or start == "rebased" else None
    possible = NULLS if bases is not None or placing.method in BY_DISTANCE else ("random-weights",)
    check_type("nulls", nulls, (list, tuple, type(None)), "a list of names, such as ['random-weights']")
    chosen = (() if trains else possible) if nulls is None else tuple(nulls)
    _check_nulls(chosen, possible, placing, recipe, trains)
    if trains and recipe.optimisation.patience is not None:
        raise UserError(
            f"patience is {recipe.optimisation.patience}, but the trainings of an adaptation are compared after equal "
            "numbers of tokens: leave patience out"
        )
    if start == "rebased" and not trains:
        raise UserError(
            f"start is {start!r}, but the mode {mode} has no training: leave start out, or use lora or full"
        )
    if bases is None and share != "tap":
        raise UserError(
            f"share is {share!r}, but taps get no bases: leave share out, or use the mode rebase or start='rebased'"
        )
    if mode == "lora":
        recipe = recipe.changed(lora_rank=recipe.optimisation.lora_rank or _LORA_RANK)
    elif (option := lora_option(recipe)) is not None:
        value = getattr(recipe.optimisation, option)
        raise UserError(f"{option} is {value!r}, but the mode is {mode}: use the mode lora, or leave {option} out")
    (check_learner if trains else check_predicts)(subject)
    check_can_be_saved(subject)
    if bases is not None:
        check_sheets(subject, bases)
    recipe = recipe_for(subject, recipe)
    check_lora(subject, recipe)
    check_objective(subject, recipe)
    if mode == "lora":
        check_source(subject)
    out, data = path_of(out, "out"), path_of(data, "data")
    text = adaptation_text(data, subject, recipe, placing.tokens, trains)
    subject = subject if subject.tokenizer is not None else subject.with_tokenizer(text.tokenizer)
    settings = {"mode": mode, "placement": asdict(placing), "start": start, "share": share, "text": text.checksum}
    claim_folder(out, settings | {"recipe": stored_form(recipe)})
    twin = twin and not (trains and stays(subject, recipe, text.fitted))
    stages = Stages(progress, _stages(bases is not None, trains, chosen, twin))
    work = _Work(data, text, recipe, placing, bases, out, permutations, on_other_machine, trains, stages)
    return work.run(subject, chosen, twin)


def _check_nulls(
    nulls: Sequence[str], possible: Sequence[str], placing: Placement, recipe: Recipe, trains: bool
) -> None:
    """Refuse a null that does not exist, or that is not a null of the method or of the objective.

    Raises:
        UserError: The message names the null.
    """
    for null in nulls:
        check_choice("a null", null, NULLS)
        if null not in possible:
            raise UserError(
                f"the null {null} belongs to the methods {' and '.join(BY_DISTANCE)}, but the method is "
                f"{placing.method}, which does not use distances: leave this null out"
            )
    if trains and "shuffled-distances" in nulls and recipe.objective.name != "correlation":
        raise UserError(
            f"the null shuffled-distances belongs to the objective correlation, but the objective is "
            f"{recipe.objective.name}: leave this null out"
        )


def _stages(rebases: bool, trains: bool, nulls: Sequence[str], twin: bool) -> list[Stage]:
    """Return the stages of an adaptation, in order, with guessed times for a model of 135 M parameters on 2 cores."""
    measuring, placing, training = Stage("measuring", 60.0), Stage("placing", 90.0), Stage("training", 3000.0)
    of_training = [training, measuring] if trains else []
    stages = [measuring, placing, measuring, *([placing, measuring] if rebases else [])]
    stages += [*of_training, *(of_training if twin else [])]
    if "random-weights" in nulls:
        stages += [placing, measuring, *of_training]
    if "shuffled-distances" in nulls:
        stages += [placing, measuring, *of_training]
    return stages


class _Rows:
    """The rows of the two tables of an adaptation."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.differences: list[dict[str, Any]] = []

    def add(self, measured: Measured, before: Measured | None = None) -> Measured:
        """Add the row of a subject, and its difference to the stage before, if there is one."""
        self.rows.append(measured.row)
        if before is not None:
            self.subtract(measured, before)
        return measured

    def subtract(self, measured: Measured, other: Measured) -> None:
        """Add the difference between two subjects."""
        self.differences.append(measured.minus(other))


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
        on_other_machine: Whether a training may continue on other hardware.
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
    on_other_machine: bool
    trains: bool
    stages: Stages

    def run(self, subject: Subject, nulls: Sequence[str], twin: bool) -> Adapted:
        """Return the adapted subject, measured beside the original, the placed original, the twin and the nulls."""
        rows = _Rows()
        original = rows.add(self._measured("original", subject))
        start = self._placed(subject, _START, None)
        of_start = rows.add(self._measured("placed", start.subject), original)
        if self.share is not None:
            of_placed, start = of_start, self._placed(subject, _REBASED, self.share)
            of_start = rows.add(self._measured("rebased", start.subject), of_placed)
        PLACEMENT.write(start.table, self.out)
        adapted = start.subject
        if self.trains:
            adapted, of_adapted = self._trained("trained", start.subject, "", self.recipe)
            rows.add(of_adapted, of_start)
            if twin:
                _, of_twin = self._trained("twin", start.subject, _TWIN, self.recipe.control())
                rows.add(of_twin)
                rows.subtract(of_adapted, of_twin)
        if "random-weights" in nulls:
            self._add_null(rows, "random weights", self._with_random_weights(subject), self.recipe)
        if "shuffled-distances" in nulls:
            recipe = self.recipe.changed(objective="shuffled_correlation") if self.trains else self.recipe
            self._add_null(rows, "shuffled distances", subject, recipe, shuffled=True)
        if not self.trains:
            save(self.out, adapted)
        table, added = ADAPTATION.frame(rows.rows), DIFFERENCES.frame(rows.differences)
        ADAPTATION.write(table, self.out)
        DIFFERENCES.write(added, self.out)
        self.stages.end("adapted")
        return Adapted(adapted, table, added)

    def _add_null(self, rows: _Rows, name: str, subject: Subject, recipe: Recipe, shuffled: bool = False) -> None:
        """Add the rows of a null: a subject is placed (or gets bases), and is trained if the adaptation has a training.

        Args:
            rows: The rows of the adaptation.
            name: Name of the null.
            subject: The subject at the start of the null.
            recipe: The recipe of its training.
            shuffled: Whether nearness is shuffled among the pairs of cells when the subject is placed.
        """
        folder = name.replace(" ", "-")
        start = self._placed(subject, f"{folder}/{_START}", self.share, shuffled).subject
        if not self.trains:
            rows.add(self._measured(name, start))
            return
        of_start = rows.add(self._measured(f"{name}, {'placed' if self.share is None else 'rebased'}", start))
        recipe = recipe.changed(name=f"{recipe.name}_{name.replace(' ', '_')}")
        rows.add(self._trained(name, start, folder, recipe)[1], of_start)

    def _with_random_weights(self, subject: Subject) -> Subject:
        """Return a subject of the same architecture that has learned nothing.

        If low-rank changes are trained, it is kept in a folder, because they are read again with their base model.
        """
        drawn = with_random_weights(subject, self.recipe.seed)
        if self.recipe.optimisation.lora_rank is None:
            return drawn
        folder = self.out / "random-weights" / _BASE
        if not (folder / "config.json").is_file():
            save(folder, drawn)
        return load(folder)

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
            try:
                return Placed(subject.with_topography(read_topography(folder)), PLACEMENT.read(folder))
            except UserError as error:
                raise UserError(f"{error}. Or remove {folder}: the same command then finds the places again") from None
        objective = self.recipe.objective
        texts = (self.text.fitted, self.text.held_out[:, :-1])
        options: dict[str, Any] = {
            "radius": objective.radius, "metric": objective.metric, "window": objective.window,
            "skip_first": objective.skip_first, "shuffled": shuffled, "seed": self.recipe.seed, "progress": progress,
        }  # fmt: skip
        if share is None:
            placed = place(subject, *texts, method=self.placing.method, **options)
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
        copied = Subject(copy.deepcopy(start.model), start.topography, start.tokenizer, source=start.source)
        train(recipe, self.data, self.out / folder, on_other_machine=self.on_other_machine, subject=copied)
        result = read_result(self.out / folder)
        assert result is not None, "the training is finished"
        trained = load(self.out / folder)
        more = {"tokens": result["tokens"], "seconds": result["seconds"]}
        return trained, self._measured(name, trained, **more)
