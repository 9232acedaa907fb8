"""The camera of four pixels: solid, vertical, diagonal and horizontal pictures, each with both signs.

A picture is ``[top left, top right, bottom left, bottom right]``, each pixel +1 or -1.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

CLASSES = ("solid", "vertical", "diagonal", "horizontal")
# The picture of each class with its first pixel bright; its negative is of the same class.
BRIGHT = ((1, 1, 1, 1), (1, -1, 1, -1), (1, -1, -1, 1), (1, 1, -1, -1))


def patterns() -> tuple[np.ndarray, np.ndarray]:
    """All eight pictures, float32 ``[8, 4]``, and their classes, int32 ``[8]``."""
    bright = np.array(BRIGHT, np.float32)
    return np.concatenate([bright, -bright]), np.tile(np.arange(4, dtype=np.int32), 2)


def sample(key: Any, count: int) -> tuple[Any, Any]:
    """``count`` pictures drawn uniformly from the eight, ``[count, 4]``, and their classes ``[count]``."""
    x, y = patterns()
    chosen = jax.random.randint(key, (count,), 0, len(y))
    return jnp.asarray(x)[chosen], jnp.asarray(y)[chosen]
