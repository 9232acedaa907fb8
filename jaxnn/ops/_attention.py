"""Scaled dot-product attention (Vaswani et al., 2017, arXiv:1706.03762), with grouped keys and values.

``y[t, h] = sum over s of softmax_s(q[t, h] . k[s, g] / sqrt(head_dim)) v[s, g]`` with
``g = h // (heads / kv_heads)`` (Ainslie et al., 2023, arXiv:2305.13245).
"""

from math import prod

import jax
import jax.numpy as jnp

from jaxnn.ops._attention_rows import attention_rows, softmax_dtype
from jaxnn.ops._dispatch import attention_formulation


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None = None,
    causal: bool = False,
    formulation: str | None = None,
) -> jax.Array:
    """Mix the values ``v`` of all positions by the similarity of their keys ``k`` to the queries ``q``.

    The softmax is computed in float32 at least. A row whose keys are all masked gives 0 with gradient 0,
    whatever stands in ``v`` (``jax.nn.dot_product_attention`` and Flax give the mean of ``v`` there); keys
    that no query may see have no influence even if they are NaN. ``python -m benchmarks.attention`` compares
    the formulations; all are plain automatic differentiation, in both modes and every order.

    Args:
      q: queries ``[..., queries, heads, head_dim]``, floating.
      k: keys ``[..., keys, kv_heads, head_dim]`` of the same leading axes and dtype; ``kv_heads`` divides
      ``heads``.
      v: values ``[..., keys, kv_heads, value_dim]``.
      mask: boolean, ``True`` where a query may see a key; of rank ``q.ndim`` as
      ``[..., heads, queries, keys]``,
        where any axis may have size 1, or of rank 2 as ``[queries, keys]``.
      causal: whether query ``t`` sees keys ``0`` to ``t`` only; needs as many queries as keys.
      formulation: ``None`` chooses by platform; ``"lax"`` is the definition, ``"rows"`` works on blocks of
        queries and leaves out what a causal mask hides, ``"fused"`` is ``jax.nn.dot_product_attention`` with
        masked rows corrected.

    Returns:
      ``[..., queries, heads, value_dim]`` in the dtype of ``q``.

    Raises:
      ValueError: when shapes do not fit together, or the formulation is unknown or does not apply.
      TypeError: when dtypes differ or are not floating, or ``mask`` is not boolean.

    Example:
      >>> import jax.numpy as jnp
      >>> q, k = jnp.ones((2, 3, 8, 4)), jnp.ones((2, 5, 2, 4))
      >>> attention(q, k, k).shape
      (2, 3, 8, 4)
      >>> attention(q, k, k, mask=jnp.zeros((3, 5), bool))[0, 0, 0].tolist()
      [0.0, 0.0, 0.0, 0.0]
    """
    q, k, v = jnp.asarray(q), jnp.asarray(k), jnp.asarray(v)
    _check(q, k, v, causal)
    if mask is not None:
        mask = _full_rank(q, k, mask)
        k, v = _without_unseen(q.shape[-2], k, v, mask)
    chosen = attention_formulation(formulation, q, k, v)
    if chosen == "fused":
        return _fused(q, k, v, mask, causal)
    if chosen == "lax":
        return _plain(q, k, v, mask, causal)
    return attention_rows(q, k, v, mask, causal)


def _check(q: jax.Array, k: jax.Array, v: jax.Array, causal: bool) -> None:
    for name, array in (("q", q), ("k", k), ("v", v)):
        if array.ndim < 3:
            raise ValueError(
                f"attention: {name} must have at least 3 axes [..., positions, heads, features], got "
                f"{array.shape}"
            )
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise TypeError(f"attention: {name} must be floating, got {array.dtype}; cast it first")
        if array.dtype != q.dtype:
            raise TypeError(
                f"attention: q is {q.dtype} and {name} is {array.dtype}; cast one to the other's dtype"
            )
    if k.shape[:-1] != v.shape[:-1]:
        raise ValueError(
            f"attention: k and v must have the same positions and heads, got {k.shape} and {v.shape}"
        )
    if q.shape[:-3] != k.shape[:-3] or q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"attention: q and k must agree in their leading axes and in head_dim, got {q.shape} and "
            f"{k.shape}"
        )
    heads, kv_heads = q.shape[-2], k.shape[-2]
    if not kv_heads or heads % kv_heads:
        raise ValueError(
            f"attention: the kv_heads of k and v must divide the heads of q, got kv_heads={kv_heads} and "
            f"heads={heads}"
        )
    if causal and q.shape[-3] != k.shape[-3]:
        raise ValueError(
            f"attention: causal=True needs as many queries as keys, got {q.shape[-3]} and {k.shape[-3]}; "
            "pass a mask that says which keys each query may see"
        )


