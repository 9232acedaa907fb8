"""Parameter trees into safetensors files: a leaf's name is its path joined with dots, ``dense_0.kernel``.

Source: https://github.com/huggingface/safetensors. The bytes are those of the format's own library; this
writer replaces the file atomically, keeps the limits of the reader, writes arrays that are not contiguous or
big-endian and orders metadata, and has float4.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.interop._atomic_write import atomic_write
from jaxnn.interop._dtypes import FORMAT_NAMES, STORED, to_bytes
from jaxnn.interop._header import header_bytes
from jaxnn.interop._limits import check_axes, check_dicts, check_parts

_ORDER = [stored.ours for stored in STORED.values()]


def save_safetensors(
    path: str | Path, tree: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a nested dict of arrays to ``path``, atomically.

    Args:
        path: the file; an existing one is replaced only when the new one is whole on disk.
        tree: nested dicts of JAX or NumPy arrays of any shape: boolean, integers of 8 to 64 bits, floats
            (bfloat16, the format's five kinds of float8 and float4_e2m1fn included) or complex64. Names are
            non-empty strings without dots, since dots join them on disk.
        metadata: text to store beside the arrays, as :func:`describe_model` makes.

    Raises:
        TypeError: a node is neither a dict nor an array, a dtype is not the format's, or a name or a metadata
            entry is not a string.
        ValueError: a name is empty or holds a dot, an empty dict stands inside the tree (the format has no
            place for it), the count of a float4 array is odd (two share a byte), or the file would exceed a
            limit of the reader: 32 axes, names of 32 parts, a header of 10 MB (some 100,000 arrays).
        OSError: the file cannot be written; ``FileNotFoundError`` where its folder is missing.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from jaxnn.interop import load_safetensors
        >>> path = Path(tempfile.mkdtemp()) / "params.safetensors"
        >>> save_safetensors(path, {"dense_0": {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}})
        >>> load_safetensors(path)["dense_0"]["kernel"].shape
        (3, 2)
    """
    for item in (metadata or {}).items():
        if not all(isinstance(text, str) for text in item):
            raise TypeError(f"save_safetensors: metadata must map str to str, got {item!r}; use json.dumps")
    leaves = {".".join(names): _host_array(names, leaf) for names, leaf in _leaves(tree, ())}
    # In the format's order, by which no array begins within a number.
    names = sorted(leaves, key=lambda name: (-_ORDER.index(leaves[name].dtype.name), name))
    values = {name: _values(name, leaves[name]) for name in names}
    entries = {
        name: (FORMAT_NAMES[leaves[name].dtype.name], leaves[name].shape, stored.nbytes)
        for name, stored in values.items()
    }
    try:
        check_dicts(_dicts(tree) - 1, len(leaves))
        header = header_bytes(entries, metadata or {})
    except ValueError as error:
        raise ValueError(f"save_safetensors: {path}: {error}") from error
    with atomic_write(path, "save_safetensors") as temporary, temporary.open("wb") as file:
        try:
            for part in (header, *values.values()):
                file.write(part)
            file.flush()
        except OSError as error:
            raise type(error)(
                error.errno, f"save_safetensors: cannot write {path}: {error.strerror}"
            ) from error


def _leaves(tree: Mapping[str, Any], prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in tree.items():
        where = ".".join(map(str, prefix)) or "the root"
        if not isinstance(name, str):
            raise TypeError(f"save_safetensors: names must be str, got {name!r} below {where}")
        if not name or "." in name or name == "__metadata__":
            raise ValueError(
                f"save_safetensors: name {name!r} below {where}: expected a non-empty one without dots "
                f"(which join paths on disk), other than '__metadata__' (the format's own); rename it"
            )
        path = (*prefix, name)
        try:
            check_parts(".".join(path), len(path))
        except ValueError as error:
            raise ValueError(f"save_safetensors: {error}") from error
        if isinstance(child, Mapping):
            if not child:
                raise ValueError(f"save_safetensors: {name!r} below {where} is an empty dict; leave it out")
            yield from _leaves(child, path)
        else:
            yield path, child


def _host_array(names: tuple[str, ...], leaf: Any) -> np.ndarray:
    if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        raise TypeError(
            f"save_safetensors: {'.'.join(names)}: expected an array or a dict, got {type(leaf).__name__}; "
            f"convert it with jnp.asarray"
        )
    try:
        array = np.asarray(leaf, order="C")
    except TypeError as error:
        raise TypeError(
            f"save_safetensors: {'.'.join(names)}: {leaf.dtype} has no plain values; store "
            f"jax.random.key_data of a key"
        ) from error
    if array.dtype.name not in FORMAT_NAMES:
        raise TypeError(
            f"save_safetensors: {'.'.join(names)}: the format has no dtype {array.dtype}; cast to one of "
            f"{', '.join(sorted(FORMAT_NAMES))}"
        )
    try:
        check_axes(".".join(names), array.ndim)
    except ValueError as error:
        raise ValueError(f"save_safetensors: {error}; reshape it") from error
    return array


def _values(name: str, array: np.ndarray) -> np.ndarray:
    try:
        return to_bytes(array)
    except ValueError as error:
        raise ValueError(f"save_safetensors: {name}: {error}; cast to float8_e4m3fn") from error


def _dicts(tree: Mapping[str, Any]) -> int:
    return 1 + sum(_dicts(child) for child in tree.values() if isinstance(child, Mapping))
