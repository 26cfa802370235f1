import json
from collections.abc import Callable
from pathlib import Path

import pytest

PARADIGMS = {
    "agreement": ("syntax", "number"),
    "gender": ("syntax", "number"),
    "islands": ("syntax/semantics", "extraction"),
}
NOUNS = ("child", "river", "engineer", "mill", "road", "stone", "letter", "city")


def pair(paradigm: str, number: int) -> dict[str, object]:
    """Return a line of a file of BLiMP, with all its columns."""
    field, term = PARADIGMS[paradigm]
    noun, verbs = NOUNS[number % len(NOUNS)], ("ran", "run") if number % 3 else ("run", "ran")
    good, bad = (f"The {noun} {verb} past the {paradigm}." for verb in verbs)
    return {
        "sentence_good": good, "sentence_bad": bad,
        "field": field, "linguistics_term": term, "UID": paradigm, "simple_LM_method": True,
        "one_prefix_method": False, "two_prefix_method": False, "lexically_identical": False, "pairID": str(number),
    }  # fmt: skip


@pytest.fixture
def blimp(tmp_path: Path) -> Path:
    """A folder of three small files in the format of BLiMP."""
    folder = tmp_path / "blimp"
    folder.mkdir()
    for paradigm in PARADIGMS:
        lines = [json.dumps(pair(paradigm, number)) + "\n" for number in range(8)]
        (folder / f"{paradigm}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def broken_line(blimp: Path) -> Callable[[str], Path]:
    """Put a line into the third line of a file."""

    def broken_line(line: str) -> Path:
        file = blimp / "gender.jsonl"
        lines = file.read_text().split("\n")
        lines[2] = line
        file.write_text("\n".join(lines))
        return file

    return broken_line
