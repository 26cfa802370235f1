"""Optional packages. If a package is missing, the error names it and says how to install it."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from toposheet.errors import NotFound

FOR_ENCODING = "encoding models need", "toposheet[encoding]"
"""What needs himalaya, and how to install it: arguments of `check_package` and `import_package`."""


class MissingPackage(NotFound):
    """An optional package is not installed. The message says how to install it."""


def import_package(module: str, purpose: str, install: str) -> Any:
    """Import an optional package, or a module of an optional package, and return it.

    Args:
        module: Name of the package or module, as in an import statement.
        purpose: What needs the package, with a verb. The message begins with these words, for example "maps on the
            brain need".
        install: The argument of `pip install`, for example "toposheet[brain]".

    Raises:
        MissingPackage: The package is not installed. The message says how to install it.
    """
    check_package(module.partition(".")[0], purpose, install)
    return importlib.import_module(module)


def package_folder(module: str, purpose: str, install: str, package: str | None = None) -> Path:
    """Return the folder of an optional package, so that its data files can be read. Its code is not run.

    Args:
        module: Name of the package in an import statement.
        purpose: What needs the package, see `import_package`.
        install: The argument of `pip install`.
        package: Name of the package in the package index. None: the name is `module`.

    Raises:
        MissingPackage: The package is not installed. The message says how to install it.
    """
    if (folder := installed_folder(module)) is None:
        raise _missing_package(package or module, purpose, install)
    return folder


def installed_folder(module: str) -> Path | None:
    """Return the folder of a package. None: it is not installed. Its code is not run.

    Args:
        module: Name of the package in an import statement.
    """
    spec = importlib.util.find_spec(module)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def check_package(package: str, purpose: str, install: str) -> None:
    """Refuse to begin work that needs an optional package, if this package is missing. The package is not imported.

    Args:
        package: Name of the package.
        purpose: What needs the package, see `import_package`.
        install: The argument of `pip install`.

    Raises:
        MissingPackage: The package is not installed. The message says how to install it.
    """
    if importlib.util.find_spec(package) is None:
        raise _missing_package(package, purpose, install)


def _missing_package(package: str, purpose: str, install: str) -> MissingPackage:
    return MissingPackage(f"{purpose} the package {package}: pip install '{install}'")
