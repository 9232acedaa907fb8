"""Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762), to itself or to a memory.

``query = x Wq``, ``key = m Wk``, ``value = m Wv`` with ``m`` the memory or ``x`` itself; heads attend side by
side (``jaxnn.ops.attention``) and ``output`` mixes them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn import ops
from jaxnn.core import (
    Axes,
    Masked,
    Params,
    State,
    check_entries,
    check_params,
    common_dtype,
    describe,
    fold_names,
    positive_int,
)
from jaxnn.layers._affine import (
    Initializer,
    affine_params,
    check_dtype,
    check_initializers,
    lecun_normal,
    promoted,
    zeros,
)
from jaxnn.layers._attention_input import Heads, Inputs, full_mask, read_inputs
from jaxnn.layers._cached import UNREAD, CachedLayer, cached
from jaxnn.layers._rotary import rotate
from jaxnn.ops._product import product

_PARTS = ("query", "key", "value", "output")


def attention(
    num_heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    *,
    head_dim: int | None = None,
    features: int | None = None,
    mask: Callable[[Any, Any], Any] | None = None,
    rotary: bool = False,
    rotary_base: Any = 10_000.0,
    use_bias: bool = True,
    kernel_init: Initializer = lecun_normal,
    bias_init: Initializer = zeros,
    param_dtype: Any = jnp.float32,
    formulation: str | None = None,
) -> CachedLayer:
    """Multi-head attention: ``[..., time, in] -> [..., time, features]``.

    The input is one of

    * ``x``: self attention;
    * ``(x, memory)``: queries from ``x``, keys and values from ``memory`` ``[..., source, in_memory]``;
    * ``(x, memory, mask)`` or ``(x, None, mask)``: besides, a boolean mask, ``True`` where a position of
      ``x`` may see one of the memory (of ``x`` for ``None``): ``[time, source]``, ``[..., time, source]`` or
      ``[..., heads, time, source]``.

    ``x`` and ``memory`` may be ``Masked``; padding is never attended to, whatever it holds, and the output
    has the mask of ``x``. A position that may see nothing gets the output's bias alone; Flax and PyTorch give
    it the mean of all values, or NaN. Keys and values are remembered by ``nn.decoding_cell``.

    Parameters: ``query`` ``(in, num_heads head_dim)``, ``key`` and ``value`` ``(in, kv_heads head_dim)``,
    ``output`` ``(num_heads head_dim, features)``, each a ``kernel`` and ``bias``; heads are contiguous blocks
    of columns.

    Args:
        num_heads: heads of the queries.
        kv_heads: heads of keys and values, each serving ``num_heads / kv_heads`` query heads (grouped-query
            attention, Ainslie et al., 2023; 1 is multi-query); ``num_heads`` when ``None``.
        causal: whether a position sees itself and earlier ones only.
        head_dim: features of a head; ``in / num_heads`` when ``None``.
        features: features of the output; ``in`` when ``None``.
        mask: ``(query_positions, key_positions) -> bool``, called with integers ``[time, 1]`` and
            ``[1, source]``, as in ``lambda query, key: query - key < 128`` for a window.
        rotary: whether queries and keys are rotated by their positions (``nn.rotary``); self attention only.
        rotary_base: see ``nn.rotary``.
        use_bias: whether to add biases.
        kernel_init: initializer ``(key, shape, dtype)``; variance ``1 / in`` by default.
        bias_init: initializer of the biases.
        param_dtype: dtype of the parameters.
        formulation: see ``jaxnn.ops.attention``.

    Raises:
        TypeError, ValueError: a bad argument, such as a ``kv_heads`` that does not divide ``num_heads``; at
        use,
            an input that is not floating point, features that ``num_heads`` does not divide, a mask that does
            not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.attention(4, kv_heads=2, causal=True)
        >>> params, _ = layer.init(jax.random.key(0), jnp.ones((1, 5, 16)))
        >>> params["query"]["kernel"].shape, params["key"]["kernel"].shape
        ((16, 16), (16, 8))
        >>> layer.apply(params, {}, jnp.ones((2, 7, 16)))[0].shape
        (2, 7, 16)
    """
    sizes = Heads.checked(num_heads, kv_heads, head_dim, causal, mask)
    out_features = None if features is None else positive_int("attention", "features", features)
    param_dtype = check_dtype("attention", param_dtype)
    check_initializers("attention", kernel_init=kernel_init, bias_init=bias_init)

    bias_shape: dict[str, Axes] = {"bias": ("out",)} if use_bias else {}

    def read(x: Any) -> Inputs:
        given = read_inputs(x)
        if given.memory is not None and (causal or rotary):
            option = "causal" if causal else "rotary"
            raise ValueError(
                f"attention: {option}=True compares positions of one sequence, got a memory in "
                f"{describe(x)}; leave {option} out for attention to a memory, or pass (x, None, mask)"
            )
        return given

    def init(key: Any, x: Any) -> Params:
        given = read(x)
        width = sizes.width(given.x)
        source = given.x if given.memory is None else given.memory
        shapes = {
            "query": (given.x.shape[-1], sizes.heads * width),
            "key": (source.shape[-1], sizes.kv_heads * width),
            "value": (source.shape[-1], sizes.kv_heads * width),
            "output": (sizes.heads * width, out_features or given.x.shape[-1]),
        }
        keys = fold_names(key, "init", _PARTS)
        bias = bias_init if use_bias else None
        return {
            part: affine_params(keys[i], shapes[part], shapes[part][1], kernel_init, bias, param_dtype)
            for i, part in enumerate(_PARTS)
        }

    def project(params: Params, part: str, x: Any, heads: int, width: int) -> Any:
        """``[..., time, in] -> [..., time, heads, width]``."""
        check_entries("attention", params, _PARTS)
        owner = f"attention.{part}"
        found = check_params(owner, params[part], {"kernel": ("in", "out")} | bias_shape)
        if x.shape[-1] != found["in"]:
            raise ValueError(
                f"attention: the {part} expects input [..., {found['in']}], got {describe(x)}; "
                "initialise the model with this input"
            )
        x, kernel, *bias = promoted(owner, params[part], (found["in"], heads * width), use_bias, x)
        y = product(x, kernel)
        y = y + jnp.broadcast_to(bias[0], y.shape) if bias else y
        return y.reshape(*y.shape[:-1], heads, width)

    def finish(params: Params, y: Any, given: Inputs) -> Any:
        joined = y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])
        y = project(params, "output", joined, 1, out_features or given.x.shape[-1])[..., 0, :]
        return y if given.mask is None else Masked(y, given.mask)

    def queries(params: Params, given: Inputs, first: Any) -> Any:
        query = project(params, "query", given.x, sizes.heads, sizes.width(given.x))
        return rotate("attention", query, first, rotary_base, "halves") if rotary else query

    def keys_and_values(params: Params, given: Inputs, first: Any) -> tuple[Any, Any]:
        source = given.x if given.memory is None else given.memory
        width = sizes.width(given.x)
        key, value = (project(params, part, source, sizes.kv_heads, width) for part in ("key", "value"))
        return rotate("attention", key, first, rotary_base, "halves") if rotary else key, value

    def apply(params: Params, x: Any) -> Any:
        given = read(x)
        query = queries(params, given, 0)
        key, value = keys_and_values(params, given, 0)
        allowed = full_mask(given, sizes, query.shape[-3], key.shape[-3])
        return finish(params, _attend(query, key, value, allowed, causal, formulation), given)

    def cache(params: Params, x: Any, length: int) -> State:
        given = read(x)
        if given.memory is not None:
            return {UNREAD: jnp.zeros((), bool)}
        if not causal:
            raise ValueError(
                "attention: a sequence can be decoded step by step only if causal=True; without it every "
                "output depends on what is still to come"
            )
        if given.pairs is not None:
            raise ValueError(
                "attention: a mask in the input has no fixed length when decoding step by step; use the "
                "constructor's mask=lambda query, key: ..."
            )
        width = params["key"]["kernel"].shape[-1] // sizes.kv_heads
        dtype = common_dtype(given.x.dtype, params["key"]["kernel"].dtype)
        empty = jnp.zeros((*given.x.shape[:-2], sizes.kv_heads, length, width), dtype)
        return {"key": empty, "value": empty, "index": jnp.zeros((), jnp.int32)}

    def check_stored(state: State, given: Inputs, length: int | str) -> None:
        rows = (*given.x.shape[:-2], sizes.kv_heads, length, sizes.width(given.x))
        stored = {name: leaf for name, leaf in state.items() if name != "index"}
        check_params("attention", stored, {"key": rows, "value": rows}, "state")

    def step(params: Params, state: State, x: Any) -> tuple[Any, State]:
        given = read(x)
        if given.memory is not None:
            return remember(params, state, given)
        if given.mask is not None:
            raise ValueError(
                "attention: can't decode a Masked sequence step by step, where every position is real; "
                "decode x.value and end each sequence by its own end token"
            )
        check_entries("attention", state, ("key", "value", "index"), "state")
        check_stored(state, given, "length")
        check_params("attention", {"index": state["index"]}, {"index": ()}, "state", jnp.integer)
        index, time = state["index"], given.x.shape[-2]
        query = queries(params, given, index)
        new = keys_and_values(params, given, index)
        stored = _Stored(*(_write(state[n], a, index) for n, a in zip(("key", "value"), new, strict=True)))
        length = stored.key.shape[-2]
        here = jnp.arange(time, dtype=jnp.int32)[:, None] + index
        there = jnp.arange(length, dtype=jnp.int32)[None, :]
        seen = jnp.broadcast_to(there, (time, length)) <= jnp.broadcast_to(here, (time, length))
        if sizes.mask is not None:
            seen &= sizes.allowed(here, there)
        y = _attend(query, *stored.read(query.dtype), seen, False, formulation)
        # Past the end the write is clamped onto other positions: NaN is what nobody takes for an answer.
        y = jnp.where(index + time <= length, y, jnp.full((), jnp.nan, y.dtype))
        return finish(params, y, given), {**stored._asdict(), "index": index + time}

    def remember(params: Params, state: State, given: Inputs) -> tuple[Any, State]:
        query = queries(params, given, 0)
        if UNREAD in state:
            key, value = (a.swapaxes(-2, -3) for a in keys_and_values(params, given, 0))
            state = {"key": key, "value": value}
        check_stored(state, given, given.memory.shape[-2])
        stored = _Stored(**state)
        key, value = stored.read(query.dtype)
        allowed = full_mask(given, sizes, query.shape[-3], key.shape[-3])
        return finish(params, _attend(query, key, value, allowed, False, formulation), given), state

    return cached("attention", init, apply, cache, step)


class _Stored(NamedTuple):
    """Keys and values ``[..., kv_heads, time, head_dim]``, as the products of a single query read them."""

    key: Any
    value: Any

    def read(self, dtype: Any) -> tuple[Any, Any]:
        return self.key.swapaxes(-2, -3).astype(dtype), self.value.swapaxes(-2, -3).astype(dtype)


def _write(stored: Any, new: Any, index: Any) -> Any:
    return jax.lax.dynamic_update_slice_in_dim(
        stored, new.swapaxes(-2, -3).astype(stored.dtype), index, axis=-2
    )


def _attend(q: Any, k: Any, v: Any, mask: Any, causal: bool, formulation: str | None) -> Any:
    dtype = common_dtype(q.dtype, k.dtype, v.dtype)
    q, k, v = (x.astype(dtype) for x in (q, k, v))
    return ops.attention(q, k, v, mask, causal, formulation)
