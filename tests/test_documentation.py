"""The public names, and the pages that explain them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import toposheet as ts
from toposheet.model_folders import SHIPPED


def test_importing_toposheet_costs_nothing():
    code = (
        "import sys, toposheet; assert not {'torch', 'numpy'} & set(sys.modules); "
        "toposheet.morans_i; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_documented():
    for name in ts.__all__:
        assert getattr(ts, name).__doc__


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/analyses.md",
        "docs/evaluating.md",
        "docs/finetuning.md",
        "docs/importing.md",
        "docs/models.md",
        "docs/python.md",
        "docs/training.md",
    ],
)  # fmt: skip
def test_every_name_that_a_page_gives_is_there(page):
    named = re.findall(r"\bts\.([A-Za-z_]+)", (Path(__file__).parents[1] / page).read_text())
    assert set(named) <= set(ts.__all__)


def test_every_public_analysis_is_named_by_a_page():
    pages = "".join((Path(__file__).parents[1] / page).read_text() for page in ("README.md", "docs/analyses.md"))
    cortex_names = [name for name in ts.__all__ if getattr(ts, name).__module__.startswith("toposheet.cortex")]
    assert len(cortex_names) > 10
    assert [name for name in cortex_names if not re.search(rf"\b{name}\b", pages)] == []


def test_every_public_name_stands_in_an_example_of_the_page_of_python():
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
    assert [name for name in ts.__all__ if not re.search(rf"\bts\.{name}\b", page)] == []


@pytest.mark.parametrize("page", ["README.md", pytest.param("docs/analyses.md", marks=pytest.mark.slow)])
def test_what_a_page_shows_in_python_runs(tmp_path, page):
    (example,) = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / page).read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_blocks_of_the_page_of_python_run_in_order(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
    example = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)).replace(
        "permutations=999", "permutations=9"
    )
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_model_of_your_own_is_given_sheets_saved_and_mapped_in_four_lines(tmp_path):
    (example,) = re.findall(r"```py\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)
    hub = '"organisation/name", shape=(24, 32)'
    assert hub in example
    before = 'import toposheet as ts\nstimuli = ts.load("small").stimuli()\n'
    example = before + example.replace(hub, f"{str(SHIPPED / 'small')!r}, shape=(16, 16)")
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ts.load(tmp_path / "my-model").topography.taps
