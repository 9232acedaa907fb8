"""Parameter trees into safetensors files: a leaf's name is its path joined with dots, ``dense_0.kernel``.

Source: https://github.com/huggingface/safetensors. Unlike the format's own NumPy writer, this one replaces
the file atomically and writes non-contiguous and big-endian arrays correctly.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxnn.interop._atomic_write import atomic_write

INTEGERS = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
DTYPES = {"bool", "float16", "bfloat16", "float32", "float64", "complex64"} | INTEGERS


def save_safetensors(
    path: str | Path, tree: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a nested dict of arrays to ``path``, atomically.

    Args:
        path: the file; an existing one is replaced only when the new one is whole on disk.
        tree: nested dicts of JAX or NumPy arrays of any shape, boolean, integer, float (bfloat16 included) or
            complex64. Names are non-empty strings without dots, since dots join them on disk.
        metadata: text to store beside the arrays, as :func:`describe_model` makes.

    Raises:
        TypeError: a node is neither a dict nor an array, a dtype is not the format's, or a name or a metadata
            entry is not a string.
        ValueError: a name is empty or holds a dot, or an empty dict stands inside the tree (the format has no
            place for it).
        OSError: the file cannot be written; ``FileNotFoundError`` where its folder is missing.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from jaxnn.interop import load_safetensors
        >>> path = Path(tempfile.mkdtemp()) / "params.safetensors"
        >>> save_safetensors(path, {"dense_0": {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}})
        >>> load_safetensors(path)["dense_0"]["kernel"].shape
        (3, 2)
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    for item in (metadata or {}).items():
        if not all(isinstance(text, str) for text in item):
            raise TypeError(f"save_safetensors: metadata must map str to str, got {item!r}; use json.dumps")
    arrays = {".".join(names): _host_array(names, leaf) for names, leaf in _leaves(tree, ())}
    with atomic_write(path, "save_safetensors") as temporary:
        try:
            # An empty metadata dict makes the library (0.8.0) write an unreadable header, None does not.
            save_file(arrays, temporary, dict(metadata) if metadata else None)
            _sort_metadata(temporary)
        except SafetensorError as error:
            raise OSError(f"save_safetensors: {path}: {error}") from error


def _sort_metadata(path: str | Path) -> None:
    """Write the header's metadata in sorted order, so that equal trees make equal files.

    The library writes it in the order of a hash map, which differs from call to call.
    """
    with Path(path).open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if "__metadata__" not in header:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))


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
        if isinstance(child, Mapping):
            if not child:
                raise ValueError(f"save_safetensors: {name!r} below {where} is an empty dict; leave it out")
            yield from _leaves(child, (*prefix, name))
        else:
            yield (*prefix, name), child


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
    if array.dtype.name not in DTYPES:
        raise TypeError(
            f"save_safetensors: {'.'.join(names)}: the format has no dtype {array.dtype}; cast to one of "
            f"{', '.join(sorted(DTYPES))}"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
