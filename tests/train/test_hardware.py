import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from toposheet.train.hardware import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    tensors = [torch.ones(1 << 18) for _ in range(40)]  # of a megabyte
    tensors.append(torch.ones(12 << 20))  # of 50 megabytes, as logits are
step(); step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is the C library of Linux")
@pytest.mark.slow
def test_freed_memory_is_used_again_without_page_faults():
    faults = {"keep": 0, "default": 0}
    for how in 4 * list(faults):  # where a heap happens to lie, now and then nothing is given back by default either
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        faults[how] += int(done.stdout)
    assert faults["keep"] < 0.1 * faults["default"]
