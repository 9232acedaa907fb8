"""Safetensors files into trees: a length, a JSON header and raw values, which run no code, unlike a pickle.

The format's own reader maps the file and copies out of it, which costs its size twice; this one reads values
straight into their arrays, after the header was checked.
"""

from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxnn.interop._header import Header, array_type, read_header

Tree = dict[str, Any]

# How many dicts the names of a file may make; no tree of a model comes near.
_DICTS_PER_ARRAY = 4
_FEW_DICTS = 1000


def load_safetensors(path: str | Path) -> Tree:
    """Read a file of :func:`save_safetensors`, or any other safetensors file, into nested dicts.

    Made for files from strangers: no code runs, and the header is checked before anything is read by it.
    Memory is that of the values, which can't exceed the file's own size, and of a header of at most 10 MB.

    Args:
        path: the file. Names with dots become nested dicts, so a file from elsewhere keeps its hierarchy.

    Returns:
        Nested dicts of NumPy arrays, ready to be passed as ``params``. ``jax.device_put`` moves them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is malformed or truncated, or its names contradict each other (``a`` is an array
            and ``a.b`` too).
    """
    path, header = _checked("load_safetensors", path)
    tree: Tree = {}
    # Names of a hostile file could make dicts of a hundred times its size.
    room = _FEW_DICTS + _DICTS_PER_ARRAY * len(header.entries)
    with path.open("rb") as file:
        for name, entry in header.entries.items():
            file.seek(header.start + entry["data_offsets"][0])
            room -= _insert(tree, name, _read(file, path, name, entry), path)
            if room < 0:
                raise ValueError(
                    f"load_safetensors: {path}: the names of its {len(header.entries)} arrays make more than "
                    f"{_DICTS_PER_ARRAY} dicts for each; rename them with fewer dots"
                )
    return tree


def load_metadata(path: str | Path) -> dict[str, str]:
    """Read the text that stands beside the arrays of a safetensors file, and no array.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is malformed or truncated.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from jaxnn.interop import save_safetensors
        >>> path = Path(tempfile.mkdtemp()) / "params.safetensors"
        >>> save_safetensors(path, {"scale": jnp.ones(2)}, {"epochs": "3"})
        >>> load_metadata(path)
        {'epochs': '3'}
    """
    return _checked("load_metadata", path)[1].metadata


def _checked(owner: str, path: str | Path) -> tuple[Path, Header]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{owner}: {path}: no such file")
    try:
        return path, read_header(path)
    except ValueError as error:
        raise ValueError(f"{owner}: {path}: not a whole safetensors file ({error})") from error


def _read(file: BinaryIO, path: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    """Read one array, straight into its own memory; a memory map would count the file a second time."""
    dtype, shape = array_type(entry["dtype"]), entry["shape"]
    array = np.fromfile(file, dtype, prod(shape))
    if array.size != prod(shape):
        raise ValueError(f"load_safetensors: {path}: the file became shorter while {name!r} was read")
    if entry["dtype"] == "BOOL":
        if array.size and array.max() > 1:
            raise ValueError(f"load_safetensors: {path}: {name!r} has booleans other than 0 and 1")
        array = array.view(bool)
    return array.reshape(shape).astype(array.dtype.newbyteorder("="), copy=False)


def _insert(tree: Tree, name: str, array: np.ndarray, path: Path) -> int:
    """Put an array at its path, and return how many dicts that took."""
    *parents, last = name.split(".")
    node, made = tree, 0
    for parent in parents:
        if parent not in node:
            node[parent] = {}
            made += 1
        node = node[parent]
        if not isinstance(node, dict):
            raise ValueError(f"load_safetensors: {path}: {name!r} lies below a name that is itself an array")
    if last in node:
        raise ValueError(f"load_safetensors: {path}: {name!r} is both an array and the parent of others")
    node[last] = array
    return made
