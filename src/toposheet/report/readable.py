"""The check of a battery before the first model is analysed: contrasts, and the texts that all models can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from toposheet.errors import UserError, listed
from toposheet.recipes import RECIPE_FILE, read_recipe
from toposheet.report.draws import design_of
from toposheet.report.models import StudiedModel
from toposheet.settings import Reading, Settings
from toposheet.stimuli.confounds import check_confounds
from toposheet.stimuli.contrasts import check_number
from toposheet.stimuli.naming import labels, source_name
from toposheet.stimuli.studies import Battery, Study
from toposheet.subject import Subject, read_tokenizer
from toposheet.subject.reading import resolved
from toposheet.subject.respond import resolved_reading, text_tokens, tokenised
from toposheet.wording import counted


def check_study(study: Study, settings: Settings) -> None:
    """Refuse a study whose stimuli do not fit its contrasts and the settings.

    Raises:
        UserError: A condition or a column does not exist, or a condition has too few texts.
    """
    for contrast in study.contrasts:
        contrast.check(study.stimuli)
        check_confounds(study.stimuli, contrast, settings.confounds)
        design = design_of(study, contrast, settings)
        if settings.permutations is not None:
            design.check_draws(settings.permutations)


def readable_battery(
    models: Sequence[StudiedModel], battery: Battery, settings: Settings
) -> tuple[Battery, dict[str, str]]:
    """Return a battery without the texts that a reading leaves without a token, and a note on each study that has some.

    A text of one token has no token left if the first token is left out (`Reading.skip_first`). Such a text is left
    out for all models if one model cannot read it, so that all models are compared with the same texts. If texts are
    paired, the partner of such a text is left out too.

    Args:
        models: The models. A model need not be open: its tokenizer is read from its folder.
        battery: The studies.
        settings: How responses are read and analysed.

    Returns:
        The battery, and notes: {name of the study: note}.

    Raises:
        UserError: A model cannot give the reading: its tokenizer has no such token, or it is not known which token
            stands before texts. A text cannot be read. Or a condition has too few texts that can be read.
    """
    readers = [_tokenizer_and_tokens_before(model, settings.reading) for model in models]
    studies, notes = [], {}
    for study in battery.studies:
        too_short = np.zeros(len(study.stimuli), dtype=bool)
        for tokenizer, before in (reader for reader in readers if reader is not None):
            n_tokens = [sum(is_text) for _, is_text in text_tokens(tokenizer, study.stimuli, before)]
            too_short |= np.array(n_tokens) <= settings.reading.skip_first
        kept = study
        if too_short.any():
            left_out = too_short | _partners(study.stimuli, settings.paired_by, too_short)
            kept = replace(study, stimuli=study.stimuli[~left_out])
            notes[study.name] = _note(study, too_short, left_out)
            try:
                check_study(kept, settings)
                _check_conditions(study, kept)
            except UserError as error:
                raise UserError(f"{notes[study.name]}; without them, {error}") from None
        for model in models:
            if isinstance(model.source, Subject):
                tokenised(model.source, kept.stimuli, settings.reading)
        studies.append(kept)
    return replace(battery, studies=tuple(studies)), notes


def _check_conditions(study: Study, kept: Study) -> None:
    """Refuse a study without contrasts of which a condition keeps fewer texts than a comparison needs.

    Raises:
        UserError: The message names the condition.
    """
    if not study.contrasts:
        conditions = labels(kept.stimuli, "condition")
        for condition in dict.fromkeys(labels(study.stimuli, "condition")):
            check_number(int((conditions == condition).sum()), repr(condition), source_name(kept.stimuli))


def _tokenizer_and_tokens_before(model: StudiedModel, reading: Reading) -> tuple[Any, tuple[int, ...]] | None:
    """Return the tokenizer of a model, and the ids of the tokens before every text. None: its folder has no tokenizer.

    Raises:
        UserError: The tokenizer has no such token, or it is not known which token stands before texts.
    """
    if isinstance(model.source, Subject):
        return model.source.tokenizer, resolved_reading(model.source, reading)[1]
    if (folder := model.folder) is None or (tokenizer := read_tokenizer(folder)) is None:
        return None
    recipe = read_recipe(folder / RECIPE_FILE) if (folder / RECIPE_FILE).is_file() else None
    return tokenizer, resolved(reading, tokenizer, recipe, str(model.source))[1]


def _partners(stimuli: pd.DataFrame, paired_by: str, left_out: np.ndarray) -> np.ndarray:
    """Return which texts belong to the pairs of the texts that are left out."""
    if not paired_by:
        return np.zeros(len(stimuli), dtype=bool)
    pairs = labels(stimuli, paired_by)
    return np.isin(pairs.astype(str), pairs[left_out].astype(str))


def _note(study: Study, too_short: np.ndarray, left_out: np.ndarray) -> str:
    """Return a sentence that counts and names the texts that are left out."""
    texts = study.stimuli.loc[too_short, "text"].tolist()
    n = len(texts)
    verbs = "has one token and is" if n == 1 else "have one token and are"
    partners = int(left_out.sum()) - n
    pairs = f", with {counted(partners, 'partner in a pair', 'partners in pairs')}" if partners else ""
    return (
        f"{study.name}: {n:,} of {len(study.stimuli):,} texts {verbs} left out{pairs}, because the reading leaves out "
        f"the first token: {listed(map(repr, dict.fromkeys(texts)))}"
    )
