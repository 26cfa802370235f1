"""`toposheet demo`."""

from __future__ import annotations

from pathlib import Path

from toposheet.commands._command import Command, check_out, deferred


@deferred
def demo(out: Path = Path("runs/demo"), recipe: str = "demo", permutations: int | None = None) -> None:
    """Run all steps with small models: prepare text, train a topographic model and a control, make maps and a report.

    The demo runs on this machine. If the command is stopped, run it again to continue.

    Args:
        out: Folder for all results.
        recipe: Recipe of the topographic model. tiny: takes seconds, but its maps show nothing.
        permutations: Number of random draws of each null. None: 999 if the sizes of the models say that these draws
            take less than a minute, otherwise as many as a p needs that is corrected for the number of contrasts.
    """
    from toposheet import recipes

    chosen = recipes.named(recipe)
    check_out(out)
    from toposheet import demo as whole_path
    from toposheet.commands._report import print_summary
    from toposheet.report import folder
    from toposheet.report.page import REPORT
    from toposheet.wording import number

    checks = whole_path.run(chosen, out, permutations=permutations, say=lambda line: print(line, flush=True))
    print()
    for check in checks:
        print(f"  {'✓' if check.holds else '✗'} {check.claim}: {number(check.value, 3)} ({check.bound})")
    print_summary(folder.read(out))
    print(f"\nThe report: {(out / REPORT).resolve()}")


COMMAND = Command(position=10, parser=demo, goes_on=True)
