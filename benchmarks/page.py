"""The page of the docs that shows what was measured: docs/benchmarks.json as tables and a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.timing import device
from toposheet.topography.objectives.statistics import AUTO

DOCS = Path(__file__).parents[1] / "docs"
RESULTS, PAGE, PLOT = DOCS / "benchmarks.json", DOCS / "benchmarks.md", DOCS / "figures" / "benchmarks.png"

Rows = list[dict[str, Any]]


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the table of each benchmark, in Markdown."""
    return {name: _TABLES[name](rows) for name, rows in results["benchmarks"].items()}


def write(results: dict[str, Any]) -> None:
    """Write the page and its plot."""
    parts = [_HEAD.format(machine=results["machine"], date=results["date"])]
    for name, table in tables(results).items():
        parts += [f"## {_TITLES[name]}", _WORDS[name], table]
        if name == "scaling":
            parts.append(f"![Cost against windows, units, taps and tokens](figures/{PLOT.name})")
    PAGE.write_text("\n\n".join([*parts, *([] if device().type == "cuda" else [_TAIL])]) + "\n")
    plot(results["benchmarks"]["scaling"])


def plot(curves: Rows) -> None:
    """Draw cost against each quantity, on logarithmic axes, with the exponent."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.5, 2.7), layout="constrained")
        axes = dict(zip(("windows", "units", "taps", "tokens"), figure.subplots(1, 4, sharey=True), strict=True))
        exponents: dict[str, list[str]] = {quantity: [] for quantity in axes}
        for curve, colour in zip(curves, ("C0", "C0", "C0", "C0", "C1"), strict=True):
            quantity, _, which = curve["varied"].partition(", ")
            which = which or ("5 windows" if quantity == "units" else "")
            axes[quantity].plot(curve["values"], curve["ms"], "o-", ms=3, lw=1, color=colour)
            last = (curve["values"][-1], curve["ms"][-1])
            axes[quantity].annotate(which, last, (0, 6), textcoords="offset points", ha="right", color=colour)
            exponents[quantity].append(f"{curve['exponent']:.2f}")
        for quantity, axis in axes.items():
            axis.set(xscale="log", yscale="log", xlabel=_AXES[quantity], ylim=(2, 1000))
            axis.set_title(f"exponent {' and '.join(exponents[quantity])}", fontsize=9)
        axes["windows"].set_ylabel("loss + gradient (ms)")
        PLOT.parent.mkdir(exist_ok=True)
        figure.savefig(PLOT, dpi=150)


def _markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _ratio(quartiles: tuple[float, float, float], digits: int = 2) -> str:
    low, middle, high = (f"{value:.{digits}f}" for value in quartiles)
    return f"**{middle}** ({low} to {high})"


def _bar(bar: float | None, met: bool, sign: str) -> str:
    return "" if bar is None else f"{sign} {bar:g} {'✓' if met else '✗'}"


def _objective(rows: Rows) -> str:
    head = ("tokens", "precision", "toposheet", "textbook loop", "times faster (quartiles)", "asked for")
    return _markdown(head, [
        (f"{r['tokens']:,}", r["precision"], f"{r['ours_ms']:.1f} ms", f"{r['textbook_ms']:.1f} ms",
         _ratio(r["faster"]), _bar(r["at_least"], r["at_least"] is None or r["faster"][1] >= r["at_least"], "≥"))
        for r in rows
    ])  # fmt: skip


def _training_step(rows: Rows) -> str:
    head = ("recipe", "beside", "its update", "ours", "ratio (quartiles)", "asked for", "model FLOPs utilisation")
    return _markdown(head, [
        (r["recipe"], r["beside"], f"{r['beside_ms']:.1f} ms", f"{r['ms']:.1f} ms", _ratio(r["ratio"], 3),
         _bar(r["at_most"], r["at_most"] is None or r["ratio"][1] <= r["at_most"], "≤"),
         f"{100 * r['model_flops_utilisation']:.1f} %" if r["model_flops_utilisation"] else "–")
        for r in rows
    ])  # fmt: skip


def _accumulation(rows: Rows) -> str:
    head = ("micro-batches", "a value each", "one value for the batch", "ratio (quartiles)")
    return _markdown(head, [
        (f"{r['parts']}", f"{r['own_ms']:.0f} ms", f"{r['one_ms']:.0f} ms", _ratio(r["ratio"])) for r in rows
    ])  # fmt: skip


def _scaling(rows: Rows) -> str:
    head = ("varied", "from", "to", "cost", "exponent")
    return _markdown(head, [
        (r["varied"], f"{r['values'][0]:,}", f"{r['values'][-1]:,}", f"{r['ms'][0]:.1f} to {r['ms'][-1]:.1f} ms",
         f"{r['exponent']:.2f}")
        for r in rows
    ])  # fmt: skip


def _exactness(rows: Rows) -> str:
    head = ("units", "windows", "5 drawn", "all", "ratio (quartiles)", "noise of the gradient of 5")
    return _markdown(head, [
        (f"{r['units']}", f"{r['windows']}", f"{r['five_ms']:.2f} ms", f"{r['all_ms']:.2f} ms", _ratio(r["ratio"]),
         f"{r['noise']:.2f}")
        for r in rows
    ])  # fmt: skip


def _memory(rows: Rows) -> str:
    head = ("tokens", "activations, and so their gradient", "peak beyond the gradient")
    return _markdown(head, [
        (f"{r['tokens']:,}", f"{r['activations_mb']:.1f} MB", f"{r['beyond_gradient_mb']:.1f} MB") for r in rows
    ])  # fmt: skip


def _tokenising(rows: Rows) -> str:
    head = ("text", "tokenizer", "tokens", "processes", "million tokens a second", "asked for", "peak memory of all")
    return _markdown(head, [
        (f"{r['megabytes']} MB", r["tokenizer"], f"{r['tokens']:,}", f"{r['workers']}",
         f"**{r['million_per_second']:.2f}**", _bar(r["at_least"], r["million_per_second"] >= r["at_least"], "≥"),
         f"{r['peak_mb']:.0f} MB")
        for r in rows
    ])  # fmt: skip


def _analysis(rows: Rows) -> str:
    head = ("what", "toposheet", "the published way", "ratio (quartiles)", "asked for", "peak memory")
    lines = []
    for r in rows:
        if r["what"] == "responses":
            asked = _bar(r["at_least"], r["faster"][1] >= r["at_least"], "≥")
            seconds = (f"{r['seconds']:.1f} s", f"{r['published_seconds']:.1f} s")
            lines.append(("responses to 480 texts", *seconds, _ratio(r["faster"]), asked, ""))
        else:
            what = {"report": "the whole report", "place-null": "999 place-null draws of one contrast"}[r["what"]]
            memory = ""
            if "peak_gb" in r:
                memory = f"{r['peak_gb']:.1f} GB, {_bar(r['at_most_gb'], r['peak_gb'] < r['at_most_gb'], '<')}"
            asked = _bar(r["at_most"], r["seconds"] < r["at_most"], "<")
            lines.append((what, f"{r['seconds']:.0f} s", "", "", asked, memory))
    return _markdown(head, lines)


_TABLES = {
    "objective": _objective,
    "training_step": _training_step,
    "accumulation": _accumulation,
    "scaling": _scaling,
    "exactness": _exactness,
    "memory": _memory,
    "tokenising": _tokenising,
    "analysis": _analysis,
}
_AXES = {"windows": "windows of a sheet", "units": "units of the sheet", "taps": "taps", "tokens": "tokens"}
_TITLES = {
    "objective": "The objective against the textbook loop",
    "training_step": "A whole update of the weights",
    "accumulation": "One value for a batch in micro-batches",
    "scaling": "Cost against size",
    "exactness": "All windows against five drawn ones",
    "memory": "Memory",
    "tokenising": "From text to tokens",
    "analysis": "Analyses",
}
_HEAD = """# What it costs

