"""What stands before the texts that a subject reads: the beginning-of-text token of a reading."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import takewhile
from typing import Any

from toposheet.errors import UserError
from toposheet.recipes import Recipe
from toposheet.settings import NO_BOS, Reading


def resolved(reading: Reading, tokenizer: Any, recipe: Recipe | None, name: str) -> tuple[Reading, tuple[int, ...]]:
    """Return a reading whose `bos` is known, and the ids of the tokens that stand before every text.

    If `reading.bos` is None, the first of these rules that applies decides:

    1. The tokenizer itself puts a token before texts: this token.
    2. toposheet trained the model from the start: no token. Its blocks of text begin anywhere in a document, so no
       position is special.
    3. The tokenizer has no beginning-of-text token: no token.
    4. It is not known, and the error asks for it.

    Args:
        reading: The reading that was asked for.
        tokenizer: The tokenizer of the model.
        recipe: The recipe with which toposheet trained the model. None: it was not trained by toposheet.
        name: Name of the model, for error messages.

    Raises:
        UserError: The tokenizer has no such token. Or it is not known which token stands before texts.
    """
    before = own_tokens_before(tokenizer)
    if reading.bos == NO_BOS:
        before = ()
    elif reading.bos is not None:
        before = (_token_id(reading.bos, tokenizer, name),)
    elif not before and (recipe is None or recipe.subject is not None) and tokenizer.bos_token is not None:
        token = str(tokenizer.bos_token)
        raise UserError(
            f"it is not known whether {name} was trained with the token {token!r} before every text, and this changes "
            f"all results: choose --bos {shlex.quote(token)} or --bos {NO_BOS} (in Python Reading(bos={token!r}) or "
            f"Reading(bos={NO_BOS!r}))"
        )
    tokens = tokenizer.convert_ids_to_tokens(list(before))
    return replace(reading, bos=" ".join(tokens) or NO_BOS), before


def tokens_before_scored(bos: str | None, tokenizer: Any, name: str) -> tuple[int, ...]:
    """Return the ids of the tokens that stand before every text whose probability is wanted.

    A token has a probability only after another token. So the rule is not that of `resolved`: if the tokenizer itself
    puts no token before texts, its beginning-of-text token stands there, or else its end-of-text token, or else none.
    lm-evaluation-harness has the same rule.

    Args:
        bos: The token. none: no token. None: the rule decides.
        tokenizer: The tokenizer of the model.
        name: Name of the model, for error messages.

    Raises:
        UserError: The tokenizer has no such token.
    """
    if bos == NO_BOS:
        return ()
    if bos is not None:
        return (_token_id(bos, tokenizer, name),)
    if own := own_tokens_before(tokenizer):
        return own
    known = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    return tuple(id_ for id_ in known if id_ is not None)[:1]


def own_tokens_before(tokenizer: Any) -> tuple[int, ...]:
    """Return the ids of the special tokens that a tokenizer itself puts before every text."""
    encoded = tokenizer("a", return_special_tokens_mask=True, return_attention_mask=False)
    pairs = zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    return tuple(id_ for id_, _ in takewhile(lambda pair: pair[1], pairs))


def reading_of_tokenizer(tokenizer: Any) -> Reading:
    """Return a reading in which only tokens that the tokenizer itself adds stand before texts."""
    return Reading() if own_tokens_before(tokenizer) else Reading(bos=NO_BOS)


def padding_id(tokenizer: Any, vocabulary: int) -> int:
    """Return the id of the token that fills up the texts of a batch if padding counts in the responses.

    It is the padding token of the tokenizer, or else its end-of-text token.

    Raises:
        UserError: The tokenizer has neither, or the model has no embedding for the token.
    """
    name = "pad_token" if tokenizer.pad_token_id is not None else "eos_token"
    token = getattr(tokenizer, f"{name}_id")
    what = "the tokenizer has neither a padding token nor an end-of-text token: set its pad_token"
    if token is not None and token >= vocabulary:
        what = f"the model has no embedding for {getattr(tokenizer, name)!r} (id {token}): set another pad_token"
    if token is None or token >= vocabulary:
        raise UserError(f"pooling is 'padded-mean', but {what}, or use another pooling")
    return token


def _token_id(token: str, tokenizer: Any, name: str) -> int:
    """Return the id of a token that is named by its text.

    Raises:
        UserError: The tokenizer has no such token.
    """
    if (id_ := tokenizer.get_vocab().get(token)) is None:
        known = [str(special) for special in (tokenizer.bos_token, tokenizer.eos_token) if special is not None]
        such = f", such as {known[0]!r}" if known else ""
        raise UserError(
            f"bos is {token!r}: the tokenizer of {name} has no such token; give one of its tokens{such}, or "
            f"{NO_BOS!r} for no token before texts"
        )
    return id_
