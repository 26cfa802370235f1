"""A subject of toposheet as an `ArtificialSubject` of brainscore-language 2.3.

This module is for the environment of Brain-Score. It needs brainscore-language, and of toposheet only this folder: see
the page docs/brain_score.md.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

import numpy as np

from toposheet.brain_score.messages import PROTOCOL, Message, array_in
from toposheet.brain_score.process import SubjectProcess, find_python
from toposheet.errors import NotFound, RunError, UserError, did_you_mean

try:
    _ArtificialSubject: Any = import_module("brainscore_language.artificial_subject").ArtificialSubject
    _preprocessing: Any = import_module("brainscore_language.model_helpers.preprocessing")
    _assemblies: Any = import_module("brainscore_core.supported_data_standards.brainio.assemblies")
except ModuleNotFoundError as missing:
    raise NotFound(
        f"Brain-Score needs the package {missing.name}, in an environment of its own: see docs/brain_score.md"
    ) from None

Places = str | Sequence[str]
"""Where on the sheets a region is: a tap, a region such as disc:SHEET:ROW:COLUMN:RADIUS_MM, or several of them."""

_COORDINATES = ("layer", "neuron_number_in_layer", "sheet", "tissue_x", "tissue_y")


class BrainScoreSubject(_ArtificialSubject):
    """A subject of toposheet for the benchmarks of Brain-Score. Its interventions act.

    The subject runs in a process of its own, in the environment of toposheet. This process is started here, and ends
    with this object. If it ends too early, or if a call is interrupted, the next call starts another one.

    A text is read as by the package's `HuggingfaceSubject`: each part after the parts before it; a response is the
    activation at the last token of the part; a reading time is the surprisal of the part in bits.

    Args:
        model: A model folder, a hub id, the name of a shipped model, or a Python script (`.py`) that makes the subject
            in a variable `subject`. The script is run in the environment of toposheet.
        region_layer_mapping: Which units belong to which region of Brain-Score: {region: places}. A place is the name
            of a tap, or a region as on the command line (`disc:SHEET:ROW:COLUMN:RADIUS_MM`, `localizer:PATH`, ...).
            None: all units belong to each region.
        identifier: The name of the subject in Brain-Score. None: the name of the model, with its interventions.
        python: The Python of the environment of toposheet. None: that of the environment variable TOPOSHEET_PYTHON.
        bos: The token that stands before texts. none: no token. None: what the tokenizer itself puts there, as in
            `HuggingfaceSubject`.
        lesion: A region that is lesioned. None: no lesion.
        lesion_to: What lesioned units put out: zero, mean or noise.
        stimulate: A region that is stimulated. None: no stimulation.
        strength: The strength of the stimulation, in standard deviations of each unit.
        device: The device on which the model runs. None: the CPU.
        dtype: The data type of the weights. None: float32.

    Raises:
        UserError: The model cannot be opened, it lacks a place, an argument has a wrong value, or it is not known where
            toposheet is installed. NotFound, if something does not exist.
        RunError: The process of the subject has ended.

    Example:
        subject = BrainScoreSubject("small", {"language_system": "model.layers.4.mlp"})
        subject.start_neural_recording("language_system", "fMRI")
        subject.digest_text(["the quick brown fox", "jumps over the lazy dog"])["neural"]
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        region_layer_mapping: Mapping[str, Places] | None = None,
        *,
        identifier: str | None = None,
        python: str | os.PathLike[str] | None = None,
        bos: str | None = None,
        lesion: str | None = None,
        lesion_to: str | None = None,
        stimulate: str | None = None,
        strength: float | int | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if not isinstance(model, str | os.PathLike):
            raise UserError(f"model is a {type(model).__name__}: it must be a folder, a hub id, a name or a script")
        if lesion_to is not None and lesion is None:
            raise UserError(f"lesion_to is {lesion_to!r}, but there is no lesion: give lesion, or leave lesion_to out")
        self._python = find_python(python)
        self._opening = {
            "ask": "open",
            "protocol": PROTOCOL,
            "model": os.fspath(model),
            "bos": bos,
            "options": {
                "device": device, "dtype": dtype, "lesion": lesion, "lesion_to": lesion_to, "stimulate": stimulate,
                "strength": strength,
            },
            "regions": _places(region_layer_mapping),
        }  # fmt: skip
        self._process: SubjectProcess | None = None
        self._recordings: list[tuple[str, str]] = []
        self._task: str | None = None
        self._opened = self._open()
        self._units = {name: np.array(self._opened["neuroids"][name]) for name in _COORDINATES[:3]}
        self._units |= {name: array_in(self._opened["neuroids"][name]) for name in _COORDINATES[3:]}
        self._identifier = identifier or self._opened["name"]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(units):,} units" for name, units in self._opened["regions"].items())
        return f"BrainScoreSubject({self._identifier}; {sizes})"

    def __enter__(self) -> BrainScoreSubject:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process of the subject. A later call starts another one."""
        if self._process is not None:
            self._process.close()
            self._process = None

    @property
    def pid(self) -> int | None:
        """The id of the process in which the subject runs. None: there is no process."""
        return None if self._process is None else self._process.pid

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the subject in toposheet, see `toposheet.Subject.fingerprint`."""
        return self._opened["fingerprint"]

    def identifier(self) -> str:
        """Return the name of the subject in Brain-Score."""
        return self._identifier

    def start_behavioral_task(self, task: str) -> None:
        """Let `digest_text` put out behavior from here on.

        Args:
            task: `next_word`: the next word that the subject predicts after each part. `reading_times`: the surprisal
                of each part, in bits.

        Raises:
            UserError: There is no such task.
        """
        _check_one_of("the task", task, self.Task)
        self._task = task

    def start_neural_recording(self, recording_target: str, recording_type: str) -> None:
        """Let `digest_text` put out the responses of a region from here on, too.

        Args:
            recording_target: A region, such as `language_system`.
            recording_type: `fMRI` or `ECoG`. The responses do not depend on it.

        Raises:
            UserError: The subject has no such region, or there is no such type of recording.
        """
        regions = self._opened["regions"]
        if recording_target not in regions:
            raise UserError(
                f"{self._identifier} has no region {recording_target!r}: region_layer_mapping gives it "
                f"{', '.join(regions)}.{did_you_mean(str(recording_target), regions)}"
            )
        _check_one_of("the recording type", recording_type, self.RecordingType)
        if (recording_target, recording_type) not in self._recordings:
            self._recordings.append((recording_target, recording_type))

    def digest_text(self, text: str | Sequence[str]) -> dict[str, Any]:
        """Return what the subject does while it reads a text, and what its units do.

        Args:
            text: A text, or its parts in order. Nothing is remembered from one call to the next.

        Returns:
            `behavior`: an assembly over `presentation`, the parts; None without a task. `neural`: an assembly over
            `presentation` and `neuroid`; None without a recording. The coordinates of the parts are `stimulus`,
            `context` (the text so far, with the part) and `part_number`. Those of the neuroids are `neuroid_id`,
            `region`, `layer` (the tap), `recording_type`, `neuron_number_in_layer`, `sheet`, and the place on the sheet
            in mm: `tissue_x` and `tissue_y`.

        Raises:
            UserError: The text is not a str, or not several of them, a part alone is longer than the subject reads, or
                the text begins with an empty part.
            RunError: The process of the subject has ended.
        """
        parts = _parts(text)
        if self._task is None and not self._recordings:
            return {"behavior": None, "neural": None}
        contexts = [_preprocessing.prepare_context(parts[: number + 1]) for number in range(len(parts))]
        regions = [target for target, _ in self._recordings]
        answer = self._ask({"ask": "digest", "contexts": contexts, "regions": regions, "behavior": self._task})
        if answer["n_truncated"]:
            warnings.warn(
                f"with {answer['n_truncated']} of {len(parts)} parts, the text so far is longer than "
                f"{self._identifier} reads: it read the last tokens only",
                stacklevel=2,
            )
        coordinates = {
            "stimulus": ("presentation", parts),
            "context": ("presentation", contexts),
            "part_number": ("presentation", np.arange(len(parts))),
        }
        output: dict[str, Any] = {"behavior": None, "neural": None}
        if self._task is not None:
            values = array_in(answer["behavior"]) if isinstance(answer["behavior"], dict) else answer["behavior"]
            output["behavior"] = _assemblies.BehavioralAssembly(values, coords=coordinates, dims=["presentation"])
        if self._recordings:
            output["neural"] = _assemblies.NeuroidAssembly(
                array_in(answer["neural"]),
                coords={**coordinates, **self._neuroids()},
                dims=["presentation", "neuroid"],
            )
        return output

    def _neuroids(self) -> dict[str, tuple[str, Any]]:
        """Return the coordinates of the recorded units."""
        columns: dict[str, list[Any]] = {}
        for target, kind in self._recordings:
            units = self._opened["regions"][target]
            here = {name: values[units] for name, values in self._units.items()}
            numbered = zip(here["layer"], here["neuron_number_in_layer"], strict=True)
            here["neuroid_id"] = np.array([f"{layer}--{number}" for layer, number in numbered])
            here["region"], here["recording_type"] = np.full(len(units), target), np.full(len(units), kind)
            for name, values in here.items():
                columns.setdefault(name, []).append(values)
        return {name: ("neuroid", np.concatenate(values)) for name, values in columns.items()}

    def _ask(self, question: Message) -> Message:
        """Return the answer of the process of the subject, which is started if there is none."""
        if (self._process is None or not self._process.runs) and self._open()["fingerprint"] != self.fingerprint:
            self.close()
            raise RunError(
                f"{self._opening['model']} has changed since this subject was made: make a new BrainScoreSubject"
            )
        assert self._process is not None
        return self._process.ask(question)

    def _open(self) -> Message:
        """Start the process and return what it says of the subject."""
        self._process = SubjectProcess(self._python, str(self._opening["model"]))
        try:
            return self._process.ask(self._opening)
        except BaseException:
            self.close()
            raise


