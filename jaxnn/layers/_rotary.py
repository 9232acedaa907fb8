"""Rotary position embedding (Su et al., 2021, arXiv:2104.09864).

Pair ``i`` of the features of position ``t`` is rotated by the angle ``t base^(-2 i / head_dim)``, so that the
product of a query and a key depends on their distance.
"""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import (
    Layer,
    Masked,
    Params,
    State,
    check_floating,
    check_min_rank,
    check_params,
    describe,
    non_negative,
    one_of,
    wide_dtype,
)
from jaxnn.layers._cached import cached

PAIRS = ("halves", "neighbours")


def rotary(base: Any = 10_000.0, *, pairs: str = "halves") -> Layer:
    """Rotate queries or keys by their positions: ``[..., time, heads, head_dim]`` to the same.

    No parameters; angles are computed in float32 at least. ``nn.attention(..., rotary=True)`` applies it to
    queries and keys; as a layer of its own it serves attention that you compose from ``ops.attention``.
    Inside ``nn.decoding_cell`` it continues from the position that it has reached.

    Args:
        base: wavelength of the slowest pair over 2 pi.
        pairs: ``"halves"`` rotates features ``i`` and ``i + head_dim / 2`` (GPT-NeoX, Llama),
            ``"neighbours"`` features ``2 i`` and ``2 i + 1`` (the paper).

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point, has fewer than 3
            axes or an odd ``head_dim``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> q = jax.random.normal(jax.random.key(0), (1, 1, 1, 8))
        >>> y, _ = nn.rotary().apply({}, {}, jnp.broadcast_to(q, (1, 6, 1, 8)))
        >>> near, far = (y[0, 0, 0] * y[0, 2, 0]).sum(), (y[0, 3, 0] * y[0, 5, 0]).sum()
        >>> bool(jnp.isclose(near, far, rtol=1e-5))
        True
    """
    base = non_negative("rotary", "base", base, positive=True)
    one_of("rotary", "pairs", pairs, PAIRS)

    def at(x: Any, first: Any) -> Any:
        value = x.value if isinstance(x, Masked) else x
        check_floating("rotary", value)
        check_min_rank("rotary", value, 3, "[..., time, heads, head_dim]")
        y = rotate("rotary", value, first, base, pairs)
        return Masked(y, x.mask) if isinstance(x, Masked) else y

    def apply(params: Params, x: Any) -> Any:
        del params
        return at(x, 0)

    def cache(params: Params, x: Any, length: int) -> State:
        del params, x, length
        return {"index": jnp.zeros((), jnp.int32)}

    def step(params: Params, state: State, x: Any) -> tuple[Any, State]:
        del params
        time = (x.value if isinstance(x, Masked) else x).shape[-3]
        check_params("rotary", state, {"index": ()}, "state", jnp.integer)
        return at(x, state["index"]), {"index": state["index"] + time}

    return cached("rotary", None, apply, cache, step)


def rotate(owner: str, x: Any, first: Any, base: Any, pairs: str) -> Any:
    """Rotate ``x`` ``[..., time, heads, head_dim]``, whose first position is ``first``."""
    time, _, width = x.shape[-3:]
    if width % 2:
        raise ValueError(f"{owner}: head_dim must be even to be rotated in pairs, got {describe(x)}")
    wide = wide_dtype(x.dtype)
    angles = positions_times_rates(time, first, width, base, wide)[:, None, :]
    shape = (*x.shape[:-1], width // 2)
    cos, sin = (jnp.broadcast_to(f(angles), shape) for f in (jnp.cos, jnp.sin))
    z = x.astype(wide)
    if pairs == "halves":
        a, b = jnp.split(z, 2, axis=-1)
        y = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    else:
        a, b = z[..., ::2], z[..., 1::2]
        y = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1).reshape(x.shape)
    return y.astype(x.dtype)


def positions_times_rates(time: int, first: Any, width: int, base: Any, dtype: Any) -> Any:
    """``[time, width / 2]``: position ``first + t`` times ``base^(-2 i / width)``."""
    positions = (jnp.arange(time, dtype=jnp.int32) + first).astype(dtype)
    exponents = jnp.arange(0, width, 2, dtype=dtype) / width
    rates = jnp.asarray(base, dtype) ** -exponents
    return positions[:, None] * rates[None, :]
