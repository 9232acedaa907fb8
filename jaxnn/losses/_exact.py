"""Values that keep their digits where the plain formulas cancel: near 0, and never below it.

``log(sum(exp(z))) - z_y`` of float32 logits 20 and 0 is 0, or -2e-6 beside a larger offset; the loss is 2e-9.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.losses._labels import is_label


def exactly(value: Any, plain: Any) -> Any:
    """Return ``value`` with the gradient of ``plain``, the same number by the formula that may cancel.

    Where ``plain`` is not finite it is returned itself.
    """
    known = jnp.isfinite(plain)
    shown = jnp.where(known, plain, 0)
    return jnp.where(known, jax.lax.stop_gradient(value) + (shown - jax.lax.stop_gradient(shown)), plain)


@jax.custom_jvp
def label_cost(z: Any, labels: Any) -> Any:
    """Return ``-log softmax(z)`` ``[...]`` of the classes ``labels`` ``[...]``.

    Value and gradient keep their digits: the label's logit is the largest or the loss is not small, and the
    powers of the others are added up by themselves.
    """
    away, others, _ = _beside_label(z, labels)
    return away + jnp.log1p(others + jnp.where(away == 0, 0, jnp.expm1(-away)))


@label_cost.defjvp
def _label_cost_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    z, labels = primals
    value = label_cost(z, labels)
    away, others, powers = _beside_label(z, labels)
    total = others + jnp.exp(-away)
    # That of the label is q - 1, without the difference.
    slope = jnp.where(is_label(labels, z), jnp.expm1(-value)[..., None], powers / total[..., None])
    return value, jnp.sum(slope * tangents[0], -1)


def _beside_label(z: Any, labels: Any) -> tuple[Any, Any, Any]:
    """Return how far the label is below the largest, the sum of the others' powers, and all powers."""
    largest = largest_of(z)
    powers = jnp.exp(z - largest)
    # The gradient has a formula of its own, so that this gather has no scatter behind it.
    own = jnp.take_along_axis(z, labels[..., None], -1, mode="clip")[..., 0]
    return largest[..., 0] - own, jnp.sum(jnp.where(is_label(labels, z), 0, powers), -1), powers


def minus_log_softmax(z: Any) -> Any:
    """Return ``-log softmax(z)`` ``[..., k]`` to its last digits, where it is small too."""
    return (largest_of(z) - z) + log_total(z)[..., None]


def largest_of(z: Any) -> Any:
    """Return the largest of ``z`` ``[..., k]``, ``[..., 1]``, without gradient; 0 where it is infinite."""
    largest = jax.lax.stop_gradient(jnp.max(z, -1, keepdims=True))
    return jnp.where(jnp.isfinite(largest), largest, 0)


@jax.custom_jvp
def log_total(z: Any) -> Any:
    """Return ``log(sum(exp(z - largest_of(z))))`` ``[...]``, with the gradient of ``log(sum(exp(z)))``."""
    largest = largest_of(z)
    powers = jnp.exp(z - largest)
    total = jnp.sum(powers, -1)
    # The sum is 1 and a rest; where the rest is small no other is as large, and its own digits count.
    rest = jnp.sum(jnp.where(z == largest, 0, powers), -1)
    return jnp.where(total < 1.5, jnp.log1p(rest), jnp.log(total))


@log_total.defjvp
def _log_total_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (z,) = primals
    powers = jnp.exp(z - largest_of(z))
    return log_total(z), jnp.sum(powers / jnp.sum(powers, -1, keepdims=True) * tangents[0], -1)


@jax.custom_jvp
def exponential_rest(x: Any) -> Any:
    """Return ``exp(x) - 1 - x``, at least 0, by its series where the terms cancel."""
    near = jnp.abs(x) < 1
    small = jnp.where(near, x, 0)
    series = jnp.ones_like(small)
    for n in range(18, 2, -1):
        series = 1 + small / n * series
    return jnp.where(near, small * small / 2 * series, jnp.expm1(x) - x)


@exponential_rest.defjvp
def _exponential_rest_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return exponential_rest(primals[0]), jnp.expm1(primals[0]) * tangents[0]
