"""`toposheet brain`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import tyro

from toposheet.commands._command import Command, check_out, deferred, group
from toposheet.commands._stimuli import AS_USUAL, Contrasts, Model, Options, opening, read_contrasts, read_table
from toposheet.errors import UserError
from toposheet.settings import READING, Reading, Weights, check_seed, check_selection


@deferred
def moran(
    map: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MAP")],
    hemisphere: Literal["left", "right"] = "left",
    variable: str = "t_values",
    which: int | None = None,
    q: float | None = None,
    weights: Weights = "binary",
    permutations: int = 0,
    seed: int = 0,
    figure: Path | None = None,
) -> None:
    """Compute Moran's I of a map on the cortical surface. Neighbours are vertices that share an edge of the mesh.

    Args:
        map: A GIFTI (.gii), NetCDF (.nc) or CIFTI dense scalar (.dscalar.nii) file on fs_LR 32k or fsaverage5.
        hemisphere: Hemisphere of the map, if the file does not name it.
        variable: Name of the variable with the map, in a NetCDF file.
        which: Number of the map in a GIFTI or CIFTI file, counted from 0. None: the file holds only one map.
        q: Bound of the false discovery rate. Only vertices below it count, as in TopoLM's published value. The p values
            are read from the variable p_values of a NetCDF file. None: all vertices count.
        weights: Weights of neighbours. binary: 1 for each neighbour. row: row-standardised, so that the weights of each
            vertex sum to 1, as in TopoLM's published value.
        permutations: Number of random draws of the null, in which the values are shuffled over the vertices. 0: no
            null.
        seed: Seed of the random draws.
        figure: File (.png, .pdf or .svg) to which the map is drawn. None: no figure.
    """
    check_seed(seed)
    check_selection(None, q)
    if figure is not None:
        if figure.suffix not in (".png", ".pdf", ".svg") or figure.is_dir():
            raise UserError(f"--figure is {figure}: name a file that ends in .png, .pdf or .svg")
        check_out(figure.parent)
    from toposheet.progress import shown
    from toposheet.wording import counted, mean_and_sd, number

    with shown() as progress:
        progress(f"reading {map}", 0, 1)
        from toposheet.brain.files import read_surface_map
        from toposheet.brain.moran import surface_morans_i

        surface = read_surface_map(map, hemisphere, variable=variable, which=which)
        autocorrelation = surface_morans_i(surface, permutations, seed, progress, weights=weights, q=q)
    for note in surface.notes:
        print(f"note: {map}: {note}")
    undefined = math.isnan(autocorrelation.morans_i)
    why = " (undefined: the map is constant, or no two of its vertices are neighbours)" if undefined else ""
    print(f"Moran's I = {number(autocorrelation.morans_i, 3)}{why}")
    where = f"{surface.space}, {surface.hemisphere}"
    vertices = counted(autocorrelation.n_vertices, "finite non-zero vertex", "finite non-zero vertices")
    below = "" if q is None else f" with a false discovery rate below {q:g}"
    print(f"{vertices}{below} of {len(surface.values):,} ({where}, {weights} weights)")
    if autocorrelation.morans_i > 1:
        print("I can be above 1 where many of the vertices that are left have few neighbours.")
    if permutations and not undefined:
        null = mean_and_sd(autocorrelation.null_mean, autocorrelation.null_sd, 3)
        z = f"z = {number(autocorrelation.z, 1)}, p = {autocorrelation.p:.3g}"
        print(f"null of {counted(permutations, 'shuffle')}: {null}, {z}")
    if figure is not None:
        from toposheet.brain.drawing import draw_surface_map
        from toposheet.figures.files import write_figure
        from toposheet.files import folder_aside

        with folder_aside(figure.parent) as aside:
            write_figure(draw_surface_map(surface, map.name), aside / figure.name)
        print(f"The figure: {figure.resolve()}")


@deferred
def export(
    model: Model,
    out: Path,
    stimuli: str | None = None,
    contrast: Contrasts = (),
    reading: Reading = READING,
    options: Options = AS_USUAL,
) -> None:
    """Write each sheet of a model as a flat surface with its t-maps (GIFTI), for neuroimaging software.

    Args:
        model: A model folder, a hub id, or the name of a shipped model.
        out: Folder for the files (.surf.gii, .func.gii, and .label.gii for sheets with several taps).
        stimuli: A CSV file, or the name of a set. None: the stimuli that are saved with the model.
        contrast: Contrasts, each written as A:B. Without contrasts, sentence:nonword or S:N is used.
        reading: How a model reads a text.
        options: How stimuli are read.
    """
    check_out(out)
    from toposheet.progress import Stage, Stages, shown

    with shown() as progress:
        stages = Stages(progress, [Stage("preparing", 15.0), Stage("exporting", 15.0)])
        preparing = stages.begin("preparing")
        subject = opening(model, preparing)
        table = read_table(stimuli, subject, options, preparing)
        parsed = read_contrasts(table, contrast, options, or_language=True)
        from toposheet.brain.export import export_maps
        from toposheet.cache import cache_folder
        from toposheet.provenance import reading_in_words
        from toposheet.subject.respond import resolved_reading

        read_by, _ = resolved_reading(subject(), reading)
        files = export_maps(
            subject(), table, parsed, out, reading=reading, cache=cache_folder(), progress=stages.begin("exporting")
        )
    print(f"reading: {reading_in_words(read_by)}")
    print(f"{len(files)} files: {out.resolve()}")


COMMAND = Command(
    position=100,
    parser=group("Analyse maps on the cortical surface, and write sheets as surfaces.", moran=moran, export=export),
)
