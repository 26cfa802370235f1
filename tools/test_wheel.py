"""Try what a user gets: build the wheel, install it without extras in an empty environment, run the commands there.

`make test-wheel` runs this with the Python to try: `make PYTHON=python3.12 test-wheel`. It needs a package index, no
checkout beside it once the wheel is built, and a few minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
SOURCE = CHECKOUT / "src"
FEW = ("--permutations", "5")
DEMO, STIMULI, DATA, BRAIN = (f"pip install 'toposheet[{extra}]'" for extra in ("demo", "stimuli", "data", "brain"))
LEFT_OUT = f"note: the stimuli swjn, words, pairs are left out, because packages are missing: {DEMO}"
TEXTS = "text,condition\n" + "".join(
    f"the old mill stood by river {n},a\nblorf wug drax plin {n},b\n" for n in range(8)
)

# What is run after `toposheet`, its exit code, and words that it prints: on stdout where it ends well, else on stderr.
COMMANDS: list[tuple[tuple[str, ...], int, str]] = [
    (("--version",), 0, "toposheet "),
    (("--help",), 0, "localize"),
    (("stimuli", "list"), 0, "swjn"),
    (("stimuli", "show", "words"), 0, STIMULI),
    (("stimuli", "show", "fedorenko2011"), 0, "TOPOSHEET_DATA"),
    (("stimuli", "check", "texts.csv", "--model", "small"), 0, "16 texts; a 8, b 8"),
    (("map", "small", "--stimuli", "texts.csv", "--contrast", "a:b", *FEW, "--out", "map"), 0, STIMULI),
    (("localize", "small", "--out", "localizer"), 0, "The localizer: "),
    (("report", "small", *FEW, "--out", "report"), 0, LEFT_OUT),
    (("ledger", "small", *FEW, "--out", "ledger"), 0, LEFT_OUT),
    (("compare", "small", "small-control", *FEW, "--out", "compare"), 0, LEFT_OUT),
    (("map", "small", "--stimuli", "words", "--contrast", "noun:verb", "--out", "none"), 2, STIMULI),
    (("localize", "small", "--stimuli", "language", "--out", "none"), 2, DEMO),
    (("stimuli", "build", "words", "--out", "none"), 2, STIMULI),
    (("stimuli", "build", "swjn", "--out", "none"), 2, DEMO),
    (("brain", "moran", "map.gii"), 2, BRAIN),
    (("brain", "export", "small", "--out", "none"), 2, BRAIN),
    (("data", "prepare", "builtin", "--out", "none"), 2, DEMO),
    (("data", "prepare", "text.txt", "--out", "none"), 2, DATA),
    (("train", "tiny", "--out", "none"), 2, DEMO),
    (("demo", "--recipe", "tiny", "--out", "none"), 2, DEMO),
]
FILES = ("map/summary.csv", "map/maps.nc", "localizer/localizer.nc", "report/report.html", "ledger/ledger.md",
         "compare/compare.csv")  # fmt: skip
PYTHON = """
import toposheet as ts
subject = ts.load("small")
comparison = ts.Comparison(ts.respond(subject, subject.stimuli()), "sentence", "nonword")
assert ts.map_statistics(comparison, permutations=5)["morans_i"].mean() > 0.5
ts.plot(comparison)
with subject.record() as activations:
    subject(subject.tokenizer("The river ran past the old mill.", return_tensors="pt").input_ids)
assert ts.spatial_loss(activations, subject.topography) > 0
try:
    ts.stimulus_set("pairs")
except ts.UserError as error:
    assert "pip install 'toposheet[stimuli]'" in str(error)
"""


def run(*command: object, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Return what a command that must end well prints."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def built(python: Path, folder: Path) -> Path:
    """Return a wheel built through the sdist, after checks of what it holds."""
    run(python, "-m", "pip", "install", "--quiet", "build", cwd=folder)
    run(python, "-m", "build", "--outdir", folder / "dist", CHECKOUT, cwd=folder)
    run(python, "-m", "build", "--wheel", "--outdir", folder / "direct", CHECKOUT, cwd=folder)
    (wheel,), (direct,) = (list((folder / name).glob("*.whl")) for name in ("dist", "direct"))
    files = contents(wheel)
    check("the sdist builds the wheel that the checkout builds", files == contents(direct))
    inside = {name for name in files if ".dist-info/" not in name}
    source = {
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "toposheet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    check("the wheel holds every file of the package and nothing else", inside == source, sorted(inside ^ source))
    typed = {"toposheet/py.typed", "toposheet/__init__.pyi", "toposheet/shipped/small/model.safetensors"}
    check("the wheel holds its types and its models", typed <= inside)
    return wheel


def extras(wheel: Path) -> set[str]:
    """Return the packages that only extras bring, by their canonical names."""
    (metadata,) = (text.decode() for name, text in contents(wheel).items() if name.endswith(".dist-info/METADATA"))
    required = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)$", metadata, re.MULTILINE)
    return {canonical(name) for name, rest in required if "extra ==" in rest} - {"toposheet"}


def canonical(name: str) -> str:
    """Return the name of a package as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


results: list[bool] = []


def check(claim: str, holds: bool, *seen: object) -> None:
    """Count a claim and print whether it holds, and if not what was seen."""
    results.append(holds)
    print(f"{'ok  ' if holds else 'FAIL'} {claim}", *(() if holds else seen), sep="\n     ", flush=True)


def check_command(
    toposheet: Path, arguments: tuple[str, ...], code: int, words: str, cwd: Path, **environment: str
) -> None:
    """Run a command, and check how it ends and what it prints."""
    done = subprocess.run([toposheet, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    printed = done.stdout if code == 0 else done.stderr.splitlines()[-1] if done.stderr else ""
    holds = done.returncode == code and words in printed and "Traceback" not in done.stderr
    holds &= code == 0 or not (cwd / "none").exists()  # what is refused leaves nothing
    check(f"toposheet {' '.join(arguments)}", holds, f"exit code {done.returncode}", done.stdout, done.stderr)


def main() -> int:
    """Build, install, run; return 0 where all holds."""
    with tempfile.TemporaryDirectory(prefix="toposheet-wheel-") as temporary:
        folder = Path(temporary)
        python = {}
        for name in ("building", "plain"):
            run(sys.executable, "-m", "venv", folder / name, cwd=folder)
            python[name] = folder / name / "bin" / "python"
        wheel = built(python["building"], folder)
        run(
            python["plain"],
            "-m",
            "pip",
            "install",
            "--quiet",
            "--constraint",
            CHECKOUT / "constraints.txt",
            wheel,
            cwd=folder,
        )
        installed = {
            canonical(line.partition("==")[0])
            for line in run(python["plain"], "-m", "pip", "freeze", cwd=folder).splitlines()
        }
        check("no extra is installed", not installed & extras(wheel), sorted(installed & extras(wheel)))

        work = folder / "work"
        work.mkdir()
        (work / "texts.csv").write_text(TEXTS)
        (work / "text.txt").write_text("A text of one line.\n")
        (work / "map.gii").write_text("")
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "TOPOSHEET_DATA")}
        environment = kept | {"TOPOSHEET_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
        for arguments, code, words in COMMANDS:
            check_command(folder / "plain" / "bin" / "toposheet", arguments, code, words, work, **environment)
        for file in FILES:
            check(f"{file} was written", (work / file).is_file())
        run(python["plain"], "-c", PYTHON, cwd=work, environment=environment)
        check("the Python interface answers", True)
    failed = results.count(False)
    print(f"Python {sys.version.split()[0]}\n{len(results) - failed} passed, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
