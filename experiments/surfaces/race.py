"""Rules racing on surfaces: every rule at every rate from every start in one compiled program."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.surfaces.rules import RULES


class Surface(NamedTuple):
    """A function of two numbers with a start, and the window in which it is drawn."""

    value: Callable[[Any], Any]
    start: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]


def ravine(p: Any) -> Any:
    """A straight ravine, fifty times steeper across than along; its minimum is 0 at (0, 0)."""
    return (p[0] ** 2 + 50 * p[1] ** 2) / 2


def valley(p: Any) -> Any:
    """Rosenbrock's bent valley, a hundred times steeper across than along; its minimum is 0 at (1, 1)."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def saddle(p: Any) -> Any:
    """A saddle point at (0, 0) between two minima of 0 at (0, -1) and (0, 1)."""
    return p[0] ** 2 + (p[1] ** 2 - 1) ** 2 / 4


# The saddle's start is a thousandth off the ridge, where the slope first leads to the saddle point.
SURFACES = {
    "ravine": Surface(ravine, (-4.0, 1.0), (-5.0, 2.0), (-1.6, 1.6)),
    "valley": Surface(valley, (-1.2, 1.0), (-1.6, 1.5), (-0.6, 1.7)),
    "saddle": Surface(saddle, (-1.2, 1e-3), (-1.4, 0.6), (-0.2, 1.35)),
}


def _path(rule: Callable[..., optax.GradientTransformation], rate: Any, surface: Any, steps: int) -> Any:
    """The points ``[steps + 1, 2]`` that a rule visits on the surface of that number."""
    functions = [each.value for each in SURFACES.values()]
    starts = jnp.asarray([each.start for each in SURFACES.values()])
    transform = rule(rate)

    def value(p: Any) -> Any:  # p is a matrix of one row, since Muon has a rule for matrices only
        return jax.lax.switch(surface, functions, p[0])

    def step(carry: Any, _: Any) -> Any:
        p, state = carry
        updates, state = transform.update(jax.grad(value)(p), state, p)
        return (optax.apply_updates(p, updates), state), p[0]

    start = starts[surface][None]
    (last, _), points = jax.lax.scan(step, (start, transform.init(start)), length=steps)
    return jnp.concatenate([points, last])


def race(rates: Any, steps: int, rules: Sequence[str] = tuple(RULES)) -> dict[str, np.ndarray]:
    """The points of the rules on every surface, for each rule ``[surfaces, rates, steps + 1, 2]``."""
    surfaces = jnp.arange(len(SURFACES))

    def everywhere(rule: Callable[..., optax.GradientTransformation]) -> Any:
        over_rates = jax.vmap(lambda s, r: _path(rule, r, s, steps), (None, 0))
        return jax.vmap(over_rates, (0, None))(surfaces, jnp.asarray(rates, jnp.float32))

    found = jax.jit(lambda: {name: everywhere(RULES[name]) for name in rules})()
    return {name: np.asarray(points) for name, points in found.items()}


def best(points: np.ndarray, surface: Surface) -> tuple[int, np.ndarray]:
    """The number of the rate at which a rule ends lowest, and the values on its way ``[steps + 1]``.

    The end is the highest of the last ten values, so that no rule wins by passing through the minimum.

    Args:
        points: ``[rates, steps + 1, 2]``.
        surface: where.
    """
    values = np.asarray(jax.vmap(jax.vmap(surface.value))(jnp.asarray(points)))
    ends = np.where(np.isfinite(values).all(1), values[:, -10:].max(1), np.inf)
    return int(ends.argmin()), values[ends.argmin()]
