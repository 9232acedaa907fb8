"""Cells on top of each other, seen as one."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Cell, Params, check_children, child_scope, describe, fold_names
from jaxnn.layers._scan_cell import scan_cell


def stacked_cell(*cells: Cell) -> Cell:
    """Feed each cell's output to the next, in the same step; the carry is a tuple of theirs.

    A chain of recurrent layers computes the same; this is for one carry of a whole stack, given and
    returned for streaming or handed from an encoder to a decoder. Each cell runs the whole sequence before
    the next begins, so that nothing is lost in speed.

    Parameters: ``{"lstm_cell_0": ..., "lstm_cell_1": ...}``, numbered by kind.

    Args:
        *cells: from the first to the last.

    Raises:
        TypeError: an argument is not a ``Cell``.
        ValueError: there is none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> layer = nn.rnn(nn.stacked_cell(nn.lstm_cell(4), nn.lstm_cell(5)), return_carry=True)
        >>> params, state = layer.init(jax.random.key(0), jnp.ones((2, 6, 3)))
        >>> (y, carry), _ = layer.apply(params, state, jnp.ones((2, 6, 3)))
        >>> sorted(params), y.shape, jax.tree.map(jnp.shape, carry)
        (['lstm_cell_0', 'lstm_cell_1'], (2, 6, 5), (((2, 4), (2, 4)), ((2, 5), (2, 5))))
    """
    if not cells:
        raise ValueError("stacked_cell: expected at least one cell, got none; pass nn.lstm_cell(64)")
    for position, cell in enumerate(cells):
        if not isinstance(cell, Cell):
            raise TypeError(
                f"stacked_cell: argument {position} must be a Cell, got {describe(cell)}; "
                "stack layers with nn.chain"
            )
    kinds = [cell.name for cell in cells]
    names = tuple(f"{kind}_{kinds[:position].count(kind)}" for position, kind in enumerate(kinds))
    children = tuple(zip(names, cells, strict=True))

    def output(cell: Cell, params: Any, x: Any) -> Any:
        def one(params: Any, x: Any) -> Any:
            return cell.step(params, cell.init_carry(params, x), x)[1]

        return jax.eval_shape(one, params, x)

    def init(key: Any, x: Any) -> Params:
        params: Params = {}
        for (name, cell), child_key in zip(children, fold_names(key, "init", names), strict=True):
            with child_scope(name):
                made = cell.init(child_key, x)
                x = output(cell, made, x)
            if made:
                params[name] = made
        return params

    def init_carry(params: Params, x: Any) -> Any:
        carries = []
        check_children("stacked_cell", params, names, "params")
        for name, cell in children:
            with child_scope(name):
                own = params.get(name, {})
                carries.append(cell.init_carry(own, x))
                x = output(cell, own, x)
                x = jnp.zeros(x.shape, x.dtype)
        return tuple(carries)

    def through(params: Params, carry: Any, x: Any, key: Any, run: Any) -> tuple[Any, Any]:
        check_children("stacked_cell", params, names, "params")
        if not isinstance(carry, tuple | list) or len(carry) != len(children):
            raise ValueError(
                f"stacked_cell: expected a carry of {len(children)} parts, one for each cell, got "
                f"{describe(carry)}; begin with what init_carry returns"
            )
        new = []
        keys = fold_names(key, "apply", names)
        for (name, cell), before, child_key in zip(children, carry, keys, strict=True):
            with child_scope(name):
                after, x = run(cell, params.get(name, {}), before, x, child_key)
            new.append(after)
        return tuple(new), x

    def step(params: Params, carry: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        def run(cell: Cell, own: Any, before: Any, x: Any, key: Any) -> tuple[Any, Any]:
            return cell.step(own, before, x, key=key, train=train)

        return through(params, carry, x, key, run)

    def scan(
        params: Params,
        carry: Any,
        x: Any,
        *,
        mask: Any = None,
        reverse: bool = False,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, Any]:
        def run(cell: Cell, own: Any, before: Any, x: Any, key: Any) -> tuple[Any, Any]:
            return scan_cell(cell, own, before, x, mask=mask, reverse=reverse, key=key, train=train)

        return through(params, carry, x, key, run)

    return Cell("stacked_cell", init, init_carry, step, scan=scan)
