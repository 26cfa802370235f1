"""`toposheet encode`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toposheet.commands._command import Command, check_out, deferred
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Model, Options, opening, read_table
from toposheet.errors import UserError, did_you_mean, listed
from toposheet.packages import FOR_ENCODING, check_package
from toposheet.settings import PERMUTATIONS, READING, Reading, check_fwhm, check_permutations, check_seed
from toposheet.version import __version__

if TYPE_CHECKING:
    import xarray as xr


@deferred
def encode(
    model: Model,
    recording: Path,
    out: Path,
    stimuli: str | None = None,
    passages: str | None = None,
    untrained: bool = False,
    taps: Contrasts = (),
    fwhm_mm: float = 0.0,
    folds: int = 5,
    gap: int | None = None,
    shuffled: bool = False,
    oasm_width: float = 2.0,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    reading: Reading = READING,
    options: Options = AS_USUAL,
) -> None:
    """Predict a recording, such as fMRI voxels, from the responses of a model, beside baselines and with nulls.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        recording: A CSV file with a row for each stimulus, in the order of presentation. Columns with the name of a
            column of the stimuli (such as text) say which stimulus it is; all other columns are voxels. A column
            repetition gives each stimulus several rows. Or a NetCDF file over stimulus, voxel and perhaps repetition.
        out: Folder for scores.csv, tests.csv, voxels.csv, similarity.csv (RSA and CKA) and figures.
        stimuli: A CSV file, or the name of a set. None: the stimuli that are saved with the model.
        passages: Name of the column of the recording or of the stimuli that names passages, stories or runs. They stay
            whole in folds and nulls. None: the whole recording is one passage.
        untrained: Whether to add a baseline: the model with random weights.
        taps: Names of the taps that are used. Without names, all taps are used.
        fwhm_mm: Width (mm) of the readout through which voxels see the units. 0: no readout.
        folds: Number of folds, at least 3. They are contiguous in time.
        gap: Stimuli that are at most this number of rows away from a test stimulus do not train. None: 5, or 0 with
            passages.
        shuffled: Put stimuli into folds at random. Anything that is smooth in time then scores high, so such scores are
            not tested.
        oasm_width: Standard deviation, in stimuli, of the Gaussian of the baseline oasm (orthogonal autocorrelated
            sequences).
        permutations: Number of random draws of each null.
        seed: Seed of all random draws, and of the random weights.
        reading: How a model reads a text.
        options: How stimuli are read.
    """
    check_permutations(permutations)
    check_seed(seed)
    check_fwhm("--fwhm-mm", fwhm_mm)
    check_out(out)
    check_package("himalaya", *FOR_ENCODING)
    from toposheet.encoding.recording import recording_file
    from toposheet.progress import Stage, Stages, shown

    recording_file(recording)  # a missing file is named before the model is opened
    with shown() as progress:
        plan = {"preparing": 15.0, "responses": 15.0, "encoding": 60.0, "comparing": 10.0}
        stages = Stages(progress, [Stage(kind, seconds) for kind, seconds in plan.items()])
        preparing = stages.begin("preparing")
        opened = opening(model, preparing, reading)
        import pandas as pd

        from toposheet.adaptation.random_weights import with_random_weights
        from toposheet.cache import cache_folder
        from toposheet.cortex.readout import sampled
        from toposheet.encoding import cka, read_recording, rsa
        from toposheet.encoding import encode as encode_responses
        from toposheet.provenance import reading_in_words
        from toposheet.subject.respond import resolved_reading, respond

        table = read_table(stimuli, opened, options, preparing)
        named = [str(column) for column in table.columns]
        recorded = read_recording(recording, labels=[*named, *([passages] if passages else [])])
        subject = opened()
        known, _ = resolved_reading(subject, reading)
        subjects = [subject, *([with_random_weights(subject, seed)] if untrained else [])]
        responding = stages.begin("responses")
        responses, *without = (
            _of_taps(respond(one, table, reading=known, cache=cache_folder(), progress=responding), taps)
            for one in subjects
        )
        encoding = encode_responses(
            responses, recorded, passages=passages, untrained=without[0] if without else None, fwhm_mm=fwhm_mm,
            folds=folds, gap=gap, shuffled=shuffled, oasm_width=oasm_width, permutations=permutations, seed=seed,
            progress=stages.begin("encoding"),
        )  # fmt: skip
        comparing = stages.begin("comparing")
        of_both: dict[str, Any] = {"passages": passages, "gap": gap, "permutations": permutations, "seed": seed}
        similarity = [
            measure(sampled(responses, fwhm_mm), recorded, **of_both, progress=comparing) for measure in (rsa, cka)
        ]
        facts = {
            "version": __version__, "model": subject.name, "fingerprint": subject.fingerprint,
            "recording": recording.name, "recording_sha256": hashlib.sha256(recording.read_bytes()).hexdigest(),
            "reading": reading_in_words(known),
        }  # fmt: skip
        encoding.write(out, similarity=pd.concat(similarity), facts=facts)
        stages.end("the recording is predicted")
    print(f"{subject.name} on {recording.name}")
    print(encoding)
    print(f"\nThe encoding: {out.resolve()} (scores.csv, tests.csv, voxels.csv, similarity.csv, figures)")


def _of_taps(responses: xr.DataArray, taps: Sequence[str]) -> xr.DataArray:
    """Return the responses of some taps. Without names, all responses are returned.

    Raises:
        UserError: There is no such tap.
    """
    existing = list(dict.fromkeys(responses["tap"].values.tolist()))
    if unknown := [tap for tap in taps if tap not in existing]:
        raise UserError(
            f"there is no tap {unknown[0]!r}.{did_you_mean(unknown[0], existing)} The taps are: {listed(existing)}"
        )
    return responses[:, responses["tap"].isin(list(taps) or existing).values]


COMMAND = Command(position=64, parser=encode)
