"""Checks that a compiled run, and one in bf16, train what a plain one trains. Run by test_processes.py."""

import sys
from pathlib import Path

import numpy as np

from toposheet import recipes
from toposheet.train.log import read_metrics
from toposheet.train.loop import train

text, out = map(Path, sys.argv[1:])
plain = recipes.named("tiny", vocabulary=300, context=16, batch=8, micro_batch=4, updates=6, validation_blocks=5,
                      snapshot_every=None, neighborhoods="all")  # fmt: skip
losses = {}
for name, changes in {"plain": {}, "compiled": {"compile": True}, "bf16": {"precision": "bf16"}}.items():
    train(plain.changed(**changes), text, out / name)
    losses[name] = read_metrics(out / name / "metrics.jsonl")[["task_loss", "spatial_loss", "validation_task_loss"]]
np.testing.assert_allclose(losses["compiled"], losses["plain"], rtol=1e-4)
np.testing.assert_allclose(losses["bf16"], losses["plain"], rtol=0.02)
assert not np.array_equal(losses["bf16"]["task_loss"], losses["plain"]["task_loss"])
