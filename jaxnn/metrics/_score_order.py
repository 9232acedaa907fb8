"""The order of scores in tables of one size, which add up over batches: digit by digit of their float32.

A float32's bits, read as an integer, are in the order of the numbers. The first table counts scores by their
leading bits, so it is relative at every scale: pairs in different bins are in a known order. Each further
table counts the next five bits beside the low bits of those before them: pairs that the table before could
not tell apart are told apart here, unless others that agree in the low bits alone share their row. How many
pairs such company makes is known, so ``area`` knows how far it may be off, and reads as many tables as bring
that down.
"""

from typing import Any

import jax
import jax.numpy as jnp

_DIGIT = 5


def tables(bins: int) -> int:
    """Return how many tables of ``bins`` (a power of two) there are: one alone where rows would be few."""
    return 1 if bins < 1024 else 1 - (_bits(bins) - 32) // _DIGIT


def places(scores: Any, bins: int) -> Any:
    """Return the bin of each score in each table: int32 ``[tables, *scores.shape]``; NaN is in none, -1."""
    scores = scores.astype(jnp.float32)
    known = ~jnp.isnan(scores)
    # Both zeros are one number.
    raw = jax.lax.bitcast_convert_type(jnp.where(scores == 0, 0, scores), jnp.uint32)
    top = jnp.uint32(1 << 31)
    order = jnp.where(raw >= top, ~raw, raw | top)
    used, rows = _bits(bins), bins >> _DIGIT
    # One bin takes a shift by all 32 bits, which has no meaning.
    found = [order >> jnp.uint32(32 - used) if used else jnp.zeros_like(order)]
    for table in range(1, tables(bins)):
        before, digit = order >> jnp.uint32(32 - used), min(_DIGIT, 32 - used)
        if table == 1:
            # Numbers and their negatives are in rows of their own.
            row = (order >> jnp.uint32(31)) * jnp.uint32(rows // 2) + (before & jnp.uint32(rows // 2 - 1))
        else:
            row = before & jnp.uint32(rows - 1)
        used += digit
        part = (order >> jnp.uint32(32 - used)) & jnp.uint32((1 << digit) - 1)
        found.append(row * jnp.uint32(1 << _DIGIT) + part)
    return jnp.where(
        jnp.broadcast_to(known, (len(found), *known.shape)), jnp.stack(found).astype(jnp.int32), -1
    )


def area(positive: Any, negative: Any) -> tuple[Any, Any]:
    """Return the area of shares by table and bin, ``[tables, bins]``, and the most it is off by."""
    below = jnp.cumsum(negative[0]) - negative[0]
    ordered, strange = jnp.sum(positive[0] * below), jnp.zeros((), positive.dtype)
    equal = jnp.sum(positive[0] * negative[0])
    areas, bounds = [ordered + equal / 2], [equal / 2]
    for table in range(1, positive.shape[0]):
        p, n = (shares[table].reshape(-1, 1 << _DIGIT) for shares in (positive, negative))
        pairs = jnp.sum(jnp.sum(p, -1) * jnp.sum(n, -1))
        company = jnp.maximum(pairs - equal, 0)
        ordered = ordered + jnp.sum(p * (jnp.cumsum(n, -1) - n)) - company / 2
        strange, equal = strange + company / 2, jnp.sum(p * n)
        areas.append(ordered + equal / 2)
        bounds.append(strange + equal / 2)
    if positive.shape[0] > 1:
        # Scores that agree in all digits are equal, and count as half by definition.
        bounds[-1] = strange
    areas, bounds = jnp.stack(areas), jnp.stack(bounds)
    best = jnp.argmin(bounds)
    return jnp.clip(areas[best], 0, 1), bounds[best]


def _bits(bins: int) -> int:
    return bins.bit_length() - 1
