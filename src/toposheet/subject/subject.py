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
from toposheet.model_folders import name_of
from toposheet.recipes import RECIPE_FILE, Recipe, read_recipe
from toposheet.recipes.result import read_result
from toposheet.stimuli.reader import Reader
from toposheet.stimuli.studies import own_stimuli
from toposheet.stimuli.table import STIMULI_FILE, read_stimuli
from toposheet.subject.fingerprint import digest_besides_model, fingerprint, versions
from toposheet.subject.interventions import Intervention, applied, forget_compiled, has_foreign_hooks, uncompiled
from toposheet.subject.limits import Limits
from toposheet.subject.tokens import token_counter
from toposheet.topography import Topography
from toposheet.topography.taps import Activations

_RUNNING: weakref.WeakKeyDictionary[nn.Module, Subject] = weakref.WeakKeyDictionary()


@final
class Subject:
    """What is studied: a model with its topography, its tokenizer and the interventions on it.

    A subject is a value. `intervened` returns another subject with the same model. The model itself is never changed.

    Args:
        model: A `transformers` language model. If the model was wrapped by `torch.compile`, the original model is used.
        topography: The sheets, the place of every unit, and the bases of taps.
        tokenizer: The tokenizer of the model. None: the subject can read token ids, but no texts.
        interventions: Interventions on its units, which act in this order while the subject runs.
        source: Where the model comes from: a folder, a hub id, or the name of a shipped model. It is used in names,
            messages and reports. None: the model was made in Python.

    Raises:
        UserError: The topography or an intervention does not fit the model; the message names the tap. Or an argument
            has the wrong type.

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
            raise UserError(f"tokenizer is a {type(tokenizer).__name__}: it must be a transformers tokenizer, or None")
        unwrapped: Any = getattr(model, "_orig_mod", model)  # torch.compile keeps the original model here
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
        lines = [f"Subject({self.intact.name}: {type(self._model).__name__})", f"  {self.topography}"]
        limit = "texts of any length" if self.context is None else f"texts of at most {self.context:,} tokens"
        vocabulary = "no tokenizer" if self.tokenizer is None else f"tokenizer with {len(self.tokenizer):,} tokens"
        lines.append(f"  {vocabulary}; the model reads {limit}")
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
        return f"<table><caption>{escape(self.intact.name)}</caption>{cells}</table>"

    # --- running ---

    @property
    def model(self) -> PreTrainedModel:
        """The `transformers` model.

        Raises:
            UserError: The subject has interventions and is not running. The model would then run without the
                interventions.
        """
        if self.interventions and _RUNNING.get(self._model) is not self:
            names = ", ".join(intervention.name for intervention in self.interventions)
            raise UserError(
                f"the interventions ({names}) act only inside `with subject.running() as model`: use the model "
                "there, or call subject(input_ids)"
            )
        return self._model

    def __call__(self, input_ids: Int[Tensor, "batch time"], **options: Any) -> Float[Tensor, "batch time vocab"]:
        """Return the logits of the model for token ids. The interventions of the subject act.

        Args:
            input_ids: Token ids.
            options: Further arguments of the model, for example `attention_mask` or `use_cache`.

        Raises:
            UserError: `input_ids` is not a batch of token ids, it has more tokens than the model reads, or the model
                has no embedding for an id. Or the model has no language-model head and returns no logits.
        """
        self.limits.check_ids(input_ids)
        with self._with_interventions():
            output = self._model(input_ids=input_ids, **options)
        if getattr(output, "logits", None) is None:
            raise UserError(
                f"{type(self._model).__name__} returns no logits, because it has no language-model head: to call the "
                "model itself, use `with subject.running() as model`"
            )
        return output.logits

    @contextmanager
    def running(self) -> Generator[PreTrainedModel, None, None]:
        """Give the `transformers` model. Inside this context, the interventions of the subject act on it.

        Use it for all code that takes a `transformers` model: generation, evaluation, training. `torch.compile` works
        inside the context: code that was compiled before is discarded if the subject has interventions. The subject can
        also be called and recorded inside the context, and `respond` can be used.

        Raises:
            UserError: The model is running already, for another subject.
        """
        if self.interventions and _RUNNING.get(self._model) is not self:
            forget_compiled()
        with self._with_interventions():
            yield self._model

    @contextmanager
    def _with_interventions(self) -> Generator[None, None, None]:
        runs_for = _RUNNING.get(self._model)
        if runs_for is self:
            yield
            return
        if runs_for is not None:
            raise UserError(f"the model of {self.name} is already running for another subject: leave that block first")
        _RUNNING[self._model] = self
        try:
            with uncompiled(self._model), applied(self._model, self.topography, self.interventions):
                yield
        finally:
            del _RUNNING[self._model]

    @contextmanager
    def record(self) -> Generator[Activations, None, None]:
        """Give a dict that each forward pass fills with the activations of the taps: {tap: (batch, time, units)}.

        The interventions of the subject act inside this context. The dict stays filled after the context.

        Example:
            with subject.record() as activations:
                subject(input_ids)
        """
        with self._with_interventions(), uncompiled(self._model), self.topography.record(self._model) as activations:
            yield activations

    # --- other subjects ---

    def intervened(self, *interventions: Intervention) -> Subject:
        """Return a subject with the same model and more interventions. They act after the present interventions."""
        return Subject(self._model, self.topography, self.tokenizer, (*self.interventions, *interventions), self.source)

    @property
    def intact(self) -> Subject:
        """The subject with the same model and without interventions."""
        if not self.interventions:
            return self
        return Subject(self._model, self.topography, self.tokenizer, (), self.source)

    def with_tokenizer(self, tokenizer: Any) -> Subject:
        """Return a subject with the same model, topography and interventions, and another tokenizer."""
        return Subject(self._model, self.topography, tokenizer, self.interventions, self.source)

    def with_topography(self, topography: Topography) -> Subject:
        """Return a subject with the same model, tokenizer and interventions, and another topography of the same taps.

        Raises:
            UserError: The topography does not fit the model, or the interventions do not fit the topography.
        """
        return Subject(self._model, topography, self.tokenizer, self.interventions, self.source)

    # --- identity ---

    @property
    def name(self) -> str:
        """The name in tables: the last part of `source`, and the interventions.

        Without a source it begins with the class of the model.
        """
        model = type(self._model).__name__ if self.source is None else name_of(self.source)
        return f"{model} ({', '.join(one.name for one in self.interventions)})" if self.interventions else model

    @property
    def folder(self) -> Path | None:
        """The folder from which the model was read. None: the model was made in Python."""
        path = self._model.config._name_or_path
        return Path(path) if path and Path(path).is_dir() else None

    @property
    def fingerprint(self) -> str:
        """A hash of 64 hexadecimal digits. Two subjects with equal fingerprints respond alike to every text.

        It covers weights, configuration, places, bases, tokenizer and interventions. The weights are hashed again only
        if the model, its topography, its tokenizer or its interventions have changed.
        """
        besides = digest_besides_model(self.topography, self.tokenizer, self.interventions)
        now = versions(self._model), repr(self._model.config), besides
        if self._fingerprint is None or self._fingerprint[0] != now:
            digest = fingerprint(self._model, self.topography, self.tokenizer, self.interventions)
            self._fingerprint = now, digest
        return self._fingerprint[1]

    @property
    def can_be_cached(self) -> bool:
        """Whether the fingerprint covers all that decides the responses: the model has no hooks from other code."""
        return not has_foreign_hooks(self._model)

    @property
    def architecture(self) -> Architecture:
        """How toposheet handles models of this family: their taps, limits and output layer."""
        return architecture_of(self._model)

    # --- texts ---

    @property
    def context(self) -> int | None:
        """Largest number of tokens that the model can read. None: no limit."""
        return self.limits.context

    @property
    def limits(self) -> Limits:
        """The largest number of tokens that the model can read, and the token ids that it can read."""
        family = self.architecture
        return Limits(family.context(self._model.config), family.vocabulary(self._model))

    @cached_property
    def count_tokens(self) -> Callable[[str], int]:
        """A function that counts the tokens of a text, without special tokens.

        Raises:
            UserError: The subject has no tokenizer.
        """
        self.check_tokenizer()
        return token_counter(self.tokenizer)

    def check_tokenizer(self) -> None:
        """Refuse a subject that cannot read texts.

        Raises:
            UserError: The subject has no tokenizer.
        """
        if self.tokenizer is None:
            raise UserError(
                f"{self.source or self.name} has no tokenizer: put tokenizer.json and tokenizer_config.json into its "
                "folder, or give a tokenizer in toposheet.Subject(model, topography, tokenizer)"
            )

    @property
    def recipe(self) -> Recipe | None:
        """The recipe with which the model was trained. None: the folder of the model holds no recipe."""
        path = None if self.folder is None else self.folder / RECIPE_FILE
        return read_recipe(path) if path is not None and path.is_file() else None

    def stimuli(self) -> pd.DataFrame:
        """Return the stimuli of the model: the table in its folder, or new stimuli made from held-out text.

        Making new stimuli needs the packages of the extra `demo`.

        Returns:
            A table with the columns `text`, `condition` (sentence, nonword, noun, verb) and `item`.

        Raises:
            NotFound: The folder holds no stimuli, and a package of the extra `demo` is missing.
        """
        return own_stimuli(self.reader)

    @property
    def reader(self) -> Reader:
        """What self-made stimuli depend on: the tokens of the model, its held-out text, the stimuli in its folder."""
        count_tokens = None if self.tokenizer is None else self.count_tokens
        stored = None if self.folder is None else self.folder / STIMULI_FILE
        shipped = read_stimuli(stored) if stored is not None and stored.is_file() else None
        result = None if self.folder is None else read_result(self.folder)
        split = {} if result is None else result["split"]
        return Reader(**split, count_tokens=count_tokens, shipped=shipped)
