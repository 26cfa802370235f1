"""Packages that only some of the work needs: found where they are installed, and named where they are not."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from toposheet.errors import NotFound


class MissingPackage(NotFound):
    """An optional package is not installed; the message says how to install it."""


def import_package(module: str, purpose: str, install: str) -> Any:
    """Import an optional package, or a module of one.

    Args:
        module: What is imported.
        purpose: What needs it, with its verb, for the message: "maps on the brain need".
        install: What pip installs it with: "toposheet[brain]".

    Raises:
        MissingPackage: it is not installed; the message says how to install it.
    """
    check_package(module.partition(".")[0], purpose, install)
    return importlib.import_module(module)


def package_folder(module: str, purpose: str, install: str, package: str | None = None) -> Path:
    """Return the folder of an optional package of which only the files are read: its code is never run.

    Args:
        module: What Python calls it.
        purpose: What needs it, see `import_package`.
        install: What pip installs it with.
        package: What the package index calls it, where that is another name.

    Raises:
        MissingPackage: it is not installed; the message says how to install it.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(package or module, purpose, install)
    return Path(next(iter(spec.submodule_search_locations)))


def check_package(package: str, purpose: str, install: str) -> None:
    """Refuse to begin what an optional package is missing for.

    Args:
        package: Its name.
        purpose: What needs it, see `import_package`.
        install: What pip installs it with.

    Raises:
        MissingPackage: it is not installed; the message says how to install it.
    """
    if importlib.util.find_spec(package) is None:
        raise _missing(package, purpose, install)


def _missing(package: str, purpose: str, install: str) -> MissingPackage:
    return MissingPackage(f"{purpose} the package {package}: pip install '{install}'")
