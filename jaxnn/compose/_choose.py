"""The choice of a token by its logits: the best one, or a draw among the best."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Probabilities reach top_p if they miss it by no more than logits and sums of their precision can tell.
_ROUNDINGS = 4


def chooser(sampled: bool, top_k: int | None, temperature: Any, top_p: Any) -> Callable[[Any, Any], Any]:
    """Return ``(key, logits [batch, vocabulary]) -> tokens [batch]``."""
    if not sampled:
        return lambda _key, logits: jnp.argmax(logits, axis=-1).astype(jnp.int32)

    def draw(key: Any, logits: Any) -> Any:
        found = candidates(logits, top_k, temperature, top_p)
        return jax.random.categorical(key, found, axis=-1).astype(jnp.int32)

    return draw


def log_probabilities(logits: Any) -> Any:
    """``log_softmax`` over the last axis, which also takes infinite logits.

    Those of plus infinity share all of the probability; where all are minus infinity, so is every result.
    """
    shifted = _below_best(logits)
    found = shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True))
    return jnp.where(logits == -jnp.inf, -jnp.inf, found)


def candidates(logits: Any, top_k: int | None, temperature: Any, top_p: Any) -> Any:
    """Logits ``[batch, vocabulary]`` of the distribution to draw from, minus infinity for what is left out.

    What stays is decided by rank, of equal logits the first ones; NaN stays, so that it shows in the result.
    """
    # A temperature of 0 would make NaN of the best tokens; an infinite one, or one whose reciprocal is 0, of
    # impossible ones.
    least = jnp.finfo(logits.dtype).tiny
    temperature = jnp.clip(temperature.astype(logits.dtype), least, 1 / least)
    scaled = _below_best(logits) / temperature
    # Negative zeros are ordered below zeros by some sorts and equal to them by comparisons.
    scaled = jnp.where(scaled == 0, 0, scaled)
    if top_k is None and top_p is None:
        return scaled
    ordered, places = _best(scaled, top_k)
    last = jnp.full((logits.shape[0], 1), ordered.shape[1] - 1, jnp.int32)
    if top_p is not None:
        last = jnp.minimum(last, _end_of_nucleus(ordered, top_p))
    least, place = (jnp.take_along_axis(a, last, axis=1) for a in (ordered, places))
    least, place = (jnp.broadcast_to(a, scaled.shape) for a in (least, place))
    here = jax.lax.broadcasted_iota(jnp.int32, scaled.shape, 1)
    stays = (scaled > least) | ((scaled == least) & (here <= place)) | jnp.isnan(scaled)
    return jnp.where(stays, scaled, -jnp.inf)


def _below_best(logits: Any) -> Any:
    """How far each logit lies below the greatest, which is exactly 0, be it infinite."""
    best = jnp.broadcast_to(jnp.max(logits, axis=-1, keepdims=True), logits.shape)
    return jnp.where(logits == best, 0, logits - best)


def _best(logits: Any, count: int | None) -> tuple[Any, Any]:
    """The greatest logits in falling order, all of them for ``None``, and where they stand."""
    if count is not None:
        return jax.lax.top_k(logits, count)
    here = jax.lax.broadcasted_iota(jnp.int32, logits.shape, 1)
    negative, places = jax.lax.sort((-logits, here), num_keys=1, is_stable=True)
    return -negative, places


def _end_of_nucleus(ordered: Any, top_p: Any) -> Any:
    """The first place ``[batch, 1]`` at which the probabilities so far add up to ``top_p``."""
    # Relative to the greatest one: those of equal logits are 1, whose sums are exact.
    total = jnp.cumsum(jnp.exp(ordered), axis=-1)
    share = top_p.astype(total.dtype)
    enough = share * (1 - _ROUNDINGS * jnp.finfo(total.dtype).eps) * total[:, -1:]
    reached = (total >= jnp.broadcast_to(enough, total.shape)) & (share < 1)
    first = jnp.argmax(reached, axis=-1, keepdims=True).astype(jnp.int32)
    return jnp.where(jnp.any(reached, axis=-1, keepdims=True), first, ordered.shape[1] - 1)
