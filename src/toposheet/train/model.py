"""The model of a run: a new model that the recipe describes, or the model of a subject that is trained further."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from toposheet.architectures import FAMILIES
from toposheet.recipes import Model, Recipe, Sheets
from toposheet.settings import Layout
from toposheet.sheet import layout_of
from toposheet.subject import Subject
from toposheet.text.tokenizer import end_of_text
from toposheet.topography import Topography
from toposheet.topography.topoformer import add_topoformer, plain_name, plain_state


def build_model(recipe: Recipe, end_of_text: int, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Return the untrained model of a recipe. Equal seeds give equal weights.

    Args:
        recipe: The recipe. Its architecture, sizes and seed decide the model.
        end_of_text: The id of the token that stands between documents.
        device: The device on which the model is built. On `"meta"` the model has shapes but no weights.
    """
    build = FAMILIES[recipe.model.architecture].build
    assert build is not None, "a recipe refuses an architecture that cannot be built"
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(recipe.seed)
        return build(recipe.model, end_of_text)


def new_subject(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast | None, device: str | torch.device = "cpu"
) -> Subject:
    """Return the subject at the start of a run: an untrained model whose units have random places on their sheets.

    If the recipe has a mechanism, the weights of the model have its constraints.

    Args:
        recipe: The recipe. Its model, sheets, mechanism and seed decide the subject.
        tokenizer: The tokenizer of the text. None: the text is not prepared yet, and the subject has no tokenizer.
        device: The device on which the model is built. See `build_model`.

    Raises:
        UserError: A tap matches no module of the model, or the units of a tap do not fit on their sheet. Or the
            mechanism does not fit (`add_topoformer`).
    """
    token = 0 if tokenizer is None else end_of_text(tokenizer)
    model, sheets = build_model(recipe, token, device), recipe.sheets
    topography = Topography.of(
        model,
        sheets.taps,
        sheets.sheet_shape,
        layout=sheets.layout,
        spacing_mm=sheets.spacing_mm,
        seed=recipe.seed,
    )
    if (radius := recipe.mechanism.mechanism_radius) is not None:
        add_topoformer(model, topography, radius)
    return Subject(model, topography, tokenizer)


def recipe_for(subject: Subject, recipe: Recipe) -> Recipe:
    """Return the recipe of a run that trains a subject further.

    The parts `model` and `sheets` of the returned recipe describe the subject (without the width of its MLPs), and its
    field `subject` holds the fingerprint of the subject. The layout is that of every sheet, whatever the number of
    sheets is. If sheets have different layouts, it is `"free"`; if they have different shapes or spacings, the recipe
    has no shape, and a spacing of 1 mm.

    Args:
        subject: The subject before the run.
        recipe: The recipe from which the objective, the optimisation, the bookkeeping, the seed and the block length
            (`model.context`) are taken.
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
    of_subject = subject.topography.sheets.values()
    layouts: set[Layout] = {layout_of(sheet) for sheet in of_subject}
    forms = {(sheet.shape, sheet.spacing_mm) for sheet in of_subject}
    layout = layouts.pop() if len(layouts) == 1 else "free"
    shape, spacing_mm = forms.pop() if len(forms) == 1 else (None, 1.0)
    sheets = Sheets(tuple(subject.topography.taps), layout, shape, spacing_mm)
    return replace(recipe, subject=subject.fingerprint, model=model_part, sheets=sheets)


def frozen_copy(subject: Subject, shares_weights: bool = False) -> PreTrainedModel:
    """Return a copy of the model of a subject whose weights do not train. No intervention acts on it.

    Args:
        subject: The subject.
        shares_weights: Whether the weights of the copy use the memory of the weights of the subject, so that the copy
            takes almost no memory. Neither of the two may then be trained.
    """
    with subject.running() as model:
        pass  # outside of this block, the model has no hooks of interventions
    shared = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters() if shares_weights}
    copied = copy.deepcopy(model, shared).eval()
    return copied.requires_grad_(False)


def with_weights(subject: Subject, state: dict[str, Any]) -> Subject:
    """Return a copy of a subject with other weights, on the CPU and without interventions.

    If the weights of the subject are constrained by a mechanism, the copy has an ordinary model that computes the same.

    Args:
        subject: The subject to copy. Its model may be compiled, or distributed over processes.
        state: The new weights by parameter name.
    """
    with subject.running() as model, torch.random.fork_rng(devices=[]):
        trained = type(model)(copy.deepcopy(model.config))
        if model.can_generate():
            trained.generation_config = copy.deepcopy(model.generation_config)
        trains = {plain_name(name): parameter.requires_grad for name, parameter in model.named_parameters()}
        trained.load_state_dict(plain_state(model, state))
    for name, parameter in trained.named_parameters():
        parameter.requires_grad_(trains[name])
    return Subject(trained.eval(), subject.topography, subject.tokenizer)
