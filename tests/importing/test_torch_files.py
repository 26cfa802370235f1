"""Files of torch: nothing in them runs, and what is no checkpoint is refused in one line."""

import os
import zipfile

import numpy as np
import pytest
import torch
from tests.importing.published import arguments_of, weights_of, write_checkpoint
from tests.importing.test_pickles import refusal_of

from toposheet.errors import NotFound, UserError
from toposheet.importing.checkpoints import read_checkpoint
from toposheet.importing.torch_files import read_torch_file


class Setting:
    """An object of a class that only its project knows, as some trainings store their configuration."""


@pytest.mark.parametrize("entry", ["model", "config", "weight", "model_args", "new"])
def test_a_call_of_the_system_is_refused_by_name_in_every_entry(tmp_path, hostile, entry):
    weights, arguments, more = weights_of(), arguments_of(), {}
    if entry == "weight":
        weights["transformer.ln_f.weight"] = hostile
    elif entry == "model_args":
        arguments["position_dir"] = hostile
    else:
        more[entry] = hostile
    path = write_checkpoint(tmp_path / "ckpt.pt", weights, arguments, **more)
    with pytest.raises(UserError, match=r"ckpt.pt holds other .*'posix.system'.*nothing of it was run") as refusal:
        read_checkpoint(path)
    assert "\n" not in str(refusal.value)
    assert "weights_only" not in str(refusal.value)


def test_a_hostile_file_in_the_older_format_of_torch_is_refused(tmp_path, hostile):
    torch.save({"model": hostile}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"is no file that torch.save wrote"):
        read_torch_file(tmp_path / "old.pt")


@pytest.mark.parametrize(("value", "name"), [(Setting(), "Setting"), (np.float64(3.1), "scalar")])
def test_other_objects_are_refused_by_name_with_what_to_do(tmp_path, value, name):
    path = write_checkpoint(tmp_path / "ckpt.pt", config=value)
    with pytest.raises(UserError, match=rf"{name}'\): it is refused.*save it again with tensors and plain values only"):
        read_checkpoint(path)


def test_every_beginning_of_a_file_is_refused(checkpoint, tmp_path):
    data = checkpoint.read_bytes()
    for length in [0, 1, 3, 100, len(data) // 2, len(data) - 30, len(data) - 1]:
        (tmp_path / "cut.pt").write_bytes(data[:length])
        with pytest.raises(UserError, match=r"cut.pt is no file that torch.save wrote|cut.pt cannot be read"):
            read_checkpoint(tmp_path / "cut.pt")


def test_no_damaged_byte_leads_to_another_error(checkpoint, tmp_path):
    data, rng = bytearray(checkpoint.read_bytes()), np.random.default_rng(0)
    for _ in range(60):
        damaged = data.copy()
        for where in rng.integers(len(data), size=20):
            damaged[where] = rng.integers(256)
        damaged[-200:] = data[-200:]  # else it is no archive
        (tmp_path / "damaged.pt").write_bytes(damaged)
        assert "\n" not in refusal_of(read_checkpoint, tmp_path / "damaged.pt")


def test_compressed_archives_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"bomb.pt has compressed parts"):
        read_torch_file(path)


@pytest.mark.parametrize(
    "program",
    [
        b"}" + b")" + b"\x85" * 1_000_000 + b"Ns.",  # a key that is deeply nested: its hash would end the process
        b"}q\x00(X\x01\x00\x00\x00ah\x00u.",  # a dict that holds itself
        b"](" + b"]" * 100_000 + b"e.",
        b")" + b"\x85" * 1_000_000 + b".",
    ],
)
def test_nested_checkpoints_end_without_recursion(tmp_path, program):
    with zipfile.ZipFile(tmp_path / "nested.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program)
        archive.writestr("archive/version", "3\n")
    with pytest.raises(UserError, match=r"nested.pt (is no complete pickle|has no entry)"):
        read_checkpoint(tmp_path / "nested.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "is no file that torch.save wrote"),
        ([1, 2], "has no entry 'model'"),
        (torch.zeros(3), "has no entry 'model'"),
        ({"model_args": {}}, "has no entry 'model'"),
        ({"model": {}}, "has no entry 'model_args'"),
        ({"model": torch.zeros(3), "model_args": {}}, "has no entry 'model'"),
        ({"model": {3: torch.zeros(3)}, "model_args": {}}, "an entry '3' of 'model' that is no weight"),
        ({"model": {"a": torch.zeros(3).to_sparse()}, "model_args": {}}, "an entry 'a' of 'model' that is no weight"),
        ({"model": {}, "model_args": {}}, "has n_layer None in 'model_args'"),
        ({"model": {}, "model_args": arguments_of()}, "the file is too small|wte.weight is missing"),
    ],
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path, content, message):
    path = tmp_path / "other.pt"
    if isinstance(content, str):
        path.write_text(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=message) as refusal:
        read_checkpoint(path)
    assert "\n" not in str(refusal.value)
    assert "other.pt" in str(refusal.value)


def test_missing_files_and_folders_are_said(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*nowhere.pt"):
        read_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(UserError, match="is a folder: give the checkpoint in it"):
        read_checkpoint(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_an_error_of_the_system(checkpoint):
    checkpoint.chmod(0)
    with pytest.raises(PermissionError):
        read_checkpoint(checkpoint)
