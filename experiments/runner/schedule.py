"""Step sizes that fall while a network trains."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp


def half_cosine(rate: float, steps: int) -> Callable[[Any], Any]:
    """From ``rate`` at step 0 to 0 at ``steps`` along half a cosine (Loshchilov and Hutter, 2017).

    Unlike ``optax.cosine_decay_schedule`` it keeps to strict rules of type promotion.

    Example:
        >>> [round(float(half_cosine(0.1, 4)(step)), 4) for step in range(5)]
        [0.1, 0.0854, 0.05, 0.0146, 0.0]
    """
    return lambda step: rate * (1 + jnp.cos(math.pi * jnp.minimum(step / steps, 1))) / 2
