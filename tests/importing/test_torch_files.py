"""Files of torch: nothing in them runs, and what is no checkpoint is refused in one line."""

import os
import struct
import zipfile

import numpy as np
import pytest
import torch
from tests.importing.published import arguments_of, endless, weights_of, write_checkpoint, write_program
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
    path = write_program(tmp_path / "nested.pt", program)
    with pytest.raises(UserError, match=r"nested.pt (is no complete pickle|has no entry|holds tuples that are nested)"):
        read_checkpoint(path)


NESTED = b")" + b"\x85" * 200_000
TWICE = b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(45))


@pytest.mark.parametrize("value", [NESTED, TWICE])
@pytest.mark.parametrize(
    "call",
    [
        (b"ccollections\nOrderedDict\n](", b"N\x86e\x85R."),
        (b"c__builtin__\nset\n](", b"e\x85R."),
        (b"ctorch.serialization\n_get_layout\n", b"\x85R."),
        (b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n", b"X\x03\x00\x00\x00cpuK\x06tQ."),
    ],
)
def test_nested_tuples_whose_hash_torch_needs_do_not_end_the_process(tmp_path, call, value):
    path = write_program(tmp_path / "nested.pt", call[0] + value + call[1])
    with pytest.raises(UserError, match=r"nested.pt holds tuples that are nested too deeply"):
        read_checkpoint(path)


def test_calls_that_would_take_any_memory_are_refused(tmp_path):
    large = b"\x8a\x08" + (2**61).to_bytes(8, "little")
    path = write_program(tmp_path / "large.pt", b"c__builtin__\nbytearray\n" + large + b"\x85R.")
    with pytest.raises(UserError, match=r"large.pt is no complete pickle"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (endless(), "a value of type list"),
        (10**500, "a number of 1,661 bits"),
        ("x" * 10**6, f"'{'x' * 80}'"),
        ([1] * 10**6, "a value of type list"),
    ],
    ids=["endless", "number", "text", "list"],
)
@pytest.mark.parametrize("name", ["n_layer", "n_head", "n_embed", "block_size", "bias", "dropout"])
def test_values_that_are_endless_or_long_are_refused_in_a_short_line(tmp_path, name, size, words):
    path = write_checkpoint(tmp_path / "long.pt", arguments=arguments_of(**{name: size}))
    with pytest.raises(UserError, match=rf"long.pt has .*{words}.* in 'model_args'") as refusal:
        read_checkpoint(path)
    assert len(str(refusal.value)) < 400 + len(str(path))


@pytest.mark.parametrize("name", ["n_layer", "bias"])
def test_a_value_that_is_nested_100000_deep_is_refused(tmp_path, name):
    sizes = b"".join(
        b"X" + struct.pack("<I", len(key)) + key.encode() + b"K\x03"
        for key in arguments_of()
        if key not in (name, "bias")
    )
    deep = b"X" + struct.pack("<I", len(name)) + name.encode() + b"](" + b"](" * 100_000 + b"e" * 100_001
    arguments = b"X\x0a\x00\x00\x00model_args}(" + sizes + deep + b"u"
    path = write_program(tmp_path / "deep.pt", b"}(X\x05\x00\x00\x00model}" + arguments + b"u.")
    with pytest.raises(UserError, match=rf"deep.pt has {name} a value of type list"):
        read_checkpoint(path)


def test_a_weight_without_numbers_is_refused(tmp_path):
    weights = weights_of()
    weights["transformer.ln_f.weight"] = weights["transformer.ln_f.weight"].to("meta")
    path = write_checkpoint(tmp_path / "meta.pt", weights)
    with pytest.raises(UserError, match=r"no numbers of the weight 'transformer.ln_f.weight' .*device meta"):
        read_checkpoint(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused_by_the_name_of_the_first(tmp_path, number):
    weights = weights_of()
    for name in ("transformer.h.1.attn.c_proj.weight", "transformer.ln_f.weight"):
        weights[name] = weights[name].double()
        weights[name].view(-1)[7] = number
    path = write_checkpoint(tmp_path / "nan.pt", weights)
    with pytest.raises(UserError, match=r"nan.pt has nan, inf or numbers .* in transformer.h.1.attn.c_proj.weight: "):
        read_checkpoint(path)


def test_one_weight_under_two_names_is_refused_with_both(tmp_path):
    name = "transformer.ln_f.weight"
    path = write_checkpoint(tmp_path / "twice.pt", weights_of() | {f"_orig_mod.{name}": torch.zeros(36)})
    with pytest.raises(UserError, match=rf"two names, '{name}' and '_orig_mod.{name}'"):
        read_checkpoint(path)


def test_attributes_of_weights_do_not_replace_their_methods(tmp_path):
    weights = weights_of()
    weight = weights["transformer.ln_f.weight"]
    path, plain = tmp_path / "attributes.pt", weight.clone()
    vars(weight).update({"float": 3, "numel": 3, "detach": 3})
    assert torch.equal(read_checkpoint(write_checkpoint(path, weights)).weights["transformer.ln_f.weight"], plain)


def test_a_weight_with_many_axes_is_refused_in_a_short_line(tmp_path):
    weights = weights_of() | {"transformer.ln_f.weight": torch.zeros((1,) * 5000)}
    with pytest.raises(UserError, match="has the shape a value of type tuple") as refusal:
        read_checkpoint(write_checkpoint(tmp_path / "axes.pt", weights))
    assert len(str(refusal.value)) < 600


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(UserError, match=r"pipe.pt is no ordinary file"):
        read_checkpoint(tmp_path / "pipe.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text", "is no file that torch.save wrote"),
        ([1, 2], "has no entry 'model'"),
        (torch.zeros(3), "has no entry 'model'"),
        ({"model_args": {}}, "has no entry 'model'"),
        ({"model": {}}, "has no entry 'model_args'"),
        ({"model": torch.zeros(3), "model_args": {}}, "has no entry 'model'"),
        ({"model": {3: torch.zeros(3)}, "model_args": {}}, "an entry 3 of 'model' that is no weight"),
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
