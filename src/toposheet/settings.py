"""The settings of an analysis: how texts are read, and how responses are compared and tested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from toposheet.errors import UserError, check_type

Pooling = Literal["mean", "last", "sum", "padded-mean"]
Inference = Literal["mass", "tfce"]
Contiguity = Literal["queen", "rook"]
Weights = Literal["binary", "row"]
Metric = Literal["chebyshev", "euclidean"]
Layout = Literal["per_tap", "bands", "interleaved", "free"]
PERMUTATIONS = 99  # draws of a null: the smallest possible p is 0.01
NO_BOS = "none"  # no token stands before a text
NO_GROUPS = "none"  # texts count singly, whatever columns the stimuli have
MANY_PERMUTATIONS = 999  # draws where they take less than a minute
MIN_SIZE = 10  # units; smaller clusters do not count (TopoLM, arXiv:2410.11516)


@dataclass(frozen=True)
class Reading:
    """How a model reads a text, and how a unit's activations become its response to the text.

    Args:
        pooling: How the response of a unit is made from its activations over the tokens of a text: their mean, their
            sum, or the activation at the last token. Padding and special tokens do not count. padded-mean is what the
            published code of TopoLM does: texts are read in the order of the table in batches of 12, and the mean
            includes the padding, so that a response depends on the other texts. Use it only to reproduce their numbers:
            there is then no p.
        bos: The token that stands before every text, such as <|endoftext|>. It does not count in the response. none: no
            token. None: as the tokenizer does it; no token if toposheet trained the model from the start or the
            tokenizer has no beginning-of-text token; otherwise it is not known, and an error asks for it.
        skip_first: Whether the first token of each text is left out of the response. Use it if the activations at this
            token are much larger than all others (an attention sink).

    Raises:
        UserError: `pooling` is unknown, or `bos` or `skip_first` has the wrong type.
    """

    pooling: Pooling = "mean"
    bos: str | None = None
    skip_first: bool = False

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, get_args(Pooling))
        if self.bos is not None and not (isinstance(self.bos, str) and self.bos):
            raise UserError(f"bos is {self.bos!r}: it must be a token, such as '<|endoftext|>', or 'none', or None")
        if not isinstance(self.skip_first, bool):
            raise UserError(f"skip_first is {self.skip_first!r}: it must be True or False")

    @property
    def mixes_texts(self) -> bool:
        """Whether the response to a text depends on other texts. Then the texts are not independent, and no p holds."""
        return self.pooling == "padded-mean"


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the allowed values.

    Args:
        name: Name of the argument, for the error message.
        value: The value.
        choices: The allowed values.

    Raises:
        UserError: The message lists the allowed values.
    """
    if value not in choices:
        raise UserError(f"{name} is {value!r}: it must be one of {', '.join(choices)}")


READING = Reading()


