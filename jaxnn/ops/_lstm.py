"""Long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000).

With ``z = x @ input_kernel + h @ recurrent_kernel + bias`` split into four: ``i, f, o = sigmoid(z_i, z_f,
z_o)``, ``g = tanh(z_g)``, ``c' = f * c + i * g``, ``h' = o * tanh(c')``.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._dispatch import recurrent_formulation
from jaxnn.ops._product import product
from jaxnn.ops._recurrent import (
    along_product,
    check_recurrent,
    instantiate,
    keep,
    masked_scan,
    previous,
    project,
    scaled,
    squash,
)


def lstm(
    x: jax.Array,
    input_kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    carry: tuple[jax.Array, jax.Array] | None = None,
    *,
    mask: jax.Array | None = None,
    reverse: bool = False,
    recurrent_scale: jax.Array | None = None,
    formulation: str | None = None,
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """Run an LSTM over time.

    All inputs are projected by one product, and in the backward pass the gradients of all parameters are one
    product each over all steps, where autodiff of a scan adds to them at every step. Every transformation
    applies, forward mode and higher derivatives included.

    Args:
      x: ``[..., time, in]``.
      input_kernel: ``[in, 4 * features]``, gates in the order input, forget, candidate, output.
      recurrent_kernel: ``[features, 4 * features]``.
      bias: ``[4 * features]``.
      carry: ``(h, c)``, each ``[..., features]``; zeros by default.
      mask: boolean ``[..., time]``; where it is false the carry stays and the output repeats. What ``x``
        holds there reaches neither output nor gradient.
      reverse: run from the last step to the first; outputs stay at the positions of their inputs.
      recurrent_scale: ``[..., features]``, multiplied with ``h`` in the recurrent product at every step: a
        dropout mask that holds for the sequence.
      formulation: ``None`` or ``"deferred"`` is the rule above; ``"lax"`` is plain autodiff of ``lax.scan``.

    Returns:
      The last carry ``(h, c)``, and the outputs ``[..., time, features]``.

    Raises:
      ValueError: shapes do not fit together, or the formulation is unknown.
      TypeError: dtypes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> (h, c), y = lstm(jnp.ones((2, 5, 3)), jnp.ones((3, 16)), jnp.ones((4, 16)))
      >>> y.shape, bool((h == y[:, -1]).all())
      ((2, 5, 4), True)
    """
    h, c = (None, None) if carry is None else carry
    gates = 4
    features = check_recurrent(
        "lstm",
        x,
        input_kernel,
        recurrent_kernel,
        gates,
        mask,
        {
            "bias": (bias, recurrent_kernel.shape[-1:]),
            "carry h": (h, None),
            "carry c": (c, None),
            "recurrent_scale": (recurrent_scale, None),
        },
    )
    empty = jnp.zeros((*x.shape[:-2], features), x.dtype)
    h, c = empty if h is None else h, empty if c is None else c
    p, real = project(x, input_kernel, None, mask)
    run = _plain if recurrent_formulation("lstm", formulation) == "lax" else _deferred
    last, ys = run(p, recurrent_kernel, bias, h, c, real, recurrent_scale, reverse)
    return last, jnp.moveaxis(ys, 0, -2)


def _step(z: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``z`` ``[..., 4 * features]`` to the new ``h`` and the new ``c``."""
    i, f, g, o = jnp.split(z, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _fast_step(z: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The new ``h``, the new ``c``, and the four gates in one array."""
    gates = squash(z, np.repeat([0.5, 0.5, 1.0, 0.5], c.shape[-1]))
    i, f, g, o = jnp.split(gates, 4, -1)
    c = f * c + i * g
    return o * jnp.tanh(c), c, gates


def _before_gates(p: jax.Array, kernel: jax.Array, bias: Any, h: jax.Array, scale: Any) -> jax.Array:
    """``z`` of one step; the bias is added here, where it costs no pass over all inputs."""
    z = p + product(scaled(h, scale), kernel)
    return z if bias is None else z + jnp.broadcast_to(bias, z.shape)


def _plain(
    p: jax.Array,
    kernel: jax.Array,
    bias: Any,
    h: jax.Array,
    c: jax.Array,
    mask: Any,
    scale: Any,
    reverse: bool,
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    def step(carry: Any, p: jax.Array) -> tuple[Any, None]:
        h, c = carry
        return _step(_before_gates(p, kernel, bias, h, scale), c), None

    last, (ys, _) = masked_scan(step, (h, c), p, mask, reverse)
    return last, ys


@partial(jax.custom_jvp, nondiff_argnums=(7,))
def _deferred(
    p: jax.Array,
    kernel: jax.Array,
    bias: Any,
    h: jax.Array,
    c: jax.Array,
    mask: Any,
    scale: Any,
    reverse: bool,
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    def step(carry: Any, p: jax.Array) -> tuple[Any, None]:
        h, c = carry
        h, c, _ = _fast_step(_before_gates(p, kernel, bias, h, scale), c)
        return (h, c), None

    last, (ys, _) = masked_scan(step, (h, c), p, mask, reverse)
    return last, ys


def _tangent(reverse: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    p, kernel, bias, h, c, mask, scale = primals
    dp, dkernel, dbias, dh, dc, _, dscale = tangents

    def step(carry: Any, p: jax.Array) -> tuple[Any, Any]:
        h, c = carry
        h, c, gates = _fast_step(_before_gates(p, kernel, bias, h, scale), c)
        return (h, c), gates

    last, ((hs, cs), gates) = masked_scan(step, (h, c), p, mask, reverse, emit=lambda carry: carry)
    parts = along_product(previous(hs, h, reverse), dkernel, kernel, scale, dscale)
    if not isinstance(dp, SymbolicZero):
        parts.append(dp)
    if bias is not None and not isinstance(dbias, SymbolicZero):
        parts.append(jnp.broadcast_to(dbias, p.shape))
    e = sum(parts[1:], parts[0]) if parts else jnp.zeros_like(p)
    mirrored = kernel.T
    candidate = np.repeat([0.0, 0.0, 1.0, 0.0], c.shape[-1])

    # What the slopes are made of is kept, and they are made again in each step of the backward loop, where
    # they stay in the cache: as arrays over time they would cost more than the products.
    @partial(jax.checkpoint, prevent_cse=False)
    def along(carry: Any, x: Any) -> tuple[Any, None]:
        (dh, dc), (e, gates, before, c) = carry, x
        i, f, g, o = jnp.split(gates, 4, -1)
        t = keep(jnp.tanh(c))
        # Mirrored twice, so that the transpose of this product reads its kernel in standard layout.
        dz = keep(e + product(scaled(dh, scale), mirrored.T))
        slope = (1 - gates) * (gates + jnp.broadcast_to(jnp.asarray(candidate, gates.dtype), gates.shape))
        di, df, dg, do = jnp.split(keep(slope * dz), 4, -1)
        dc = keep(f * dc + g * di + before * df + i * dg)
        return (o * (1 - t * t) * dc + t * do, dc), None

    carry = (instantiate(dh), instantiate(dc))
    xs = (e, gates, previous(cs, c, reverse), cs)
    dlast, (dys, _) = masked_scan(along, carry, xs, mask, reverse)
    return (last, hs), (dlast, dys)


_deferred.defjvp(_tangent, symbolic_zeros=True)
