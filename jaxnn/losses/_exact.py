"""Values that keep their digits where the plain formulas cancel: near 0, and never below it.

``log(sum(exp(z))) - z_y`` of float32 logits 20 and 0 is 0, or -2e-6 beside a larger offset; the loss is 2e-9.
"""

from typing import Any

import jax
import jax.numpy as jnp


def exactly(value: Any, plain: Any) -> Any:
    """Return ``value`` with the gradient of ``plain``, the same number by the formula that may cancel.

    Where ``plain`` is not finite it is returned itself.
    """
    known = jnp.isfinite(plain)
    shown = jnp.where(known, plain, 0)
    return jnp.where(known, jax.lax.stop_gradient(value) + (shown - jax.lax.stop_gradient(shown)), plain)


def log_total(z: Any) -> tuple[Any, Any]:
    """Return the largest of ``z`` ``[..., k]`` and ``log(sum(exp(z - largest)))``, both ``[...]``.

    The sum is 1 and a rest; where the rest is small, its own digits count. Without gradient.
    """
    z = jax.lax.stop_gradient(z)
    largest = jnp.max(z, -1, keepdims=True)
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    powers = jnp.exp(z - largest)
    total = jnp.sum(powers, -1)
    rest = jnp.sum(jnp.where(z == largest, 0, powers), -1)
    return largest[..., 0], jnp.where(total < 1.5, jnp.log1p(rest), jnp.log(total))


def minus_log_softmax(z: Any) -> Any:
    """Return ``-log softmax(z)`` ``[..., k]`` to its last digits, where it is small too. Without gradient."""
    largest, rest = (jnp.broadcast_to(part[..., None], z.shape) for part in log_total(z))
    return (largest - jax.lax.stop_gradient(z)) + rest


def exponential_rest(x: Any) -> Any:
    """Return ``exp(x) - 1 - x``, at least 0, by its series where the terms cancel."""
    near = jnp.abs(x) < 0.3
    small = jnp.where(near, x, 0)
    series = jnp.ones_like(small)
    for n in range(14, 2, -1):
        series = 1 + small / n * series
    return jnp.where(near, small * small / 2 * series, jnp.expm1(x) - x)
