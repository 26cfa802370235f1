"""Write docs/benchmarks.md: the measurements on a CPU (docs/benchmarks.json) and on a GPU, as tables and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from toposheet.topography.objectives.statistics import AUTO

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = {"cpu": DOCS / "benchmarks.json", "cuda": DOCS / "benchmarks_gpu.json"}
PAGE, PLOT = DOCS / "benchmarks.md", DOCS / "figures" / "benchmarks.png"

Rows = list[dict[str, Any]]


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Return the Markdown table of each benchmark, by the name of the benchmark."""
    return {name: _TABLES[name](rows) for name, rows in results["benchmarks"].items()}


def write() -> None:
    """Write docs/benchmarks.md and its plot, from the results of both devices."""
    cpu, gpu = (json.loads(file.read_text()) for file in RESULTS.values())
    parts = [_HEAD.format(machine=cpu["machine"], date=cpu["date"])]
    for name, table in tables(cpu).items():
        parts += [f"## {_TITLES[name]}", _WORDS[name], table]
        if name == "scaling":
            parts.append(f"![Cost against windows, units, taps and tokens](figures/{PLOT.name})")
    parts.append(_GPU.format(machine=gpu["machine"], date=gpu["date"]))
    for name, table in tables(gpu).items():
        parts += [f"### {_TITLES[name]}, on a GPU", table]
    PAGE.write_text("\n\n".join(parts) + "\n")
    plot(cpu["benchmarks"]["scaling"])


def plot(curves: Rows) -> None:
    """Draw the cost of the objective against each quantity, on logarithmic axes, with the exponent in the title."""
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
    head = ("tokens", "precision", "toposheet", "textbook loop", "speed-up (quartiles)", "target")
    return _markdown(head, [
        (f"{r['tokens']:,}", r["precision"], f"{r['ours_ms']:.1f} ms", f"{r['textbook_ms']:.1f} ms",
         _ratio(r["faster"]), _bar(r["at_least"], r["at_least"] is None or r["faster"][1] >= r["at_least"], "≥"))
        for r in rows
    ])  # fmt: skip


def _training_step(rows: Rows) -> str:
    head = (
        "recipe",
        "compared with",
        "time of the compared loop",
        "time of the recipe",
        "ratio (quartiles)",
        "target",
        "model FLOPs utilisation",
    )
    return _markdown(head, [
        (r["recipe"], r["beside"], f"{r['beside_ms']:.1f} ms", f"{r['ms']:.1f} ms", _ratio(r["ratio"], 3),
         _bar(r["at_most"], r["at_most"] is None or r["ratio"][1] <= r["at_most"], "≤"),
         f"{100 * r['model_flops_utilisation']:.1f} %" if r["model_flops_utilisation"] else "–")
        for r in rows
    ])  # fmt: skip


def _language_models(rows: Rows) -> str:
    head = ("measurement", "without", "with toposheet", "ratio (quartiles)", "target")
    what = {
        "attach": "sheets for 8.0 billion parameters, on the meta device",
        "place": "places for one tap of 4,096 units, by assignment",
        "record": "a forward pass, all taps recorded: its time",
        "train": "full adaptation: its tokens per second",
    }
    lines = []
    for r in rows:
        if "ratio" not in r:
            asked = _bar(r["at_most"], r["seconds"] < r["at_most"], "<")
            lines.append((what[r["what"]], "", f"{r['seconds']:.2f} s", "", asked))
        else:
            middle = r["ratio"][1]
            asked = (
                _bar(r["at_least"], middle >= r["at_least"], "≥")
                if "at_least" in r
                else _bar(r["at_most"], middle <= r["at_most"], "≤")
            )
            seconds = (f"{1000 * r['beside_seconds']:.0f} ms", f"{1000 * r['seconds']:.0f} ms")
            lines.append((what[r["what"]], *seconds, _ratio(r["ratio"], 3), asked))
    return _markdown(head, lines)


def _accumulation(rows: Rows) -> str:
    head = ("micro-batches", "one value per micro-batch", "one value per batch", "ratio (quartiles)")
    return _markdown(head, [
        (f"{r['parts']}", f"{r['own_ms']:.0f} ms", f"{r['one_ms']:.0f} ms", _ratio(r["ratio"])) for r in rows
    ])  # fmt: skip


