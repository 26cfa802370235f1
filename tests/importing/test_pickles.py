"""Nothing in a pickle runs: whatever it holds, it gives plain values, or is refused by name."""

import io
import os
import pickle
import resource
import struct
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.importing.published import coordinates_of, endless, fields_of, pickled

from toposheet.errors import UserError
from toposheet.importing.pickled_arrays import NAMES, array_of
from toposheet.importing.pickles import Made, check_pickle, read_pickle
from toposheet.importing.positions import read_positions
from toposheet.importing.unreadable import Unreadable

RECORD = "positions.LayerPositions"
ALLOWED = NAMES | {RECORD}
NAME = "layer.0.attn"


class Reduced:
    """An object whose pickle is the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments, state)

    def __reduce__(self):
        return self.call


def arrays_in(data):
    """Return the arrays that a file of positions holds, as the import reads them."""
    record = read_pickle(data, ALLOWED)
    if not isinstance(record, Made) or not isinstance(record.state, dict):
        raise Unreadable("holds no record")
    return [array_of(record.state.get(name)) for name in ("coordinates", "neighborhood_indices")]


def test_a_record_of_positions_is_read_with_its_plain_fields():
    record = read_pickle(pickled(NAME, dims=(6, 6), kept=[1, 2.5, None, True, b"x"], more={"a": 2**40}), ALLOWED)
    assert (record.maker, record.arguments) == (RECORD, ())
    assert record.state == {"name": NAME, "dims": (6, 6), "kept": [1, 2.5, None, True, b"x"], "more": {"a": 2**40}}
    assert "positions" not in sys.modules


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_arrays_and_tensors_are_those_that_were_pickled(protocol, dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    forms = [array, np.asfortranarray(array), array[::2, ::-1], array.astype(array.dtype.newbyteorder(">"))]
    for form in forms:
        read = array_of(read_pickle(pickle.dumps(form, protocol), ALLOWED))
        np.testing.assert_array_equal(read, form)
        assert read.dtype.kind in "bif"
    tensor = torch.from_numpy(array)
    for form in (tensor, tensor.permute(2, 0, 1), tensor[:, 1:2], tensor[1], torch.nn.Buffer(tensor) + 0):
        np.testing.assert_array_equal(array_of(read_pickle(pickle.dumps(form, protocol), ALLOWED)), form.numpy())
    half = tensor.bfloat16()
    np.testing.assert_array_equal(array_of(read_pickle(pickle.dumps(half, protocol), ALLOWED)), half.double().numpy())


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["alone", "field", "name", "argument", "state"])
def test_a_call_of_the_system_is_refused_by_name_wherever_it_stands(hostile, protocol, place):
    objects: dict[str, object] = {
        "alone": hostile,
        "field": {"coordinates": hostile},
        "name": {"name": hostile},
        "argument": Reduced(torch._utils._rebuild_tensor_v2, hostile, 0, (3,), (1,), False, {}),
        "state": Reduced(np.dtype, "f8", False, True, state=hostile),
    }
    data = pickle.dumps(objects[place], protocol)
    with pytest.raises(Unreadable, match=r"refers to 'posix.system'.*nothing of it was run|has the pickle instruction"):
        read_pickle(data, ALLOWED)


@pytest.mark.parametrize("nested", ["pickle", "torch", "torch, archive", "storage"])
def test_a_call_within_the_bytes_of_a_tensor_is_refused(hostile, nested):
    buffer = io.BytesIO()
    if nested == "storage":  # a file of torch with a tensor, which names a function in place of the type of its numbers
        torch.save(torch.zeros(6), buffer, _use_new_zipfile_serialization=False)
        data = buffer.getvalue().replace(b"ctorch\nFloatStorage", b"cposix\nsystem")
        assert b"cposix" in data
    elif nested == "pickle":
        data = pickle.dumps(hostile)
    else:
        torch.save(hostile, buffer, _use_new_zipfile_serialization=nested == "torch, archive")
        data = buffer.getvalue()
    storage = Reduced(torch.storage._load_from_bytes, data)
    tensor = Reduced(torch._utils._rebuild_tensor_v2, storage, 0, (3, 2), (2, 1), False, {})
    made = read_pickle(pickle.dumps(tensor), ALLOWED | {"collections.OrderedDict"})
    with pytest.raises(Unreadable, match="holds a tensor"):
        array_of(made)
    with pytest.raises(Unreadable, match="where an array of numbers must be"):
        array_of(made.arguments[0])  # the storage alone is not loaded at all


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.array([print, os.system]), "refers to 'builtins.print'"),
        (np.array([{}, []], dtype=object), "is no complete pickle|array of 'O8'|bytes do not fill|damaged"),
        (np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]), "array of 'V12', which are no numbers"),
        (np.array(["text"]), "array of 'U4', which are no numbers"),
        (np.array(["2020"], dtype="M8[D]"), "array of 'M8', which are no numbers"),
        (np.zeros(3, dtype=complex), "array of 'c16', which are no numbers"),
        (torch.zeros(3, dtype=torch.complex64), "holds a tensor"),
        (Reduced(np.dtype, "f8", False, True), "holds numpy.dtype where an array of numbers must be"),
        (np.float64(3), r"holds numpy\._?core\.multiarray\.scalar where an array"),
        ([1, 2], "holds list where an array of numbers must be"),
    ],
)
def test_arrays_of_other_things_than_numbers_are_refused(canary, made, message):
    with pytest.raises(Unreadable, match=message):
        array_of(read_pickle(pickle.dumps(made), ALLOWED))


def rebuilt(name, arguments, state=None):
    """Return what a pickle holds that calls a function of NumPy or torch with these arguments."""
    return Made(name, arguments, state)


DOUBLE = Made("numpy.dtype", ("f8", False, True), (3, "<", None, None, None, -1, -1, 0))


@pytest.mark.parametrize(
    "made",
    [
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (10**15,), DOUBLE, False, b"12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (-1, -1), DOUBLE, False, b"12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (1.0,), DOUBLE, False, b"12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, [1], DOUBLE, False, b"12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (1,), DOUBLE, False, "12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (1,), "f8", False, b"12345678")),
        rebuilt("numpy.core.multiarray._reconstruct", (), (1, (1,))),
        rebuilt("numpy.core.multiarray._reconstruct", (), None),
        rebuilt("numpy.core.numeric._frombuffer", (b"12345678", DOUBLE, (2, 2**62), "C")),
        rebuilt("numpy.core.numeric._frombuffer", (b"12345678",)),
        rebuilt("numpy.core.numeric._frombuffer", (b"12345678", Made("numpy.dtype", ("f8",), {}), (1,), "C")),
        rebuilt("numpy.core.numeric._frombuffer", (b"12345678", Made("numpy.dtype", (endless(),)), (1,), "C")),
        rebuilt("numpy.core.numeric._frombuffer", (b"12345678", DOUBLE, (10**1000,) * 10**6, "C")),
    ],
)
def test_arrays_whose_bytes_do_not_fit_their_shape_are_refused(made):
    with pytest.raises(Unreadable, match=r"holds an? array|holds a damaged array|which are no numbers"):
        array_of(made)


def bytes_of_storage(numbers=6):
    buffer = io.BytesIO()
    torch.save(torch.arange(float(numbers)).storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (10**12, 2), (0, 0)), (0, (3, 2), (2**62, 1)), (5, (3, 2), (2, 1)), (10**18, (1, 1), (1, 1)),
        (-1, (3, 2), (2, 1)), (0, (-3, 2), (2, 1)), (0, (3, 2), (-2, 1)), (0, (3, 2), (2,)), (0, (3.0, 2), (2, 1)),
        (0, [3, 2], (2, 1)), (None, (3, 2), (2, 1)), (0, (7,), (1,)), (True, (3, 2), (2, 1)),
    ],
)  # fmt: skip
def test_tensors_whose_numbers_do_not_fill_their_shape_are_refused(offset, size, stride):
    storage = Made("torch.storage._load_from_bytes", (bytes_of_storage(),))
    np.testing.assert_array_equal(
        array_of(Made("torch._utils._rebuild_tensor_v2", (storage, 0, (3, 2), (2, 1), False))),
        np.arange(6.0).reshape(3, 2),
    )
    with pytest.raises(Unreadable, match=r"holds a|damaged"):
        array_of(Made("torch._utils._rebuild_tensor_v2", (storage, offset, size, stride, False)))


@pytest.fixture
def little_memory():
    """Fail if the process needs more than 200 MB more than before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # in kB


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_declared_sizes_take_no_memory(little_memory):
    ends = [
        b"\x8e" + struct.pack("<Q", 2**40) + b"x",  # BINBYTES8
        b"\x8d" + struct.pack("<Q", 2**62) + b"x",  # BINUNICODE8
        b"\x96" + struct.pack("<Q", 2**63) + b"x",  # BYTEARRAY8
        b"\x95" + struct.pack("<Q", 2**62) + b"N.",  # FRAME
        b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x",  # LONG4
        b"Nr" + struct.pack("<I", 2**32 - 1) + b"0",  # LONG_BINPUT
    ]
    for end in ends:
        with pytest.raises(Unreadable):
            arrays_in(b"\x80\x04" + end)
    # A storage that declares 2**33 numbers, 32 GB, and holds six.
    declared = bytes_of_storage().replace(b"K\x06Nt", b"\x8a\x05\x00\x00\x00\x00\x02Nt")
    declared = declared[:-32] + struct.pack("<q", 2**33) + declared[-24:]
    storage = Made("torch.storage._load_from_bytes", (declared,))
    with pytest.raises(Unreadable, match="holds a tensor"):
        array_of(Made("torch._utils._rebuild_tensor_v2", (storage, 0, (3, 2), (2, 1), False)))


