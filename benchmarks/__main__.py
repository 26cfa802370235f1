"""Run all benchmarks, or the named ones, and print their tables: `make bench`.

A run of all benchmarks also writes docs/benchmarks.md. On a GPU it runs those whose result depends on the device.
"""

from __future__ import annotations

import datetime
import json
import sys
from types import ModuleType

from benchmarks import (
    accumulation,
    analysis,
    cortex,
    evaluating,
    exactness,
    importing,
    intervening,
    language_models,
    memory,
    objective,
    page,
    scaling,
    tokenising,
    training_step,
)
from benchmarks.timing import device, machine

BENCHMARKS: dict[str, ModuleType] = {
    "objective": objective,
    "training_step": training_step,
    "language_models": language_models,
    "accumulation": accumulation,
    "scaling": scaling,
    "exactness": exactness,
    "memory": memory,
    "tokenising": tokenising,
    "importing": importing,
    "cortex": cortex,
    "analysis": analysis,
    "evaluating": evaluating,
    "intervening": intervening,
}
ON_GPU = ("objective", "training_step", "language_models", "accumulation", "exactness", "memory")


def main(names: list[str]) -> None:
    """Run benchmarks and print their tables. If no names are given, run all benchmarks and write the docs page.

    Args:
        names: Names of the benchmarks to run. Empty: all benchmarks.
    """
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(
            f"there is no benchmark {', '.join(sorted(unknown))}; choose from: {', '.join(BENCHMARKS)}", file=sys.stderr
        )
        sys.exit(2)
    results = {"machine": machine(), "date": datetime.date.today().isoformat(), "benchmarks": {}}
    for name in names or (ON_GPU if device().type == "cuda" else BENCHMARKS):
        results["benchmarks"][name] = BENCHMARKS[name].measure()
        print(f"\n{name}: {BENCHMARKS[name].__doc__.splitlines()[0]}\n")  # pyright: ignore[reportOptionalMemberAccess]
        print(page.tables(results)[name], flush=True)
    if not names:
        file = page.RESULTS[device().type]
        file.write_text(json.dumps(results, indent=1) + "\n")
        page.write()
        print(f"\nwritten: {file}, {page.PAGE}, {page.PLOT}")


if __name__ == "__main__":
    main(sys.argv[1:])
