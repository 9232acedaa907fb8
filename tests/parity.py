"""What the parity tests share: value and gradients of a function in one compilation, and normwise comparison."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def value_and_gradients(function: Callable[..., Any], *arguments: Any) -> tuple[np.ndarray, Any]:
    """``y`` and the gradients of ``sum(y * cotangent(y.shape))`` with respect to every argument."""

    def both(*arguments: Any) -> tuple[Any, Any]:
        y, pull = jax.vjp(function, *arguments)
        return y, pull(jnp.asarray(cotangent(y.shape), y.dtype))

    return jax.tree.map(np.asarray, jax.jit(both)(*arguments))


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """The same numbers for the same shape, for every library."""
    return np.random.default_rng(11).normal(size=shape)


def assert_close(actual: Any, expected: Any, tolerance: float) -> None:
    """Equal structures, and every leaf within ``tolerance`` of its norm."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), e in zip(
        jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        a, e = np.asarray(a, np.float64), np.asarray(e, np.float64)
        assert a.shape == e.shape, f"{jax.tree_util.keystr(path)}: {a.shape} and {e.shape}"
        error = np.linalg.norm(a - e) / max(np.linalg.norm(e), 1e-30)
        assert error <= tolerance, (
            f"{jax.tree_util.keystr(path)}: relative error {error:.3g} above {tolerance:.0e}"
        )


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers in float64."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def to_numpy(tensors: Any) -> Any:
    """PyTorch tensors of a tree as NumPy arrays."""
    return jax.tree.map(lambda tensor: tensor.detach().numpy(), tensors)
