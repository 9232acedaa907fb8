"""Dropout of single entries (Srivastava et al., 2014), in the inverted form that needs nothing at evaluation."""

import jax
import jax.numpy as jnp


def dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Zero each entry of ``x`` with probability ``rate`` and scale the others so that the mean stays.

    The probability is exact to 32 bits.

    Args:
      key: a typed key (``jax.random.key``); the same key gives the same mask for the same shape.
      x: ``[...]``, floating or complex.
      rate: the probability of being *dropped*, in ``[0, 1)``: a Python number or a scalar array, traced or not.
        A concrete 0 returns ``x`` itself. A traced rate is not checked; the nearest level below 1 is used for
        a rate that rounds to 1.

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
    if not isinstance(rate, jax.core.Tracer):
        rate = float(rate)
        if not 0 <= rate < 1:
            raise ValueError(f"dropout: rate is the probability of being dropped, in [0, 1), got {rate}")
        if rate == 0:
            return x
        threshold = jnp.uint32(round(rate * 2**32))
    else:
        threshold = (rate.astype(jnp.float32) * 2**32).astype(jnp.uint32)
    keep = jax.random.bits(key, x.shape, jnp.uint32) >= threshold
    scale = jnp.asarray(1 / (1 - rate), x.dtype)
    return jnp.where(keep, x * scale, jnp.zeros((), x.dtype))