def _full_rank(q: jax.Array, k: jax.Array, mask: jax.Array) -> jax.Array:
    """The mask with as many axes as ``q``, checked against ``[..., heads, queries, keys]``."""
    mask = jnp.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(
            f"attention: mask must be boolean, True where a query may see a key, got {mask.dtype}; "
            "compare, as in mask > 0"
        )
    shape = mask.shape
    full = (*q.shape[:-3], q.shape[-2], q.shape[-3], k.shape[-3])
    if mask.ndim == 2:
        mask = mask.reshape((1,) * (len(full) - 2) + shape)
    if mask.ndim != len(full) or any(m not in (1, n) for m, n in zip(mask.shape, full, strict=True)):
        raise ValueError(
            f"attention: mask must have shape [..., heads, queries, keys] = {full}, where any axis may be "
            f"1, or [queries, keys] = {full[-2:]}, got {shape}; insert axes of size 1, as in mask[:, None]"
        )
    return mask


def _without_unseen(heads: int, k: jax.Array, v: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Zeros in place of keys and values that no query sees: 0 * NaN is NaN, so they stay out of products."""
    seen = jnp.any(mask, axis=-2).swapaxes(-1, -2)[..., None]  # [..., keys, heads or 1, 1]
    if seen.shape[-2] != 1:
        grouped = seen.reshape(*seen.shape[:-2], k.shape[-2], heads // k.shape[-2], 1)
        seen = jnp.any(grouped, axis=-2)
    return (
        jnp.where(jnp.broadcast_to(seen, k.shape), k, jnp.zeros((), k.dtype)),
        jnp.where(jnp.broadcast_to(seen, v.shape), v, jnp.zeros((), v.dtype)),
    )


def _plain(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool) -> jax.Array:
    """The definition, with keys and values repeated for the heads of their group."""
    group = q.shape[-2] // k.shape[-2]
    allowed = mask
    k, v = (jnp.repeat(x, group, axis=-2) for x in (k, v))
    wide = softmax_dtype(q.dtype)
    scores = jnp.einsum("...thd,...shd->...hts", q, k, preferred_element_type=wide) * q.shape[-1] ** -0.5
    if causal:
        below = jnp.tril(jnp.ones(scores.shape[-2:], bool)).reshape(
            (1,) * (scores.ndim - 2) + scores.shape[-2:]
        )
        allowed = below if allowed is None else jnp.logical_and(*jnp.broadcast_arrays(allowed, below))
    if allowed is not None:
        allowed = jnp.broadcast_to(allowed, scores.shape)
        some = jnp.any(allowed, axis=-1, keepdims=True)
        scores = jnp.where(allowed, scores, jnp.where(some, -jnp.inf, 0))
    weights = jax.nn.softmax(scores, axis=-1)
    if allowed is not None:
        weights = jnp.where(allowed, weights, 0)
    y = jnp.einsum("...hts,...shd->...thd", weights.astype(v.dtype), v, preferred_element_type=wide)
    return y.astype(q.dtype)


def _fused(q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, causal: bool) -> jax.Array:
    """``jax.nn.dot_product_attention``, with rows that see nothing set to 0."""
    if k.shape != v.shape:
        raise ValueError(
            f"attention: formulation='fused' needs values of the keys' shape, got k {k.shape} and v "
            f"{v.shape}; use formulation=None or 'rows'"
        )
    batch = q.shape[:-3]
    size = prod(batch)
    flat = None
    if mask is not None:
        flat = jnp.broadcast_to(mask, (*batch, *mask.shape[-3:])).reshape(size, *mask.shape[-3:])
    arrays = (x.reshape(size, *x.shape[-3:]) for x in (q, k, v))
    with jax.numpy_dtype_promotion("standard"):  # it promotes half precision to float32 by itself
        y = jax.nn.dot_product_attention(*arrays, mask=flat, is_causal=causal)
    y = y.reshape(q.shape)
    if mask is None:
        return y
    shape = (*batch, q.shape[-2], q.shape[-3], k.shape[-3])
    allowed = jnp.broadcast_to(mask, shape)
    if causal:
        allowed = allowed & jnp.broadcast_to(jnp.tril(jnp.ones(shape[-2:], bool)), shape)
    some = jnp.any(allowed, axis=-1).swapaxes(-1, -2)[..., None]
    return jnp.where(jnp.broadcast_to(some, y.shape), y, 0)