@pytest.mark.parametrize(
    "program",
    [
        b"]\x94h\x00a.",  # a list that holds itself
        b")" + b"\x85" * 100_000 + b".",  # tuples within tuples
        b"](" + b"]" * 100_000 + b"e.",
        b"}\x94" + b"(X\x01\x00\x00\x00ah\x00u" * 1000 + b".",  # a dict that holds itself
        b"}(" + b")" + b"\x85" * 1_000_000 + b"Nu.",  # a key that is deeply nested
        b"]" + b"\x94h\x00h\x00\x86" * 60 + b".",  # each tuple holds the one before twice
    ],
)
def test_nested_pickles_end_without_recursion(program):
    with pytest.raises(Unreadable):
        arrays_in(b"\x80\x04" + program)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_keys_that_are_deeply_nested_do_not_end_the_process():
    program = b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"Ns."
    stored = bytes_of_storage()
    system = stored.index(b"\x80\x02}")  # the third pickle, which describes the system that wrote the file
    for data in (stored[:system] + program, stored[:system] + b"\x80\x02}." + program):
        storage = Made("torch.storage._load_from_bytes", (data,))
        with pytest.raises(Unreadable, match="holds tuples that are nested too deeply"):
            array_of(Made("torch._utils._rebuild_tensor_v2", (storage, 0, (3, 2), (2, 1), False)))


