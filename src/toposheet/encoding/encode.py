"""Encoding: how well the responses of a model predict a recording, beside baselines that know nothing of the texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from toposheet.cortex.layout import check_coordinates
from toposheet.cortex.readout import sampled
from toposheet.encoding.baselines import Features, baseline_features
from toposheet.encoding.ceiling import noise_ceiling
from toposheet.encoding.matching import matched, passage_numbers, units_of_taps, usable
from toposheet.encoding.rearrangements import null_in_words, orders_passages, rearrangements
from toposheet.encoding.recording import REPETITION, check_recording, voxel_names
from toposheet.encoding.result import Encoding, TapFit, encoding_of
from toposheet.encoding.ridge import BandedRidge, baseline_weights, joint_weights
from toposheet.encoding.scores import Sums
from toposheet.encoding.splits import FOLDS, Folds, blocks_of, gap_of, make_folds
from toposheet.errors import UserError
from toposheet.packages import FOR_ENCODING, check_package
from toposheet.progress import SILENT, Progress
from toposheet.settings import PERMUTATIONS, check_fwhm, check_permutations, check_seed

_TARGETS = 16_384  # voxels times draws that are fitted together, which bounds the memory


def encode(
    responses: xr.DataArray,
    recording: xr.DataArray,
    *,
    passages: str | None = None,
    untrained: xr.DataArray | None = None,
    fwhm_mm: float = 0.0,
    folds: int = FOLDS,
    gap: int | None = None,
    shuffled: bool = False,
    oasm_width: float = 2.0,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Encoding:
    """Return how well the responses of a model predict each voxel of a recording, beside baselines, with nulls.

    For each tap, and for all taps together, ridge regression predicts each voxel in stimuli that did not train it
    (`BandedRidge`). Folds are contiguous in time, because neighbours in time are alike in recordings and in models: a
    test stimulus whose neighbours train is predicted by anything that is smooth (Feghhi et al. 2024,
    arXiv:2406.01538). The same regression predicts the recording from baselines: the place in the passage, the length
    of the text, closeness in time (`sequences`), and the responses of an untrained model, if they are given. What the
    model adds is `unique_r2`: the r2 of the baselines and the model together, minus the r2 of the baselines.

    Two nulls move the recording against the texts and fit everything again (`rearrangements`). The null of the score
    moves the recording. The null of what the model adds moves only what the baselines leave of it: the held-out
    prediction of the baselines stays in place, and the rest is moved (Freedman & Lane 1983,
    doi:10.1080/07350015.1983.10509354; Winkler et al. 2014, doi:10.1016/j.neuroimage.2014.01.060).

    Args:
        responses: Responses from `respond`. To use some taps only, select them:
            `responses[:, responses["tap"] == "..."]`.
        recording: The recording, from `read_recording`, or an array with the dimensions `stimulus, voxel`, and perhaps
            `repetition`, whose mean is predicted. Its rows are in the order of presentation. A coordinate of the
            stimuli, such as `text`, says which stimulus each row is. A voxel that never varies is left out.
        passages: Name of the column that says to which passage, story or run a stimulus belongs. Passages are kept
            whole in folds and nulls. None: the whole recording is one passage, and folds are contiguous blocks of it.
        untrained: Responses of a model of the same architecture with random weights to the same stimuli, as a further
            baseline. None: there is no such baseline.
        fwhm_mm: Width of the readout (mm) through which voxels see the units. 0: no readout.
        folds: Number of folds, at least 3.
        gap: Stimuli that are at most this number of rows away from a test stimulus do not train. None: 5, or 0 with
            passages.
        shuffled: True: put stimuli into folds at random. This gives high scores to anything that is smooth in time. Use
            it only to see how much it inflates scores: they are not tested.
        oasm_width: Standard deviation (stimuli) of the Gaussian of the baseline `oasm`.
        permutations: Number of draws of each null. There are fewer if the recording has fewer different shifts.
        seed: Seed of all random draws.
        progress: A function that is called with the number of fits done so far. None: no calls.

    Returns:
        The scores, their tests, and the scores of each voxel, as tables.

    Raises:
        UserError: The recording or the responses cannot be used, they do not fit together, or an option is out of
            range.
        MissingPackage: himalaya is not installed.

    Example:
        recording = ts.read_recording("recording.csv", labels=["text", "story"])
        print(ts.encode(ts.respond(subject, stimuli), recording, passages="story"))
    """
    check_package("himalaya", *FOR_ENCODING)
    check_permutations(permutations)
    check_seed(seed)
    check_fwhm("fwhm_mm", fwhm_mm)
    if not isinstance(oasm_width, Real) or not 0 < float(oasm_width) < np.inf:
        raise UserError(f"oasm_width is {oasm_width!r}: it must be a positive number of stimuli")
    recording, n_excluded = check_recording(recording)
    responses = usable(matched(responses, recording), "responses")
    if untrained is not None:
        untrained = _same_units(usable(matched(untrained, recording), "untrained"), responses)
    numbers = passage_numbers(responses, recording, passages)
    blocks = blocks_of(recording.sizes["stimulus"], numbers, folds)
    rng = np.random.default_rng(seed)
    gap = 0 if shuffled else gap_of(gap, numbers)
    splits = make_folds(blocks, folds, gap, shuffled, rng)
    draws = rearrangements(len(blocks), numbers, 0 if shuffled else permutations, rng)
    rows = np.concatenate([np.arange(len(blocks))[None], draws])
    repetitions = recording.values if REPETITION in recording.dims else recording.values[..., None]
    y = repetitions.mean(axis=2)
    features = baseline_features(responses, numbers, oasm_width)
    responses = sampled(responses, fwhm_mm)
    untrained = untrained if untrained is None else sampled(untrained, fwhm_mm)
    taps = units_of_taps(responses)
    report = progress or SILENT
    report("fitting taps", 0, len(taps))
    fits, baselines = {}, None
    for n, (tap, units) in enumerate(taps.items(), 1):
        if untrained is not None:
            of_tap = untrained.isel(unit=units)
            features, baselines = baseline_features(responses, numbers, oasm_width, of_tap), None
        baselines = baselines or _fit_baselines(features, y, splits, rows)
        model = Features(responses.values[:, units].astype(float))
        fit = _fit_model(model, features, baselines, y, splits, rows, blocks)
        # With shifts, p of what a model adds was at most 0.05 in 14 of 120 unrelated recordings, so it is not tested.
        fits[tap] = fit if orders_passages(numbers) else replace(fit, unique_draws=fit.unique_draws[:0])
        report("fitting taps", n, len(taps))
    facts = {
        "n_stimuli": len(blocks), "n_voxels": y.shape[1], "n_excluded": n_excluded, "passages": passages or "",
        "n_blocks": int(blocks.max()) + 1, "folds": folds, "gap": gap, "shuffled": shuffled, "fwhm_mm": fwhm_mm,
        "oasm_width": oasm_width, "permutations": len(draws), "null": null_in_words(len(blocks), numbers),
        "n_repetitions": repetitions.shape[2], "seed": seed,
    }  # fmt: skip
    return encoding_of(fits, voxel_names(recording), noise_ceiling(repetitions), facts, rng)


@dataclass(frozen=True, eq=False)
class _BaselineFit:
    """The held-out predictions of baselines.

    Args:
        predictions: The predictions of each baseline alone: {name: predictions}.
        together: The predictions of all baselines together.
        r2: The r2 of all baselines together: first of the recording, then of each draw of the null.
    """

    predictions: Mapping[str, Float[np.ndarray, "stimuli voxels"]]
    together: Float[np.ndarray, "stimuli voxels"]
    r2: Float[np.ndarray, "draws voxels"]


def _fit_baselines(
    features: Mapping[str, Features], y: np.ndarray, folds: Folds, rows: Int[np.ndarray, "draws stimuli"]
) -> _BaselineFit:
    alone = {name: BandedRidge([one], baseline_weights(1), folds).held_out(y) for name, one in features.items()}
    ridge = BandedRidge(list(features.values()), baseline_weights(len(features)), folds)
    together, r2 = ridge.held_out(y), np.empty((len(rows), y.shape[1]))
    for voxels in _chunks(y.shape[1], len(rows)):
        moved = _moved(y[:, voxels], together[:, voxels], rows)
        r2[:, voxels] = _sums(ridge.held_out(moved), moved, folds).r2.reshape(len(rows), -1)
    return _BaselineFit(alone, together, r2)


def _fit_model(
    model: Features,
    features: Mapping[str, Features],
    baselines: _BaselineFit,
    y: np.ndarray,
    folds: Folds,
    rows: Int[np.ndarray, "draws stimuli"],
    blocks: np.ndarray,
) -> TapFit:
    """Return the scores of a model, of its baselines and of both together, with the draws of the nulls."""
    alone = BandedRidge([model], baseline_weights(1), folds)
    joint = BandedRidge([model, *features.values()], joint_weights(len(features)), folds)
    of_model, of_joint = np.empty_like(y), np.empty_like(y)
    r, unique = np.empty(baselines.r2.shape), np.empty(baselines.r2.shape)
    for voxels in _chunks(y.shape[1], len(rows)):
        n = len(range(*voxels.indices(y.shape[1])))
        moved = _moved(y[:, voxels], np.zeros_like(y[:, voxels]), rows)
        predicted = alone.held_out(moved)
        of_model[:, voxels] = predicted[:, :n]
        r[:, voxels] = _sums(predicted, moved, folds).r.reshape(len(rows), n)
        moved = _moved(y[:, voxels], baselines.together[:, voxels], rows)
        predicted = joint.held_out(moved)
        of_joint[:, voxels] = predicted[:, :n]
        unique[:, voxels] = _sums(predicted, moved, folds).r2.reshape(len(rows), n) - baselines.r2[:, voxels]
    predictions = {"model": of_model, **baselines.predictions, "baselines": baselines.together, "joint": of_joint}
    sums = {name: Sums.of(predicted, y, folds, blocks) for name, predicted in predictions.items()}
    return TapFit(sums=sums, r_draws=r[1:], unique_draws=unique[1:])


def _moved(y: np.ndarray, kept: np.ndarray, rows: np.ndarray) -> Float[np.ndarray, "stimuli targets"]:
    """Return the recording in each draw, draw after draw: `kept` stays in place, and the rest of y is moved."""
    moved = kept + (y - kept)[rows]
    return np.moveaxis(moved, 0, 1).reshape(len(y), -1)


def _sums(predictions: np.ndarray, y: np.ndarray, folds: Folds) -> Sums:
    return Sums.of(predictions, y, folds, np.zeros(len(y), dtype=int))


def _chunks(n_voxels: int, draws: int) -> Iterator[slice]:
    size = max(1, _TARGETS // draws)
    for start in range(0, n_voxels, size):
        yield slice(start, start + size)


def _same_units(untrained: xr.DataArray, responses: xr.DataArray) -> xr.DataArray:
    check_coordinates(untrained, "tap")
    if untrained["tap"].values.tolist() != responses["tap"].values.tolist():
        raise UserError(
            "untrained has other taps or units than the responses: give the responses of a model of the same "
            "architecture at the same taps"
        )
    return untrained
