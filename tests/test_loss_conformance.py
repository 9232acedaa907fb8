"""Every loss through the whole kit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import losses, testing


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


LABELS = jnp.array([0, 2, 1, 2])
SOFT = jnp.full((4, 3), 1 / 3)
YES = jnp.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 1.0], [1.0, 1.0, 0.25]])
TARGETS = jnp.linspace(-1, 1, 12).reshape(4, 3)


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


TABLE = {
    "cross_entropy, integers": (
        losses.cross_entropy,
        LABELS,
        {
            "oracle": lambda z, y: -np.take_along_axis(log_softmax(z), y[:, None], -1)[:, 0],
            "shift_invariant": True,
            "convex": True,
        },
    ),
    "cross_entropy, soft": (
        losses.cross_entropy,
        SOFT,
        {
            "oracle": lambda z, p: -(p * log_softmax(z)).sum(-1),
            "minimum": lambda p: jnp.log(p),
            "shift_invariant": True,
            "convex": True,
        },
    ),
    "binary_cross_entropy": (
        losses.binary_cross_entropy,
        YES,
        {
            "oracle": lambda z, y: (np.logaddexp(0, z) - y * z).mean(-1),
            "convex": True,
            # The transforms lane moves the targets too, out of [0, 1], where this loss is NaN by contract.
            "lanes": [lane for lane in testing.LOSS_LANES if lane != "transforms"],
        },
    ),
    "squared_error": (
        losses.squared_error,
        TARGETS,
        {"oracle": lambda z, y: ((z - y) ** 2).mean(-1), "minimum": lambda y: y, "convex": True},
    ),
    "half_squared_error": (
        losses.half_squared_error,
        TARGETS,
        {"oracle": lambda z, y: ((z - y) ** 2).sum(-1) / 2, "minimum": lambda y: y, "convex": True},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_loss_conforms(name: str) -> None:
    loss, targets, options = TABLE[name]
    testing.check_loss(loss, f32(4, 3), targets, **options)
