"""What generation returns, cut out of the buffer that it wrote."""

from typing import Any, NamedTuple

import jax.numpy as jnp


class Generated(NamedTuple):
    """Continuations of a prompt.

    Attributes:
        tokens: ``[batch, steps]`` int32, without the prompt; ``end_token`` after the end.
        mask: ``[batch, steps]`` bool, ``True`` up to and including the first ``end_token``.
        log_probability: ``[batch]``, of these tokens given the prompt under the model itself, in nats; NaN
            where a logit is NaN.
    """

    tokens: Any
    mask: Any
    log_probability: Any


def continuation(tokens: Any, lengths: Any, steps: int, end: int | None) -> tuple[Any, Any]:
    """The part of each row ``[batch, longest + steps]`` after its prompt, and what precedes the end."""
    places = lengths[:, None] + jnp.arange(steps, dtype=jnp.int32)[None, :]
    found = jnp.take_along_axis(tokens, places, axis=1)
    if end is None:
        return found, jnp.ones(found.shape, bool)
    ends = (found == end).astype(jnp.int32)
    mask = jnp.cumsum(ends, axis=1) - ends == 0
    return jnp.where(mask, found, end), mask
