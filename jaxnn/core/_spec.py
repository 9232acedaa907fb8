"""Abstract shapes: how specs are made from values, and how both are written in messages."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

PyTree = Any


def spec_of(tree: PyTree) -> PyTree:
    """Return ``tree`` with every array leaf replaced by its ``jax.ShapeDtypeStruct``.

    Args:
        tree: arrays, specs, NumPy arrays or Python numbers, in any pytree.

    Raises:
        TypeError: a leaf has neither a shape and dtype nor a numeric type.

    Example:
        >>> import jax.numpy as jnp
        >>> spec_of(jnp.zeros((2, 3)))
        ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    def one(leaf: Any) -> jax.ShapeDtypeStruct:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
        if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
            return jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype, True))
        if isinstance(leaf, bool | int | float | complex):
            return jax.ShapeDtypeStruct((), jnp.result_type(leaf))
        raise TypeError(
            f"expected arrays or jax.ShapeDtypeStruct, got {type(leaf).__name__}; "
            "wrap Python data with jnp.asarray"
        )

    return jax.tree.map(one, tree)


def is_traced(value: Any) -> bool:
    """Whether ``value`` is being traced, so that its number can't be checked."""
    return isinstance(value, Tracer)


def describe(value: PyTree) -> str:
    """Write a value's type for a message: ``float32[32, 784]``, ``(float32[2], int32[])``.

    Example:
        >>> import numpy as np
        >>> describe((np.zeros((2, 3), np.float32), "text"))
        '(float32[2, 3], str)'
    """
    if value is None:
        return "None"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if type(value).__name__ == "Masked":
        return f"Masked({describe(value.value)}, {describe(value.mask)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {describe(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        inner = ", ".join(map(describe, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    if isinstance(value, bool | int | float):
        return f"{type(value).__name__} {value!r}"
    return type(value).__name__


def same_spec(a: PyTree, b: PyTree) -> bool:
    """Whether two values have equal structure, shapes and dtypes."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(spec_of(a)), jax.tree.leaves(spec_of(b)), strict=True)
    return all(x.shape == y.shape and x.dtype == y.dtype for x, y in pairs)


def common_dtype(*dtypes: Any) -> Any:
    """Return the dtype to which all ``dtypes`` promote, also where promotion must be explicit.

    Example:
        >>> import jax.numpy as jnp
        >>> common_dtype(jnp.bfloat16, jnp.float32)
        dtype('float32')
    """
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*map(jnp.dtype, dtypes))


def wide_dtype(dtype: Any) -> Any:
    """Return the dtype in which statistics and losses are computed: float32 at least."""
    return common_dtype(dtype, jnp.float32)


def as_array(x: Any) -> Any:
    """``jnp.asarray``, but an array of NumPy is sent to the device as it is.

    From jax 0.11 on ``jnp.asarray`` compiles a program for each shape of an array of NumPy, which stays until
    the process ends.

    Example:
        >>> import numpy as np
        >>> as_array(np.arange(3, dtype=np.int32))
        Array([0, 1, 2], dtype=int32)
    """
    if not isinstance(x, np.ndarray):
        return jnp.asarray(x)
    # Known where a program is being traced too.
    with jax.ensure_compile_time_eval():
        return jax.device_put(x)


def as_ids(ids: Any) -> Any:
    """Return integers as int32, or int64 where they have 64 bits, so that no count of classes wraps.

    In ``uint8`` a comparison with 256 classes is one with 0. What is beyond both dtypes stays out of every
    range: it becomes negative, or the largest number where a conversion to 32 bits would wrap.

    Example:
        >>> import jax.numpy as jnp
        >>> (as_ids(jnp.array([3, 7], jnp.uint8)) < 256).tolist()
        [True, True]
    """
    if isinstance(ids, np.ndarray) and ids.dtype in (np.int64, np.uint64):
        bounds = np.iinfo(jax.dtypes.canonicalize_dtype(np.int64))
        low = bounds.min if ids.dtype == np.int64 else 0
        ids = np.clip(ids, low, bounds.max).astype(np.int64)
    ids = as_array(ids)
    wide = ids.dtype != bool and jnp.iinfo(ids.dtype).bits == 64
    return ids.astype(jnp.int64 if wide else jnp.int32)
