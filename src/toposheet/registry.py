"""Registries: named entries, each declared whole in a file of its own, and open to entries from outside."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Generic, TypeVar

from toposheet.errors import UserError, did_you_mean

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Named entries of one kind. Their names are known without importing them.

    Each file of a package declares one entry, which goes by the file's name. Other packages add theirs with `register`.

    Args:
        package: The package whose files are the entries. Files whose names begin with `_` are none.
        attribute: What the entry is called in its file.
        kind: What an entry is, for messages: "objective".
        hyphens: Whether an underscore in a file's name is a hyphen in the name of its entry.
        otherwise: What a user can do who wants none of the entries, for messages: "give a CSV file".
        entry: Where the type of an entry is, `MODULE:NAME`: what comes from outside is checked. Empty: it is not.

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
        """Return the names of all entries: those of the package by name, then those from outside."""
        return [*self._files(), *self._registered]

    @property
    def registered(self) -> dict[str, Entry]:
        """The entries from outside, by name: what another process does not have until it adopts them."""
        return dict(self._registered)

    def register(self, name: str, entry: Entry) -> None:
        """Add an entry from outside.

        Args:
            name: What it is called from now on.
            entry: The entry.

        Raises:
            UserError: the name is no word, the entry is none of this kind, or there is an entry of this name.
        """
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"the name of {self._a_kind()} is {name!r}: it must be a word")
        if name in self:
            raise UserError(f"there is {self._a_kind()} {name!r} already: choose another name")
        if self._entry:
            module, type_name = self._entry.split(":")
            if not isinstance(entry, getattr(import_module(module), type_name)):
                what = type(entry).__name__
                raise UserError(f"{self._a_kind()} is {_a(type_name)}, and {name!r} is {_a(what)}: see CONTRIBUTING")
        self._registered[name] = entry

    def adopt(self, entries: Mapping[str, Entry]) -> None:
        """Add the entries from outside that another process sent here (`registered`), except those that are here."""
        for name in entries.keys() - self._registered.keys():
            self.register(name, entries[name])

    def unregister(self, name: str) -> None:
        """Remove an entry that came from outside."""
        del self._registered[name]

    def check(self, name: str) -> None:
        """Refuse a name that no entry has. Nothing is imported.

        Raises:
            UserError: the message names the nearest entry, and all there are.
        """
        if name not in self:
            otherwise = f"; or {self._otherwise}" if self._otherwise else ""
            there_are = f"There are: {', '.join(self.names())}{otherwise}"
            raise UserError(f"there is no {self._kind} {name!r}.{did_you_mean(name, self.names())} {there_are}")

    def __getitem__(self, name: str) -> Entry:
        """Return an entry; its file is imported now.

        Raises:
            UserError: there is none of this name; the message names the nearest, and all there are.
        """
        self.check(name)
        if name in self._registered:
            return self._registered[name]
        module = name.replace("-", "_") if self._hyphens else name
        return getattr(import_module(f"{self._package}.{module}"), self._attribute)

    def __contains__(self, name: object) -> bool:
        """Return whether there is an entry of this name."""
        return name in self._registered or name in self._files()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self.names())

    def items(self) -> list[tuple[str, Entry]]:
        """Return all entries with their names; every file is imported now."""
        return [(name, self[name]) for name in self]

    def _files(self) -> list[str]:
        if self._listed is None:
            spec = find_spec(self._package)
            assert spec is not None, f"{self._package} is no package"
            modules = pkgutil.iter_modules(spec.submodule_search_locations)
            names = [module.name for module in modules if not module.name.startswith("_")]
            self._listed = sorted(name.replace("_", "-") if self._hyphens else name for name in names)
        return self._listed

    def _a_kind(self) -> str:
        return _a(self._kind)


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"
