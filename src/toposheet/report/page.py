"""One self-contained HTML page and its figures: what the sections of the report show."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from toposheet.figures.files import save_figure, stamp
from toposheet.figures.numbers import number
from toposheet.files import folder_aside, write_file
from toposheet.progress import SILENT, Progress
from toposheet.report.analysis import Analysis
from toposheet.report.section import Drawing, sections_in_order
from toposheet.report.sections.stimuli import TEXTS
from toposheet.version import __version__

REPORT, FIGURES = "report.html", "figures"


@dataclass(frozen=True)
class Picture:
    """A figure as it was written.

    Args:
        name: Of its files, without their ending.
        title: Its heading.
        sentence: Its caption.
        png: The picture.
        inches: How wide it is.
    """

    name: str
    title: str
    sentence: str
    png: bytes
    inches: float


def write_figures(analysis: Analysis, out: str | Path, progress: Progress | None = None) -> dict[str, list[Picture]]:
    """Write the figures of all sections as PNG and PDF, and return the pictures of each section.

    Figures of an earlier report that this one does not have are removed; other files stay.

    Args:
        analysis: What is drawn.
        out: The folder of the results; figures go to a folder in it.
        progress: Told how many sections have their figures. None: nobody is told.
    """
    out = Path(out)
    stimuli = stamp(analysis.results[TEXTS], analysis.facts["battery"])
    pictures: dict[str, list[Picture]] = {}
    folder, listed = out / FIGURES, out / FIGURES / _LISTED
    earlier = listed.read_text().splitlines() if listed.is_file() else []
    with folder_aside(folder) as aside:
        tell, sections = progress or SILENT, sections_in_order()
        for number, (name, section) in enumerate(sections.items()):
            tell(f"drawing figures: {name}, section", number, len(sections))
            pictures[name] = [_written(drawing, aside, stimuli) for drawing in section.drawings(analysis)]
        tell("drawing figures: section", len(sections), len(sections))
        written = {path.name for path in aside.iterdir()}
        (aside / _LISTED).write_text("".join(f"{name}\n" for name in sorted(written)))
    for name in {Path(line).name for line in earlier} - {"", *written}:
        (folder / name).unlink(missing_ok=True)
    return pictures


_LISTED = ".figures"  # which files of the folder are ours


def _written(drawing: Drawing, folder: Path, stimuli: str) -> Picture:
    stimuli = stimuli if drawing.stimuli is None else drawing.stimuli
    png = save_figure(drawing.figure, folder, drawing.name, stimuli).read_bytes()
    return Picture(drawing.name, drawing.title, drawing.sentence, png, drawing.figure.get_size_inches()[0])


def write_report(analysis: Analysis, out: str | Path, progress: Progress | None = None) -> Path:
    """Write `report.html` and the figures beside the results, and return the page's path.

    Args:
        analysis: What is shown.
        out: The folder of the results.
        progress: See `write_figures`.
    """
    out = Path(out)
    pictures = write_figures(analysis, out, progress)
    environment = _environment({picture.name: picture for drawn in pictures.values() for picture in drawn})
    common = {"models": analysis.names, "facts": analysis.facts, "version": __version__}
    parts = []
    for name, section in sections_in_order().items():
        if (view := section.view(analysis)) is not None:
            partial = environment.from_string(section.partial)
            parts.append(Markup(partial.render(**common, pictures=pictures[name], **view)))
    html = environment.get_template("report.html.jinja").render(**common, sections=parts)
    write_file(out / REPORT, html)
    return out / REPORT


def _environment(pictures: Mapping[str, Picture]) -> jinja2.Environment:
    """Return what partials are shown with: filters for numbers, and `figure(NAME)`, a picture with its caption."""
    loader = jinja2.PackageLoader("toposheet.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f} %"
    environment.filters["number"] = number
    environment.filters["p"] = lambda value: (
        "–" if value != value else ("< 0.001" if value < 0.001 else number(value, 3))
    )

    def figure(name: str) -> Markup:
        picture = pictures[name]
        source = f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
        width = round(7.6 * picture.inches, 1)
        return Markup(
            f'<figure><img alt="{escape(picture.title)}" style="width: {width}rem" src="{source}">'
            f"<figcaption>{escape(picture.sentence)}</figcaption></figure>"
        )

    environment.globals["figure"] = figure
    return environment
