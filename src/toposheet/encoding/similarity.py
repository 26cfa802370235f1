"""Similarity of a model and a recording without any fit: representational dissimilarities (RSA) and kernels (CKA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy import stats

from toposheet.cortex.layout import ALL_TAPS
from toposheet.encoding.matching import matched, passage_numbers, units_of_taps, usable
from toposheet.encoding.rearrangements import rearrangements
from toposheet.encoding.recording import REPETITION, check_recording
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


def rsa(
    responses: xr.DataArray,
    recording: xr.DataArray,
    *,
    measure: Measure = "spearman",
    passages: str | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how alike the dissimilarities of stimuli are in a model and in a recording (RSA).

    The dissimilarity of two stimuli is 1 minus the correlation of their patterns over units, or over voxels. All pairs
    of stimuli are compared in the model and in the recording (Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008),
    by Spearman's rank correlation or by Kendall's tau a (Nili et al. 2014, doi:10.1371/journal.pcbi.1003553).

    Units and voxels are not standardised, so those with large values decide.

    Args:
        responses: Responses from `respond`.
        recording: The recording, see `encode`. It needs at least 3 voxels that vary.
        measure: `"spearman"` or `"kendall"`.
        passages: Name of the column that names passages, which the null keeps whole, see `encode`.
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

    def compared(of_model: Matrix, of_recording: Matrix) -> float:
        pairs = np.triu_indices(len(of_model), 1)
        return compare(of_model[pairs], of_recording[pairs])

    name = f"rsa-{measure}"
    return _similarity(name, dissimilarities, compared, responses, recording, passages, permutations, seed, progress)


def cka(
    responses: xr.DataArray,
    recording: xr.DataArray,
    *,
    passages: str | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return how alike the linear kernels of stimuli are in a model and in a recording (CKA), without bias.

    Centered kernel alignment (Kornblith et al. 2019, arXiv:1905.00414) is HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),
    with the kernels K = X X' of the units and L = Y Y' of the voxels. HSIC is the unbiased estimate of Song et al.
    (2012, jmlr.org/papers/v13/song12a.html): the usual one is high for unrelated data, if there are more units than
    stimuli. Units and voxels are not standardised, so those with large values decide.

    Args:
        responses: Responses from `respond`.
        recording: The recording, see `encode`. There must be at least 4 stimuli.
        passages: Name of the column that names passages, which the null keeps whole, see `encode`.
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

    return _similarity("cka", kernel, unbiased_cka, responses, recording, passages, permutations, seed, progress)


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


def unbiased_cka(k: Matrix, l: Matrix) -> float:  # noqa: E741
    """Return the CKA of two kernels, with unbiased estimates of HSIC.

    HSIC = [tr(K L) + (1' K 1)(1' L 1) / ((n - 1)(n - 2)) - 2 (1' K L 1) / (n - 2)] / (n (n - 3)), with 0 on both
    diagonals.

    Args:
        k: The first kernel.
        l: The second kernel.
    """
    norm = _hsic(k, k) * _hsic(l, l)
    return float(_hsic(k, l) / np.sqrt(norm)) if norm > 0 else float("nan")


def _hsic(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    sums = k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 * (k.sum(axis=0) @ l.sum(axis=1)) / (n - 2)
    return float(((k * l).sum() + sums) / (n * (n - 3)))


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def _similarity(
    name: str,
    matrix: Callable[[np.ndarray, str], np.ndarray],
    compared: Callable[[np.ndarray, np.ndarray], float],
    responses: xr.DataArray,
    recording: xr.DataArray,
    passages: str | None,
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
    y = recording.mean(REPETITION) if REPETITION in recording.dims else recording
    of_recording = matrix(y.values, "the recording")
    taps, values = units_of_taps(responses), []
    report = progress or SILENT
    report(f"comparing taps, {name}", 0, len(taps))
    for done, (tap, units) in enumerate(taps.items(), 1):
        of_model = matrix(responses.values[:, units].astype(float), f"tap {tap}")
        null = [compared(of_model, of_recording[np.ix_(order, order)]) for order in draws]
        values.append([compared(of_model, of_recording), *null])
        report(f"comparing taps, {name}", done, len(taps))
    observed, null = np.array(values).T[0], np.array(values).T[1:]
    tested = against_null(observed, null)
    single = np.array([tap != ALL_TAPS for tap in taps])
    corrected = tested.p.copy()  # all taps together are a test of their own
    corrected[single] = familywise_p(np.concatenate([observed[None], null])[:, single])
    columns = {"tap": list(taps), "measure": name, "n_stimuli": n, "value": observed, **tested.columns()}
    return SIMILARITY.frame(pd.DataFrame({**columns, "p_corrected": corrected}))
