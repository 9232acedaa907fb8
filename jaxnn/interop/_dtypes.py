"""The dtypes of the safetensors format, and what holds them here.

Source: https://github.com/huggingface/safetensors, version 0.8. Two numbers of ``F4`` share a byte, the first
in its lower half, as PyTorch packs them; here each has a byte of its own. How the numbers of ``F6_E2M3`` and
``F6_E3M2`` share theirs is said nowhere, so that they are known, and not read.
"""

from math import prod
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np


class Stored(NamedTuple):
    """A dtype of the format.

    Attributes:
        bits: of one number in a file.
        ours: the name of the dtype that holds it in memory, or ``None`` where nothing is read.
    """

    bits: int
    ours: str | None


# In the format's order, in whose reverse the arrays of a file stand.
STORED = {
    "BOOL": Stored(8, "bool"),
    "F4": Stored(4, "float4_e2m1fn"),
    "F6_E2M3": Stored(6, None),
    "F6_E3M2": Stored(6, None),
    "U8": Stored(8, "uint8"),
    "I8": Stored(8, "int8"),
    "F8_E5M2": Stored(8, "float8_e5m2"),
    "F8_E4M3": Stored(8, "float8_e4m3fn"),
    "F8_E8M0": Stored(8, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": Stored(8, "float8_e4m3fnuz"),
    "F8_E5M2FNUZ": Stored(8, "float8_e5m2fnuz"),
    "I16": Stored(16, "int16"),
    "U16": Stored(16, "uint16"),
    "F16": Stored(16, "float16"),
    "BF16": Stored(16, "bfloat16"),
    "I32": Stored(32, "int32"),
    "U32": Stored(32, "uint32"),
    "F32": Stored(32, "float32"),
    "C64": Stored(64, "complex64"),
    "F64": Stored(64, "float64"),
    "I64": Stored(64, "int64"),
    "U64": Stored(64, "uint64"),
}
FORMAT_NAMES = {stored.ours: name for name, stored in STORED.items() if stored.ours}


def from_bytes(name: str, values: np.ndarray, shape: list[int]) -> np.ndarray:
    """Return the array that bytes of a file stand for.

    Args:
        name: the format's dtype, one that is read.
        values: uint8, of the length that ``shape`` has in a file.
        shape: of the array.

    Raises:
        ValueError: a boolean is neither 0 nor 1.
    """
    if name == "BOOL" and values.size and values.max() > 1:
        raise ValueError("has booleans other than 0 and 1")
    if name == "F4":
        values = np.stack([values & 15, values >> 4], -1).reshape(-1)
    dtype = np.dtype(getattr(jnp, f"{STORED[name].ours}").dtype)
    if not prod(shape):
        return np.zeros(shape, dtype)
    array = values.view(dtype.newbyteorder("<")).reshape(shape)
    return array.astype(dtype, copy=False)


def to_bytes(array: np.ndarray) -> np.ndarray:
    """Return the uint8 values that stand for an array in a file.

    Raises:
        ValueError: two numbers share a byte, and their count is odd.
    """
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    if array.dtype.name != "float4_e2m1fn":
        return flat
    if flat.size % 2:
        raise ValueError(f"two numbers of {array.dtype} share a byte, and it has {flat.size}")
    pairs = flat.reshape(-1, 2) & 15
    return pairs[:, 0] | pairs[:, 1] << 4
