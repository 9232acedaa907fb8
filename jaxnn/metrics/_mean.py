"""The mergeable sum behind every averaged number."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import describe, wide_dtype


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mean:
    """A weighted mean kept as its two sums, so that merging is exact.

    Batches, epochs, devices and lanes merge by adding, ``merge(a, b)``: the mean of means of unequal
    batches, which Keras and Flax loops report, never enters.

    Attributes:
        total: sum of weight times value.
        weight: sum of weights.

    Example:
        >>> import jax.numpy as jnp
        >>> a = Mean.of(jnp.array([1.0, 2.0]))
        >>> b = Mean.of(jnp.array([6.0, 9.0]), jnp.array([1.0, 0.0]))
        >>> float(merge(a, b).compute())
        3.0
    """

    total: Any
    weight: Any

    @classmethod
    def of(cls, values: Any, weights: Any = None) -> "Mean":
        """Sum ``values`` ``[...]`` with ``weights`` of the same shape (ones when ``None``).

        Sums are float32 at least. A value of weight 0 does not count, not even a NaN.

        Raises:
            ValueError: the shapes differ.
        """
        dtype = wide_dtype(values.dtype)
        values = values.astype(dtype)
        if weights is None:
            return cls(jnp.sum(values), jnp.asarray(values.size, dtype))
        if weights.shape != values.shape:
            raise ValueError(
                f"Mean.of: values and weights must have one shape, got {describe(values)} and "
                f"{describe(weights)}; broadcast the weights first, along the axes that you mean"
            )
        weights = weights.astype(dtype)
        return cls(jnp.sum(jnp.where(weights == 0, 0, weights * values)), jnp.sum(weights))

    def compute(self) -> Any:
        """Return the mean; 0 where the weights sum to 0."""
        empty = self.weight == 0
        return jnp.where(empty, 0, self.total / jnp.where(empty, 1, self.weight))


def merge(a: Any, b: Any) -> Any:
    """Merge two trees of mergeable sums by adding leaf to leaf."""
    return jax.tree.map(jnp.add, a, b)
