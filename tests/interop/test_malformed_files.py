"""Files from strangers: whatever the bytes, loading gives a tree or a ValueError, fast and within bounds."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxnn.interop import load_metadata, load_safetensors, save_safetensors

TREE = {
    "a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3)},
    "b": np.ones(5, bool),
}
FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def packed(header, values=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + values


def entry(dtype="U8", shape=(1,), offsets=(0, 1)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "x"
    save_safetensors(path, TREE, {"made": "by hand"})
    return path.read_bytes()


def refused(path: Path, data: bytes) -> bool:
    """Whether the file is refused by name; anything but a tree or a ValueError is an error of the test."""
    path.write_bytes(data)
    try:
        load_safetensors(path)
    except ValueError as error:
        if f"{path}: " not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "its header would end after byte 8 of 0"),
        (b"\xff" * 8, "its header would end after byte 18446744073709551623 of 8"),
        (struct.pack("<Q", 2**62) + b"{}", "its header would end"),
        (packed(b"[]"), "not a JSON object"),
        (packed(b"{"), "Expecting property name"),
        (packed(b"\xff\xfe{}"), "utf-8"),
        (packed(b"[" * 100_000), "nested too deeply"),
        (packed(b'{"a":' * 50_000), "nested too deeply"),
        (packed(b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,0]}}'), "the number NaN"),
        (packed(b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}'), "limit"),
        (
            packed(
                b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", b"1"
            ),
            "the name 'a' twice",
        ),
        (packed({"a": {**entry(), "extra": 1}}, b"1"), "'a' needs exactly dtype, shape and data_offsets"),
        (packed({"a": 3}), "'a' needs exactly"),
        (packed({"a": entry(shape=(-1,))}, b"1"), "a shape of up to 32 whole numbers"),
        (packed({"a": entry(shape=(1.0,))}, b"1"), "a shape of up to 32 whole numbers"),
        (packed({"a": entry(shape=(True,))}, b"1"), "a shape of up to 32 whole numbers"),
        (packed({"a": entry(shape=(1,) * 33)}, b"1"), "a shape of up to 32 whole numbers"),
        (packed({"a": entry(shape=(2**32, 2**32), offsets=(0, 0))}), "a shape of other bytes"),
        (packed({"a": entry("F64", (2**61,), (0, 0))}), "a shape of other bytes"),
        (packed({"a": entry("F32", (0, 2**62), (0, 0))}), "a shape of other bytes"),
        (packed({"a": entry("F32", (2**62, 0, 2**62), (0, 4))}, b"1234"), "a shape of other bytes"),
        (packed({"a": entry(offsets=(0, 2))}, b"1"), "data_offsets within the 1 bytes"),
        (packed({"a": entry(offsets=(1, 0))}, b"1"), "data_offsets within"),
        (packed({"a": entry(offsets=(-1, 0))}, b"1"), "data_offsets within"),
        (packed({"a": entry(offsets=(0, 1, 2))}, b"1"), "data_offsets within"),
        (packed({"a": entry(), "b": entry()}, b"1"), "'b' overlaps what stands before it"),
        (packed({"a": entry(), "b": entry(offsets=(2, 3))}, b"123"), "'b' leaves a gap before it"),
        (packed({"a": entry()}, b"12"), "its arrays have 1 bytes, the file has 2"),
        (packed({"a": entry("BOOL")}, b"\2"), "'a' has booleans other than 0 and 1"),
        (
            packed({"a": entry("F8_E9M9")}, b"1"),
            "bad: the array 'a' has the dtype 'F8_E9M9', expected one of BF16,",
        ),
        (packed({"a": entry(["U8"])}, b"1"), "the dtype \"['U8']\", expected one of"),
        (packed({"a": entry("F4")}, b"1"), "a shape of other bytes"),
        (packed({"a": entry("F4", (3,), (0, 2))}, b"12"), "a shape of other bytes"),
        (packed({"a": entry("F6_E2M3", (5,), (0, 4))}, b"1234"), "a shape of other bytes"),
        (packed({"a": entry("F8_E8M0", (5,), (0, 4))}, b"1234"), "a shape of other bytes"),
        (packed({"__metadata__": {"epochs": 3}}), "__metadata__ must map text to text"),
        (packed({"__metadata__": ["x"]}), "__metadata__ must map text to text"),
        (packed({".".join("a" * 33): entry()}, b"1"), "more than 32 parts"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, data, message):
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_safetensors(tmp_path / "bad")
    if "booleans" not in message and "the dtype" not in message:
        with pytest.raises(ValueError, match=r"load_metadata: .*bad: not a whole safetensors file"):
            load_metadata(tmp_path / "bad")


@pytest.mark.parametrize("dtype", ["F6_E2M3", "F6_E3M2"])
def test_numbers_of_six_bits_are_named_and_their_metadata_read(tmp_path, dtype):
    file = {"__metadata__": {"a": "b"}, "block": entry(dtype, (2, 2), (0, 3))}
    (tmp_path / "x").write_bytes(packed(file, b"123"))
    with pytest.raises(ValueError, match=rf"x: 'block' has the dtype '{dtype}', whose numbers share bytes"):
        load_safetensors(tmp_path / "x")
    assert load_metadata(tmp_path / "x") == {"a": "b"}


def test_every_truncation_is_refused(tmp_path, whole):
    assert all(refused(tmp_path / "cut", whole[:length]) for length in range(len(whole)))


def test_every_flipped_bit_of_the_header_is_refused_or_harmless(tmp_path, whole):
    """A flip may rename an array or its metadata, or turn one dtype into another of its size; nothing else."""
    length = 8 + int.from_bytes(whole[:8], "little")
    read = 0
    for bit in range(8 * length):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        read += not refused(tmp_path / "flipped", bytes(data))
    assert 0 < read < 0.5 * 8 * length


@settings(max_examples=300)
@given(data=st.data())
def test_any_damage_is_a_tree_or_a_value_error(data, tmp_path_factory, whole):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=12))
    refused(tmp_path_factory.mktemp("fuzz") / "x", bytes(damaged))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(
            ["F32", "U8", "BOOL", "BF16", "I64", "C64", "F4", "F6_E2M3", "F8_E5M2", "nothing"]
        )
        | json_values,
        "shape": st.lists(st.integers(-1, 3) | st.sampled_from([2**31, 2**62, 2**63]), max_size=4)
        | json_values,
        "data_offsets": st.lists(st.integers(-1, 12) | st.just(2**64), min_size=2, max_size=2) | json_values,
    },
)


@settings(max_examples=300)
@given(
    header=st.dictionaries(
        st.sampled_from(["a", "a.b", "", ".", "__metadata__"]) | st.text(max_size=3), entries
    )
    | json_values,
    values=st.binary(max_size=12),
    lie=st.sampled_from([0, 0, 0, -1, 1, 2**40]),
)
def test_any_header_is_a_tree_or_a_value_error(header, values, lie, tmp_path_factory):
    data = packed(header, values)
    length = max(0, int.from_bytes(data[:8], "little") + lie)
    refused(tmp_path_factory.mktemp("fuzz") / "x", struct.pack("<Q", length) + data[8:])


def test_metadata_is_read_without_arrays(tmp_path, whole):
    (tmp_path / "x").write_bytes(whole)
    assert load_metadata(tmp_path / "x") == {"made": "by hand"}
    with pytest.raises(FileNotFoundError, match=r"load_metadata: .*none: no such file"):
        load_metadata(tmp_path / "none")


def test_what_others_write_is_read(tmp_path):
    """Zero-sized arrays, padding after the JSON, arrays in any order, empty names."""
    header = {
        "b": entry("F32", (1,), (4, 8)),
        "a": entry("F32", (1,), (0, 4)),
        "none": entry("F32", (2, 0), (4, 4)),
        "": entry("U8", (0,), (8, 8)),
    }
    (tmp_path / "x").write_bytes(packed(json.dumps(header).encode() + b"   ", np.float32([1, 2]).tobytes()))
    tree = load_safetensors(tmp_path / "x")
    assert tree["a"] == 1
    assert tree["b"] == 2
    assert tree["none"].shape == (2, 0)


# What a file may cost, whatever it says: its values, and for names and numbers a multiple of the header.
MEASURE = """
import resource, sys, tracemalloc
import numpy, safetensors
from jaxnn.interop import load_safetensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_safetensors(sys.argv[1])
    outcome = "read"
except ValueError as error:
    outcome = str(error)[-200:]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, outcome)
"""


def test_memory_is_bounded(tmp_path):
    empty = entry(shape=(0,), offsets=(0, 0))
    attacks = {
        "a header of 100 MB": struct.pack("<Q", 100_000_000) + b" " * 100_000_000,
        "values of 2^60 bytes": packed({"a": entry(shape=(2**60,), offsets=(0, 2**60))}),
        "names of many parts": packed({f"{i}" + ".a" * 31: empty for i in range(20_000)}),
        "brackets": packed(b"[" * 9_000_000),
    }
    for name, data in attacks.items():
        (tmp_path / "x").write_bytes(data)
        out = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path / "x")],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        kilobytes, outcome = out.split(" ", 1)
        assert "read" not in outcome.split(), name
        assert int(kilobytes) < 100_000, f"{name}: {out}"


def test_memory_is_that_of_the_values(tmp_path):
    save_safetensors(tmp_path / "x", {f"a{i}": np.ones(5_000_000, np.float32) for i in range(4)})
    out = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "x")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    kilobytes, outcome = out.split()
    assert outcome == "read"
    assert int(kilobytes) < 1.2 * 80_000