def _places(mapping: Mapping[str, Places] | None) -> dict[str, list[str] | None]:
    """Return the places of each region. None: all units."""
    if mapping is None:
        return dict.fromkeys(_names(_ArtificialSubject.RecordingTarget))
    if not isinstance(mapping, Mapping):
        raise UserError(
            f"region_layer_mapping is a {type(mapping).__name__}: it must be a dict, such as "
            "{'language_system': 'model.layers.4.mlp'}"
        )
    places: dict[str, list[str] | None] = {}
    for name, given in mapping.items():
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list | tuple) or not listed or not all(isinstance(one, str) for one in listed):
            raise UserError(f"the region {name!r} has the places {given!r}: give the name of a tap, or a list of names")
        places[str(name)] = list(listed)
    return places


def _parts(text: str | Sequence[str]) -> list[str]:
    """Return the parts of a text."""
    if isinstance(text, str):
        return [text]
    values = getattr(text, "values", text)  # an assembly of stimuli
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, list | tuple):
        raise UserError(f"the text is a {type(text).__name__}: it must be a str, or a list of str")
    if not values:
        raise UserError("the text has no parts: give at least one")
    for number, part in enumerate(values):
        if not isinstance(part, str):
            raise UserError(f"part {number + 1} of the text is a {type(part).__name__}: it must be a str")
    return [str(part) for part in values]


def _names(kind: Any) -> list[str]:
    """Return the names that a class of constants of Brain-Score holds."""
    return [value for name, value in vars(kind).items() if not name.startswith("_")]


def _check_one_of(what: str, given: object, kind: Any) -> None:
    names = _names(kind)
    if given not in names:
        raise UserError(f"{what} is {given!r}: it must be one of {', '.join(names)}.{did_you_mean(str(given), names)}")
