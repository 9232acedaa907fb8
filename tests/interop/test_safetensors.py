"""Saving and loading parameter trees."""

import errno
import json
import os
import re
import stat
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.interop import load_safetensors, save_safetensors

TREE = {
    "dense_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float64)},
    "odd": {
        "transposed": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "strided": np.arange(10, dtype=np.uint8)[::3],
        "big_endian": np.arange(3, dtype=">f4"),
        "scalar": np.float32(2.5).reshape(()),
        "empty": np.zeros((0, 3), np.float16),
        "flag": np.array([True, False]),
        "complex": np.array([1 + 2j], np.complex64),
    },
}


def test_round_trip_keeps_names_values_and_dtypes(tmp_path: Path) -> None:
    path = tmp_path / "params.safetensors"
    save_safetensors(path, TREE, {"made": "by hand"})
    back = load_safetensors(path)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    for expected, found in zip(jax.tree.leaves(TREE), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.shape == expected.shape


def test_jax_arrays_and_bfloat16(tmp_path: Path) -> None:
    tree = {"a": jnp.arange(4, dtype=jnp.bfloat16), "b": jnp.float32(3.0)}
    save_safetensors(tmp_path / "x", tree)
    back = load_safetensors(tmp_path / "x")
    assert back["a"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(back["a"].astype(np.float32), [0, 1, 2, 3])
    assert back["b"].shape == ()


# The dtypes of the format's own table of names, and float4, which PyTorch's users write.
DTYPES = {
    "BOOL": "bool",
    **{f"{kind[0].upper()}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "C64": "complex64"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu"},
    **{"F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "F4": "float4_e2m1fn"},
}


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of random bits; NaN and all."""
    dtype = np.dtype(getattr(jnp, name).dtype)
    raw = np.random.default_rng([7, *shape]).integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    if name in ("bool", "float4_e2m1fn"):
        raw &= 1 if name == "bool" else 15
    return raw.view(dtype).reshape(shape)


@pytest.mark.parametrize("name", DTYPES.values())
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4)])
def test_every_dtype_comes_back_bit_for_bit(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    array = drawn(name, shape)
    if name == "float4_e2m1fn" and shape == ():
        with pytest.raises(
            ValueError, match=r"save_safetensors: a\.b: two numbers of float4_e2m1fn share a byte"
        ):
            save_safetensors(tmp_path / "x", {"a": {"b": array}})
        assert not list(tmp_path.iterdir())
        return
    save_safetensors(tmp_path / "x", {"a": {"b": array, "c": np.ones(3, np.int16)}})
    found = load_safetensors(tmp_path / "x")["a"]["b"]
    assert (found.dtype, found.shape) == (array.dtype, shape)
    assert found.tobytes() == array.tobytes()
    assert found.flags.writeable
    with jax.enable_x64(True):
        assert jnp.asarray(found).dtype == array.dtype


@pytest.mark.parametrize("stored", DTYPES)
def test_every_dtype_of_the_format_is_read(tmp_path: Path, stored: str) -> None:
    array = drawn(DTYPES[stored], (2, 4))
    raw = array.view(np.uint8).reshape(-1)
    raw = raw[::2] | raw[1::2] << 4 if stored == "F4" else raw
    text = json.dumps({"w": {"dtype": stored, "shape": [2, 4], "data_offsets": [0, raw.size]}}).encode()
    (tmp_path / "x").write_bytes(len(text).to_bytes(8, "little") + text + raw.tobytes())
    found = load_safetensors(tmp_path / "x")["w"]
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


def test_the_bytes_are_those_of_the_format_s_library(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {
        f"{i}.é{name}": drawn(name, shape)
        for i, shape in enumerate([(), (0, 2), (3,), (2, 2)])
        for name in DTYPES.values()
        if name != "float4_e2m1fn"
    }
    arrays |= {'quote"\n': np.ones(1), "tab\t\x1f\x7f": np.ones(2)}
    for metadata in (None, {"é": 'a"b\\'}):
        save_file(arrays, tmp_path / "theirs", metadata)
        trees = [{name.split(".")[0]: {}} for name in arrays]
        tree: dict = {key: {} for each in trees for key in each}
        for name, array in arrays.items():
            first, *rest = name.split(".")
            if rest:
                tree[first][rest[0]] = array
            else:
                tree[first] = array
        save_safetensors(tmp_path / "ours", tree, metadata)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize(
    "name", ["int4", "uint4", "int2", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz"]
)
def test_what_the_format_does_not_have_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(TypeError, match=rf"w: the format has no dtype {name}; cast to one of bfloat16, bool"):
        save_safetensors(tmp_path / "x", {"w": np.zeros(2, getattr(jnp, name).dtype)})


def nested(parts: int, leaf: np.ndarray) -> dict:
    tree: dict = {"a": leaf}
    for _ in range(parts - 1):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (nested(32, np.ones(1)), nested(33, np.ones(1)), "more than 32 parts"),
        (nested(32, np.ones(1)), nested(3000, np.ones(1)), "more than 32 parts"),
        (
            {"a": np.ones((1,) * 32)},
            {"a": np.ones((1,) * 33)},
            "'a' has 33 axes; no more than 32 are allowed",
        ),
        (
            {f"{i}": nested(5, np.ones(1)) for i in range(600)},
            {f"{i}": nested(31, np.ones(1)) for i in range(600)},
            "600 arrays make more than 4 dicts for each",
        ),
        (
            {"a" * 9_999_000: np.ones(1)},
            {"a" * 10_000_000: np.ones(1)},
            "no more than 10000000 are allowed, some 100,000 arrays",
        ),
        ({"a": np.ones(1)}, {"a\ud800": np.ones(1)}, "a name or metadata is no text"),
    ],
    ids=["parts", "recursion", "axes", "dicts", "header", "surrogate"],
)
def test_what_is_written_is_read(tmp_path: Path, good: dict, bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        save_safetensors(tmp_path / "x", bad)
    assert len(str(caught.value)) < 400
    assert not list(tmp_path.iterdir())
    save_safetensors(tmp_path / "x", good)
    assert jax.tree.structure(load_safetensors(tmp_path / "x")) == jax.tree.structure(good)


def test_names_on_disk_are_paths_joined_with_dots(tmp_path: Path) -> None:
    from safetensors import safe_open

    save_safetensors(tmp_path / "x", {"tower": {"dense_0": {"kernel": np.ones((1, 1))}}}, {"tree": "params"})
    with safe_open(tmp_path / "x", framework="numpy") as file:
        assert list(file.keys()) == ["tower.dense_0.kernel"]
        assert file.metadata() == {"tree": "params"}


def test_an_empty_tree(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "x", {})
    assert load_safetensors(tmp_path / "x") == {}


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({"a.b": np.ones(1)}, ValueError, "'a.b' below the root: expected a non-empty one without dots"),
        ({"": np.ones(1)}, ValueError, "name '' below the root"),
        ({"__metadata__": np.ones(1)}, ValueError, "the format's own"),
        ({1: np.ones(1)}, TypeError, "names must be str, got 1"),
        ({"a": {"b": {}}}, ValueError, "'b' below a is an empty dict"),
        ({"a": [np.ones(1)]}, TypeError, "a: expected an array or a dict, got list"),
        ({"a": {"rate": 1.0}}, TypeError, "a.rate: expected an array or a dict, got float"),
        ({"s": np.array(["x"])}, TypeError, "the format has no dtype <U1"),
        ({"c": np.ones(1, np.complex128)}, TypeError, "the format has no dtype complex128"),
    ],
)
def test_what_cannot_be_stored_is_named_and_leaves_no_file(tmp_path: Path, tree, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        save_safetensors(tmp_path / "x", tree)
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"key: key<fry> has no plain values; store jax\.random\.key_data"):
        save_safetensors(tmp_path / "x", {"key": jax.random.key(0)})


def test_metadata_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"metadata must map str to str, got \('epochs', 3\)"):
        save_safetensors(tmp_path / "x", {"a": np.ones(1)}, {"epochs": 3})  # pyright: ignore[reportArgumentType]


def test_a_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_safetensors(path, {"a": np.ones(2)})
    with pytest.raises(TypeError):
        save_safetensors(path, {"a": np.zeros(2), "b": "text"})
    np.testing.assert_array_equal(load_safetensors(path)["a"], [1, 1])
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    save_safetensors(tmp_path / "x", {"a": np.ones(1)})
    (tmp_path / "y").touch()
    assert stat.S_IMODE(os.stat(tmp_path / "x").st_mode) == stat.S_IMODE(os.stat(tmp_path / "y").st_mode)


def test_concurrent_writers_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    writers = [
        threading.Thread(target=save_safetensors, args=(path, {"a": np.full(10_000, float(number))}))
        for number in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(set(load_safetensors(path)["a"])) == 1
    assert list(tmp_path.iterdir()) == [path]


def _whole(tmp_path: Path) -> bytes:
    save_safetensors(tmp_path / "good", TREE)
    return (tmp_path / "good").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"text",
        lambda data: data[:40],
        lambda data: data[:-3],
        lambda data: data + b"more",
        lambda data: b"\xff" * 8 + data[8:],
    ],
    ids=["empty", "text", "header cut", "values cut", "trailing bytes", "huge header"],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, damage) -> None:
    (tmp_path / "bad").write_bytes(damage(_whole(tmp_path)))
    with pytest.raises(ValueError, match="bad: not a whole safetensors file"):
        load_safetensors(tmp_path / "bad")


@pytest.mark.parametrize("names", [["a", "a.b"], ["a.b", "a.b.c"]])
def test_names_that_contradict_each_other(tmp_path: Path, names: list[str]) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.ones(1) for name in names}, tmp_path / "bad")
    with pytest.raises(ValueError, match=r"bad: 'a\.b(\.c)?' lies below a name that is itself an array"):
        load_safetensors(tmp_path / "bad")


def test_a_missing_folder_is_named_and_not_the_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"save_safetensors: .*there is no folder '.*none'; make it"
    ) as caught:
        save_safetensors(tmp_path / "none" / "x", TREE)
    assert ".part" not in str(caught.value)


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    save_safetensors(path, TREE)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_folder_in_place_of_the_file_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(IsADirectoryError, match=r"cannot write .*there: Is a directory$"):
        save_safetensors(tmp_path / "there", TREE)
    assert [file.name for file in tmp_path.iterdir()] == ["there"]


def test_a_path_without_a_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r"save_safetensors: cannot write \.: "):
        save_safetensors("", TREE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["x", "folder/x"])
def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"'.*file' is a file, not a folder; choose another folder"):
        save_safetensors(tmp_path / "file" / below, TREE)


def test_a_failed_write_has_no_invented_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=f"{os.strerror(errno.ENAMETOOLONG)}$"):
        save_safetensors(tmp_path / ("x" * 300), TREE)

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "touch", refuse)  # whoever runs the tests may be allowed to write anywhere
    with pytest.raises(PermissionError, match=r"denied in the folder '.*'; choose one open to writing"):
        save_safetensors(tmp_path / "x", TREE)


def test_a_file_that_does_not_fit_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    import resource

    save_safetensors(tmp_path / "x", TREE)
    before = (tmp_path / "x").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"save_safetensors: cannot write .*x: File too large"):
            save_safetensors(tmp_path / "x", {"a": np.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "x").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none: no such file"):
        load_safetensors(tmp_path / "none")


def test_importing_the_package_loads_no_format_library() -> None:
    import subprocess
    import sys

    code = "import jaxnn.interop, sys; assert 'safetensors' not in sys.modules; print(dir(jaxnn.interop))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "save_safetensors" in out.stdout
