"""A layer made ready for checking: its trees, an input, and the float64 program of one mode."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxnn.core import Layer
from jaxnn.testing._keys import draws_random_numbers
from jaxnn.testing._program import Program, is_float, is_key

NAMES = ("params", "state", "x", "key")


def realise(x: Any, rng: np.random.Generator) -> Any:
    """Arrays in place of specs: Gaussian for floating dtypes.

    Raises:
        TypeError: a spec of another dtype; the kit can't know which integers are valid.
    """

    def one(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise TypeError(
                f"x: pass an array of {leaf.dtype}, not a spec; the kit can't know which values are valid"
            )
        return rng.standard_normal(leaf.shape).astype(leaf.dtype)

    return jax.tree.map(one, x, is_leaf=lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))


def jittered(leaf: Any, rng: np.random.Generator) -> Any:
    """A generic value near an initial one: zeros move off zero, ones off one, signs stay."""
    if is_key(leaf) or not is_float(leaf):
        return leaf
    value = np.asarray(leaf, np.float64) * rng.uniform(0.7, 1.3, np.shape(leaf))
    return value if np.any(value) else 0.3 * rng.standard_normal(np.shape(leaf))


@dataclass
class Subject:
    """One layer in one mode.

    Attributes:
        layer: the layer.
        initial: ``(params, state)`` as ``init`` made them.
        generic: the same, moved off special values such as 0 and 1.
        x: the input, as arrays.
        key: for ``apply``.
        train: the mode.
    """

    layer: Layer
    initial: tuple[Any, Any]
    generic: tuple[Any, Any]
    x: Any
    key: Any
    train: bool

    def run(self, params: Any, state: Any, x: Any, key: Any) -> tuple[Any, Any]:
        """The layer's ``apply`` in this mode."""
        return self.layer.apply(params, state, x, key=key, train=self.train)

    @cached_property
    def random(self) -> bool:
        """Whether the layer draws random numbers in this mode."""
        return draws_random_numbers(lambda key: self.run(*self.initial, self.x, key), self.key)

    def program(self, dtype: DTypeLike = np.float64, statistics: DTypeLike | None = None) -> Program:
        """The layer as a program in some dtype: parameters and input move, state and key do not."""
        arguments = (*self.generic, self.x, self.key if self.random else None)
        return Program(self.run, arguments, NAMES, (0, 2), dtype, statistics)

    @cached_property
    def double(self) -> Program:
        """The float64 program."""
        return self.program()


def prepare(layer: Layer, x: Any, key: Any, seed: int, train: bool) -> Subject:
    """Initialise a layer for an input and move its trees to a generic point."""
    rng = np.random.default_rng(seed)
    x = realise(x, rng)
    init_key, apply_key = jax.random.split(jax.random.key(seed) if key is None else key)
    initial = layer.init(init_key, x)
    generic = jax.tree.map(lambda leaf: jittered(leaf, rng), initial)
    return Subject(layer, initial, generic, x, apply_key, train)
