"""The two forms of the gated recurrent unit: one step, and what its derivative along time is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._product import product
from jaxnn.ops._recurrent import along_product, instantiate, scaled, squash


class Form(NamedTuple):
    """One form.

    Attributes:
        step: ``(p, kernel, bias, h, scale) -> h``, as the equations say it.
        fast_step: the same, and the slopes: how ``h`` moves with each part of the perturbation and with
          itself.
        perturbation: ``(before, slopes, primals, tangents) -> e``, the part of the tangent that is known for
            all steps at once.
        along: ``(dh, e, slopes, kernel, scale) -> dh``, linear in ``dh`` and ``e``.
    """

    step: Callable[..., jax.Array]
    fast_step: Callable[..., tuple[jax.Array, Any]]
    perturbation: Callable[..., jax.Array]
    along: Callable[..., jax.Array]


def _gates(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Reset and update from both of their pre-activations."""
    r, u = jnp.split(squash(z, np.full(z.shape[-1], 0.5)), 2, -1)
    return r, u


def _split(z: Any) -> tuple[Any, Any]:
    """The columns of both gates, and those of the candidate."""
    gates, candidate = jnp.split(z, [z.shape[-1] // 3 * 2], -1)
    return gates, candidate


def _with_bias(q: Any, bias: Any) -> Any:
    return q if bias is None else q + jnp.broadcast_to(bias, q.shape)


def _reset_after_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> Any:
    p_r, p_u, p_n = jnp.split(p, 3, -1)
    q_r, q_u, q_n = jnp.split(product(scaled(h, scale), kernel), 3, -1)
    r, u = jax.nn.sigmoid(p_r + q_r), jax.nn.sigmoid(p_u + q_u)
    n = jnp.tanh(p_n + r * _with_bias(q_n, bias))
    return u * h + (1 - u) * n


def _reset_after_fast_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> tuple[Any, Any]:
    (p_gates, p_n), (q_gates, q) = _split(p), _split(product(scaled(h, scale), kernel))
    r, u = _gates(p_gates + q_gates)
    q = _with_bias(q, bias)
    n = jnp.tanh(p_n + r * q)
    slope = (1 - u) * (1 - n * n)
    slopes = jnp.concatenate([slope * q * r * (1 - r), u * (1 - u) * (h - n), slope, slope * r], -1)
    return u * h + (1 - u) * n, (slopes, u)


def _reset_after_perturbation(before: Any, slopes: Any, primals: Any, tangents: Any) -> Any:
    """``[time, ..., 4 * features]``: reset, update, the input's part of the candidate, the recurrent part."""
    del slopes
    p, kernel, _, _, _, scale = primals
    dp, dkernel, dbias, _, _, dscale = tangents
    parts = along_product(before, dkernel, kernel, scale, dscale)
    dq_gates, dq = _split(sum(parts[1:], parts[0]) if parts else jnp.zeros_like(p))
    if not isinstance(dbias, SymbolicZero):
        dq = _with_bias(dq, dbias)
    if isinstance(dp, SymbolicZero):
        return jnp.concatenate([dq_gates, jnp.zeros_like(dq), dq], -1)
    dp_gates, dp_n = _split(dp)
    return jnp.concatenate([dp_gates + dq_gates, dp_n, dq], -1)


def _reset_after_along(dh: Any, e: Any, slopes: Any, kernel: Any, scale: Any) -> Any:
    gates, u = slopes
    d_gates, d_n = _split(product(scaled(dh, scale), kernel))
    d = e + jnp.concatenate([d_gates, jnp.zeros_like(d_n), d_n], -1)
    return u * dh + sum(jnp.split(gates * d, 4, -1))


def _original_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> Any:
    del bias
    first, last = _split(kernel)
    p_r, p_u, p_n = jnp.split(p, 3, -1)
    q_r, q_u = jnp.split(product(scaled(h, scale), first), 2, -1)
    r, u = jax.nn.sigmoid(p_r + q_r), jax.nn.sigmoid(p_u + q_u)
    n = jnp.tanh(p_n + product(r * scaled(h, scale), last))
    return u * h + (1 - u) * n


def _original_fast_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> tuple[Any, Any]:
    del bias
    first, last = _split(kernel)
    p_gates, p_n = _split(p)
    read = scaled(h, scale)
    r, u = _gates(p_gates + product(read, first))
    n = jnp.tanh(p_n + product(r * read, last))
    return u * h + (1 - u) * n, (r, r * (1 - r) * read, u, u * (1 - u) * (h - n), (1 - u) * (1 - n * n))


def _original_perturbation(before: Any, slopes: Any, primals: Any, tangents: Any) -> Any:
    """``[time, ..., 3 * features]``: reset, update, candidate."""
    _, kernel, _, _, _, scale = primals
    dp, dkernel, _, _, _, dscale = tangents
    first, last = _split(kernel)
    pair = (dkernel, dkernel) if isinstance(dkernel, SymbolicZero) else _split(dkernel)
    parts = [
        along_product(before, pair[0], first, scale, dscale),
        along_product(slopes[0] * before, pair[1], last, scale, dscale),
    ]
    e = instantiate(dp)
    if parts[0]:
        e = e + jnp.concatenate([sum(part[1:], part[0]) for part in parts], -1)
    return e


def _original_along(dh: Any, e: Any, slopes: Any, kernel: Any, scale: Any) -> Any:
    first, last = _split(kernel)
    r, by_reset, u, by_update, by_candidate = slopes
    e_gates, e_n = _split(e)
    d_r, d_u = jnp.split(e_gates + product(scaled(dh, scale), first), 2, -1)
    dn = e_n + product(by_reset * d_r + r * scaled(dh, scale), last)
    return u * dh + by_update * d_u + by_candidate * dn


FORMS = {
    "reset_after": Form(
        _reset_after_step, _reset_after_fast_step, _reset_after_perturbation, _reset_after_along
    ),
    "original": Form(_original_step, _original_fast_step, _original_perturbation, _original_along),
}
