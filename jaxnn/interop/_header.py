"""The header of a safetensors file, checked before anything is allocated by what it says.

A file is a length (8 bytes, little-endian), so many bytes of JSON, and the values of all arrays end to end.
Source: https://github.com/huggingface/safetensors, whose reader silently keeps the last of two equal names
and lets a name have any number of parts.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxnn.interop._dtypes import STORED
from jaxnn.interop._limits import MOST_AXES, check_header_length, check_parts

_TOO_LARGE = 2**62
_ENTRY = {"dtype", "shape", "data_offsets"}


class UnknownDtypeError(ValueError):
    """An array has a dtype that the format gained later, or never had; the file may be whole."""


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
        UnknownDtypeError: of an array that can't be measured.
        ValueError: the file is not a whole safetensors file; the message says in what.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError(f"its header would end after byte {8 + length} of {size}")
        check_header_length(length)
        text = file.read(length)
    entries = _parsed(text)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("__metadata__ must map text to text")
    _check_offsets(entries, size - 8 - length)
    return Header(entries, metadata, 8 + length)


def header_bytes(
    arrays: Mapping[str, tuple[str, tuple[int, ...], int]], metadata: Mapping[str, str]
) -> bytes:
    """Return the start of a file with these arrays in this order, as the format's own library writes it.

    Args:
        arrays: by name, the format's dtype, the shape and the number of bytes.
        metadata: text by name; written in the order of the names, so that equal trees make equal files.

    Raises:
        ValueError: it would be too long to be read.
    """
    entries: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    start = 0
    for name, (dtype, shape, size) in arrays.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + size]}
        start += size
    try:
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a name or metadata is no text ({error.reason}); rename it") from error
    text = text.ljust(-(-len(text) // 8) * 8)
    check_header_length(len(text))
    return len(text).to_bytes(8, "little") + text


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
    check_parts(name, name.count(".") + 1)
    if not isinstance(entry, dict) or set(entry) != _ENTRY:
        raise ValueError(f"the array {shown} needs exactly dtype, shape and data_offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or len(shape) > MOST_AXES:
        raise ValueError(f"the array {shown} needs a shape of up to {MOST_AXES} whole numbers")
    if not _naturals(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= size:
        raise ValueError(f"the array {shown} needs data_offsets within the {size} bytes of values")
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in STORED:
        raise UnknownDtypeError(
            f"the array {shown} has the dtype {str(dtype)[:20]!r}, expected one of "
            f"{', '.join(sorted(STORED))}"
        )
    bits, count = STORED[dtype].bits, 1
    for extent in shape:
        # Cut off, so that the product of hostile numbers does not get large.
        count = min(count * max(extent, 1), _TOO_LARGE)
    # NumPy refuses such extents even beside a zero.
    too_large = count * max(bits, 8) // 8 >= _TOO_LARGE
    if too_large or (0 if 0 in shape else count * bits) != 8 * (offsets[1] - offsets[0]):
        raise ValueError(f"the array {shown} has a shape of other bytes than its data_offsets")
    return offsets[0], offsets[1], name


def _naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**63 for n in numbers)