def _scaling(rows: Rows) -> str:
    head = ("quantity", "smallest value", "largest value", "cost", "exponent")
    return _markdown(head, [
        (r["varied"], f"{r['values'][0]:,}", f"{r['values'][-1]:,}", f"{r['ms'][0]:.1f} to {r['ms'][-1]:.1f} ms",
         f"{r['exponent']:.2f}")
        for r in rows
    ])  # fmt: skip


def _exactness(rows: Rows) -> str:
    head = ("units", "windows", "5 drawn windows", "all windows", "ratio (quartiles)", "gradient noise with 5 windows")
    return _markdown(head, [
        (f"{r['units']}", f"{r['windows']}", f"{r['five_ms']:.2f} ms", f"{r['all_ms']:.2f} ms", _ratio(r["ratio"]),
         f"{r['noise']:.2f}")
        for r in rows
    ])  # fmt: skip


def _memory(rows: Rows) -> str:
    head = ("tokens", "activations (their gradient has the same size)", "peak memory in addition to the gradient")
    return _markdown(head, [
        (f"{r['tokens']:,}", f"{r['activations_mb']:.1f} MB", f"{r['beyond_gradient_mb']:.1f} MB") for r in rows
    ])  # fmt: skip


def _tokenising(rows: Rows) -> str:
    head = (
        "text",
        "tokenizer",
        "tokens",
        "processes",
        "million tokens per second",
        "target",
        "peak memory of all processes",
    )
    return _markdown(head, [
        (f"{r['megabytes']} MB", r["tokenizer"], f"{r['tokens']:,}", f"{r['workers']}",
         f"**{r['million_per_second']:.2f}**", _bar(r["at_least"], r["million_per_second"] >= r["at_least"], "≥"),
         f"{r['peak_mb']:.0f} MB")
        for r in rows
    ])  # fmt: skip


def _importing(rows: Rows) -> str:
    head = ("measurement", "parameters", "checkpoint", "time", "target", "peak memory")
    names = {
        "command": "`toposheet import topolm`",
        "imports": "the start of the program alone",
        "python": "`ts.import_topolm` and `ts.save`",
    }
    return _markdown(head, [
        (names[r["what"]], f"{r['parameters']:,}" if "parameters" in r else "",
         f"{r['file_mb']:,.0f} MB" if "file_mb" in r else "", f"**{r['seconds']:.1f} s**",
         _bar(r["at_most"], r["seconds"] < r["at_most"], "<") if "at_most" in r else "",
         f"{r['peak_mb']:,.0f} MB" if "peak_mb" in r else "")
        for r in rows
    ])  # fmt: skip


def _cortex(rows: Rows) -> str:
    head = ("measurement", "a sheet for each tap", "one sheet", "ratio (quartiles)", "target", "peak memory")
    lines = []
    for r in rows:
        if r["what"] in ("attach", "map"):
            what = {
                "attach": "sheet for {units:,} units",
                "map": "map of {units:,} units, {texts} texts, {draws} draws",
            }
            memory = ""
            if "peak_mb" in r:
                held = _bar(r["memory_at_most"] / 1000, r["peak_mb"] < r["memory_at_most"], "<")
                memory = f"{r['peak_mb'] / 1000:.1f} GB, {held}"
            asked = _bar(r["at_most"], r["seconds"] < r["at_most"], "<")
            lines.append((what[r["what"]].format(**r), "", f"{r['seconds']:.1f} s", "", asked, memory))
        else:
            asked = _bar(r["at_most"], r["ratio"][1] <= r["at_most"], "≤")
            times = (f"{1000 * r['alone']:.0f} ms", f"{1000 * r['together']:.0f} ms")
            lines.append((f"{r['windows']} windows, {r['what']}", *times, _ratio(r["ratio"]), asked, ""))
    return _markdown(head, lines)


def _analysis(rows: Rows) -> str:
    head = ("measurement", "toposheet", "published method", "speed-up (quartiles)", "target", "peak memory")
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


