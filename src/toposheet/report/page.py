"""The report as files: an HTML page without external files, and the figures of all sections."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from toposheet.cortex import SIGNIFICANT
from toposheet.figures.files import save_figure, stamp
from toposheet.files import free_file_name, path_of
from toposheet.progress import SILENT, Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, no_drawings, sections_in_order
from toposheet.report.sections.stimuli import TEXTS
from toposheet.results import FIGURES, added_to_results, files_of_results
from toposheet.version import __version__
from toposheet.wording import counted, mean_and_sd, number, p_value

REPORT = "report.html"
_LONG = 40  # characters; longer cells below a figure have line breaks


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure after it was written to files.

    Args:
        name: Name of the figure in its section.
        title: Heading of the figure.
        sentence: Caption of the figure.
        table: Texts in rows and columns, below the caption. None: there is no table.
        png: Content of the PNG file.
        inches: Width of the figure, in inches.
    """

    name: str
    title: str
    sentence: str
    table: pd.DataFrame | None
    png: bytes
    inches: float


def write_figures(analysis: Analysis, out: str | Path, progress: Progress | None = None) -> dict[str, list[Picture]]:
    """Write the figures of all sections as PNG and PDF, and return the pictures of each section.

    Each figure has a separate pair of files, even if two contrasts or models have similar names. Earlier figures of the
    results in the folder are removed. Other files stay.

    Args:
        analysis: The analysis, from `compute`.
        out: Folder of the results. The figures are written to its subfolder `figures`.
        progress: A function that is called with the number of sections whose figures are drawn so far. None: no calls.

    Returns:
        The pictures of each section that draws figures: {name of the section: pictures}.
    """
    out = path_of(out)
    stimuli = stamp(analysis.results[TEXTS], analysis.facts["battery"])
    pictures: dict[str, list[Picture]] = {}
    taken: set[str] = set()
    with added_to_results(out, replaces=_earlier_figures(out)) as whole:
        aside = whole / FIGURES
        aside.mkdir()
        tell = progress or SILENT
        sections = {
            name: section for name, section in sections_in_order().items() if section.drawings is not no_drawings
        }
        for number, (name, section) in enumerate(sections.items()):
            tell(f"drawing figures: {name}, section", number, len(sections))
            pictures[name] = [_saved_picture(drawing, aside, stimuli, taken) for drawing in section.drawings(analysis)]
        tell("drawing figures: section", len(sections), len(sections))
    return pictures


def _earlier_figures(out: Path) -> list[str]:
    """Return the names of the figures of the results in a folder."""
    return [name for name in files_of_results(out) if name.startswith(f"{FIGURES}/")]


def _saved_picture(drawing: Drawing, folder: Path, stimuli: str, taken: set[str]) -> Picture:
    stimuli = stimuli if drawing.stimuli is None else drawing.stimuli
    png = save_figure(drawing.figure, folder, free_file_name(drawing.name, taken), stimuli).read_bytes()
    return Picture(
        drawing.name, drawing.title, drawing.sentence, drawing.table, png, drawing.figure.get_size_inches()[0]
    )


def write_report(analysis: Analysis, out: str | Path, progress: Progress | None = None) -> Path:
    """Write `report.html` and the figures to the folder of the results, and return the path of the page.

    Args:
        analysis: The analysis, from `compute`.
        out: Folder of the results.
        progress: See `write_figures`.
    """
    out = path_of(out)
    with added_to_results(out, last=REPORT, replaces=_earlier_figures(out)) as aside:
        pictures = write_figures(analysis, aside, progress)
        (aside / REPORT).write_text(_page(analysis, pictures), encoding="utf-8")
    return out / REPORT


def _page(analysis: Analysis, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """Return the HTML of the report."""
    environment = _environment()
    common = {"models": analysis.names, "facts": analysis.facts, "version": __version__, "significant": SIGNIFICANT}
    parts = []
    for name, section in sections_in_order().items():
        if (view := section.view(analysis)) is not None:
            partial = environment.from_string(section.partial)
            drawn = pictures.get(name, [])
            parts.append(
                Markup(partial.render(**common, pictures=drawn, figure=functools.partial(_figure_html, drawn), **view))
            )
    return environment.get_template("report.html.jinja").render(**common, sections=parts)


def _environment() -> jinja2.Environment:
    """Return the Jinja environment of the page, with filters that format numbers."""
    loader = jinja2.PackageLoader("toposheet.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["number"] = number
    environment.filters["p"] = p_value
    environment.filters["counted"] = counted
    environment.globals["mean_and_sd"] = mean_and_sd
    return environment


def _figure_html(pictures: Sequence[Picture], which: str | Picture) -> Markup:
    """Return the HTML of a picture with its caption.

    Args:
        pictures: All pictures of the section.
        which: The picture, or its name.
    """
    picture = which if isinstance(which, Picture) else next(one for one in pictures if one.name == which)
    source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    width = f"calc({picture.inches:.2f} * var(--inch))"
    return Markup(
        f'<figure><div class="scroll"><img alt="{escape(picture.title)}" style="width: {width}" src="{source}">'
        f"</div><figcaption>{escape(picture.sentence)}</figcaption>{_table_html(picture.table)}</figure>"
    )


def _table_html(table: pd.DataFrame | None) -> Markup:
    """Return the HTML of the table of a picture."""
    if table is None:
        return Markup("")
    head = Markup("").join(Markup('<th class="left">{}</th>').format(name) for name in table.columns)
    cells = [
        [Markup('<td class="{}">{}</td>').format("wrap" if len(cell) > _LONG else "left", cell) for cell in row]
        for row in table.to_numpy().tolist()
    ]
    rows = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(row)) for row in cells)
    return Markup('<div class="scroll"><table><tr>{}</tr>{}</table></div>').format(head, rows)