@dataclass(frozen=True)
class Settings:
    """How responses are compared, sampled and tested.

    Where TopoLM (arXiv:2410.11516) states a choice, this choice is the default.

    Args:
        fwhm_mm: Full width at half maximum (mm) of the Gaussian readout, one or several numbers. Raw maps (0) are
            always computed as well.
        permutations: Number of random draws of each null. The smallest possible p is 1 / (1 + permutations). None: 999
            if the sizes of the analysis say that these draws take less than a minute, otherwise 99, or as many as a p
            needs that is corrected for the number of contrasts (20 for each contrast); and never more than there are
            different relabellings of the texts.
        seed: Seed of all random draws. The same seed gives the same numbers again.
        reading: How a model reads a text.
        groups: Name of a column of the stimuli. Texts with equal values form a group, whose mean counts as one value.
            The default is used only if the stimuli have this column. none: texts count singly.
        paired_by: Name of a column of the stimuli. Two texts with equal values, one of each condition, are a pair, and
            the differences within pairs are tested. Empty: there are no pairs.
        confounds: Variables that a regression removes from the responses: length, frequency, tokens, or a numeric
            column of the stimuli.
        negative_controls: Whether to compute negative controls beside each contrast: comparisons of the same texts by
            random labels, by word frequency and by length.
        inference: How clusters are tested. mass: by the sum of t over a cluster. tfce: by threshold-free cluster
            enhancement, which does not use --forming-p.
        forming_p: Cluster-forming threshold for mass: a cell can be part of a cluster if the two-sided p of its t is
            below this value.
        contiguity: Which cells are neighbours in a cluster. queen: cells that share an edge or a corner. rook: cells
            that share an edge.
        weights: Weights of neighbours in Moran's I of a map. binary: 1 for each neighbour. row: row-standardised, so
            that the weights of each cell sum to 1, as in TopoLM's published numbers.
        raw_fwhm_mm: Width (mm) of the readout that stands for raw maps where numbers are compared with TopoLM's. This
            readout is always computed. TopoLM's raw maps are probably readouts of 1 mm.
        min_size: Number of units of the smallest cluster that counts. It applies to clusters of significant units, not
            to the test of clusters by mass or tfce.
    """

    fwhm_mm: tuple[float, ...] = (2.0,)
    permutations: int | None = None
    seed: int = 0
    reading: Reading = READING
    groups: str = "shared_words"
    paired_by: str = ""
    confounds: tuple[str, ...] = ()
    negative_controls: bool = True
    inference: Inference = "mass"
    forming_p: float = 0.001
    contiguity: Contiguity = "queen"
    weights: Weights = "binary"
    raw_fwhm_mm: float = 0.0
    min_size: int = MIN_SIZE

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UserError: A setting is out of range.
        """
        if not isinstance(self.fwhm_mm, tuple | list):
            raise UserError(f"fwhm_mm is {self.fwhm_mm!r}: it must be a tuple of lengths in mm, such as (2.0,)")
        readouts_of((0.0, *self.fwhm_mm))
        check_fwhm("raw_fwhm_mm", self.raw_fwhm_mm)
        if self.permutations is not None:
            check_permutations(self.permutations)
        check_seed(self.seed)
        check_between_0_and_1("forming_p", self.forming_p)
        check_min_size(self.min_size)
        check_choice("inference", self.inference, get_args(Inference))
        check_choice("contiguity", self.contiguity, get_args(Contiguity))
        check_weights(self.weights)

    @property
    def readouts(self) -> tuple[float, ...]:
        """The widths (mm) of all readouts, each once: first 0 (raw), then `raw_fwhm_mm`, then those of `fwhm_mm`."""
        return readouts_of((0.0, self.raw_fwhm_mm, *self.fwhm_mm))

    @property
    def draws(self) -> int:
        """The number of draws of each null, in an analysis that has chosen it (`report.compute`)."""
        assert self.permutations is not None, "the number of draws is chosen before the first null"
        return self.permutations

    @classmethod
    def published(cls) -> Settings:
        """Return the settings with which TopoLM's published code computes: all steps of `PUBLISHED_STEPS`.

        The other settings have their defaults.
        """
        return cls().as_published()

    def as_published(self) -> Settings:
        """Return these settings with all steps of TopoLM's published code (`PUBLISHED_STEPS`).

        Raises:
            UserError: A setting contradicts a step: it is neither the default nor the value of the published code.
        """
        usual = {name: value for name, value in _OF_ALL_STEPS.items() if self.option(name) == DEFAULT.option(name)}
        settings = self.with_options(usual)
        settings.check_as_published()
        return settings

    def check_as_published(self) -> None:
        """Refuse settings that contradict a step of TopoLM's published code.

        Raises:
            UserError: A setting does not have the value of the published code.
        """
        for name, published in _OF_ALL_STEPS.items():
            if (value := self.option(name)) != published:
                raise UserError(
                    f"{name} is {_shown(value)}: all steps of the published code together need {_shown(published)}; "
                    "leave it out, or give single steps as options without --as-published (in Python: as_published)"
                )

    def with_all_steps(self) -> Settings:
        """Return these settings with all steps of TopoLM's published code, which replace what contradicts them."""
        return self.with_options(_OF_ALL_STEPS)

    def as_it_should_be(self) -> Settings:
        """Return these settings without the steps of TopoLM's published code: our defaults replace them."""
        settings = self
        for step in PUBLISHED_STEPS:
            if settings.with_options(step.changes) == settings:
                settings = settings.with_options({name: DEFAULT.option(name) for name in step.changes})
        return settings

    def option(self, name: str) -> Any:
        """Return the value of a setting, or of a field of the reading.

        Args:
            name: The name of the setting.
        """
        return getattr(self.reading if name in _OF_READING else self, name)

    def with_options(self, values: Mapping[str, Any]) -> Settings:
        """Return these settings with other values.

        Args:
            values: {name of a setting, or of a field of the reading: value}.
        """
        reading = {name: value for name, value in values.items() if name in _OF_READING}
        others = {name: value for name, value in values.items() if name not in _OF_READING}
        return replace(self, **others, reading=replace(self.reading, **reading))


