"""Points in the plane with two classes, drawn from a key.

They are twins of data of which the courses print only the address.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

MEAN, VARIANCE = 2.0, 5.0


class Points(NamedTuple):
    """Points ``[n, 2]`` and their classes, float32 0 or 1 ``[n]``."""

    x: Any
    y: Any


def ring(key: Any, n: int) -> Points:
    """A disc of radius 2 (class 1) in a ring from radius 3 to 5 (class 0), half of the points each."""
    of_class, of_angle, of_radius = jax.random.split(key, 3)
    y = _classes(of_class, n)
    angle = jax.random.uniform(of_angle, (n,), maxval=2 * jnp.pi)
    # The root makes the points as dense near the centre as near the rim.
    low, high = jnp.where(y == 1, 0.0, 9.0), jnp.where(y == 1, 4.0, 25.0)
    radius = jnp.sqrt(low + (high - low) * jax.random.uniform(of_radius, (n,)))
    return Points(radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1), y)


def quadrants(key: Any, n: int) -> Points:
    """Points of a square from -5 to 5, of class 1 where both coordinates have one sign."""
    x = jax.random.uniform(key, (n, 2), minval=-5.0, maxval=5.0)
    return Points(x, (x[:, 0] * x[:, 1] > 0).astype(jnp.float32))


def gaussians(key: Any, n: int) -> Points:
    """Normal clouds of variance 5 around (-2, 2), which is class 1, and (2, -2), half of the points each."""
    of_class, of_place = jax.random.split(key)
    y = _classes(of_class, n)
    centre = jnp.where(y == 1, 1.0, -1.0)[:, None] * jnp.array([[-MEAN, MEAN]])
    return Points(centre + jnp.sqrt(VARIANCE) * jax.random.normal(of_place, (n, 2)), y)


def _classes(key: Any, n: int) -> Any:
    return jax.random.permutation(key, (jnp.arange(n) % 2).astype(jnp.float32))