Made by `make bench` (results in [benchmarks.json](benchmarks.json)) on {machine}; {date}. Machines are noisy:
whatever is compared runs in turn in one process, and a ratio is the median over pairs, with its quartiles."""
_WORDS = {
    "objective": "Loss and gradient, 24 taps of 784 units, 5 windows of 81 cells for each: the paper's size. The "
    "textbook loop takes window after window, with `torch.corrcoef`.",
    "training_step": "Whole updates of the training loop, logging and checks included: beside a loop of bare PyTorch "
    "over the same model and text, and beside itself at strength 0.",
    "accumulation": "The demo recipe's step in four micro-batches: each with a spatial loss of its own, as published, "
    "against two passes (statistics, then gradients) that give the whole batch one value. All tokens are correlated.",
    "scaling": "Loss and gradient from a middle point (5 windows, 28x28 sheets, 4 taps, 2,048 tokens; one tap where "
    "units vary), one quantity varied at a time. What grows with the units of a sheet, where windows are drawn, is the "
    "gradient that has to be written.",
    "exactness": "One tap, 2,048 tokens, radius 5, responses half smooth, half noise. *Noise*: mean squared distance "
    "of the gradient of 5 drawn windows from that of all, in units of the square of the latter. All windows are nearly "
    f"free on sheets that have no more than {AUTO} (12x12 cells at radius 5): there `neighborhoods='auto'` takes them "
    "all, elsewhere it draws 5.",
    "memory": "Most bytes that tensors take in loss and gradient of one tap of 784 units, beyond the activations and "
    "their gradient.",
    "tokenising": "`toposheet data prepare` on Parquet files of FineWeb-Edu's schema, start of the program included; "
    "the built-in text over and over, so less varied than the web. Tokenizer: GPT-2's where `TOPOSHEET_GPT2` names "
    "its folder, else a byte-level BPE of 50,257 tokens trained on the same text.",
    "analysis": "A model of the paper's size (128.9 M parameters, 24 taps, random weights). *The whole report*: "
    "`toposheet report --stimuli published`, start of the program, figures and page included: 1,280 texts, five "
    "contrasts with three negative controls each, raw and with readout, 99 draws of each null. *Responses*: to the "
    "language localizer, against a full forward pass with language-model head and loss, batches of 12 padded to the "
    "longest. *Place-null*: 480 texts, 24 taps, readout of 2 mm. The first two need the published stimuli "
    "(`TOPOSHEET_DATA`).",
}
_TAIL = """## Not measured

No GPU was at hand: the bars for one (10 times faster than the loop at 49,152 tokens in bfloat16; a training step of
the paper's size at most 1.02 times that without the objective; 40 % model FLOPs utilisation) are open. `make bench`
measures them where torch finds one."""
