"""The two files of a topography in a model folder: sheets and taps in JSON, places and bases in safetensors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from toposheet.errors import UserError
from toposheet.model_folders import AGAIN, damaged_file
from toposheet.sheet import Sheet
from toposheet.sheet.grid import nearest_rectangle
from toposheet.topography.topography import Topography

FORMAT = 2  # format 1 has no bases, no shared cells and no stored windows, and is otherwise the same
DESCRIPTION, ARRAYS = "topography.json", "topography.safetensors"


def write_topography(topo: Topography, folder: Path, **more: Any) -> None:
    """Write the two files of a topography to a folder. A basis that several taps share is written once.

    Args:
        topo: The topography.
        folder: The folder, which must exist.
        more: Additional entries of the JSON file, which must be JSON values.
    """
    sheets: dict[str, dict[str, Any]] = {
        name: {"shape": list(sheet.shape), "spacing_mm": sheet.spacing_mm, "taps": list(sheet.places)}
        for name, sheet in topo.sheets.items()
    }
    arrays: dict[str, np.ndarray] = {}
    for number, (name, sheet) in enumerate(topo.sheets.items()):
        if sheet.shared_cells:
            sheets[name]["shared_cells"] = True
        if sheet.windows is not None:
            sheets[name]["windows"] = f"windows:{number}"  # no name of a tap has a colon
            arrays[f"windows:{number}"] = np.ascontiguousarray(sheet.windows, np.int32)
    arrays |= {tap: np.ascontiguousarray(p, np.int32) for s in topo.sheets.values() for tap, p in s.places.items()}
    taps_of: dict[bytes, list[str]] = {}
    for tap, digest in topo.digests_of_bases.items():
        taps_of.setdefault(digest, []).append(tap)
    bases = {f"basis:{number}": taps for number, taps in enumerate(taps_of.values())}
    arrays |= {name: topo.bases[taps[0]] for name, taps in bases.items()}
    save_file(arrays, folder / ARRAYS)
    description = {"format": FORMAT, "sheets": sheets, **({"bases": bases} if bases else {}), **more}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def read_topography(folder: Path, source: str | Path | None = None) -> Topography:
    """Return the topography that is stored in a model folder.

    Args:
        folder: The model folder.
        source: Name of the model in error messages, for example its hub id. None: the path of the folder.

    Raises:
        UserError: The folder holds no topography, or the topography is damaged.
    """
    missing = [name for name in (DESCRIPTION, ARRAYS) if not (folder / name).is_file()]
    if len(missing) == 2:
        raise UserError(
            f"{source or folder} is a model without sheets (no {DESCRIPTION}): give it sheets in Python with "
            f"toposheet.save('NEW_FOLDER', toposheet.attach({str(source or folder)!r}{_shape_argument(folder)})), then "
            "use NEW_FOLDER"
        )
    if missing:
        raise UserError(f"{folder} is damaged: it lacks {missing[0]}, a part of its topography; copy the folder again")
    try:
        description = _read_description(folder)
        if description["format"] not in range(1, FORMAT + 1):
            raise UserError(
                f"its format is {description['format']}, but this version of toposheet reads the formats up to "
                f"{FORMAT}; install the version of toposheet that wrote it"
            )
        if (path := damaged_file(folder, [ARRAYS])) is not None:
            raise UserError(f"{path.name} is damaged; {AGAIN}")
        arrays = load_file(folder / ARRAYS)
        sheets = {
            name: Sheet(
                shape=(int(entry["shape"][0]), int(entry["shape"][1])),
                spacing_mm=float(entry["spacing_mm"]),
                places={tap: arrays[tap].astype(np.int64) for tap in entry["taps"]},
                shared_cells=bool(entry.get("shared_cells", False)),
                windows=arrays[entry["windows"]].astype(np.int64) if "windows" in entry else None,
            )
            for name, entry in description["sheets"].items()
        }
        if not sheets:
            raise UserError("it has no sheets")
        bases = {tap: arrays[name] for name, taps in description.get("bases", {}).items() for tap in taps}
        return Topography(sheets, bases)
    except KeyError as error:
        raise UserError(f"the topography in {folder} is damaged: a file lacks {error}; {AGAIN}") from None
    except UserError as error:
        raise UserError(f"the topography in {folder} cannot be read: {error}") from None
    except (ValueError, TypeError, AttributeError, IndexError, SafetensorError) as error:
        raise UserError(
            f"the topography in {folder} cannot be read: {error}; {DESCRIPTION} or {ARRAYS} is damaged: {AGAIN}"
        ) from None


def read_frozen(folder: Path) -> set[str]:
    """Return the names of the frozen parameters of a model, which are stored with its topography.

    Raises:
        UserError: The entry `frozen` is not a list of names.
    """
    names = _read_description(folder).get("frozen", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"the topography in {folder} cannot be read: frozen is {json.dumps(names)[:60]} in {DESCRIPTION}; it must "
            "be a list of names of parameters"
        )
    return set(names)


def _read_description(folder: Path) -> dict[str, Any]:
    """Return the content of the JSON file of a topography.

    Raises:
        UserError: The file is damaged.
    """
    if damaged_file(folder, [DESCRIPTION]) is not None:
        raise UserError(f"{DESCRIPTION} is damaged: it must hold a JSON object; {AGAIN}")
    return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))


def _shape_argument(folder: Path) -> str:
    """Return the argument `shape` that `attach` needs for a model, or an empty text if it needs none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        width = next(int(config[name]) for name in ("hidden_size", "n_embd", "d_model") if config.get(name))
    except (OSError, ValueError, TypeError, AttributeError, StopIteration):
        return ""
    return "" if math.isqrt(width) ** 2 == width else f", shape={nearest_rectangle(width)}"
