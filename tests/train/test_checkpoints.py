import os
import subprocess
import sys

import pytest
import torch
from tests.train.conftest import newest

from toposheet.train.checkpoints import KEPT, Checkpoint, save_checkpoint


def checkpoint(update):
    return Checkpoint(update, "text", {"device": "a"}, [3.0, 2.5], 12.5, {"w": torch.arange(5.0)}, [{"state": {}}])


def test_comes_back_as_it_was(tmp_path):
    save_checkpoint(tmp_path, checkpoint(3))
    back = newest(tmp_path)
    assert torch.equal(back.model.pop("w"), torch.arange(5.0))
    assert (back.update, back.text, back.machine, back.validations) == (3, "text", {"device": "a"}, [3.0, 2.5])


def test_two_are_kept_and_what_a_kill_left_is_removed(tmp_path):
    (tmp_path / ".writing-update-1").write_bytes(b"half")
    for update in range(9, 12):
        save_checkpoint(tmp_path, checkpoint(update))
    assert len(list(tmp_path.iterdir())) == KEPT == 2
    assert newest(tmp_path).update == 11


def test_there_is_none_in_an_empty_folder(tmp_path):
    assert newest(tmp_path / "nowhere") is None


def test_if_all_are_damaged_the_folder_is_named(tmp_path):
    for update in (1, 2):
        save_checkpoint(tmp_path, checkpoint(update)).write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=f"all checkpoints in {tmp_path} are damaged: remove the folder"):
        newest(tmp_path)


def test_checkpoints_are_not_unpickled(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    evil = checkpoint(1)
    evil.machine["device"] = Evil()
    save_checkpoint(tmp_path, evil)
    with pytest.raises(ValueError, match="damaged"):
        newest(tmp_path)
    assert not (tmp_path / "owned").exists()


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from toposheet.train.checkpoints import Checkpoint, save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(folder, Checkpoint(1, "", {}, [], 0.0, {"w": torch.zeros(1000)}, []))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save_checkpoint(folder, Checkpoint(2, "", {}, [], 0.0, {"w": torch.zeros(100_000)}, []))
except OSError as error:
    sys.exit(f"stopped: {error}")
"""


def test_a_full_disk_leaves_the_last_checkpoint_intact(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True)
    assert "stopped: [Errno 27] File too large" in done.stderr
    assert newest(tmp_path).update == 1
    assert len(list(tmp_path.iterdir())) == 1
