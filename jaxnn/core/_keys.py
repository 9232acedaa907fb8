"""Randomness by name: a child's key is its parent's key folded with a hash of the child's name.

Inserting or removing one layer therefore leaves every other layer's numbers as they were, which
splitting a key in order does not. ``None`` stays ``None``.
"""

import zlib
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core._spec import describe

Domain = Literal["init", "apply", "draw"]


class MissingKeyError(ValueError):
    """A layer that draws random numbers was applied without a key."""


def check_key(owner: str, key: Any) -> None:
    """Raise ``TypeError`` unless ``key`` is one typed key, as ``jax.random.key`` makes."""
    is_key = hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not is_key:
        raise TypeError(
            f"{owner}: key must be a typed random key, got {describe(key)}; make one with jax.random.key(0)"
        )
    if key.shape != ():
        raise TypeError(
            f"{owner}: key must be a single key, got {describe(key)}; index it, or vmap over its axis"
        )


def require_key(owner: str, key: Any) -> Any:
    """Return ``key``, or raise the error of a layer that needs one and got none.

    Raises:
        MissingKeyError: ``key`` is ``None``; a ``ValueError``.
        TypeError: ``key`` is not a typed key.
    """
    if key is None:
        raise MissingKeyError(
            f"{owner}: needs a random key here; pass key=jax.random.key(0) to apply, "
            "or train=False where nothing should be drawn"
        )
    check_key(owner, key)
    return key


def fold_name(key: Any, domain: Domain, name: str) -> Any:
    """Fold a child's name into ``key``; ``init`` and ``apply`` never share random numbers.

    The hash is crc32, which is the same in every process and version of Python.
    """
    return None if key is None else jax.random.fold_in(key, _hash(domain, name))


def fold_names(key: Any, domain: Domain, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Fold each sibling's name into ``key``, all in one operation.

    The keys are those of ``fold_name``. XLA compiles every hash of its own for some 20 ms, which for a
    model of hundreds of layers would be most of the time of ``init`` under ``jit``.
    """
    if key is None or not names:
        return (None,) * len(names)
    hashes = np.array([_hash(domain, name) for name in names], np.uint32)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, hashes)
    return tuple(keys[i] for i in range(len(names)))


def _hash(domain: Domain, name: str) -> np.uint32:
    return np.uint32(zlib.crc32(f"{domain}:{name}".encode()))


def fold_index(key: Any, index: Any) -> Any:
    """Fold a call's or a copy's number into ``key``; ``None`` stays ``None``."""
    return None if key is None else jax.random.fold_in(key, index)
