"""Rows of a table: looking them up, and adding to few of them in place."""

from typing import Any

import jax
import jax.numpy as jnp


def embed(table: jax.Array, ids: jax.Array) -> jax.Array:
    """The row of ``table`` for each id; NaN rows for ids outside the table.

    In float16 and bfloat16 the gradients of an id that occurs many times are added up in float32 and rounded
    once; the scatter of ``jnp.take`` rounds after every occurrence, so that a frequent word's gradient stops
    growing at a few hundred. Forward mode and higher derivatives work.

    Args:
      table: floating, ``[rows, features]``.
      ids: integers ``[...]`` in ``[0, rows)``; negative ones are outside, they do not count from the end.

    Returns:
      ``[..., features]`` in the dtype of ``table``.

    Raises:
      TypeError: ``ids`` are not integers, or ``table`` is not floating.
      ValueError: ``table`` has other than two axes.

    Example:
      >>> import jax.numpy as jnp
      >>> embed(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, 0, 1])).tolist()
      [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    table = jnp.asarray(table)
    ids = _checked("embed", table, ids)
    return _lookup(table, ids) if jnp.finfo(table.dtype).bits < 32 else _rows(table, ids)


def sparse_update(table: jax.Array, ids: jax.Array, rows: jax.Array) -> jax.Array:
    """``table`` with ``rows[i]`` added to its row ``ids[i]``, once for each occurrence of an id.

    Inside a compiled loop, and where ``table`` is donated, the rows change in place: the cost is that of the
    rows, where a dense gradient step costs the table. Rows for ids outside the table are ignored, so a padded
    batch needs no mask: pad with ``-1``.

    Args:
      table: floating, ``[rows, features]``.
      ids: integers ``[...]``; those outside ``[0, rows)`` are ignored.
      rows: ``[..., features]``, what is added, in the dtype of ``table``.

    Returns:
      The new table.

    Raises:
      TypeError: ``ids`` are not integers, ``table`` is not floating, or ``rows`` have another dtype.
      ValueError: ``table`` has other than two axes, or ``rows`` are not ``[*ids.shape, features]``.

    Example:
      >>> import jax.numpy as jnp
      >>> sparse_update(jnp.zeros((3, 1)), jnp.array([2, 0, 2, -1]), jnp.ones((4, 1))).ravel().tolist()
      [1.0, 0.0, 2.0]
    """
    table = jnp.asarray(table)
    ids = _checked("sparse_update", table, ids)
    rows = jnp.asarray(rows)
    if rows.dtype != table.dtype:
        raise TypeError(
            f"sparse_update: rows must have the dtype of the table, {table.dtype}, got {rows.dtype}; "
            "convert them with rows.astype(table.dtype)"
        )
    if rows.shape != (*ids.shape, table.shape[1]):
        raise ValueError(
            f"sparse_update: rows must have the shape of ids and a features axis, "
            f"{[*ids.shape, table.shape[1]]}, got {list(rows.shape)}"
        )
    return table.at[ids].add(rows, mode="drop")


def _checked(owner: str, table: Any, ids: Any) -> jax.Array:
    """Check both, and turn all ids outside into one.

    Negative ones would count from the end, and ones of 64 bits wrap.
    """
    ids = jnp.asarray(ids)
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise TypeError(
            f"{owner}: ids must be integers, got {ids.dtype}; convert them with ids.astype(jnp.int32)"
        )
    if not jnp.issubdtype(jnp.result_type(table), jnp.floating):
        raise TypeError(f"{owner}: table must be floating, got {jnp.result_type(table)}")
    if jnp.ndim(table) != 2:
        raise ValueError(f"{owner}: table must be [rows, features], got shape {list(jnp.shape(table))}")
    if jnp.iinfo(ids.dtype).bits < 32:
        ids = ids.astype(jnp.int32)
    # Where 32 bits can't hold the number of rows, every id that they hold is inside.
    rows = min(table.shape[0], jnp.iinfo(ids.dtype).max)
    ids = jnp.where((ids < 0) | (ids >= rows), jnp.asarray(rows, ids.dtype), ids)
    return ids.astype(jnp.int32) if rows < 2**31 else ids


def _rows(table: jax.Array, ids: jax.Array) -> jax.Array:
    return table.at[ids].get(mode="fill", fill_value=jnp.nan)


@jax.custom_jvp
def _lookup(table: jax.Array, ids: jax.Array) -> jax.Array:
    return _rows(table, ids)


@_lookup.defjvp
def _lookup_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
    (table, ids), (change, _) = primals, tangents
    # The transpose of this line is the gradient: a scatter in float32, then one conversion.
    return _lookup(table, ids), _zero_filled(change.astype(jnp.float32), ids).astype(table.dtype)


def _zero_filled(table: jax.Array, ids: jax.Array) -> jax.Array:
    return table.at[ids].get(mode="fill", fill_value=0)
