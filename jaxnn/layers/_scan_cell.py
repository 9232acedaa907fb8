"""A cell over time: what ``rnn`` and ``stacked_cell`` share."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Cell, describe, fold_index, same_spec


def scan_cell(
    cell: Cell, params: Any, carry: Any, x: Any, *, mask: Any, reverse: bool, key: Any, train: bool
) -> tuple[Any, Any]:
    """Run ``cell`` over ``x`` ``[batch, time, ...]``; returns the last carry and all outputs.

    Where ``mask`` ``[batch, time]`` is false the carry stays and the last output repeats. Without a
    ``scan`` of its own, a cell gets the key folded with the number of the step.
    """
    if cell.scan is not None:
        return cell.scan(params, carry, x, mask=mask, reverse=reverse, key=key, train=train)
    xs = jnp.moveaxis(x, 1, 0)
    if mask is not None:
        mask = jnp.moveaxis(mask, 1, 0)
        _check_frozen(cell.name, carry, mask.shape[1:])
        xs = _where(mask, xs, jnp.zeros_like(xs))
    steps = jnp.arange(xs.shape[0], dtype=jnp.uint32)

    def step(carry: Any, x: Any, index: Any) -> tuple[Any, Any]:
        new, y = cell.step(params, carry, x, key=fold_index(key, index), train=train)
        if not same_spec(new, carry):
            raise ValueError(
                f"{cell.name}: step must keep the spec of its carry, got {describe(carry)} in and "
                f"{describe(new)} out; make init_carry return what step returns"
            )
        return new, y

    if mask is None:
        return _batch_first(jax.lax.scan(lambda c, i: step(c, *i), carry, (xs, steps), reverse=reverse))
    spec = jax.eval_shape(step, carry, xs[0], steps[0])[1]
    silent = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), spec)

    def masked(old: Any, inputs: Any) -> tuple[Any, Any]:
        x, index, real = inputs
        new = jax.tree.map(lambda n, o: _where(real, n, o), step(old[0], x, index), old)
        return new, new[1]

    (carry, _), ys = jax.lax.scan(masked, (carry, silent), (xs, steps, mask), reverse=reverse)
    return _batch_first((carry, ys))


def _batch_first(result: tuple[Any, Any]) -> tuple[Any, Any]:
    carry, ys = result
    return carry, jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), ys)


def _where(mask: Any, new: Any, old: Any) -> Any:
    mask = jnp.broadcast_to(jnp.expand_dims(mask, tuple(range(mask.ndim, new.ndim))), new.shape)
    return jnp.where(mask, new, old)


def _check_frozen(name: str, carry: Any, batch: tuple[int, ...]) -> None:
    for leaf in jax.tree.leaves(carry):
        if leaf.shape[: len(batch)] != batch:
            raise ValueError(
                f"{name}: a masked sequence needs a carry for each row, so that it can stay at padding; "
                f"expected leaves [{', '.join(map(str, batch))}, ...], got {describe(leaf)}"
            )
