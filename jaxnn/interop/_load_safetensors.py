"""Safetensors files into trees: a length, a JSON header and raw values, which run no code, unlike a pickle.

The format's own reader maps the file and copies out of it, which costs its size twice; this one reads values
straight into their arrays, after the header was checked.
"""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxnn.interop._dtypes import STORED, from_bytes
from jaxnn.interop._header import Header, UnknownDtypeError, read_header
from jaxnn.interop._limits import check_dicts

Tree = dict[str, Any]


def load_safetensors(path: str | Path) -> Tree:
    """Read a file of :func:`save_safetensors`, or any other safetensors file, into nested dicts.

    Made for files from strangers: no code runs, and the header is checked before anything is read by it.
    Memory is that of the values, which can't exceed the file's own size, and of a header of at most 10 MB.

    Args:
        path: the file. Names with dots become nested dicts, so a file from elsewhere keeps its hierarchy.

    Returns:
        Nested dicts of NumPy arrays, ready to be passed as ``params``. ``jax.device_put`` moves them. Every
        dtype of the format is read but the two of six bits: bfloat16, the float8 kinds (``F8_E4M3`` is
        ``float8_e4m3fn``) and float4 come as the dtypes of JAX, float4 with one number in a byte.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is malformed or truncated, its names contradict each other (``a`` is an array
            and ``a.b`` too), or an array has a dtype that can't be read, which is named.
    """
    path, header = _checked("load_safetensors", path)
    for name, entry in header.entries.items():
        if STORED[entry["dtype"]].ours is None:
            raise ValueError(
                f"load_safetensors: {path}: {name!r} has the dtype {entry['dtype']!r}, whose numbers share "
                "bytes in an order that the format does not say; convert it where it was written"
            )
    tree: Tree = {}
    made = 0
    with path.open("rb") as file:
        for name, entry in header.entries.items():
            file.seek(header.start + entry["data_offsets"][0])
            made += _insert(tree, name, _read(file, path, name, entry), path)
            try:
                check_dicts(made, len(header.entries))
            except ValueError as error:
                raise ValueError(f"load_safetensors: {path}: {error}") from error
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
    except UnknownDtypeError as error:
        raise ValueError(f"{owner}: {path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{owner}: {path}: not a whole safetensors file ({error})") from error


def _read(file: BinaryIO, path: Path, name: str, entry: dict[str, Any]) -> np.ndarray:
    """Read one array, straight into its own memory; a memory map would count the file a second time."""
    start, end = entry["data_offsets"]
    values = np.fromfile(file, np.uint8, end - start)
    if values.size != end - start:
        raise ValueError(f"load_safetensors: {path}: the file became shorter while {name!r} was read")
    try:
        return from_bytes(entry["dtype"], values, entry["shape"])
    except ValueError as error:
        raise ValueError(f"load_safetensors: {path}: {name!r} {error}") from error


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
