"""The idx format of MNIST: magic number (two zeros, element code, rank), big-endian sizes, values.

Source: the format's description on the MNIST page of Y. LeCun, C. Cortes and C. Burges.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np

ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK = 1 << 20


class Readable(Protocol):
    """An open binary file, zipped or not."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes."""
        ...


def read_idx(path: str | Path) -> np.ndarray:
    """Read an idx file, gzipped or not (by its first bytes, not by its name).

    Args:
        path: the file.

    Returns:
        An array of the file's own sizes and element type, in the machine's byte order.

    Raises:
        ValueError: the file is truncated, has a wrong magic number or trailing bytes, or sizes that do not
            match its content. Memory follows the bytes that the file really holds, never what it claims.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "two-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
        >>> read_idx(path)
        array([7, 9], dtype=uint8)
    """
    path = Path(path)
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if zipped else path.open("rb") as file:
        try:
            return parse_idx(file, str(path))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: damaged gzip data ({error}); fetch the file again") from error


def parse_idx(file: Readable, source: str) -> np.ndarray:
    """Read idx content from an open binary file; ``source`` names it in errors."""
    magic = file.read(4)
    if len(magic) < 4:
        raise ValueError(f"{source}: truncated idx file, {len(magic)} bytes where the magic number needs 4")
    zeros, code, rank = magic[:2], magic[2], magic[3]
    if zeros != b"\0\0" or code not in ELEMENTS or rank == 0:
        raise ValueError(
            f"{source}: not an idx file, magic number 0x{magic.hex()}; expected 0x0000, then an element code "
            f"(08, 09, 0b, 0c, 0d, 0e), then the rank"
        )
    header = file.read(4 * rank)
    if len(header) < 4 * rank:
        raise ValueError(f"{source}: truncated idx header, {rank} sizes promised, {len(header) // 4} present")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    dtype = np.dtype(ELEMENTS[code])
    size = math.prod(shape) * dtype.itemsize
    data = _read_at_most(file, size + 1)
    if len(data) < size:
        raise ValueError(
            f"{source}: truncated idx file, sizes {shape} need {size} bytes, {len(data)} present"
        )
    if len(data) > size:
        raise ValueError(f"{source}: trailing bytes after the {size} that sizes {shape} need")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_at_most(file: Readable, limit: int) -> bytearray:
    """Read in chunks, so that a false size in the header allocates nothing."""
    data = bytearray()
    while len(data) < limit and (chunk := file.read(min(CHUNK, limit - len(data)))):
        data += chunk
    return data
