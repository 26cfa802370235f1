"""The numbers as they were before the rooms above `stats` and `sheet` were rebuilt: not one may differ by a bit.

The numbers of the tables came from the code of commit 4af4d45, with one thread and 19 draws; the columns and words
are those of today. A commit that changes a number on purpose records it anew and says so. Recorded anew since: the
contrast of pairs, which counts the means of groups; the rounding of cross-validated effects (means in float64); all
numbers of the set `swjn`, whose non-words are new; criteria and ledger, which have the test of organisation; the mean
over taps of the correlation curve; organisation, tests of profiles and smoothness, which were new; cross-half I and
localizers, whose halves do not depend on the order of the texts; profiles, criteria and the ledger, which have two
measures and values as published; the p of organisation, whose null has the error of standard deviations; intervals of
compare; the last digits of place-nulls with readout, whose variances are those of whole samples; tests matched in
tokens, which leave out no texts; the null of consistency, which keeps the noise of each condition; intervals of
profiles, which count the error of their 0; the null of halves; and the ledger and its steps, which have all steps;
and the words of the ledger on profiles as published, which no longer call a difference shown.
"""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from toposheet.train.hardware import device_name

HERE = Path(__file__).parent
CPU = (HERE / "cpu.txt").read_text().strip()
KINDS = ("update", "task_loss", "spatial_loss", "gradient_norm", "validation_task_loss", "validation_spatial_loss")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def same_cpu():
    torch = pytest.importorskip("torch")
    here = f"{device_name(torch.device('cpu'))}, {torch.backends.cpu.get_cpu_capability()}"
    if here != CPU:
        pytest.skip(f"recorded on {CPU}, this is {here}, which rounds differently")


def toposheet(*arguments, cwd):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOPOSHEET_CACHE": str(cwd / "cache")}
    subprocess.run([sys.executable, "-m", "toposheet", *arguments], cwd=cwd, env=environment, check=True)


def rows_of(text, columns=None):
    """Return the rows of a CSV in any order, numbers as numbers."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    columns = columns or list(table)
    return columns, sorted(tuple(map(_number, row)) for row in table[columns].itertuples(index=False))


def _number(value):
    try:
        return repr(float(value)) if value else value
    except ValueError:
        return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    toposheet("report", "small", "--permutations", "19", "--out", "report", cwd=folder)
    toposheet("ledger", "small", "--permutations", "19", "--out", "ledger", cwd=folder)
    toposheet("compare", "small", "small-control", "--permutations", "19", "--out", "compare", cwd=folder)
    toposheet("demo", "--recipe", "tiny", "--permutations", "19", "--out", "demo", cwd=folder)
    return folder


@pytest.mark.parametrize("path", sorted(str(p.relative_to(HERE)) for p in HERE.glob("*/*.csv.gz")))
def test_no_number_of_a_table_has_changed(folder, path):
    columns, recorded = rows_of(gzip.decompress((HERE / path).read_bytes()).decode())
    result = (folder / path.removesuffix(".gz")).read_bytes().decode()
    assert rows_of(result, columns)[1] == recorded


def test_no_response_has_changed_by_a_bit(tmp_path):
    code = "import sys, numpy as np, toposheet as ts; s = ts.load('small'); t = s.stimuli().iloc[::20]; "
    code += "np.save(sys.argv[1], ts.respond(s, t).values)"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "found.npy")], env=environment, check=True)
    assert np.array_equal(np.load(tmp_path / "found.npy"), np.load(HERE / "responses.npy"))


@pytest.mark.parametrize("architecture", ["gpt2", "qwen3"])
def test_no_loss_of_a_training_has_changed_by_a_bit(folder, architecture):
    out = folder / f"run-{architecture}"
    taps = ["--taps", "model.layers.*.self_attn", "model.layers.*.mlp"] if architecture == "qwen3" else []
    text = ["--data", str(folder / "demo" / "text")]
    toposheet("train", "tiny", "--architecture", architecture, *taps, *text, "--out", str(out), cwd=folder)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    recorded = [json.loads(line) for line in (HERE / f"losses-{architecture}.jsonl").read_text().splitlines()]
    assert [{name: row[name] for name in KINDS if name in row} for row in rows] == recorded