@dataclass(frozen=True)
class Step:
    """A step in which TopoLM's published code differs from our defaults.

    Args:
        name: Name of the step in tables.
        changes: The settings that reproduce the step: {name of a setting, or of a field of the reading: value}.
        words: What the published code does in this step.
    """

    name: str
    changes: Mapping[str, Any]
    words: str


PUBLISHED_STEPS = (
    Step(
        "row-standardised weights",
        {"weights": "row"},
        "Moran's I has row-standardised weights: the weights of each cell sum to 1",
    ),
    Step(
        "a readout of 1 mm as raw",
        {"raw_fwhm_mm": 1.0},
        "raw maps are probably readouts of 1 mm",
    ),
    Step(
        "rook neighbours in clusters",
        {"contiguity": "rook"},
        "neighbours in clusters share an edge",
    ),
    Step(
        "padding averaged in",
        {"pooling": "padded-mean", "skip_first": False},
        "responses are averaged over padding too, in batches of 12 texts",
    ),
    Step(
        "texts count singly",
        {"groups": NO_GROUPS, "paired_by": "", "confounds": ()},
        "Welch's t compares single texts, without groups, pairs and confounds",
    ),
)
_OF_ALL_STEPS = {name: value for step in PUBLISHED_STEPS for name, value in step.changes.items()}
_OF_READING = {field.name for field in fields(Reading)}


def _shown(value: Any) -> str:
    """Return the value of a setting in an error message."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        value = " ".join(value)
    return "none" if value == "" else repr(value)


def check_weights(weights: str) -> None:
    """Refuse unknown weights of neighbours.

    Raises:
        UserError: The weights are neither `"binary"` nor `"row"`.
    """
    check_choice("weights", weights, get_args(Weights))


def readouts_of(fwhm_mm: float | Sequence[float]) -> tuple[float, ...]:
    """Return the widths (mm) of readouts, each once, in their order.

    Args:
        fwhm_mm: One width or several widths, in mm; 0 is raw.

    Raises:
        UserError: No width is given, or a width is negative or not a finite number.
    """
    widths: tuple[Any, ...] = (
        tuple(fwhm_mm) if isinstance(fwhm_mm, Iterable) and not isinstance(fwhm_mm, str) else (fwhm_mm,)
    )
    if not widths:
        raise UserError("fwhm_mm is empty: give at least one width in mm, such as (0.0, 2.0); 0 is raw")
    for width in widths:
        check_fwhm("fwhm_mm", width)
    return tuple(dict.fromkeys(float(width) for width in widths))


def check_fwhm(name: str, fwhm: float) -> None:
    """Refuse an invalid width of the readout.

    Args:
        name: Name of the argument, for the error message.
        fwhm: The width.

    Raises:
        UserError: The width is negative or not a finite number.
    """
    if not isinstance(fwhm, Real) or isinstance(fwhm, bool) or not (math.isfinite(fwhm) and fwhm >= 0):
        raise UserError(f"{name} is {fwhm!r}: it must be a width in mm, a finite number of at least 0")


def check_permutations(permutations: int) -> None:
    """Refuse a number of draws that is too small for a standard deviation of the null.

    Raises:
        UserError: There are fewer than 2 draws.
    """
    check_count("permutations", permutations, 2, ", because a null needs at least 2 draws")


def check_seed(seed: int) -> None:
    """Refuse a seed that random generators do not accept, and None, which would give other draws in each call.

    Raises:
        UserError: The seed is negative, or not a whole number.
    """
    check_count("seed", seed, 0)


def check_count(name: str, value: int, least: int, why: str = "") -> None:
    """Refuse a number that is not a whole number, or too small.

    Args:
        name: Name of the argument, for the error message.
        value: The number.
        least: The smallest allowed number.
        why: The end of the message: a unit or a reason.

    Raises:
        UserError: The number is smaller, or not a whole number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise UserError(f"{name} is {value!r}: it must be a whole number of at least {least}{why}")


