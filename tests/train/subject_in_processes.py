"""Trains a subject further, in one process or several. Run by test_processes.py."""

import sys
from pathlib import Path

from tests.architectures.families import random_model

import toposheet as ts
from toposheet import recipes
from toposheet.train.loop import train
from toposheet.train.parallel import this_process

text, out, parallel = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
lora_rank = int(sys.argv[4]) or None
recipe = recipes.named("tiny", context=16, batch=8, micro_batch=2, updates=6, validation_blocks=5, snapshot_every=None,
                       parallel=parallel, lora_rank=lora_rank)  # fmt: skip
network = random_model("llama")
train(recipe, text, out, subject=ts.Subject(network, ts.Topography.per_tap(network)))
this_process().destroy_process_group()
