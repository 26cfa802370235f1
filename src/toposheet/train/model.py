"""The model of a run: built as its recipe says, or that of a subject, which is trained further."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from toposheet.architectures import FAMILIES
from toposheet.recipes import Model, Recipe, Sheets
from toposheet.subject import Subject
from toposheet.text.tokenizer import end_of_text
from toposheet.topography import Topography


def build_model(recipe: Recipe, end_of_text: int, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Return the untrained model of a recipe; equal seeds give equal weights.

    Args:
        recipe: Architecture, sizes and seed.
        end_of_text: Id of the token that stands between documents.
        device: Where it is built; on `"meta"` it has shapes and no weights.
    """
    build = FAMILIES[recipe.model.architecture].build
    assert build is not None, "a recipe whose model cannot be built is refused"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(recipe.seed)
        return build(recipe.model, end_of_text)


def new_subject(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Subject:
    """Return the subject that a recipe begins with: an untrained model, its units in random places.

    Args:
        recipe: Model, sheets and seed.
        tokenizer: Of the text.
    """
    model, sheets = build_model(recipe, end_of_text(tokenizer)), recipe.sheets
    topography = Topography.per_tap(model, sheets.taps, sheets.sheet_shape, sheets.spacing_mm, recipe.seed)
    return Subject(model, topography, tokenizer)


def recipe_for(subject: Subject, recipe: Recipe) -> Recipe:
    """Return the recipe of a run that trains a subject further: its parts `model` and `sheets` describe the subject.

    Args:
        subject: Before the run; its fingerprint becomes part of the recipe.
        recipe: Objective, optimisation, bookkeeping, seed, and the length of a block of text (`model.context`).
    """
    with subject.running() as model:
        config, family = model.config.get_text_config(), subject.architecture
        model_part = Model(
            architecture=model.config.model_type,
            layers=len(family.blocks(model)),
            heads=family.heads(model),
            width=family.width(model),
            context=recipe.model.context,
            vocabulary=config.vocab_size,
        )
    sheets = Sheets(taps=tuple(subject.topography.taps))
    return replace(recipe, subject=subject.fingerprint, model=model_part, sheets=sheets)


def with_weights(subject: Subject, state: dict[str, Any]) -> Subject:
    """Return a subject of the same kind with other weights, on the CPU, without interventions.

    Args:
        subject: Its model may be shared among processes or compiled.
        state: The weights by name.
    """
    with subject.running() as model, torch.random.fork_rng(devices=[]):
        trained = type(model)(copy.deepcopy(model.config))
        if model.can_generate():
            trained.generation_config = copy.deepcopy(model.generation_config)
        trains = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    trained.load_state_dict(state)
    for name, parameter in trained.named_parameters():
        parameter.requires_grad_(trains[name])
    return Subject(trained.eval(), subject.topography, subject.tokenizer)
