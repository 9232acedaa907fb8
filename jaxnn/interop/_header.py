"""The header of a safetensors file, checked before anything is allocated by what it says.

A file is a length (8 bytes, little-endian), so many bytes of JSON, and the values of all arrays end to end.
Source: https://github.com/huggingface/safetensors, whose reader silently keeps the last of two equal names
and lets a name have any number of parts.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Some 100,000 arrays. Parsing takes ten times as much memory, which nothing but the header's length bounds.
LONGEST_HEADER = 10_000_000
# NumPy has no more axes; trees as deep as a hostile name can be would overflow the stack of who walks them.
MOST_AXES = 32
MOST_PARTS = 32
_TOO_LARGE = 2**62
_TYPES = {"BOOL": "u1", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8"}
_ENTRY = {"dtype", "shape", "data_offsets"}


class Header(NamedTuple):
    """What a file says about itself, found to be consistent.

    Attributes:
        entries: of each array by name: ``dtype``, ``shape`` and ``data_offsets``.
        metadata: text by name.
        start: byte at which the values begin.
    """

    entries: dict[str, Any]
    metadata: dict[str, str]
    start: int


def read_header(path: Path) -> Header:
    """Read and check the header of a file.

    Raises:
        ValueError: the file is not a whole safetensors file; the message says in what.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(f"its header would end after byte {8 + length} of {size}")
        if length > LONGEST_HEADER:
            raise ValueError(f"its header has {length} bytes; no more than {LONGEST_HEADER} are read")
        text = file.read(length)
    entries = _parsed(text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__ must map text to text")
    _check_offsets(entries, size - 8 - length)
    return Header(entries, metadata, 8 + length)


def array_type(dtype: Any) -> np.dtype[Any] | None:
    """Return NumPy's dtype for the format's name, with ``uint8`` for booleans; ``None`` where it has none."""
    if dtype == "BF16":
        import jax.numpy as jnp

        return np.dtype(jnp.bfloat16)
    if isinstance(dtype, str) and re.fullmatch(r"[IU](8|16|32|64)", dtype):
        return np.dtype(f"<{dtype[0].lower()}{int(dtype[1:]) // 8}")
    return np.dtype(_TYPES[dtype]) if isinstance(dtype, str) and dtype in _TYPES else None


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_refused)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"its header has the name {name[:80]!r} twice")
        found[name] = value
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"its header has the number {constant}")


def _check_offsets(entries: dict[str, Any], size: int) -> None:
    """Raise unless the arrays lie end to end and fill ``size`` bytes."""
    places = sorted(_place(name, entry, size) for name, entry in entries.items())
    last = 0
    for start, end, name in places:
        if start != last:
            what = "overlaps what stands before it" if start < last else "leaves a gap before it"
            raise ValueError(f"the array {name[:80]!r} {what}")
        last = end
    if last != size:
        raise ValueError(f"its arrays have {last} bytes, the file has {size} for them")


def _place(name: str, entry: Any, size: int) -> tuple[int, int, str]:
    shown = repr(name[:80])
    if name.count(".") >= MOST_PARTS:
        raise ValueError(f"the name {shown} has more than {MOST_PARTS} parts")
    if not isinstance(entry, dict) or set(entry) != _ENTRY:
        raise ValueError(f"the array {shown} needs exactly dtype, shape and data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or len(shape) > MOST_AXES:
        raise ValueError(f"the array {shown} needs a shape of up to {MOST_AXES} whole numbers")
    if not _naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size:
        raise ValueError(f"the array {shown} needs data_offsets within the {size} bytes of values")
    dtype = array_type(entry["dtype"])
    if dtype is None:
        raise ValueError(
            f"the array {shown} has the dtype {str(entry['dtype'])[:20]!r}, which NumPy can't hold"
        )
    largest = dtype.itemsize
    for extent in shape:
        # Cut off, so that the product of hostile numbers does not get large.
        largest = min(largest * max(extent, 1), _TOO_LARGE)
    # NumPy refuses such extents even beside a zero.
    if largest == _TOO_LARGE or (0 if 0 in shape else largest) != offsets[1] - offsets[0]:
        raise ValueError(f"the array {shown} has a shape of other bytes than its data_offsets")
    return offsets[0], offsets[1], name


def _naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**63 for n in numbers)
