"""Similarity of a model and a recording without any fit: representational dissimilarities (RSA) and kernels (CKA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float
from scipy import linalg, stats

from toposheet.cortex.layout import ALL_TAPS
from toposheet.encoding.matching import matched, passage_numbers, units_of_taps, usable
from toposheet.encoding.rearrangements import rearrangements
from toposheet.encoding.recording import REPETITION, check_recording
from toposheet.encoding.splits import gap_of
from toposheet.errors import UserError
from toposheet.progress import SILENT, Progress
from toposheet.results import Table
from toposheet.settings import PERMUTATIONS, check_choice, check_permutations, check_seed
from toposheet.stats import against_null, familywise_p

Measure = Literal["spearman", "kendall"]
SIMILARITY = Table(
    "similarity.csv",
    {"tap": "text", "measure": "text", "n_stimuli": "count", "value": "number", "null_mean": "number",
     "null_sd": "number", "z": "number", "p": "number", "p_corrected": "number"},
    "how similar the stimuli are to each other in one tap and in the recording, by one measure",
)  # fmt: skip
Matrix = Float[np.ndarray, "stimuli stimuli"]
Pairs = Bool[np.ndarray, "stimuli stimuli"]


def rsa(
    responses: xr.DataArray,
    recording: xr.DataArray,
    *,
    measure: Measure = "spearman",
    passages: str | None = None,
    gap: int | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how alike the dissimilarities of stimuli are in a model and in a recording (RSA).

    The dissimilarity of two stimuli is 1 minus the correlation of their patterns over units, or over voxels. All pairs
    of stimuli are compared in the model and in the recording (Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008),
    by Spearman's rank correlation or by Kendall's tau a (Nili et al. 2014, doi:10.1371/journal.pcbi.1003553).

    Units and voxels are not standardised, so those with large values decide. Pairs that are near each other in time do
    not count: neighbours are alike in every recording and every model that is smooth in time, whatever the texts say.

    Args:
        responses: Responses from `respond`.
        recording: The recording, see `encode`. It needs at least 3 voxels that vary.
        measure: `"spearman"` or `"kendall"`.
        passages: Name of the column that names passages, which the null keeps whole, see `encode`. Pairs of stimuli of
            one passage do not count.
        gap: Pairs of stimuli that are at most this number of rows apart do not count. None: 5, or 0 with passages.
        permutations: Number of draws of the null, which moves the recording against the texts, as in `encode`.
        seed: Seed of the random draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        A row for each tap, and a row `*` for all taps together. `value` is from -1 to 1; 0 means that dissimilarities
        are unrelated. p is one-sided; `p_corrected` is corrected for the number of taps (`familywise_p`).

    Raises:
        UserError: The recording or the responses cannot be used, they do not fit together, or an option is out of
            range. Or all units or voxels have one value for a stimulus, which has then no pattern.
    """
    check_choice("measure", measure, get_args(Measure))
    compare = _spearman if measure == "spearman" else kendall_tau_a

    def compared(of_model: Matrix, of_recording: Matrix, pairs: Pairs) -> float:
        once = np.triu(pairs)
        return compare(of_model[once], of_recording[once])

    name = f"rsa-{measure}"
    return _similarity(
        name, dissimilarities, compared, responses, recording, passages, gap, permutations, seed, progress
    )


