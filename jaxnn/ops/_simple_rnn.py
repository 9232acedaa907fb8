"""The simple recurrent network over a sequence (Elman, 1990): ``h' = activation(x @ W + h @ U + b)``."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._dispatch import recurrent_formulation
from jaxnn.ops._product import product
from jaxnn.ops._recurrent import (
    along_product,
    check_recurrent,
    instantiate,
    masked_scan,
    previous,
    project,
    scaled,
)

Activation = Callable[[jax.Array], jax.Array]


def simple_rnn(
    x: jax.Array,
    input_kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    carry: jax.Array | None = None,
    *,
    activation: Activation = jnp.tanh,
    mask: jax.Array | None = None,
    reverse: bool = False,
    recurrent_scale: jax.Array | None = None,
    formulation: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Run a simple recurrent network over time.

    All inputs are projected by one product, and in the backward pass the gradients of all parameters are one
    product each over all steps. Every transformation applies, forward mode and higher derivatives included.

    Args:
      x: ``[..., time, in]``.
      input_kernel: ``[in, features]``.
      recurrent_kernel: ``[features, features]``.
      bias: ``[features]``.
      carry: ``h`` ``[..., features]``; zeros by default.
      activation: elementwise function. With ``formulation="lax"`` it may close over traced values.
      mask: boolean ``[..., time]``; where it is false the carry stays and the output repeats. What ``x``
        holds there reaches neither output nor gradient.
      reverse: run from the last step to the first; outputs stay at the positions of their inputs.
      recurrent_scale: ``[..., features]``, multiplied with ``h`` in the recurrent product at every step: a
        dropout mask that holds for the sequence.
      formulation: ``None`` or ``"deferred"`` is the rule above; ``"lax"`` is plain autodiff of ``lax.scan``.

    Returns:
      The last carry ``h``, and the outputs ``[..., time, features]``.

    Raises:
      ValueError: shapes do not fit together, or the formulation is unknown.
      TypeError: dtypes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> h, y = simple_rnn(jnp.ones((2, 5, 3)), jnp.ones((3, 4)), jnp.ones((4, 4)))
      >>> y.shape, bool((h == y[:, -1]).all())
      ((2, 5, 4), True)
    """
    features = check_recurrent(
        "simple_rnn",
        x,
        input_kernel,
        recurrent_kernel,
        1,
        mask,
        {
            "bias": (bias, recurrent_kernel.shape[-1:]),
            "carry": (carry, None),
            "recurrent_scale": (recurrent_scale, None),
        },
    )
    h = jnp.zeros((*x.shape[:-2], features), x.dtype) if carry is None else carry
    p, real = project(x, input_kernel, bias, mask)
    run = _plain if recurrent_formulation("simple_rnn", formulation) == "lax" else _deferred
    last, ys = run(p, recurrent_kernel, h, real, recurrent_scale, activation, reverse)
    return last, jnp.moveaxis(ys, 0, -2)


def _plain(
    p: jax.Array,
    kernel: jax.Array,
    h: jax.Array,
    mask: Any,
    scale: Any,
    activation: Activation,
    reverse: bool,
) -> tuple[jax.Array, jax.Array]:
    def step(carry: Any, p: jax.Array) -> tuple[Any, None]:
        return (activation(p + product(scaled(carry[0], scale), kernel)),), None

    (last,), (ys, _) = masked_scan(step, (h,), p, mask, reverse)
    return last, ys


@partial(jax.custom_jvp, nondiff_argnums=(5, 6))
def _deferred(
    p: jax.Array,
    kernel: jax.Array,
    h: jax.Array,
    mask: Any,
    scale: Any,
    activation: Activation,
    reverse: bool,
) -> tuple[jax.Array, jax.Array]:
    return _plain(p, kernel, h, mask, scale, activation, reverse)


def _tangent(
    activation: Activation, reverse: bool, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Any, Any]:
    p, kernel, h, mask, scale = primals
    dp, dkernel, dh, _, dscale = tangents

    def step(carry: Any, p: jax.Array) -> tuple[Any, jax.Array]:
        z = p + product(scaled(carry[0], scale), kernel)
        y, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
        return (y,), slope

    (last,), (hs, slopes) = masked_scan(step, (h,), p, mask, reverse)
    parts = along_product(previous(hs, h, reverse), dkernel, kernel, scale, dscale)
    if not isinstance(dp, SymbolicZero):
        parts.append(dp)
    e = sum(parts[1:], parts[0]) if parts else jnp.zeros_like(p)

    mirrored = kernel.T  # and back in the loop, so that the transpose reads it in standard layout

    def along(carry: Any, x: Any) -> tuple[Any, None]:
        e, slope = x
        return (slope * (e + product(scaled(carry[0], scale), mirrored.T)),), None

    (dlast,), (dys, _) = masked_scan(along, (instantiate(dh),), (e, slopes), mask, reverse)
    return (last, hs), (dlast, dys)


_deferred.defjvp(_tangent, symbolic_zeros=True)
