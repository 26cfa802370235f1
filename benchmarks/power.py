"""Claim: how often a patch and its order in space would be found in the shipped pair, with its sentences and non-words.

`python -m benchmarks.power` prints the table of docs/analyses.md, in about 4 minutes of one core.
"""

from __future__ import annotations

import toposheet as ts

MODELS, EFFECTS, PATCHES_MM, SIMULATIONS = ("small", "small-control"), (0.2, 0.5, 0.8), (3.0, 6.0), 100


def main() -> None:
    """Print the power of the language comparison of each shipped model, as a table in Markdown."""
    print("| model | patch | effect (d) | patch found | 95 % | effect ordered | 95 % |\n|---|---|---|---|---|---|---|")
    for model in MODELS:
        subject = ts.load(model)
        comparison = ts.Comparison(ts.respond(subject, subject.stimuli()), "sentence", "nonword")
        table = ts.power(comparison, effect=EFFECTS, patch_mm=PATCHES_MM, simulations=SIMULATIONS)
        for row in table.sort_values(["patch_mm", "effect"]).to_dict("records"):
            print(_line(model, row), flush=True)


def _line(model: str, row: dict) -> str:
    cells = [f"`{model}`", f"{row['patch_mm']:g} mm, {row['patch_units']:g} units", f"{row['effect']:g}"]
    for name in ("found", "ordered"):
        cells += [f"{row[name]:.2f}", f"{row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