def cka(
    responses: xr.DataArray,
    recording: xr.DataArray,
    *,
    passages: str | None = None,
    gap: int | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how alike the linear kernels of stimuli are in a model and in a recording (CKA), without bias.

    Centered kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),
    with the kernels K = X X' of the units and L = Y Y' of the voxels. HSIC is the unbiased estimate of Song et al.
    (2012, jmlr.org/papers/v13/song12a.html): the usual one is high for unrelated data, if there are more units than
    stimuli. Units and voxels are not standardised, so those with large values decide. Pairs that are near each other in
    time do not count, see `rsa`.

    Args:
        responses: Responses from `respond`.
        recording: The recording, see `encode`. There must be at least 4 stimuli.
        passages: Name of the column that names passages, which the null keeps whole, see `encode`. Pairs of stimuli of
            one passage do not count.
        gap: Pairs of stimuli that are at most this number of rows apart do not count. None: 5, or 0 with passages.
        permutations: Number of draws of the null, which moves the recording against the texts, as in `encode`.
        seed: Seed of the random draws.
        progress: A function that is called with the number of taps done so far. None: no calls.

    Returns:
        A row for each tap, and a row `*` for all taps together. `value` is 1 if the kernels agree; it is about 0, and
        can be negative, if they are unrelated. It is nan if a kernel has no variance beyond noise. p is one-sided;
        `p_corrected` is corrected for the number of taps (`familywise_p`).

    Raises:
        UserError: The recording or the responses cannot be used, they do not fit together, or an option is out of
            range.
    """

    def kernel(x: np.ndarray, _what: str) -> np.ndarray:
        x = x - x.mean(axis=0)
        return x @ x.T

    return _similarity("cka", kernel, unbiased_cka, responses, recording, passages, gap, permutations, seed, progress)


def dissimilarities(x: Float[np.ndarray, "stimuli features"], what: str = "the array") -> Matrix:
    """Return 1 minus the correlation of the patterns of each two stimuli.

    Args:
        x: The pattern of each stimulus.
        what: Name of the array, for the error message.

    Raises:
        UserError: There are fewer than 3 units or voxels, or the pattern of a stimulus is constant.
    """
    if x.shape[1] < 3:
        raise UserError(f"{what} has {x.shape[1]} units or voxels: patterns need at least 3")
    x = x - x.mean(axis=1, keepdims=True)
    size = np.sqrt((x**2).sum(axis=1, keepdims=True))
    if (size == 0).any():
        raise UserError(
            f"{what} has one value in all units or voxels for stimulus {int((size == 0).argmax()) + 1}: leave it out"
        )
    return 1 - (x / size) @ (x / size).T


def kendall_tau_a(a: Float[np.ndarray, " pairs"], b: Float[np.ndarray, " pairs"]) -> float:
    """Return Kendall's tau a of two lists: concordant minus discordant pairs of entries, divided by all pairs.

    Ties count as disagreement, unlike in tau b.

    Args:
        a: The first list.
        b: The second list.
    """
    n = len(a) * (len(a) - 1) / 2
    untied = [n - (counts * (counts - 1) / 2).sum() for counts in (np.unique(x, return_counts=True)[1] for x in (a, b))]
    tau_b, _ = stats.kendalltau(a, b)
    return float(tau_b * np.sqrt(untied[0] * untied[1]) / n) if all(untied) else 0.0


def unbiased_cka(k: Matrix, other: Matrix, pairs: Pairs) -> float:
    """Return the CKA of two kernels over pairs of different stimuli.

    From each kernel, the best fit k_ij = a_i + a_j over the pairs is removed, by least squares. CKA is the cosine of
    what is left of both kernels. If the pairs are all pairs of different stimuli, this is the CKA whose HSIC is the
    unbiased estimate of Song et al. (2012): the fit is then their U-centring (Székely & Rizzo 2014, arXiv:1310.2926).

    Args:
        k: The first kernel.
        other: The second kernel.
        pairs: True for the pairs of stimuli that count.
    """
    left, right = _without_stimuli(k, pairs), _without_stimuli(other, pairs)
    size = np.sqrt((left**2).sum() * (right**2).sum())
    return float((left * right).sum() / size) if size > 0 else float("nan")


def _without_stimuli(k: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return a kernel without the effects of single stimuli, at the pairs that count."""
    counts = pairs.astype(float)
    equations = counts + np.diag(counts.sum(axis=1))  # singular if there are only two passages
    solved = linalg.lstsq(equations, (counts * k).sum(axis=1), lapack_driver="gelsy")
    assert solved is not None, "SciPy's stubs do not know that only bad arguments give None"
    return counts * (k - solved[0] - solved[0][:, None])


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def _similarity(
    name: str,
    matrix: Callable[[np.ndarray, str], np.ndarray],
    compared: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    responses: xr.DataArray,
    recording: xr.DataArray,
    passages: str | None,
    gap: int | None,
    permutations: int,
    seed: int,
    progress: Progress | None,
) -> pd.DataFrame:
    """Return the table of a measure that compares a matrix over stimuli of the model with one of the recording."""
    check_permutations(permutations)
    check_seed(seed)
    recording, _ = check_recording(recording)
    responses = usable(matched(responses, recording), "responses")
    n = recording.sizes["stimulus"]
    if n < 4:
        raise UserError(f"there are {n} stimuli: this needs at least 4")
    numbers = passage_numbers(responses, recording, passages)
    draws = rearrangements(n, numbers, permutations, np.random.default_rng(seed))
    pairs = _distant(n, numbers, gap_of(gap, numbers))
    if not pairs.any(axis=1).all():
        raise UserError("some stimuli have no distant stimulus: choose a smaller gap, or leave passages out")
    y = recording.mean(REPETITION) if REPETITION in recording.dims else recording
    of_recording = matrix(y.values, "the recording")
    taps, values = units_of_taps(responses), []
    report = progress or SILENT
    report(f"comparing taps, {name}", 0, len(taps))
    for done, (tap, units) in enumerate(taps.items(), 1):
        of_model = matrix(responses.values[:, units].astype(float), f"tap {tap}")
        null = [
            compared(of_model, of_recording[np.ix_(order, order)], pairs & pairs[np.ix_(order, order)])
            for order in draws
        ]
        values.append([compared(of_model, of_recording, pairs), *null])
        report(f"comparing taps, {name}", done, len(taps))
    observed, null = np.array(values).T[0], np.array(values).T[1:]
    tested = against_null(observed, null)
    single = np.array([tap != ALL_TAPS for tap in taps])
    corrected = tested.p.copy()  # all taps together are a test of their own
    corrected[single] = familywise_p(np.concatenate([observed[None], null])[:, single])
    columns = {"tap": list(taps), "measure": name, "n_stimuli": n, "value": observed, **tested.columns()}
    return SIMILARITY.frame(pd.DataFrame({**columns, "p_corrected": corrected}))


def _distant(n_stimuli: int, passages: np.ndarray | None, gap: int) -> np.ndarray:
    """Return which pairs of stimuli are of different passages and more than a gap apart."""
    rows = np.arange(n_stimuli)
    distant = np.abs(np.subtract.outer(rows, rows)) > gap
    return distant if passages is None else distant & (passages[:, None] != passages)
