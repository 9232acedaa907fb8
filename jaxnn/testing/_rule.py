"""An update rule on a tree: compiled trajectories, in any precision."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.testing._program import compiled, is_float


def _cast(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, jnp.dtype(dtype)), tree)


def add(params: Any, updates: Any) -> Any:
    """Parameters moved by updates, in the parameters' dtype."""
    return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), params, updates)


# One length for nearly all trajectories, so that each precision is compiled once.
STEPS = 6


@dataclass
class Rule:
    """A transformation with parameters and a stream of gradients.

    Attributes:
        transform: anything with ``init`` and ``update``.
        params: a tree of float64 NumPy arrays.
        seed: of the gradients.
    """

    transform: Any
    params: Any
    seed: int
    _runs: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def paths(self) -> list[str]:
        """The names of the leaves."""
        found = jax.tree_util.tree_flatten_with_path(self.params)[0]
        return ["params" + jax.tree_util.keystr(path) for path, _ in found]

    def gradients(self, steps: int, seed: int = 0) -> Any:
        """A tree of Gaussian gradients with a leading axis of steps, of slowly varying scale."""
        rng = np.random.default_rng([self.seed, seed])
        scale = np.exp(0.3 * rng.standard_normal(steps))
        return jax.tree.map(
            lambda p: rng.standard_normal((steps, *p.shape)) * scale.reshape((-1,) + (1,) * p.ndim),
            self.params,
        )

    def _scan(self, params: Any, gradients: Any) -> Any:
        def step(carry: Any, g: Any) -> Any:
            params, state = carry
            updates, state = self.transform.update(g, state, params)
            return (add(params, updates), state), updates

        (params, state), updates = jax.lax.scan(step, (params, self.transform.init(params)), gradients)
        return updates, params, state

    def trajectory(self, params: Any, gradients: Any, dtype: Any = np.float64) -> Any:
        """Updates of every step, and the last parameters, as NumPy arrays; one compiled scan."""
        name = jnp.dtype(dtype).name
        with jax.enable_x64(name == "float64"):
            run = self._runs.setdefault(name, compiled(self._scan))
            updates, params, _ = run(_cast(params, dtype), _cast(gradients, dtype))
            return jax.tree.map(np.asarray, (updates, params))

    def step(self, params: Any, state: Any, gradients: Any) -> Any:
        """One update, applied."""
        updates, state = self.transform.update(gradients, state, params)
        return add(params, updates), state

    def first_gradients(self, dtype: Any = np.float32) -> Any:
        """The first gradients of the stream, on the device."""
        return jax.tree.map(lambda g: jnp.asarray(g[0], dtype), self.gradients(STEPS))

    def single(self, dtype: Any = np.float32) -> tuple[Any, Any]:
        """Device parameters and their fresh state."""
        params = jax.tree.map(jnp.asarray, _cast(self.params, dtype))
        return params, self.transform.init(params)


def arrays(tree: Any) -> list[np.ndarray]:
    """Floating leaves in NumPy float64."""
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree) if is_float(leaf)]
