"""Registries of named entries. Each entry is declared in one file, and other packages can add entries."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Generic, TypeVar

from toposheet.errors import UserError, did_you_mean

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Named entries of one kind. The names can be listed without importing the entries.

    Each file of a folder declares one entry, and the name of the file is the name of the entry. Other packages add
    entries with `register`.

    Args:
        package: The package whose files declare the entries. Files whose names begin with `_` declare no entry.
        attribute: Name of the variable that holds the entry in each file, for example "OBJECTIVE".
        kind: Word for an entry in messages, for example "objective".
        hyphens: Whether an underscore in the name of a file becomes a hyphen in the name of the entry.
        otherwise: What a user can do instead of choosing an entry, for messages, for example "give a CSV file".
        entry: The type of an entry, as `MODULE:NAME`. Entries from outside are checked to be of this type. Empty: they
            are not checked.

    Example:
        OBJECTIVES = Registry[Objective]("toposheet.topography.objectives.known", "OBJECTIVE", "objective")
        OBJECTIVES["correlation"]
        OBJECTIVES.register("mine", Objective(...))
    """

    def __init__(
        self,
        package: str,
        attribute: str,
        kind: str,
        *,
        hyphens: bool = False,
        otherwise: str = "",
        entry: str = "",
    ) -> None:
        self._package, self._attribute, self._kind = package, attribute, kind
        self._hyphens, self._otherwise, self._entry = hyphens, otherwise, entry
        self._registered: dict[str, Entry] = {}
        self._listed: list[str] | None = None

    def names(self) -> list[str]:
        """Return the names of all entries: first the entries of the folder, by name, then the registered entries."""
        return [*self._names_of_files(), *self._registered]

    @property
    def registered(self) -> dict[str, Entry]:
        """The entries that were added with `register`: {name: entry}. Another process needs `adopt` to have them."""
        return dict(self._registered)

    def register(self, name: str, entry: Entry) -> None:
        """Add an entry.

        Args:
            name: Name of the new entry.
            entry: The entry.

        Raises:
            UserError: The name is empty. Or the entry is not of this kind. Or the registry already has an entry with
                this name.
        """
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"the name of {self._kind_with_article()} is {name!r}: it must be a word")
        if name in self:
            raise UserError(f"there is already {self._kind_with_article()} {name!r}: choose another name")
        if self._entry:
            module, type_name = self._entry.split(":")
            if not isinstance(entry, getattr(import_module(module), type_name)):
                given = _with_article(type(entry).__name__)
                raise UserError(
                    f"{self._kind_with_article()} must be {_with_article(type_name)}, but {name!r} is {given}: see "
                    "CONTRIBUTING"
                )
        self._registered[name] = entry

    def adopt(self, entries: Mapping[str, Entry]) -> None:
        """Add the entries that another process has registered. Entries whose name is registered here are skipped."""
        for name in entries.keys() - self._registered.keys():
            self.register(name, entries[name])

    def unregister(self, name: str) -> None:
        """Remove an entry that was added with `register`."""
        del self._registered[name]

    def check(self, name: str, otherwise: bool = True) -> None:
        """Refuse a name that no entry has. No entry is imported.

        Args:
            name: The name.
            otherwise: Whether the message may end with what a user can do instead of choosing an entry.

        Raises:
            UserError: No entry has this name. The message names the most similar entry, and lists all entries.
        """
        if name not in self:
            instead = f"; or {self._otherwise}" if self._otherwise and otherwise else ""
            guess = did_you_mean(name, self.names())
            choices = f"Choose from: {', '.join(self.names())}{instead}"
            raise UserError(f"there is no {self._kind} {name!r}.{guess} {choices}")

    def __getitem__(self, name: str) -> Entry:
        """Return an entry. Its file is imported now, if it was not imported before.

        Raises:
            UserError: No entry has this name. The message names the most similar entry, and lists all entries.
        """
        self.check(name)
        if name in self._registered:
            return self._registered[name]
        module = name.replace("-", "_") if self._hyphens else name
        return getattr(import_module(f"{self._package}.{module}"), self._attribute)

    def __contains__(self, name: object) -> bool:
        """Return whether an entry has this name."""
        return name in self._registered or name in self._names_of_files()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of all entries."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.names())

    def items(self) -> list[tuple[str, Entry]]:
        """Return all entries with their names. All files are imported."""
        return [(name, self[name]) for name in self]

    def _names_of_files(self) -> list[str]:
        if self._listed is None:
            spec = find_spec(self._package)
            assert spec is not None, f"{self._package} is no package"
            modules = pkgutil.iter_modules(spec.submodule_search_locations)
            names = [module.name for module in modules if not module.name.startswith("_")]
            self._listed = sorted(name.replace("_", "-") if self._hyphens else name for name in names)
        return self._listed

    def _kind_with_article(self) -> str:
        return _with_article(self._kind)


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"