def check_length(name: str, value: Any) -> None:
    """Refuse a value that is not a finite length above 0.

    Args:
        name: Name of the argument, for the error message.
        value: The value, in mm.

    Raises:
        UserError: It is not.
    """
    check_type(name, value, (Real,), "a number of mm")
    if not 0 < value < math.inf:
        raise UserError(f"{name} is {value:g}: it must be a positive number of mm")


def check_between_0_and_1(name: str, value: float) -> None:
    """Refuse a probability or a fraction that is not strictly between 0 and 1.

    Args:
        name: Name of the setting, for the error message.
        value: The number.

    Raises:
        UserError: The number is 0 or less, or 1 or more.
    """
    if not 0 < value < 1:
        raise UserError(f"{name} is {value}: it must be larger than 0 and smaller than 1")


def check_selection(percent: float | None, q: float | None) -> None:
    """Refuse a rule by which no units can be selected.

    Args:
        percent: Percentage of all units: those with the largest t are selected.
        q: Bound of the false discovery rate.

    Raises:
        UserError: Both are given, or one is out of range.
    """
    if percent is not None and q is not None:
        raise UserError(f"percent is {percent:g} and q is {q:g}: give one of them, not both")
    if percent is not None and not 0 < percent <= 100:
        raise UserError(f"percent is {percent}: it must be larger than 0 and at most 100")
    if q is not None and not 0 < q <= 1:
        raise UserError(f"q is {q}: it must be larger than 0 and at most 1")


def check_min_size(min_size: int) -> None:
    """Refuse a smallest cluster size below 1.

    Raises:
        UserError: The size is less than 1.
    """
    check_count("min_size", min_size, 1, " unit")


def check_margin(margin: Any) -> None:
    """Refuse a margin of equivalence that is not a finite number above 0.

    Raises:
        UserError: The margin is 0, negative or not finite.
    """
    if not isinstance(margin, int | float) or isinstance(margin, bool) or not 0 < margin < math.inf:
        said = f"{margin:g}" if isinstance(margin, float) else repr(margin)
        raise UserError(
            f"margin is {said}: it must be a finite number above 0, the largest difference that counts as none"
        )


def check_vocabulary(vocabulary: int) -> None:
    """Refuse a vocabulary that is too small for a byte-level tokenizer.

    Raises:
        UserError: The vocabulary has fewer than 257 tokens.
    """
    if vocabulary < 257:
        raise UserError(
            f"vocabulary is {vocabulary}: it must be at least 257, for the 256 bytes and the end-of-text token"
        )


def check_spacing(spacing_mm: Any) -> None:
    """Refuse a value that is not the distance between two cells.

    Args:
        spacing_mm: The value, in mm.

    Raises:
        UserError: The value is not a positive, finite number.
    """
    if not isinstance(spacing_mm, Real) or isinstance(spacing_mm, bool) or not 0 < float(spacing_mm) < math.inf:
        raise UserError(f"spacing_mm is {spacing_mm!r}: it must be a positive number, the distance between cells in mm")


def check_max_samples(max_samples: int) -> None:
    """Refuse a number of tokens that is too small for a correlation.

    Raises:
        UserError: There are fewer than 2 tokens.
    """
    if max_samples < 2:
        raise UserError(f"max_samples is {max_samples}: it must be at least 2 tokens, because a correlation needs 2")


DEFAULT = Settings()
