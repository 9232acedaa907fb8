"""Absolute positions added to a sequence: learned (Gehring et al., 2017, arXiv:1705.03122) or sinusoidal.

Sinusoidal (Vaswani et al., 2017, arXiv:1706.03762): feature ``2 i`` of position ``t`` is
``sin(t / 10000^(2 i / features))``, feature ``2 i + 1`` the cosine of the same angle.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import (
    Axes,
    Layer,
    Masked,
    Params,
    State,
    check_floating,
    check_min_rank,
    check_params,
    common_dtype,
    describe,
    one_of,
    positive_int,
    wide_dtype,
)
from jaxnn.layers._affine import Initializer, check_dtype, check_initializers
from jaxnn.layers._cached import cached
from jaxnn.layers._rotary import positions_times_rates


def small_normal(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw from a normal of standard deviation 0.02 (Radford et al., 2018)."""
    return jax.nn.initializers.normal(0.02)(key, shape, dtype)


def positional_embedding(
    max_length: int | None = None,
    kind: str = "learned",
    *,
    embedding_init: Initializer = small_normal,
    param_dtype: Any = jnp.float32,
) -> Layer:
    """Add a vector for each position: ``[..., time, features]`` to the same; a mask is kept.

    Parameters: ``embedding`` ``(max_length, features)`` if learned, none if sinusoidal. Where Flax and
    PyTorch leave a position past the table to the gather, which clamps it in silence, this raises.

    Args:
        max_length: longest sequence; for learned positions, by default the length of the input to ``init``.
            For sinusoidal positions there is no bound.
        kind: ``"learned"`` or ``"sinusoidal"``.
        embedding_init: initializer of the table.
        param_dtype: dtype of the table.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point or is longer than
            ``max_length``. A decoding that outgrows the table gives NaN, as lengths are not known when
            traced.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.positional_embedding(64)
        >>> params, _ = layer.init(jax.random.key(0), jnp.ones((1, 10, 16)))
        >>> params["embedding"].shape, layer.apply(params, {}, jnp.ones((2, 10, 16)))[0].shape
        ((64, 16), (2, 10, 16))
    """
    owner = "positional_embedding"
    one_of(owner, "kind", kind, ("learned", "sinusoidal"))
    limit = None if max_length is None else positive_int(owner, "max_length", max_length)
    if kind == "sinusoidal" and limit is not None:
        raise ValueError(f"{owner}: kind='sinusoidal' has no table, so max_length must be None, got {limit}")
    param_dtype = check_dtype(owner, param_dtype)
    check_initializers(owner, embedding_init=embedding_init)
    shapes: dict[str, Axes] = {"embedding": (limit or "length", "features")} if kind == "learned" else {}

    def init(key: Any, x: Any) -> Params:
        value = _checked(x)
        if kind == "sinusoidal":
            return {}
        shape = (limit or value.shape[-2], value.shape[-1])
        return {"embedding": embedding_init(key, shape, param_dtype)}

    def at(params: Params, x: Any, first: Any) -> Any:
        value = _checked(x)
        check_params(owner, params, shapes)
        time, features = value.shape[-2:]
        if kind == "sinusoidal":
            dtype = value.dtype
            rows = _sinusoids(time, first, features, wide_dtype(dtype))
        else:
            table = params["embedding"]
            if table.shape[-1] != features or table.shape[0] < time:
                raise ValueError(
                    f"{owner}: expected input [..., at most {table.shape[0]}, {table.shape[1]}], got "
                    f"{describe(value)}; pass a larger max_length"
                )
            dtype = common_dtype(value.dtype, table.dtype)
            rows = _rows(table, time, first)
        y = value.astype(dtype) + jnp.broadcast_to(rows.astype(dtype), value.shape)
        return Masked(y, x.mask) if isinstance(x, Masked) else y

    def cache(params: Params, x: Any, length: int) -> State:
        del params, x, length
        return {"index": jnp.zeros((), jnp.int32)}

    def step(params: Params, state: State, x: Any) -> tuple[Any, State]:
        check_params(owner, state, {"index": ()}, "state", jnp.integer)
        index = state["index"]
        return at(params, x, index), {"index": index + _checked(x).shape[-2]}

    return cached(owner, init, lambda params, x: at(params, x, None), cache, step)


def _checked(x: Any) -> Any:
    value = x.value if isinstance(x, Masked) else x
    check_floating("positional_embedding", value)
    check_min_rank("positional_embedding", value, 2, "[..., time, features]")
    return value


def _rows(table: Any, time: int, first: Any) -> Any:
    if first is None:
        return table[:time]
    rows = jax.lax.dynamic_slice_in_dim(table, first, time)
    # dynamic_slice clamps: past the end it would return other positions' rows.
    return jnp.where(first + time <= table.shape[0], rows, jnp.full((), jnp.nan, table.dtype))


def _sinusoids(time: int, first: Any, features: int, dtype: Any) -> Any:
    angles = positions_times_rates(
        time, 0 if first is None else first, features + features % 2, 10_000.0, dtype
    )
    waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves.reshape(time, features + features % 2)[:, :features]
