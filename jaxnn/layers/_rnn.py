"""A recurrent layer from any cell: scanned over time, aware of padding."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import (
    Cell,
    Layer,
    Masked,
    Params,
    PyTree,
    State,
    check_entries,
    check_key,
    check_min_rank,
    check_params,
    check_train,
    describe,
    on_any_mesh,
    refuse_masked,
    same_spec,
)
from jaxnn.layers._cached import CachedLayer, whole_or_next
from jaxnn.layers._scan_cell import scan_cell


@dataclass(frozen=True, repr=False)
class RecurrentLayer(CachedLayer):
    """A layer that scans, and knows in which direction. What it remembers while decoding is its carry.

    Attributes:
        reverse: whether it goes from the last step to the first.
        cell: kind of the cell.
    """

    reverse: bool = False
    cell: str = ""


def rnn(
    cell: Cell, *, reverse: bool = False, return_sequences: bool = True, return_carry: bool = False
) -> Layer:
    """Scan a cell over time: ``[batch, time, ...] -> [batch, time, ...]``.

    The input is ``x``, or ``(x, carry)`` to start from a given carry (``None`` is the cell's own initial
    carry); with ``return_carry`` the output is ``(y, carry)``, so that a stream can be cut anywhere and go
    on. Parameters are the cell's.

    ``x`` may be ``Masked`` with a mask ``[batch, time]`` of any pattern, where Flax takes lengths alone. At
    padding the carry stays, so that ``reverse`` reverses within the length; the output of padding repeats
    the last real one; the last output is the last real one. What the padding holds reaches neither an
    output nor a gradient. A row without any real step gives the initial hidden state where the cell is one
    of this library's, zeros otherwise.

    A cell without a ``scan`` of its own gets a key for each step.

    Args:
        cell: one step; ``nn.lstm_cell``, ``nn.gru_cell``, ``nn.simple_rnn_cell``, ``nn.stacked_cell`` or
            your own ``nn.Cell``.
        reverse: go from the last step to the first; outputs stay at the positions of their inputs.
        return_sequences: whether to give the outputs of all steps, or the last one read, ``[batch, ...]``.
        return_carry: whether to give the last carry too.

    Raises:
        TypeError: ``cell`` is not a ``Cell``.
        ValueError: at use, the input has no time axis or no step, the mask is not one for each step, or a
            given carry does not fit.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.rnn(nn.gru_cell(4), return_carry=True)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 6, 3)))
        >>> (y, carry), _ = layer.apply(params, state, jnp.ones((2, 6, 3)))
        >>> (more, carry), _ = layer.apply(params, state, (jnp.ones((2, 1, 3)), carry))
        >>> y.shape, more.shape, carry.shape
        ((2, 6, 4), (2, 1, 4), (2, 4))
    """
    return recurrent_layer("rnn", cell, reverse, return_sequences, return_carry)


def recurrent_layer(name: str, cell: Any, reverse: Any, sequences: Any, return_carry: Any) -> Layer:
    """``rnn`` under another name."""
    if not isinstance(cell, Cell):
        got = f"the layer {cell.name!r}" if isinstance(cell, Layer) else describe(cell)
        raise TypeError(f"{name}: cell must be a Cell, got {got}; pass one, as nn.lstm_cell(64)")
    options = {"reverse": reverse, "return_sequences": sequences, "return_carry": return_carry}
    for option, value in options.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name}: {option} must be a bool, got {describe(value)}")

    def init(key: Any, x: PyTree) -> tuple[Params, State]:
        check_key(name, key)
        value, _, _ = _read(name, cell, x)
        return cell.init(key, _one_step(value)), {}

    def apply(
        params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
    ) -> tuple[PyTree, State]:
        check_train(name, train)
        if key is not None:
            check_key(name, key)
        return whole_or_next(
            name,
            state,
            x,
            lambda x: whole(params, x, key, train),
            lambda cache, x: following(params, cache, x, key, train),
        )

    def whole(params: Params, x: PyTree, key: Any, train: bool) -> PyTree:
        value, mask, carry = _read(name, cell, x)
        carry = _initial(name, cell, params, value, carry)
        last, ys = scan_cell(cell, params, carry, value, mask=mask, reverse=reverse, key=key, train=train)
        if not sequences:
            # The output of padding repeats the last real one, so the end is right for every length.
            y = jax.tree.map(lambda leaf: leaf[:, 0 if reverse else -1], ys)
        else:
            y = ys if mask is None else Masked(ys, mask)
        return (y, last) if return_carry else y

    def cache(params: Params, x: PyTree, length: int) -> State:
        del length
        if reverse or return_carry or not sequences:
            raise ValueError(
                f"{name}: a sequence can be decoded step by step only forwards and with all outputs, got "
                f"reverse={reverse}, return_sequences={sequences}, return_carry={return_carry}; "
                "leave these out"
            )
        value = _next(name, cell, x)
        own = jax.eval_shape(cell.init, jax.eval_shape(jax.random.key, 0), _one_step(value))
        # repeat stacks parameters on axes in front, of which a cache is told later.
        one = jax.tree.map(
            lambda p, o: jax.ShapeDtypeStruct(p.shape[p.ndim - o.ndim :], p.dtype), params, own
        )
        carry = jax.eval_shape(cell.init_carry, one, _one_step(value))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), carry)
        return {"carry": zeros, "begun": jnp.zeros((), bool)}

    def following(params: Params, state: State, x: PyTree, key: Any, train: bool) -> tuple[PyTree, State]:
        value = _next(name, cell, x)
        # An initial carry that is learned stands in the parameters, so the first step begins with it.
        first = _initial(name, cell, params, value, None)
        check_entries(name, state, ("carry", "begun"), "state")
        check_params(name, {"begun": state["begun"]}, {"begun": ()}, "state", np.bool_)
        stored, begun = state["carry"], state["begun"]
        if jax.tree.map(jnp.shape, stored) != jax.tree.map(jnp.shape, first):
            raise ValueError(
                f"{name}: expected a carry {describe(first)} in state for this input, got "
                f"{describe(stored)}; begin with the carry that the cell's init_carry returns"
            )
        carry = jax.tree.map(lambda s, f: jnp.where(begun, s.astype(f.dtype), f), stored, first)
        last, ys = scan_cell(cell, params, carry, value, mask=None, reverse=False, key=key, train=train)
        new = jax.tree.map(lambda leaf, s: leaf.astype(s.dtype), last, stored)
        return ys, {"carry": new, "begun": jnp.ones((), bool)}

    return on_any_mesh(RecurrentLayer(name, init, apply, cache=cache, reverse=reverse, cell=cell.name))


def _next(name: str, cell: Cell, x: PyTree) -> Any:
    """The next positions of a sequence that is decoded."""
    value, mask, carry = _read(name, cell, x)
    if mask is not None or carry is not None:
        raise ValueError(
            f"{name}: decoding step by step keeps the carry itself and every position is real, got "
            f"{describe(x)}; pass the sequence alone"
        )
    return value


def _read(name: str, cell: Cell, x: PyTree) -> tuple[Any, Any, Any]:
    """Split an input into value, mask and given carry, and check the first two."""
    carry = None
    if isinstance(x, tuple):
        if len(x) != 2:
            raise TypeError(f"{name}: expected x or (x, carry), got a tuple of {len(x)}")
        x, carry = x
    value, mask = (x.value, x.mask) if isinstance(x, Masked) else (x, None)
    refuse_masked(name, value)
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        raise TypeError(f"{name}: expected one array as input, got {describe(value)}")
    if cell.scan is None:
        check_min_rank(name, value, 2, "[batch, time, ...]")
    elif len(value.shape) != 3:
        raise ValueError(
            f"{name}: expected input [batch, time, features], got {describe(value)}; "
            "add an axis of size 1, or use jax.vmap over further ones"
        )
    if value.shape[1] == 0:
        raise ValueError(
            f"{name}: expected at least one step in [batch, time, ...], got {describe(value)}; "
            "leave out what has no steps"
        )
    if mask is not None and mask.shape != value.shape[:2]:
        raise ValueError(
            f"{name}: expected a mask [batch, time] for each step of {describe(value)}, got "
            f"{describe(mask)}; mark steps, as in tokens != pad_id"
        )
    return value, mask, carry


def _one_step(value: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((value.shape[0], *value.shape[2:]), value.dtype)


def _initial(name: str, cell: Cell, params: Params, value: Any, carry: Any) -> Any:
    """The cell's own initial carry, or the given one if it fits."""
    step = _one_step(value)
    zeros = jnp.zeros(step.shape, step.dtype)
    if carry is None:
        return cell.init_carry(params, zeros)
    if cell.scan is None:
        # It may hold more, as a decoder's memory; the scan checks that steps keep its spec.
        return carry
    expected = jax.eval_shape(cell.init_carry, params, zeros)
    if not same_spec(carry, expected):
        raise ValueError(
            f"{name}: expected a carry {describe(expected)} for this input, got {describe(carry)}; "
            "pass None for the initial one"
        )
    return carry
