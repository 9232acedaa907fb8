"""The threefry hash that JAX's keys are made for, written out so that XLA makes one vectorised kernel of it.

Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"). On CPUs JAX
lowers its own to a loop with copies, and ``jax.random.bits`` folds each hash of 64 bits into one word.
"""

import jax
import jax.numpy as jnp
from jax import lax

_TURNS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key: jax.Array, counter: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two uniform uint32 words for each uint32 of ``counter``; ``key`` is the data of a key, ``[2]``."""
    first, second = (jnp.broadcast_to(word, counter.shape) for word in (key[0], key[1]))
    keys = (first, second, first ^ second ^ jnp.uint32(0x1BD11BDA))
    a, b = counter + keys[0], keys[1]
    for group in range(5):
        for turn in _TURNS[group % 2]:
            a = a + b
            b = a ^ (lax.shift_left(b, jnp.uint32(turn)) | lax.shift_right_logical(b, jnp.uint32(32 - turn)))
        a, b = a + keys[(group + 1) % 3], b + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return a, b