def test_the_version_of_a_storage_must_be_a_number():
    """The reader of torch writes any other value in its message, also one that never ends."""
    stored = bytes_of_storage()
    version = b"\x80\x02M\xe9\x03."
    assert version in stored
    storage = Made("torch.storage._load_from_bytes", (stored.replace(version, pickle.dumps(endless(), 2), 1),))
    with pytest.raises(Unreadable, match="holds a tensor whose file is damaged"):
        array_of(Made("torch._utils._rebuild_tensor_v2", (storage, 0, (3, 2), (2, 1), False)))


@pytest.mark.parametrize("arguments", [("\u1234" * 8, "latin1"), ("12345678", "utf-8"), (["a"], "latin1"), ("a",), ()])
def test_texts_become_bytes_only_in_latin1(arguments):
    encoded = Made("_codecs.encode", arguments)
    with pytest.raises(Unreadable, match="damaged"):
        array_of(rebuilt("numpy.core.multiarray._reconstruct", (), (1, (1,), DOUBLE, False, encoded)))


def test_a_long_name_is_refused():
    program = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x00h\x00\x93."
    with pytest.raises(Unreadable, match="refers to 'aaa"):
        check_pickle(io.BytesIO(b"\x80\x04" + program))


def test_every_beginning_of_a_file_is_refused(canary):
    data = pickled(NAME, **fields_of(0))
    for length in [*range(60), *range(60, len(data), 97), len(data) - 1]:
        with pytest.raises(Unreadable):
            arrays_in(data[:length])


def refusal_of(function, argument):
    """Return the message of the refusal of a function, or an empty text if it refuses nothing."""
    try:
        function(argument)
    except UserError as error:
        return str(error)
    return ""


class CanaryError(Exception):
    """Something was called that must not be called."""


def forbidden(*arguments):
    raise CanaryError(arguments)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6))
def test_no_change_of_the_bytes_leads_to_a_call_or_another_error(monkeypatch, changes):
    data = bytearray(pickled(NAME, **fields_of(0), plain=np.eye(2)))
    for where, new in changes:
        start = int(where * (len(data) - 1))
        data[start : start + len(new)] = new
    with monkeypatch.context() as patch:
        patch.setattr(os, "system", forbidden)
        patch.setattr("builtins.eval", forbidden)
        assert "\n" not in refusal_of(arrays_in, bytes(data))


def test_odd_escapes_are_refused_without_a_warning():
    assert refusal_of(arrays_in, b"i\\" + pickled(NAME, **fields_of(0))[2:])


def test_the_file_and_the_field_are_named(tmp_path, hostile):
    (tmp_path / "layer.0.attn.pkl").write_bytes(pickle.dumps(hostile))
    with pytest.raises(ValueError, match=r"layer.0.attn.pkl refers to 'posix.system'"):
        read_positions(tmp_path, 1, 36, {"layer.0.attn": "transformer.h.0.attn"})


def test_positions_of_a_gpu_are_read_on_the_cpu():
    """Published positions were moved to a GPU before they were written."""
    data = pickled(NAME, **fields_of(0))
    on_gpu = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert on_gpu != data
    with pytest.raises(Unreadable):  # the bytes are longer now than the pickle says
        arrays_in(on_gpu)
    buffer = bytes_of_storage_on("cuda:0")
    storage = Made("torch.storage._load_from_bytes", (buffer,))
    read = array_of(Made("torch._utils._rebuild_tensor_v2", (storage, 0, (36, 2), (2, 1), False)))
    np.testing.assert_array_equal(read, coordinates_of(0).numpy())


def bytes_of_storage_on(device):
    data = pickle.dumps(coordinates_of(0))
    stored = data[data.index(b"\x80\x02\x8a") :]
    stored = stored[: stored.index(struct.pack("<q", 72)) + 8 + 4 * 72]
    return stored.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00" + device.encode())
