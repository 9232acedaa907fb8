"""Padding that leaks into values, gradients or denominators."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from benchmarks.mutants._mutant import Mutant, f32


def _pooled(apply: Any) -> nn.Layer:
    """A layer that takes ``(value, mask)``; a plain array counts as unmasked."""

    def run(params: Any, x: Any) -> Any:
        if isinstance(x, nn.Masked):
            return apply(x.value, x.mask)
        return apply(x, jnp.ones(x.shape[:2], bool))

    return nn.stateless("pool", None, run, masked="aware")


def _count(mask: Any, dtype: Any) -> Any:
    return jnp.maximum(jnp.sum(mask, 1, dtype=dtype), jnp.ones((), dtype))[:, None]


def mean_over_padding(broken: bool) -> nn.Layer:
    def apply(value: Any, mask: Any) -> Any:
        total = jnp.sum(jnp.where(mask[..., None], value, 0), 1)
        return total / (value.shape[1] if broken else _count(mask, value.dtype))

    return _pooled(apply)


def mask_forgotten(broken: bool) -> nn.Layer:
    def apply(value: Any, mask: Any) -> Any:
        value = value if broken else jnp.where(mask[..., None], value, 0)
        return jnp.sum(value, 1) / _count(mask, value.dtype)

    return _pooled(apply)


def empty_row_divides_by_zero(broken: bool) -> nn.Layer:
    def apply(value: Any, mask: Any) -> Any:
        total = jnp.sum(jnp.where(mask[..., None], value, 0), 1)
        count = jnp.sum(mask, 1, dtype=value.dtype)[:, None] if broken else _count(mask, value.dtype)
        return total / count

    return _pooled(apply)


def maximum_sees_zero(broken: bool) -> nn.Layer:
    """Padding set to 0 before a maximum wins over negative values."""

    def apply(value: Any, mask: Any) -> Any:
        low = jnp.asarray(0.0 if broken else -1e6, value.dtype)
        largest = jnp.max(jnp.where(mask[..., None], value, low), 1)
        return jnp.where(jnp.any(mask, 1)[:, None], largest, 0)

    return _pooled(apply)


def _attended(fill: Any) -> Any:
    def apply(value: Any, mask: Any) -> Any:
        scores = jnp.einsum("btd,bsd->bts", value, value) / 2
        weights = jax.nn.softmax(fill(scores, mask), axis=-1)
        weights = jnp.where(jnp.any(mask, 1)[:, None, None], weights, 0)
        return jnp.sum(jnp.where(mask[..., None], weights @ jnp.where(mask[..., None], value, 0), 0), 1)

    return apply


def queries_masked_not_keys(broken: bool) -> nn.Layer:
    """The mask is broadcast along the wrong axis of the scores."""

    def fill(scores: Any, mask: Any) -> Any:
        where = mask[:, :, None] if broken else mask[:, None, :]
        return jnp.where(where, scores, -1e30)

    return _pooled(_attended(fill))


_X = f32(3, 5, 4)
_MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
_OPTIONS = {"mask": _MASK}

MASKS = (
    Mutant(
        "mean divides by the padded length", "layer", mean_over_padding, "padded = cut short", (_X,), _OPTIONS
    ),
    Mutant("mask forgotten", "layer", mask_forgotten, "padding does not count", (_X,), _OPTIONS),
    Mutant(
        "0 / 0 in a row of padding", "layer", empty_row_divides_by_zero, "a row without real", (_X,), _OPTIONS
    ),
    Mutant("padding of 0 under a maximum", "layer", maximum_sees_zero, "padded = cut short", (_X,), _OPTIONS),
    Mutant(
        "queries masked instead of keys",
        "layer",
        queries_masked_not_keys,
        "padded = cut short",
        (_X,),
        _OPTIONS,
    ),
)
