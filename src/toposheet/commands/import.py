"""`toposheet import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from toposheet.commands._command import Command, check_out, deferred, group
from toposheet.commands._stimuli import Model
from toposheet.files import refuse_other_files

if TYPE_CHECKING:
    from toposheet.subject import Subject

Checkpoint = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")]


@deferred
def topolm(
    checkpoint: Checkpoint,
    positions: Path,
    tap: Literal["before-residual", "after-residual"],
    out: Path,
    tokenizer: str = "gpt2",
) -> None:
    """Import a checkpoint of TopoLM with its published positions. Nothing in the files is run.

    Args:
        checkpoint: The checkpoint, a file .pt.
        positions: Folder with the positions, layer.N.attn.pkl and layer.N.mlp.pkl for each layer N.
        tap: What has the positions. before-residual: the output of attention and of the MLP, as the paper says.
            after-residual: the residual stream after each of them, as is the default of the published code. Choose what
            the model was trained with.
        out: The new model folder.
        tokenizer: A folder or a hub id.
    """
    _check_new(out)
    from toposheet.importing import import_topolm

    _write(import_topolm(checkpoint, positions, tap=tap, tokenizer=tokenizer), out)


@deferred
def nanogpt(
    checkpoint: Checkpoint,
    out: Path,
    taps: tuple[str, ...] = ("transformer.h.*.mlp.c_fc",),
    tokenizer: str = "gpt2",
) -> None:
    """Import a checkpoint of nanoGPT, such as those of TopoNets, with the sheets of TopoLoss.

    The units of each tap stand row by row, in the order of the weights. Nothing in the file is run.

    Args:
        checkpoint: The checkpoint, a file .pt.
        out: The new model folder.
        taps: Paths of the modules that get sheets; * stands for one step of a path. The default are the modules to
            which TopoLoss was applied in TopoNets.
        tokenizer: A folder or a hub id.
    """
    _check_new(out)
    from toposheet.importing import import_nanogpt

    _write(import_nanogpt(checkpoint, taps=taps, tokenizer=tokenizer), out)


@deferred
def grid(model: Model, coordinates: Path, out: Path, sheet_shape: tuple[int, int] | None = None) -> None:
    """Import a causal language model with one sheet for all of its taps, from a file of coordinates.

    Args:
        model: A model folder or a hub id.
        coordinates: A safetensors file: for each tap, an array (units, 2) with row and column of each unit. The name of
            the array is the path of the module, such as model.layers.3.
        out: The new model folder.
        sheet_shape: Height and width of the sheet, in cells. None: it ends at the largest coordinates.
    """
    _check_new(out)
    from toposheet.importing import import_grid

    _write(import_grid(model, coordinates, shape=sheet_shape), out)


def _check_new(out: Path) -> None:
    """Refuse a folder that holds files, or that cannot be written to."""
    check_out(out)
    refuse_other_files(out, [path.name for path in out.iterdir()] if out.is_dir() else [])


def _write(subject: Subject, out: Path) -> None:
    """Write an imported subject, and print what its sheets are."""
    from toposheet.importing.occupancy import occupancy_in_words
    from toposheet.subject import save

    save(out, subject)
    print(subject)
    for note in occupancy_in_words(subject.topography):
        print(f"note: {note}")
    print(f"\nThe model: {out.resolve()}")


COMMAND = Command(
    position=37,
    parser=group(
        "Import models of other projects as model folders. Nothing in their files is run.",
        topolm=topolm, nanogpt=nanogpt, grid=grid,
    ),
)  # fmt: skip