def _evaluating(rows: Rows) -> str:
    head = ("measurement", "pairs", "toposheet", "lm-evaluation-harness", "speed-up (quartiles)", "target")
    blimp, harness = rows
    return _markdown(head, [
        ("all pairs of BLiMP, extrapolated from 9 paradigms", f"{blimp['pairs']:,}", f"{blimp['minutes']:.1f} min", "",
         "", _bar(blimp["at_most"], blimp["minutes"] < blimp["at_most"], "<")),
        ("some pairs of these paradigms", f"{harness['pairs']:,}", f"{harness['seconds']:.1f} s",
         f"{harness['beside_seconds']:.1f} s", _ratio(harness["ratio"]),
         _bar(harness["at_least"], harness["ratio"][1] >= harness["at_least"], "≥")),
    ])  # fmt: skip


def _intervening(rows: Rows) -> str:
    head = ("measurement", "intact", "with the intervention", "ratio (quartiles)", "target")
    lines = []
    for r in rows:
        if r["what"] == "searchlight":
            asked = _bar(r["at_most"], r["minutes"] < r["at_most"], "<")
            lines.append(("searchlight of 100 discs with 500 pairs", "", f"{r['minutes']:.1f} min", "", asked))
        else:
            times = (f"{1000 * r['beside_seconds']:.0f} ms", f"{1000 * r['seconds']:.0f} ms")
            asked = _bar(r["at_most"], r["ratio"][1] <= r["at_most"], "≤")
            lines.append((f"forward pass, {r['what']}", *times, _ratio(r["ratio"]), asked))
    return _markdown(head, lines)


