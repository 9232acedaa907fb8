"""The two forms of the gated recurrent unit: one step, and what its derivative along time is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxnn.ops._recurrent import along_product, instantiate, product, scaled


class Form(NamedTuple):
    """One form.

    Attributes:
        step: ``(p, kernel, bias, h, scale) -> (h, what the derivative needs)``.
        perturbation: ``(before, gates, primals, tangents) -> e``, the part of the tangent that is known for
            all steps at once.
        along: ``(dh, e, gates, before, kernel, scale) -> dh``, linear in ``dh`` and ``e``.
    """

    step: Callable[..., tuple[jax.Array, tuple[jax.Array, ...]]]
    perturbation: Callable[..., jax.Array]
    along: Callable[..., jax.Array]


def _reset_after_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> tuple[Any, tuple[Any, ...]]:
    p_r, p_u, p_n = jnp.split(p, 3, -1)
    q_r, q_u, q_n = jnp.split(product(scaled(h, scale), kernel), 3, -1)
    if bias is not None:
        q_n = q_n + jnp.broadcast_to(bias, q_n.shape)
    r, u = jax.nn.sigmoid(p_r + q_r), jax.nn.sigmoid(p_u + q_u)
    n = jnp.tanh(p_n + r * q_n)
    return n + u * (h - n), (r, u, n, q_n)


def _reset_after_perturbation(before: Any, gates: Any, primals: Any, tangents: Any) -> Any:
    """``[time, ..., 4 * features]``: reset, update, the input's part of the candidate, the recurrent part."""
    del gates
    p, kernel, _, _, _, scale = primals
    dp, dkernel, dbias, _, _, dscale = tangents
    parts = along_product(before, dkernel, kernel, scale, dscale)
    dq = sum(parts[1:], parts[0]) if parts else jnp.zeros_like(p)
    dq_gates, dq_n = jnp.split(dq, [dq.shape[-1] // 3 * 2], -1)
    if dbias is not None and not isinstance(dbias, SymbolicZero):
        dq_n = dq_n + jnp.broadcast_to(dbias, dq_n.shape)
    if isinstance(dp, SymbolicZero):
        return jnp.concatenate([dq_gates, jnp.zeros_like(dq_n), dq_n], -1)
    dp_gates, dp_n = jnp.split(dp, [dp.shape[-1] // 3 * 2], -1)
    return jnp.concatenate([dp_gates + dq_gates, dp_n, dq_n], -1)


def _reset_after_along(dh: Any, e: Any, gates: Any, before: Any, kernel: Any, scale: Any) -> Any:
    r, u, n, q = jnp.split(gates, 4, -1)
    e_r, e_u, e_p, e_q = jnp.split(e, 4, -1)
    d_r, d_u, d_q = jnp.split(product(scaled(dh, scale), kernel), 3, -1)
    dn = (1 - n * n) * (e_p + r * (e_q + d_q) + (r * (1 - r) * q) * (e_r + d_r))
    return u * dh + (1 - u) * dn + (u * (1 - u) * (before - n)) * (e_u + d_u)


def _original_step(p: Any, kernel: Any, bias: Any, h: Any, scale: Any) -> tuple[Any, tuple[Any, ...]]:
    del bias
    first, last = _split_kernel(kernel)
    p_r, p_u, p_n = jnp.split(p, 3, -1)
    q_r, q_u = jnp.split(product(scaled(h, scale), first), 2, -1)
    r, u = jax.nn.sigmoid(p_r + q_r), jax.nn.sigmoid(p_u + q_u)
    n = jnp.tanh(p_n + product(r * scaled(h, scale), last))
    return n + u * (h - n), (r, u, n)


def _split_kernel(kernel: Any) -> tuple[Any, Any]:
    """The columns of both gates, and those of the candidate."""
    gates, candidate = jnp.split(kernel, [2 * kernel.shape[0]], -1)
    return gates, candidate


def _original_perturbation(before: Any, gates: Any, primals: Any, tangents: Any) -> Any:
    """``[time, ..., 3 * features]``: reset, update, candidate."""
    _, kernel, _, _, _, scale = primals
    dp, dkernel, _, _, _, dscale = tangents
    r = gates[..., : gates.shape[-1] // 3]
    first, last = _split_kernel(kernel)
    pair = (dkernel, dkernel) if isinstance(dkernel, SymbolicZero) else _split_kernel(dkernel)
    parts = [
        along_product(before, pair[0], first, scale, dscale),
        along_product(r * before, pair[1], last, scale, dscale),
    ]
    e = instantiate(dp)
    if parts[0]:
        e = e + jnp.concatenate([sum(part[1:], part[0]) for part in parts], -1)
    return e


def _original_along(dh: Any, e: Any, gates: Any, before: Any, kernel: Any, scale: Any) -> Any:
    first, last = _split_kernel(kernel)
    r, u, n = jnp.split(gates, 3, -1)
    e_r, e_u, e_n = jnp.split(e, 3, -1)
    d_r, d_u = jnp.split(product(scaled(dh, scale), first), 2, -1)
    reset = (r * (1 - r) * scaled(before, scale)) * (e_r + d_r) + r * scaled(dh, scale)
    dn = (1 - n * n) * (e_n + product(reset, last))
    return u * dh + (1 - u) * dn + (u * (1 - u) * (before - n)) * (e_u + d_u)


FORMS = {
    "reset_after": Form(_reset_after_step, _reset_after_perturbation, _reset_after_along),
    "original": Form(_original_step, _original_perturbation, _original_along),
}
