"""Attention as XLA's CPU backend computes it fastest, in both directions, without a derivative rule.

* Keys are brought into ``[..., head_dim, keys]`` once, so that the products forward and backward find their
  operands in an order for which XLA has fast kernels.
* The sum of exponentials divides the output rather than the weights: ``[queries, head_dim]`` is smaller than
  ``[queries, keys]``, and the gradient becomes that of FlashAttention (Dao et al., 2022, arXiv:2205.14135).
* A causal mask hides half of the scores: blocks of queries leave out the keys behind them.
"""

import jax
import jax.numpy as jnp

_BLOCK = 64


def softmax_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """Float32, or ``dtype`` where it is wider."""
    return dtype if jnp.finfo(dtype).bits > 32 else jnp.dtype(jnp.float32)


def attention_rows(
    q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool
) -> jax.Array:
    """As ``attention``; ``mask`` has the rank of ``q``."""
    queries, heads, width = q.shape[-3:]
    _keys, kv_heads = k.shape[-3:-1]
    grouped = q.reshape(*q.shape[:-2], kv_heads, heads // kv_heads, width)
    q = jnp.moveaxis(grouped, -4, -2)  # [..., kv_heads, group, queries, head_dim]
    k, v = jnp.moveaxis(k, -3, -1), jnp.moveaxis(v, -3, -2)  # keys: [..., kv_heads, head_dim, keys]
    if mask is not None:
        split = (kv_heads, heads // kv_heads) if mask.shape[-3] > 1 else (1, 1)
        mask = mask.reshape(*mask.shape[:-3], *split, *mask.shape[-2:])
    if not causal or queries <= _BLOCK:
        y = _block(q, k, v, mask, 0 if causal else None)
    else:
        blocks = []
        for first in range(0, queries, _BLOCK):
            last = min(first + _BLOCK, queries)
            part = mask
            if part is not None and part.shape[-1] != 1:
                part = part[..., :last]
            if part is not None and part.shape[-2] != 1:
                part = part[..., first:last, :]
            blocks.append(_block(q[..., first:last, :], k[..., :last], v[..., :last, :], part, first))
        y = jnp.concatenate(blocks, axis=-2)
    y = jnp.moveaxis(y, -2, -4)
    return y.reshape(*y.shape[:-3], heads, v.shape[-1])


def _block(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, first: int | None) -> jax.Array:
    """Some queries against the keys that are here; ``first`` is the position of query 0 if causal."""
    wide = softmax_dtype(q.dtype)
    scores = jnp.einsum("...kgtd,...kds->...kgts", q, k, preferred_element_type=wide) * q.shape[-1] ** -0.5
    allowed = None if mask is None else jnp.broadcast_to(mask, scores.shape)
    if first is not None:
        rank = scores.ndim
        query = jax.lax.broadcasted_iota(jnp.int32, scores.shape, rank - 2) + first
        below = jax.lax.broadcasted_iota(jnp.int32, scores.shape, rank - 1) <= query
        allowed = below if allowed is None else allowed & below
    if allowed is not None:
        scores = jnp.where(allowed, scores, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True, initial=-jnp.inf))
    if mask is not None or not k.shape[-1]:
        top = jnp.where(top == -jnp.inf, 0, top)
    weights = jnp.exp(scores - jnp.broadcast_to(top, scores.shape))
    total = jnp.sum(weights, axis=-1, keepdims=True)
    y = jnp.einsum("...kgts,...ksd->...kgtd", weights.astype(v.dtype), v, preferred_element_type=wide)
    if mask is not None or not k.shape[-1]:
        some = total > 0
        y = jnp.where(jnp.broadcast_to(some, y.shape), y, 0)
        total = jnp.where(some, total, 1)
    return (y / jnp.broadcast_to(total, y.shape)).astype(q.dtype)
