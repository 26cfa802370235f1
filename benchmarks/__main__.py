"""Run the benchmarks, all or those named, print their tables and write the docs page: `make bench`."""

from __future__ import annotations

import datetime
import json
import sys
from types import ModuleType

from benchmarks import accumulation, analysis, exactness, memory, objective, page, scaling, tokenising, training_step
from benchmarks.timing import machine

BENCHMARKS: dict[str, ModuleType] = {
    "objective": objective,
    "training_step": training_step,
    "accumulation": accumulation,
    "scaling": scaling,
    "exactness": exactness,
    "memory": memory,
    "tokenising": tokenising,
    "analysis": analysis,
}


def main(names: list[str]) -> None:
    """Measure, print, and write the results of a whole run."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(
            f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr
        )
        sys.exit(2)
    results = {"machine": machine(), "date": datetime.date.today().isoformat(), "benchmarks": {}}
    for name in names or BENCHMARKS:
        results["benchmarks"][name] = BENCHMARKS[name].measure()
        print(f"\n{name}: {BENCHMARKS[name].__doc__.splitlines()[0]}\n")  # pyright: ignore[reportOptionalMemberAccess]
        print(page.tables(results)[name], flush=True)
    if not names:
        page.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        page.write(results)
        print(f"\nwritten: {page.RESULTS}, {page.PAGE}, {page.PLOT}")


if __name__ == "__main__":
    main(sys.argv[1:])
