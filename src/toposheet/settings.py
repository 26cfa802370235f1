"""What decides the numbers of an analysis, besides model and stimuli."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from toposheet.errors import UserError

Pooling = Literal["mean", "last", "sum"]
Inference = Literal["mass", "tfce"]
Contiguity = Literal["queen", "rook"]
Metric = Literal["chebyshev", "euclidean"]
MIN_SIZE = 10  # units: smaller clusters are dropped (TopoLM, arXiv:2410.11516)


@dataclass(frozen=True)
class Reading:
    """How a text is read, and what the response of a unit to it is.

    Args:
        pooling: What a response is: mean, sum or last of the activations over a text's own tokens.

    Raises:
        UserError: there is no such pooling.
    """

    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        _check_choice("pooling", self.pooling, get_args(Pooling))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{name} is {value!r}: it must be one of {', '.join(choices)}")


READING = Reading()


@dataclass(frozen=True)
class Settings:
    """How responses are compared, sampled and tested. With the defaults, as TopoLM does it (arXiv:2410.11516).

    Args:
        fwhm_mm: Full width at half maximum of the readout; several if you like, 0 for raw maps alone.
        permutations: Draws of each null.
        seed: Of all draws.
        reading: How texts are read.
        confounds: Regressed out of the responses: length, frequency, tokens, or numeric columns of the stimuli.
        negative_controls: Whether negative controls (random labels, word frequency, length) stand beside each contrast.
        inference: How clusters are tested: by their mass, or by threshold-free enhancement.
        forming_p: Two-sided p of the t that forms the clusters whose mass is tested.
        contiguity: Neighbours in a cluster share an edge or a corner (queen), or an edge (rook).
        min_size: Units of the smallest cluster of significant units that counts.
    """

    fwhm_mm: tuple[float, ...] = (2.0,)
    permutations: int = 99
    seed: int = 0
    reading: Reading = READING
    confounds: tuple[str, ...] = ()
    negative_controls: bool = True
    inference: Inference = "mass"
    forming_p: float = 0.001
    contiguity: Contiguity = "queen"
    min_size: int = MIN_SIZE

    def __post_init__(self) -> None:
        """Refuse what no analysis can be made with.

        Raises:
            UserError: a setting is out of range.
        """
        for fwhm in self.fwhm_mm:
            check_fwhm(fwhm)
        check_permutations(self.permutations)
        check_seed(self.seed)
        check_between_0_and_1("forming_p", self.forming_p)
        check_min_size(self.min_size)
        _check_choice("inference", self.inference, get_args(Inference))
        _check_choice("contiguity", self.contiguity, get_args(Contiguity))

    @property
    def readouts(self) -> tuple[float, ...]:
        """The widths of all readouts, each once; 0, raw, is always there and comes first."""
        return tuple(dict.fromkeys((0.0, *self.fwhm_mm)))


def check_fwhm(fwhm: float) -> None:
    """Refuse a width that no Gaussian has.

    Raises:
        UserError: it is negative or not finite.
    """
    if not (math.isfinite(fwhm) and fwhm >= 0):
        raise UserError(f"the readout's FWHM is {fwhm}: it must be a length of at least 0")


def check_permutations(permutations: int) -> None:
    """Refuse a number of draws from which a null has no spread.

    Raises:
        UserError: there are fewer than 2.
    """
    if permutations < 2:
        raise UserError(f"permutations is {permutations}: a null needs at least 2")


def check_seed(seed: int) -> None:
    """Refuse a seed that no generator takes.

    Raises:
        UserError: it is negative.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}: it must be at least 0")


def check_between_0_and_1(name: str, value: float) -> None:
    """Refuse a probability, or a part of a whole, that is none or all.

    Args:
        name: What it is called.
        value: The number.

    Raises:
        UserError: it is not between 0 and 1.
    """
    if not 0 < value < 1:
        raise UserError(f"{name} is {value}: it must lie between 0 and 1")


def check_min_size(min_size: int) -> None:
    """Refuse a size that no cluster falls short of.

    Raises:
        UserError: it is under 1.
    """
    if min_size < 1:
        raise UserError(f"min_size is {min_size}: a cluster has at least 1 unit")


def check_vocabulary(vocabulary: int) -> None:
    """Refuse a size that no byte-level tokenizer has.

    Raises:
        UserError: it is under 257.
    """
    if vocabulary < 257:
        raise UserError(f"vocabulary is {vocabulary}: it must hold the 256 bytes and the end-of-text token")


def check_max_samples(max_samples: int) -> None:
    """Refuse a number of tokens that makes no correlation.

    Raises:
        UserError: it is under 2.
    """
    if max_samples < 2:
        raise UserError(f"max_samples is {max_samples}: a correlation takes at least 2 tokens")


DEFAULT = Settings()
