"""The subject: a model with its topography, its tokenizer and the interventions on it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, final

import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from toposheet.architectures import Architecture, architecture_of
from toposheet.errors import UserError, check_type
from toposheet.recipes import RECIPE_FILE, Recipe, read_recipe
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.studies import own_stimuli
from toposheet.stimuli.table import STIMULI_FILE, read_stimuli
from toposheet.subject.fingerprint import digest_besides_model, fingerprint, versions
from toposheet.subject.folders import name_of
from toposheet.subject.interventions import Intervention, applied, forget_compiled, has_foreign_hooks, uncompiled
from toposheet.subject.limits import Limits
from toposheet.subject.tokens import token_counter
from toposheet.topography import Topography
from toposheet.topography.taps import Activations

_RUNNING: weakref.WeakKeyDictionary[nn.Module, Subject] = weakref.WeakKeyDictionary()


@final
class Subject:
    """What is studied: a model with its topography, its tokenizer and the interventions on it.

    A subject is a value. An intervention makes another subject (`intervened`); the model itself is never changed.

    Args:
        model: A `transformers` language model. One that `torch.compile` wrapped is run unwrapped.
        topography: Where its units sit.
        tokenizer: Its tokenizer; without one the subject reads token ids only.
        interventions: What is done to its units while it runs, in this order.
        source: Where it came from: a folder, a hub id, the name of a shipped model.

    Raises:
        UserError: the topography or an intervention does not fit the model; names the tap.

    Example:
        subject = ts.load("small")
        logits = subject(input_ids)
        with subject.record() as activations:
            subject(input_ids)
    """

    def __init__(
        self,
        model: PreTrainedModel | nn.Module,
        topography: Topography,
        tokenizer: Any = None,
        interventions: Sequence[Intervention] = (),
        source: str | Path | None = None,
    ) -> None:
        check_type(
            "model",
            model,
            nn.Module,
            "a transformers model; toposheet.load and toposheet.attach read one from a folder",
        )
        check_type("topography", topography, Topography, "a toposheet.Topography, such as Topography.per_tap(model)")
        if tokenizer is not None and not callable(tokenizer):
            raise UserError(
                f"tokenizer is a {type(tokenizer).__name__}: it must be a tokenizer of transformers, or None"
            )
        unwrapped: Any = getattr(model, "_orig_mod", model)  # of what torch.compile wrapped
        self._model: PreTrainedModel = unwrapped
        self.topography = topography
        self.tokenizer: Any = tokenizer
        self.interventions = tuple(interventions)
        self.source = source
        topography.check_taps(self._model)
        for intervention in self.interventions:
            check_type("an intervention", intervention, Intervention, "a toposheet.Intervention(name, {tap: effect})")
            intervention.check(topography)
        self._fingerprint: tuple[Any, str] | None = None

    def __repr__(self) -> str:
        lines = [f"Subject({self.name}: {type(self._model).__name__})", f"  {self.topography}"]
        limit = "texts of any length" if self.context is None else f"at most {self.context:,} tokens"
        lines.append("  no tokenizer" if self.tokenizer is None else f"  {len(self.tokenizer):,} tokens, reads {limit}")
        if self.interventions:
            lines.append(f"  interventions: {', '.join(i.name for i in self.interventions)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            ("model", type(self._model).__name__),
            ("topography", str(self.topography).removeprefix("Topography(").removesuffix(")")),
            ("tokenizer", "none" if self.tokenizer is None else f"{len(self.tokenizer):,} tokens"),
            ("interventions", ", ".join(i.name for i in self.interventions) or "none"),
        ]
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows
        )
        return f"<table><caption>{escape(self.name)}</caption>{cells}</table>"

    # --- running ---

    @property
    def model(self) -> PreTrainedModel:
        """The `transformers` model.

        Raises:
            UserError: the subject has interventions, and is not running: the bare model would run without them.
        """
        if self.interventions and _RUNNING.get(self._model) is not self:
            names = ", ".join(intervention.name for intervention in self.interventions)
            raise UserError(
                f"the interventions ({names}) act only inside `with subject.running() as model`, of this very subject"
            )
        return self._model

    def __call__(self, input_ids: Int[Tensor, "batch time"], **options: Any) -> Float[Tensor, "batch time vocab"]:
        """Return the logits of token ids, with the interventions in place.

        Args:
            input_ids: Token ids.
            options: What else the model takes: `attention_mask`, `use_cache`.

        Raises:
            UserError: these are no token ids, or more or others than the model reads; or it puts out no logits.
        """
        self.limits.check_ids(input_ids)
        with self._in_place():
            output = self._model(input_ids=input_ids, **options)
        if getattr(output, "logits", None) is None:
            raise UserError(
                f"{type(self._model).__name__} puts out no logits: it has no language-model head; inside "
                "`with subject.running() as model` the model itself can be called"
            )
        return output.logits

    @contextmanager
    def running(self) -> Generator[PreTrainedModel, None, None]:
        """Give the model with its interventions in place, for whatever runs a `transformers` model.

        It may be compiled inside: with interventions, `torch.compile` begins anew. Inside the block the subject may be
        called, recorded and asked for responses.

        Raises:
            UserError: the model is running already, for another subject.
        """
        if self.interventions and _RUNNING.get(self._model) is not self:
            forget_compiled()
        with self._in_place():
            yield self._model

    @contextmanager
    def _in_place(self) -> Generator[None, None, None]:
        runs_for = _RUNNING.get(self._model)
        if runs_for is self:
            yield
            return
        if runs_for is not None:
            raise UserError(f"the model of {self.name} is running already: leave that block first")
        _RUNNING[self._model] = self
        try:
            with uncompiled(self._model), applied(self._model, self.interventions):
                yield
        finally:
            del _RUNNING[self._model]

    @contextmanager
    def record(self) -> Generator[Activations, None, None]:
        """Run, and fill a dict with what each tap puts out: {tap: (batch, time, units)}. It stays filled afterwards.

        Example:
            with subject.record() as activations:
                subject(input_ids)
        """
        with self._in_place(), uncompiled(self._model), self.topography.record(self._model) as activations:
            yield activations

    # --- other subjects ---

    def intervened(self, *interventions: Intervention) -> Subject:
        """Return the same model with more interventions, after those that it has."""
        return Subject(self._model, self.topography, self.tokenizer, (*self.interventions, *interventions), self.source)

    def with_tokenizer(self, tokenizer: Any) -> Subject:
        """Return the same subject with another tokenizer."""
        return Subject(self._model, self.topography, tokenizer, self.interventions, self.source)

    # --- what it is ---

    @property
    def name(self) -> str:
        """What tables call it: the last part of its source, else the class of its model."""
        return type(self._model).__name__ if self.source is None else name_of(self.source)

    @property
    def folder(self) -> Path | None:
        """The folder that its model was read from, None for a model made here."""
        path = self._model.config._name_or_path
        return Path(path) if path and Path(path).is_dir() else None

    @property
    def fingerprint(self) -> str:
        """64 letters: two subjects that have the same respond alike to every text. See `subject.fingerprint`.

        All weights are hashed again only when one was written to or the configuration changed.
        """
        besides = digest_besides_model(self.topography, self.tokenizer, self.interventions)
        now = versions(self._model), repr(self._model.config), besides
        if self._fingerprint is None or self._fingerprint[0] != now:
            digest = fingerprint(self._model, self.topography, self.tokenizer, self.interventions)
            self._fingerprint = now, digest
        return self._fingerprint[1]

    @property
    def can_be_cached(self) -> bool:
        """Whether the fingerprint says all that decides its responses: nobody else's hooks sit on the model."""
        return not has_foreign_hooks(self._model)

    @property
    def architecture(self) -> Architecture:
        """What its family of models needs."""
        return architecture_of(self._model)

    # --- what it brings ---

    @property
    def context(self) -> int | None:
        """How many tokens it can read at most, None where that is not bounded."""
        return self.limits.context

    @property
    def limits(self) -> Limits:
        """What it can read: how many tokens, and which."""
        family = self.architecture
        return Limits(family.context(self._model.config), family.vocabulary(self._model))

    @cached_property
    def count_tokens(self) -> Callable[[str], int]:
        """A function that counts the tokens of a text, special tokens left out.

        Raises:
            UserError: there is no tokenizer.
        """
        self.check_tokenizer()
        return token_counter(self.tokenizer)

    def check_tokenizer(self) -> None:
        """Refuse a subject that cannot be shown texts.

        Raises:
            UserError: there is no tokenizer.
        """
        if self.tokenizer is None:
            raise UserError(
                f"{self.source or self.name} has no tokenizer: put its tokenizer.json and tokenizer_config.json into "
                "the folder, or make it as toposheet.Subject(model, topography, tokenizer)"
            )

    @property
    def recipe(self) -> Recipe | None:
        """The recipe that it was trained by, None where its folder has none."""
        path = None if self.folder is None else self.folder / RECIPE_FILE
        return read_recipe(path) if path is not None and path.is_file() else None

    def stimuli(self) -> pd.DataFrame:
        """Return the stimuli that came with the model, or those that are built for it (the extra `demo`).

        Returns:
            A table with columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

        Raises:
            NotFound: a package that building needs is missing.
        """
        return own_stimuli(self.reader)

    @property
    def reader(self) -> Reader:
        """What self-made stimuli take into account: its tokens, the text held out from it, the stimuli it brings."""
        count_tokens = None if self.tokenizer is None else self.count_tokens
        stored = None if self.folder is None else self.folder / STIMULI_FILE
        shipped = read_stimuli(stored) if stored is not None and stored.is_file() else None
        recipe = self.recipe
        if recipe is None:
            return Reader(count_tokens=count_tokens, shipped=shipped)
        return Reader(recipe.bookkeeping.validation_fraction, recipe.seed, count_tokens, shipped)
