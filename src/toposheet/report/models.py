"""The models of a report: what tables call each, where it is, and what it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toposheet.errors import UserError
from toposheet.files import path_of
from toposheet.subject import Subject, load, local_folder, name_of, shipped


@dataclass(frozen=True, eq=False)
class StudiedModel:
    """A model of a report.

    Args:
        name: What tables call it.
        source: A folder, hub id or shipped model, which is opened when its turn comes; or an opened subject.
        is_control: Whether it is the control model: trained without topography.
        group: Models of one group are seeds of one objective. Empty: it is a group of its own.
    """

    name: str
    source: Subject | str | Path
    is_control: bool = False
    group: str = ""

    def open(self) -> Subject:
        """Return its subject.

        Raises:
            NotFound: there is no such model.
            UserError: it is no model with sheets.
        """
        return self.source if isinstance(self.source, Subject) else load(self.source)

    @property
    def folder(self) -> Path | None:
        """The folder that it lies in, None for a model made in memory."""
        return self.source.folder if isinstance(self.source, Subject) else local_folder(self.source)


def with_control(subject: Subject, control: str | Path | None = None) -> list[StudiedModel]:
    """Return a subject and its control model as the models of a report.

    Args:
        subject: What is studied.
        control: A folder, hub id or shipped model. None: that of a shipped model, or none.

    Raises:
        NotFound: there is no such control.
        UserError: it is the subject itself.
    """
    source = subject.source
    if (
        control is None
        and isinstance(source, str)
        and not path_of(source).is_dir()
        and f"{source}-control" in shipped()
    ):
        control = f"{source}-control"
    if control is None:
        recipe = subject.recipe
        return [StudiedModel(subject.name, subject, is_control=recipe is not None and recipe.is_control)]
    if subject.folder is not None and local_folder(control).resolve() == subject.folder.resolve():
        raise UserError(f"the control {control} is the model itself: give a model without topography")
    return [StudiedModel("topographic", subject), StudiedModel("control", control, is_control=True)]


def grouped(models: Sequence[str]) -> list[StudiedModel]:
    """Return models in groups: `GROUP=MODEL` belongs to a group, `MODEL` is one of its own.

    Raises:
        UserError: there is no model, or the same twice.
    """
    groups: dict[str, dict[str, str]] = {}
    for text in models:
        group, sign, model = ("", "", text) if path_of(text).exists() else text.partition("=")
        if not sign:
            model = text
            group = name_of(text)
            group = text if group in groups and model not in groups[group].values() else group  # two demos' models
        if not group or not model:
            raise UserError(f"{text!r} names no group and model: write MODEL or GROUP=MODEL")
        members = groups.setdefault(group, {})
        name = f"{group}/{len(members)}" if sign else group
        if model in members.values() or name in members:
            raise UserError(f"the model {model} is given twice")
        members[name] = model
    if not groups:
        raise UserError("there is nothing to compare: name at least one model")
    return [
        StudiedModel(name, model, group=group) for group, members in groups.items() for name, model in members.items()
    ]
