"""All update rules racing on two surfaces, each at the best of a grid of learning rates, in one vmapped run.

    python benchmarks/optimizer_race.py docs/img/optimizers.png

The first surface is Rosenbrock's valley, bent and a hundred times steeper across than along. The second
is a saddle: the start lies a thousandth off its ridge, where the gradient leads to the saddle point before
it leads away.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax

from jaxnn import optim

mpl.use("Agg")

import matplotlib.pyplot as plt

STEPS = 200
RATES = np.logspace(-4, 1, 26)
RULES = {
    name: getattr(optim, name)
    for name in optim.__all__
    if name not in ("accumulate", "skip_nonfinite", "rprop")
} | {"rprop (torch)": lambda rate: optim.rprop(rate, form="torch")}


def valley(p: jax.Array) -> jax.Array:
    """Rosenbrock's function; its minimum is 0 at (1, 1)."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def saddle(p: jax.Array) -> jax.Array:
    """A saddle point at (0, 0) between two minima of 0 at (0, -1) and (0, 1)."""
    return p[0] ** 2 + (p[1] ** 2 - 1) ** 2 / 4


SURFACES = {"valley": (valley, (-1.2, 1.0)), "saddle": (saddle, (-1.2, 1e-3))}


def race(rule: Callable[..., optax.GradientTransformation], rate: jax.Array, surface: jax.Array) -> jax.Array:
    """Return the points ``[STEPS + 1, 2]`` that a rule visits."""
    functions = [function for function, _ in SURFACES.values()]
    start = jnp.asarray([begin for _, begin in SURFACES.values()])[surface]
    transform = rule(rate)

    def value(p: jax.Array) -> jax.Array:  # a matrix of one row, so that Muon has a matrix
        return jax.lax.switch(surface, functions, p[0])

    def step(carry, _):
        p, state = carry
        updates, state = transform.update(jax.grad(value)(p), state, p)
        return (optax.apply_updates(p, updates), state), p[0]

    (last, _), points = jax.lax.scan(step, (start[None], transform.init(start[None])), length=STEPS)
    return jnp.concatenate([points, last])


@jax.jit
def race_all(rates: jax.Array) -> dict[str, jax.Array]:
    """Return the points of every rule, for each ``[surfaces, rates, STEPS + 1, 2]``."""
    surfaces = jnp.arange(len(SURFACES))

    def everywhere(rule):
        return jax.vmap(lambda s: jax.vmap(lambda r: race(rule, r, s))(rates))(surfaces)

    return {name: everywhere(rule) for name, rule in RULES.items()}


def best(points: np.ndarray, function: Callable[..., jax.Array]) -> tuple[int, np.ndarray]:
    """Return the index of the rate at which a rule ends lowest, and the values on its way."""
    values = np.asarray(jax.vmap(jax.vmap(function))(points))
    ends = np.where(np.all(np.isfinite(values), axis=1), values[:, -10:].max(axis=1), np.inf)
    return int(np.argmin(ends)), values[np.argmin(ends)]


def draw(path: Path) -> None:
    """Race, and draw the way of every rule on every surface, with its rate and the value at its end."""
    found = jax.tree.map(np.asarray, race_all(jnp.asarray(RATES)))
    figure = plt.figure(figsize=(17, 8.6), layout="constrained")
    windows = {"valley": ((-1.6, 1.5), (-0.6, 1.7)), "saddle": ((-1.4, 0.6), (-0.2, 1.35))}
    for block, (surface, (function, start)) in zip(figure.subfigures(1, 2), SURFACES.items(), strict=True):
        block.suptitle(f"{surface}: {STEPS} steps from the star, at each rule's best rate", fontsize=12)
        (left, right), (low, high) = windows[surface]
        x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
        z = np.asarray(jax.vmap(function)(np.stack([x.ravel(), y.ravel()], 1))).reshape(x.shape)
        for panel, (name, points) in zip(block.subplots(4, 5).ravel(), found.items(), strict=True):
            which, values = best(points[list(SURFACES).index(surface)], function)
            way = points[list(SURFACES).index(surface), which]
            panel.contourf(x, y, np.log10(z + 1e-3), levels=20, cmap="Greys", alpha=0.6)
            panel.plot(way[:, 0], way[:, 1], color="tab:blue", linewidth=0.9)
            panel.scatter(way[:, 0], way[:, 1], c=np.arange(len(way)), cmap="plasma", s=5, zorder=3)
            panel.plot(*start, "k*", markersize=9)
            panel.plot(*way[-1], "o", color="white", markeredgecolor="black", markersize=6, zorder=4)
            panel.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
            panel.set_title(f"{name}\nrate {RATES[which]:.2g}, end {values[-1]:.0e}", fontsize=8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img/optimizers.png"))
