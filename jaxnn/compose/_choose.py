"""The choice of a token by its logits: the best one, or a draw among the best."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def chooser(sampled: bool, top_k: int | None, temperature: Any, top_p: Any) -> Callable[[Any, Any], Any]:
    """Return ``(key, logits [batch, vocabulary]) -> tokens [batch]``."""
    if not sampled:
        return lambda _key, logits: jnp.argmax(logits, axis=-1).astype(jnp.int32)

    def draw(key: Any, logits: Any) -> Any:
        scaled = logits / temperature
        if top_k is not None:
            scaled = _at_least(scaled, jax.lax.top_k(scaled, top_k)[0][:, -1:])
        if top_p is not None:
            scaled = _nucleus(scaled, top_p)
        return jax.random.categorical(key, scaled, axis=-1).astype(jnp.int32)

    return draw


def _at_least(logits: Any, least: Any) -> Any:
    return jnp.where(logits >= jnp.broadcast_to(least, logits.shape), logits, -jnp.inf)


def _nucleus(logits: Any, top_p: Any) -> Any:
    ordered = -jnp.sort(-logits, axis=-1)
    p = jax.nn.softmax(ordered, axis=-1)
    # A token stays if those before it do not reach top_p yet; the first one always does.
    stays = jnp.cumsum(p, axis=-1) - p < top_p
    least = jnp.min(jnp.where(stays, ordered, jnp.inf), axis=-1, keepdims=True)
    return _at_least(logits, least)
