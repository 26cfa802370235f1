"""Registries of named entries. Each entry is declared in one file, and other packages can add entries."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Generic, TypeVar

from toposheet.errors import UserError

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

    Example:
        OBJECTIVES = Registry[Objective]("toposheet.topography.objectives.known", "OBJECTIVE", "objective")
        OBJECTIVES["correlation"]
        OBJECTIVES.register("mine", Objective(...))
    """

    def __init__(self, package: str, attribute: str, kind: str, *, hyphens: bool = False, otherwise: str = "") -> None:
        self._package, self._attribute, self._kind = package, attribute, kind
        self._hyphens, self._otherwise = hyphens, otherwise
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
            UserError: The registry already has an entry with this name.
        """
        if name in self:
            raise UserError(f"there is already {self._kind_with_article()} {name!r}: choose another name")
        self._registered[name] = entry

    def adopt(self, entries: Mapping[str, Entry]) -> None:
        """Add the entries that another process has registered. Entries whose name is registered here are skipped."""
        for name in entries.keys() - self._registered.keys():
            self.register(name, entries[name])

    def unregister(self, name: str) -> None:
        """Remove an entry that was added with `register`."""
        del self._registered[name]

    def check(self, name: str) -> None:
        """Refuse a name that no entry has. No entry is imported.

        Raises:
            UserError: No entry has this name. The message names the most similar entry, and lists all entries.
        """
        if name not in self:
            nearest = difflib.get_close_matches(name, self.names(), n=1)
            guess = f" Did you mean {nearest[0]}?" if nearest else ""
            otherwise = f"; or {self._otherwise}" if self._otherwise else ""
            choices = f"Choose from: {', '.join(self.names())}{otherwise}"
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
        return f"{'an' if self._kind[0] in 'aeiou' else 'a'} {self._kind}"
