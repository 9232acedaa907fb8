"""The idx reader and the file checks of the data loaders."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments.data.idx import read_idx


def idx(code: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


GOOD = idx(8, (2, 3), bytes(range(6)))


@pytest.mark.parametrize("name", ["plain", "zipped.gz", "zipped without the ending"])
def test_reads_plain_and_zipped(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD if name == "plain" else gzip.compress(GOOD))
    np.testing.assert_array_equal(read_idx(path), np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, "u1"), (9, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")]
)
def test_every_element_type_comes_in_the_machines_byte_order(tmp_path: Path, code: int, dtype: str) -> None:
    values = np.array([1, 2, -3] if dtype != "u1" else [1, 2, 3])
    (tmp_path / "x").write_bytes(idx(code, (3,), values.astype(f">{dtype}").tobytes()))
    found = read_idx(tmp_path / "x")
    assert found.dtype == np.dtype(f"={dtype}")
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated idx file, 0 bytes where the magic number needs 4"),
        (b"\0\0", "truncated idx file, 2 bytes"),
        (b"\0\1" + GOOD[2:], "not an idx file, magic number 0x00010802"),
        (b"\0\0\x07" + GOOD[3:], "not an idx file, magic number 0x00000702"),
        (b"\0\0\x08\0" + GOOD[4:], "not an idx file, magic number 0x00000800"),
        (b"<!DOCTYPE html><html>", "not an idx file, magic number 0x3c21444f"),
        (GOOD[:9], "truncated idx header, 2 sizes promised, 1 present"),
        (GOOD[:-1], r"truncated idx file, sizes \(2, 3\) need 6 bytes, 5 present"),
        (GOOD + b"\0", r"trailing bytes after the 6 that sizes \(2, 3\) need"),
        (idx(8, (2**31, 2**31), b"abc"), "truncated idx file, sizes .2147483648, 2147483648. need"),
        (idx(8, (0xFFFFFFFF,) * 200, b"abc"), "truncated idx file"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_bad_file_is_named_with_what_is_wrong(
    tmp_path: Path, data: bytes, message: str, zipped: bool
) -> None:
    path = tmp_path / "bad"
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(ValueError, match=f"bad: {message}"):
        read_idx(path)


@pytest.mark.parametrize("damage", [lambda z: z[: len(z) // 2], lambda z: z[:-6] + b"xxxxxx"])
def test_damaged_gzip(tmp_path: Path, damage) -> None:
    path = tmp_path / "bad.gz"
    path.write_bytes(damage(gzip.compress(GOOD)))
    with pytest.raises(ValueError, match=r"bad.gz: damaged gzip data .*fetch the file again"):
        read_idx(path)


def test_false_sizes_allocate_no_more_than_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(idx(8, (2**31,), b"abc"))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="truncated"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
