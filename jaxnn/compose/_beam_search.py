"""Beam search (Graves, 2012, arXiv:1211.3711): the best few partial sequences of each row go on together."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.compose._choose import log_probabilities
from jaxnn.compose._generated import continuation
from jaxnn.core import Cell, Params, PyTree


def beam_search(
    cell: Cell,
    params: Params,
    carry: PyTree,
    start: Callable[..., PyTree],
    first: tuple[Any, PyTree],
    tokens: Any,
    lengths: Any,
    steps: int,
    end: int | None,
    beams: int,
    length_penalty: Any,
    time: int,
    dtype: Any,
) -> tuple[Any, Any, Any]:
    """Find probable continuations in one loop.

    Args:
        cell: maps tokens ``[batch beams]`` to logits.
        params: its parameters.
        carry: its carry for ``[batch]``.
        start: ``(token, memory) -> carry``.
        first: a batch's first tokens and memory, from whose shapes the batch axis of each leaf of the carry
            is found.
        tokens: ``[batch, longest + steps]``, prompts.
        lengths: ``[batch]``, of the prompts.
        steps: tokens to add at most.
        end: the end token, or ``None``.
        beams: sequences kept for each row.
        length_penalty: exponent of the length that scores are divided by in the end.
        time: position from which the loop starts; the carry has seen those before.
        dtype: of scores.

    Returns:
        Tokens and mask ``[batch, steps]`` and log-probability ``[batch]`` of the best beam of each row.
    """
    batch, total = tokens.shape
    axes = _batch_axes(start, first)
    carry = jax.tree.map(lambda leaf, a: leaf if a < 0 else jnp.repeat(leaf, beams, axis=a), carry, axes)
    rows = jnp.arange(batch, dtype=jnp.int32)[:, None] * beams

    def more(loop: Any) -> Any:
        time, _, _, _, ended = loop
        return (time < total - 1) & ~jnp.all(ended)

    def body(loop: Any) -> Any:
        time, tokens, carry, score, ended = loop
        carry, logits = cell.step(params, carry, tokens[:, :, time].reshape(-1))
        gain = log_probabilities(logits.astype(dtype)).reshape(batch, beams, -1)
        vocabulary = gain.shape[-1]
        if end is not None:
            # A beam that has ended goes on as it is, in one way only.
            stay = jnp.where(jnp.arange(vocabulary, dtype=jnp.int32) == end, 0.0, -jnp.inf).astype(dtype)
            gain = jnp.where(ended[:, :, None], jnp.broadcast_to(stay, gain.shape), gain)
        candidates = (jnp.broadcast_to(score[:, :, None], gain.shape) + gain).reshape(batch, -1)
        best, places = jax.lax.top_k(candidates, beams)
        parent, token = places // vocabulary, (places % vocabulary).astype(jnp.int32)
        # A row whose prompt goes on, or that has all its tokens, keeps its beams as they are.
        runs = ((time + 1 >= lengths) & (time + 1 < lengths + steps))[:, None]
        parent = jnp.where(runs, parent, jnp.arange(beams, dtype=parent.dtype)[None, :])
        tokens, ended = (
            jnp.take_along_axis(tokens, parent[:, :, None], 1),
            jnp.take_along_axis(ended, parent, 1),
        )
        tokens = tokens.at[:, :, time + 1].set(jnp.where(runs, token, tokens[:, :, time + 1]))
        order = (rows + parent).reshape(-1)
        carry = jax.tree.map(lambda leaf, a: leaf if a < 0 else jnp.take(leaf, order, axis=a), carry, axes)
        if end is not None:
            ended |= runs & (token == end)
        ended |= jnp.broadcast_to((time + 2 >= lengths + steps)[:, None], ended.shape)
        return time + 1, tokens, carry, jnp.where(runs, best, score), ended

    # Beams start equal: all but the first count as impossible, so that the first step fills them with
    # different tokens.
    score = jnp.where(jnp.arange(beams, dtype=jnp.int32) == 0, 0.0, -jnp.inf).astype(dtype)
    loop = (
        jnp.asarray(time, jnp.int32),
        jnp.repeat(tokens[:, None], beams, axis=1),
        carry,
        jnp.broadcast_to(score, (batch, beams)),
        jnp.zeros((batch, beams), bool),
    )
    _, tokens, _, score, _ = jax.lax.while_loop(more, body, loop)
    found, mask = jax.vmap(lambda t: continuation(t, lengths, steps, end), 1, 1)(tokens)
    length = jnp.sum(mask, axis=-1, dtype=dtype)
    best = jnp.argmax(score / length ** length_penalty.astype(dtype), axis=1)[:, None]
    tokens, mask = (jnp.take_along_axis(a, best[:, :, None], axis=1)[:, 0] for a in (found, mask))
    return tokens, mask, jnp.take_along_axis(score, best, axis=1)[:, 0]


def _batch_axes(start: Callable[..., PyTree], first: tuple[Any, PyTree]) -> PyTree:
    """The axis of each leaf of the carry that grows with the batch, or -1."""

    def carry_of(extra: int) -> PyTree:
        def grown(leaf: Any) -> Any:
            return jax.ShapeDtypeStruct((leaf.shape[0] + extra, *leaf.shape[1:]), leaf.dtype)

        return jax.eval_shape(start, *jax.tree.map(grown, first))

    def axis(a: Any, b: Any) -> int:
        return next((i for i, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if m != n), -1)

    return jax.tree.map(axis, carry_of(0), carry_of(1))
