"""A model of whole sequences as a cell that takes one position at a time and remembers keys and values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxnn.compose._decoding_cache import empty_cache, refuse_state
from jaxnn.core import Cell, Masked, Params, PyTree, describe, lift, positive_int
from jaxnn.layers._cached import STEPPED, UNREAD


@dataclass(frozen=True, repr=False)
class DecodingCell(Cell):
    """A cell with a bound, which also takes several positions at once.

    Attributes:
        max_length: positions that its carry has room for.
        advance: ``(params, carry, x, *, key=None, train=False) -> (carry, y)`` for the next positions
            ``[batch, time, ...]``.
    """

    max_length: int = 1
    advance: Callable[..., tuple[Any, Any]] | None = None


def decoding_cell(model: Any, max_length: int) -> DecodingCell:
    """Turn a causal model of sequences into a ``Cell`` of its steps: step by step equals the whole pass.

    Any model made of ``chain``, ``repeat``, ``residual``, ``nn.model`` and their like works as it is, without
    a second definition or a flag (Flax needs ``decode=True`` modules and a mutable collection). What keeps
    something from step to step (``attention``, ``positional_embedding``, ``rotary``, ``rnn``, ``lstm``,
    ``gru``, ``simple_rnn``) does so in the carry; all other layers, and code of your own between the children
    of an ``nn.model``, must act on each position alone, whatever its place. That is checked once by comparing
    values, so that a model whose steps would not equal its whole pass is refused.

    The cell:

    * ``init(key, x) -> params``, the model's own; ``x`` as for ``init_carry``.
    * ``init_carry(params, x) -> carry``; ``x`` is the first position of a batch, ``[batch]`` tokens or
      ``[batch, features]``, or ``(x, memory)`` for a model of ``(sequence, memory)``, whose memory then stays
      in the carry: keys and values of attention to it are computed once, here. Whatever encodes the memory
      inside the model is compiled away from the steps.
    * ``step(params, carry, x) -> (carry, y)`` for the next position, ``y`` ``[batch, ...]``.
    * ``advance(params, carry, x) -> (carry, y)`` for several, ``[batch, time, ...]``, as a prompt has.

    Args:
        model: ``[batch, time, ...] -> [batch, time, ...]``, without state; or of ``(sequence, memory)``. A
            tuple that comes out counts by its first entry.
        max_length: positions that the carry has room for; what comes later is NaN.

    Raises:
        TypeError, ValueError: a bad argument; at use, a model that carries state, attends to later positions,
            contains a layer that mixes positions or cannot be followed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> blocks = nn.repeat(nn.transformer_block(2, causal=True), 2)
        >>> model = nn.chain(nn.embedding(10, 8), blocks, nn.dense(10))
        >>> cell = nn.decoding_cell(model, 6)
        >>> tokens = jnp.array([[3, 1, 4, 1, 5, 9]])
        >>> params = cell.init(jax.random.key(0), tokens[:, 0])
        >>> carry = cell.init_carry(params, tokens[:, 0])
        >>> _, logits = jax.lax.scan(lambda c, x: cell.step(params, c, x), carry, tokens.T)
        >>> bool(jnp.allclose(logits[:, 0], model.apply(params, {}, tokens)[0][0], atol=1e-5))
        True
    """
    if isinstance(model, Cell):
        raise TypeError(
            f"decoding_cell: expected a model of sequences, got the cell {model.name!r}, one already"
        )
    layer = lift(model)
    length = positive_int("decoding_cell", "max_length", max_length)
    if length < 2:
        raise ValueError("decoding_cell: max_length must be at least 2, got 1; one position needs no carry")

    known: set[Any] = set()

    def init(key: Any, x: PyTree) -> Params:
        first, memory = _split(x)
        params, state = layer.init(key, _sequence(_spec(first), memory))
        refuse_state(layer, state)
        return params

    def init_carry(params: Params, x: PyTree) -> PyTree:
        first, memory = _split(x)
        cache = empty_cache(layer, params, lambda time: _sequence(_spec(first, time), memory), length, known)
        if memory is not None:
            # One pass reads the memory; what it leaves of the position itself is forgotten.
            _, filled = layer.apply(params, cache, _sequence(first[:, None], memory))
            cache = _read(cache, _unwrap(filled))
        return {"cache": cache, "memory": memory}

    def advance(
        params: Params, carry: PyTree, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, Any]:
        sequence, memory = _split(x)
        if memory is not None:
            raise TypeError(
                f"decoding_cell: a step takes the next position alone, got {describe(x)}; the memory is in "
                "the carry, from init_carry"
            )
        whole = _sequence(sequence, carry["memory"])
        y, cache = layer.apply(params, carry["cache"], whole, key=key, train=train)
        y = y[0] if isinstance(y, tuple | list) else y
        return {"cache": _unwrap(cache), "memory": carry["memory"]}, y

    def step(
        params: Params, carry: PyTree, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, Any]:
        first, _ = _split(x)
        one = x if first is not x else first[:, None]
        carry, y = advance(params, carry, one, key=key, train=train)
        return carry, y[:, 0]

    return DecodingCell("decoding_cell", init, init_carry, step, length, advance)


def _split(x: PyTree) -> tuple[Any, Any]:
    """A position and the memory, or ``None``."""
    parts = x if isinstance(x, tuple | list) else (x, None)
    if len(parts) != 2:
        raise TypeError(f"decoding_cell: expected x or (x, memory), got {len(parts)} entries: {describe(x)}")
    first, memory = parts
    if isinstance(first, Masked):
        raise TypeError(
            f"decoding_cell: can't decode a Masked sequence, got {describe(first)}; every position that is "
            "stepped through is real"
        )
    if not hasattr(first, "shape") or len(first.shape) < 1:
        raise ValueError(
            f"decoding_cell: expected one position of a batch, [batch] or [batch, ...], got {describe(first)}"
        )
    return first, memory


def _spec(first: Any, time: int = 1) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((first.shape[0], time, *first.shape[1:]), first.dtype)


def _sequence(sequence: Any, memory: Any) -> PyTree:
    return sequence if memory is None else (sequence, memory)


def _read(empty: Any, filled: Any) -> Any:
    """The empty caches, with those that were to be filled from the memory filled."""
    if not isinstance(empty, dict):
        return empty
    if UNREAD in empty:
        return filled
    return {name: _read(child, filled[name]) for name, child in empty.items()}


def _unwrap(tree: Any) -> Any:
    """The caches after a step, without the wrapping that says that they have been stepped."""
    if not isinstance(tree, dict):
        return tree
    return tree[STEPPED] if STEPPED in tree else {name: _unwrap(child) for name, child in tree.items()}
