"""The models of a report: name, source, role and group of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from toposheet.files import path_of
from toposheet.model_folders import check_control, groups_and_models, local_folder, name_of, shipped
from toposheet.subject import Subject, load
from toposheet.topography import Topography
from toposheet.topography.storage import read_topography


@dataclass(frozen=True, eq=False)
class StudiedModel:
    """A model of a report.

    Args:
        name: Name of the model in tables.
        source: A folder, a hub id or the name of a shipped model, which is opened when it is needed; or a subject that
            is already open.
        is_control: Whether the model is a control model: trained without topography.
        group: Name of the group of the model. Models of one group were trained with the same objective and different
            seeds. Empty: the model is not in a group with others.
    """

    name: str
    source: Subject | str | Path
    is_control: bool = False
    group: str = ""

    def open(self) -> Subject:
        """Return the subject of the model. It is loaded if it is not open.

        Raises:
            NotFound: The model does not exist.
            UserError: The model has no sheets.
        """
        return self.source if isinstance(self.source, Subject) else load(self.source)

    @property
    def folder(self) -> Path | None:
        """The folder of the model. None: the model has no local folder."""
        return self.source.folder if isinstance(self.source, Subject) else local_folder(self.source)

    @cached_property
    def topography(self) -> Topography:
        """The topography of the model. It is read from the folder of the model if the model is not open.

        Raises:
            NotFound: The model does not exist.
            UserError: The model has no sheets.
        """
        if isinstance(self.source, Subject):
            return self.source.topography
        return read_topography(local_folder(self.source), self.source)


def with_control(subject: Subject, control: str | Path | None = None) -> list[StudiedModel]:
    """Return a subject and its control model, as the models of a report.

    Args:
        subject: The subject.
        control: The control model: a folder, a hub id or the name of a shipped model. None: for a shipped model its
            shipped control; for other models no control.

    Raises:
        NotFound: The control does not exist.
        UserError: The control is the subject itself.
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
    check_control(control, local_folder(control), subject.folder)
    return [StudiedModel("topographic", subject), StudiedModel("control", control, is_control=True)]


def grouped(models: Sequence[str]) -> list[StudiedModel]:
    """Return models in groups, as the models of a report.

    Args:
        models: Texts of the form `GROUP=MODEL` or `MODEL`. A model without a group is the only model of its group.

    Raises:
        UserError: There is no model, or a model is given twice.
    """
    groups: dict[str, dict[str, str]] = {}
    for text, (given, model) in zip(models, groups_and_models(models), strict=True):
        group = given or name_of(model)
        if not given and group in groups and model not in groups[group].values():
            group = text  # different folders may have one name
        members = groups.setdefault(group, {})
        name = f"{group}/{len(members)}" if given else group
        members[name] = model
    return [
        StudiedModel(name, model, group=group) for group, members in groups.items() for name, model in members.items()
    ]
