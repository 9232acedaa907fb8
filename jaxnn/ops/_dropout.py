"""Dropout of single entries (Srivastava et al., 2014), scaled so that evaluation needs nothing."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from jaxnn.ops._threefry import threefry


def dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Zero each entry of ``x`` with probability ``rate`` and scale the others by ``1 / (1 - rate)``.

    Peers hash once per entry; here one hash of 64 bits serves four entries. An entry compares all 32 bits of
    a word with the threshold, so its probability is ``rate`` to ``2**-32``, and shares that word with one
    other, which reads it with its halves swapped: the two decide on different leading 16 bits, and their
    dependence is of order ``2**-16``.

    Args:
      key: a typed key (``jax.random.key``); the same key gives the same mask for the same shape.
      x: ``[...]``, floating or complex.
      rate: the probability of being *dropped*, in ``[0, 1)``: a Python number or a scalar array, traced or
        not. A concrete 0 returns ``x`` itself; a traced rate is not checked.

    Returns:
      ``[...]`` in the dtype of ``x``.

    Raises:
      ValueError: when ``rate`` is concrete and outside ``[0, 1)``, or no scalar.
      TypeError: when ``x`` is neither floating nor complex.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> y = dropout(jax.random.key(0), jnp.ones(1000), 0.2)
      >>> sorted(set(y.tolist())), bool(abs(y.mean() - 1) < 0.1)
      ([0.0, 1.25], True)
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(f"dropout: x must be floating or complex, got {x.dtype}; cast it first")
    if jnp.ndim(rate) != 0:
        raise ValueError(
            f"dropout: rate must be a scalar, got shape {jnp.shape(rate)}; use jax.vmap for several rates"
        )
    if isinstance(rate, Tracer):
        threshold = (jnp.asarray(rate, jnp.float32) * 2.0**32).astype(jnp.uint32)
    else:
        rate = float(rate)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout: rate is the probability of being dropped, in [0, 1), got {rate}")
        if rate == 0:
            return x
        threshold = jnp.uint32(min(round(rate * 2**32), 2**32 - 1))
    keep = _words(key, x.size).reshape(x.shape) >= threshold
    # The scale of float16 and bfloat16 would be off by up to 0.4 %, so they are scaled in float32.
    wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
    scaled = (wide * jnp.asarray(1 / (1 - rate), wide.dtype)).astype(x.dtype)
    return jnp.where(keep, scaled, jnp.zeros((), x.dtype))


def _words(key: jax.Array, count: int) -> jax.Array:
    """``count`` uniform words of 32 bits; for threefry keys, four from each hash."""
    data = jax.random.key_data(key)
    if data.shape[-1] != 2:
        return jax.random.bits(key, (count,), jnp.uint32)
    hashes = -(-count // 4)
    # Without the barrier each kernel that reads the mask computes the hash again.
    words = lax.optimization_barrier(jnp.stack(threefry(data, lax.iota(jnp.uint32, hashes))))
    straight = jnp.broadcast_to(words, (2, 2, hashes))
    shift = jnp.broadcast_to(jnp.arange(2, dtype=jnp.uint32)[:, None, None] * 16, straight.shape)
    # A shift by all 32 bits gives zero in XLA, which makes the first of the two the word itself.
    turned = lax.shift_left(straight, shift) | lax.shift_right_logical(straight, 32 - shift)
    return turned.reshape(-1)[:count]