_TABLES = {
    "objective": _objective,
    "training_step": _training_step,
    "language_models": _language_models,
    "accumulation": _accumulation,
    "scaling": _scaling,
    "exactness": _exactness,
    "memory": _memory,
    "tokenising": _tokenising,
    "importing": _importing,
    "cortex": _cortex,
    "analysis": _analysis,
    "evaluating": _evaluating,
    "intervening": _intervening,
}
_AXES = {"windows": "windows of a sheet", "units": "units of the sheet", "taps": "taps", "tokens": "tokens"}
_TITLES = {
    "objective": "The objective compared with a textbook loop",
    "training_step": "A whole update of the weights",
    "language_models": "A pretrained language model",
    "accumulation": "One spatial loss for a batch of several micro-batches",
    "scaling": "Cost against size",
    "exactness": "All windows compared with five drawn windows",
    "memory": "Memory",
    "tokenising": "From text to tokens",
    "importing": "A published checkpoint as a model folder",
    "cortex": "One sheet for all taps",
    "analysis": "Analyses",
    "evaluating": "Answers to BLiMP",
    "intervening": "Interventions",
}
_HEAD = """# What it costs

`make bench` made this page on {machine}, on {date}. The results are also in [benchmarks.json](benchmarks.json).
The speed of a machine varies. Two compared programs therefore run alternately in one process, in pairs. A ratio is the
median over pairs, with the quartiles in parentheses. ✓ means that the target was met, and ✗ that it was missed."""
_WORDS = {
    "objective": "The table shows the time of the spatial loss and its gradient, at the size of the paper: 24 taps "
    "of 784 units, and 5 windows of 81 cells on each sheet. The textbook loop computes one window "
    "after another, with `torch.corrcoef`.",
    "training_step": "The table shows the time of whole updates of the training loop, with logging and checks. An "
    "update is compared with a plain PyTorch loop over the same model and text (`bare PyTorch`), or "
    "with the same training loop at alpha 0 (`strength 0`). A ratio of 1 means equal times.",
    "language_models": "The table shows what sheets cost a user of a pretrained language model. The first row is the "
    "time to build a Llama configuration of 8.0 billion parameters without weights, find its 64 taps and give each of "
    "their 262,144 units a place. In the second row, a tap of this width gets places by assignment, fitted on 8,192 "
    "tokens and scored on as many others. The other rows are for a Llama of the size of SmolLM2-135M (60 taps of 576 "
    "units, float32, 4 blocks of 128 tokens) with random weights. The forward pass is timed with and without "
    "recording; freed memory is kept, as in training. An update of the training loop, with the spatial objective on "
    "all taps and all tokens (alpha 0.5, 5 windows), "
    "alternates with an update of a plain PyTorch loop over the same model with its task loss alone. There the ratio "
    "is that of the tokens per second.",
    "accumulation": "The table shows the time of one update of the recipe `demo` with four micro-batches. The "
    "published method computes a spatial loss for each micro-batch. The other method computes one "
    "spatial loss for the whole batch. It needs two passes, one for the statistics and one for the "
    "gradients. Both methods use all tokens.",
    "scaling": "The table shows the time of the spatial loss and its gradient. One quantity varies, and the "
    "others stay at 5 windows, 28x28 sheets, 4 taps and 2,048 tokens (1 tap where the units vary). "
    "The exponent is the slope of the cost on logarithmic axes: 1 means that the cost grows in "
    "proportion to the quantity. With 5 drawn windows, a sheet with more units costs more only "
    "because the gradient has more values.",
    "exactness": "The table shows the time of the spatial loss and its gradient for one tap, 2,048 tokens and "
    "radius 5. Half of the variance of the responses is smooth over the sheet, and half is noise. "
    "*Gradient noise* is the mean squared distance between the gradient with 5 drawn windows and the "
    "gradient with all windows, divided by the squared norm of the gradient with all windows. The "
    f"gradient with all windows has no such noise. On sheets with at most {AUTO} windows (12x12 cells at "
    "radius 5), all windows cost hardly more than 5. `neighborhoods='auto'` therefore uses all "
    "windows on these sheets, and 5 drawn windows on larger sheets.",
    "memory": "The table shows the peak memory of tensors while the spatial loss and its gradient are computed "
    "for one tap of 784 units. The activations and their gradient are not counted in the last column.",
    "tokenising": "The table shows the speed of `toposheet data prepare` on Parquet files in the format of "
    "FineWeb-Edu, with the start of the program. The files repeat the built-in text, which is less "
    "varied than text from the web. The command uses the tokenizer of GPT-2 if `TOPOSHEET_GPT2` names "
    "the folder of this tokenizer. Otherwise it uses a byte-level BPE tokenizer with 50,257 tokens, "
    "trained on the same text.",
    "importing": "The table shows the time in which a checkpoint in TopoLM's published format becomes a model "
    "folder. It has random weights of the published sizes, the moments of the optimizer, and 24 files of positions "
    "with units that share cells. The command is timed with the start of the program, which imports PyTorch and "
    "`transformers`.",
    "evaluating": "The table shows the time in which the shipped model `small` scores the sentences of BLiMP. In the "
    "second row, the same sentences are scored by the class of lm-evaluation-harness for `transformers` models, "
    "alternately, in batches of the same size.",
    "intervening": "The table shows the time of a forward pass of a Llama of the size of SmolLM2-135M (float32, random "
    "weights, 4 blocks of 128 tokens), as it is and with a lesion of a disc of 4 mm in one or in all of its 60 taps. "
    "The last row is a searchlight on the shipped model `small` with pairs of BLiMP, without draws of the null.",
    "cortex": "The first rows show the time of the spatial loss and its gradient for 24 taps of 784 units and 2,048 "
    "tokens: with 5 windows on a sheet for each tap, and with 120 windows on one sheet, which cross the borders of "
    "taps. The program keeps freed memory, as training does. "
    "The other rows are for one sheet in bands with 60 taps of 2,500 units: the time in which a model gets it, and the "
    "time of the map statistics and the organisation of a contrast, raw and with a readout of 2 mm.",
    "analysis": "The table shows the time of analyses for a model of the paper's size (128.9 M parameters, 24 "
    "taps, random weights).\n\n"
    "- *Place-null*: 480 texts, 24 taps, a readout of 2 mm.\n"
    "- *Responses*: responses to the language localizer. The published method makes a full forward "
    "pass, with the language-model head and the loss, on batches of 12 texts that are padded to the "
    "longest text.\n"
    "- *The whole report*: `toposheet report --stimuli published`, with the start of the program, the "
    "figures and the page. It has 1,280 texts, five contrasts with three negative controls each, maps "
    "without and with readout, and 99 draws of each null.\n\n"
    "The last two need the published stimuli (`TOPOSHEET_DATA`).",
}
_GPU = """## On a GPU

`make bench` made this part on {machine}, on {date} (the results: [benchmarks_gpu.json](benchmarks_gpu.json)).
The tables have the same meaning as above. The recipes `paper` and `fast` train in bfloat16 with `torch.compile`. The
objective then computes the products of all pairs of units on the tensor cores. Model FLOPs utilisation counts the
arithmetic of the model only, without the objective; the target is 40 %."""
