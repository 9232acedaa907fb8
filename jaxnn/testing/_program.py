"""A function of pytrees seen as a function of leaves: what every check of the kit evaluates.

Leaves of floating dtype in the differentiated arguments *move*; all other leaves (integers, masks, keys, and
floats such as running statistics) stay *fixed*. Values are held in NumPy as float64; ``dtype`` says in what
precision the function is run.
"""

import copy
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

Leaves = list[Any]

# The arrays of a check are small, so nearly all the time goes into LLVM; XLA's own passes still run.
FAST_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


def is_key(leaf: Any) -> bool:
    """Whether a leaf is an array of typed PRNG keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def is_float(leaf: Any) -> bool:
    """Whether a leaf has a floating dtype."""
    if type(leaf) is np.ndarray and leaf.dtype.kind in "fiub":  # what the kit asks most often
        return leaf.dtype.kind == "f"
    return not is_key(leaf) and jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _on_host(leaf: Any) -> Any:
    if is_key(leaf):
        return leaf
    array = np.asarray(leaf)
    return array.astype(np.float64) if is_float(leaf) else array


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile for small arrays: XLA's passes as usual, LLVM's turned down."""
    options = FAST_COMPILE if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)


@dataclass
class Result:
    """One evaluation: differentiable outputs, all other outputs, and the pull-back of a cotangent."""

    outputs: Leaves
    auxiliary: Leaves
    gradients: Leaves


@dataclass
class Program:
    """A function, its arguments, and which of them are differentiated.

    Attributes:
        function: ``function(*arguments) -> (outputs, auxiliary)``, any pytrees.
        arguments: the point at which it is checked.
        names: what the report calls each argument.
        differentiable: positions of the arguments whose floating leaves move.
        dtype: the dtype in which floating leaves are handed to the function.
        statistics: the dtype of floating leaves that stay fixed, ``dtype`` by default.
    """

    function: Callable[..., tuple[Any, Any]]
    arguments: tuple[Any, ...]
    names: tuple[str, ...]
    differentiable: tuple[int, ...]
    dtype: DTypeLike = np.float64
    statistics: DTypeLike | None = None
    _cache: dict[Hashable, Callable[..., Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        leaves, self.structure = jax.tree_util.tree_flatten_with_path(tuple(self.arguments))
        self.paths = [self.names[path[0].idx] + jax.tree_util.keystr(path[1:]) for path, _ in leaves]
        self.argument = [path[0].idx for path, _ in leaves]
        self.leaves: Leaves = [_on_host(leaf) for _, leaf in leaves]
        self.moves = [
            is_float(leaf) and position in self.differentiable
            for leaf, position in zip(self.leaves, self.argument, strict=True)
        ]
        for path, leaf in zip(self.paths, self.leaves, strict=True):
            if not is_key(leaf) and np.iscomplexobj(leaf):
                raise TypeError(
                    f"{path} is complex; the kit checks real functions: pass real and imaginary parts"
                )

    @property
    def moving(self) -> Leaves:
        """The values of the leaves that are differentiated."""
        return [leaf for leaf, moves in zip(self.leaves, self.moves, strict=True) if moves]

    @property
    def fixed(self) -> Leaves:
        """The values of all other leaves."""
        return [leaf for leaf, moves in zip(self.leaves, self.moves, strict=True) if not moves]

    @property
    def moving_paths(self) -> list[str]:
        """The names of the leaves that are differentiated, such as ``params['kernel']``."""
        return [path for path, moves in zip(self.paths, self.moves, strict=True) if moves]

    def with_values(self, moving: Sequence[Any], fixed: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments, rebuilt from leaves."""
        moving_iter, fixed_iter = iter(moving), iter(fixed)
        leaves = [next(moving_iter if moves else fixed_iter) for moves in self.moves]
        return jax.tree_util.tree_unflatten(self.structure, leaves)

    def call(self, moving: Sequence[Any], fixed: Sequence[Any]) -> tuple[Leaves, Leaves]:
        """Floating outputs to differentiate, and all the rest."""
        outputs, auxiliary = self.function(*self.with_values(moving, fixed))
        leaves = jax.tree.leaves(outputs)
        smooth = [leaf for leaf in leaves if is_float(leaf)]
        rest = [leaf for leaf in leaves if not is_float(leaf)]
        return smooth, rest + jax.tree.leaves(auxiliary)

    def value_and_pullback(
        self, moving: Sequence[Any], fixed: Sequence[Any], cotangents: Sequence[Any]
    ) -> tuple[Leaves, Leaves, Leaves]:
        """Outputs, auxiliary outputs, and the gradient of the outputs' product with ``cotangents``."""
        outputs, pullback, auxiliary = jax.vjp(
            lambda leaves: self.call(leaves, fixed), list(moving), has_aux=True
        )
        cast = [jnp.asarray(u, y.dtype) for u, y in zip(cotangents, outputs, strict=True)]
        return outputs, auxiliary, pullback(cast)[0]

    @property
    def precision(self) -> Any:
        """A context in which the program's dtype exists."""
        return jax.enable_x64(jnp.dtype(self.dtype) == np.float64)

    def cast(self, leaves: Sequence[Any], dtype: DTypeLike | None = None) -> Leaves:
        """Floating leaves in the program's dtype, the others as they are."""
        return [
            np.asarray(leaf, jnp.dtype(dtype or self.dtype)) if is_float(leaf) else leaf for leaf in leaves
        ]

    @cached_property
    def specs(self) -> tuple[Leaves, Leaves]:
        """Shapes and dtypes of the differentiable and of the other outputs."""
        with self.precision:
            return jax.eval_shape(self.call, self.cast(self.moving), self.cast(self.fixed, self.statistics))

    def compiled(self, name: Hashable, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function`` compiled, once for each ``name``: a program can be checked at many points."""
        if name not in self._cache:
            self._cache[name] = compiled(function)
        return self._cache[name]

    def at(self, moving: Sequence[Any]) -> "Program":
        """The same program, compiled variants included, at other values of the leaves that move."""
        other, values = copy.copy(self), iter(moving)
        other.__dict__["specs"] = self.specs  # no value has a part in them: traced once for all points
        other.leaves = [
            next(values) if on else leaf for leaf, on in zip(self.leaves, self.moves, strict=True)
        ]
        return other

    def evaluate(
        self, moving: Sequence[Any], cotangents: Sequence[Any], fixed: Sequence[Any] | None = None
    ) -> Result:
        """Run the compiled program once; the results are NumPy arrays in the program's dtype."""
        fixed = self.fixed if fixed is None else fixed
        with self.precision:
            run = self.compiled("value and pullback", self.value_and_pullback)
            results = run(self.cast(moving), self.cast(fixed, self.statistics), list(cotangents))
            return Result(*jax.tree.map(to_host, results))

    def cotangents(self, rng: np.random.Generator) -> Leaves:
        """A Gaussian cotangent for every differentiable output."""
        return [rng.standard_normal(spec.shape) for spec in self.specs[0]]

    def jaxpr(self) -> Any:
        """The traced program, without compiling it."""
        with self.precision:
            return jax.make_jaxpr(self.call)(self.cast(self.moving), self.cast(self.fixed, self.statistics))


def fingerprint(closed: Any) -> tuple[str, list[bytes]]:
    """A text that two traces share when they are the same program, and the constants they close over."""
    text = re.sub(r"0x[0-9a-f]+", "", str(closed))
    return text, [to_host(value).tobytes() for value in closed.consts]


def to_host(leaf: Any) -> Any:
    """A NumPy array; keys become their data."""
    return np.asarray(jax.random.key_data(leaf)) if is_key(leaf) else np.asarray(leaf)


def direction(leaf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian tangent scaled by the leaf's root mean square (by 1 if the leaf is all zero)."""
    scale = float(np.sqrt(np.mean(np.square(leaf)))) if leaf.size else 0.0
    return rng.standard_normal(leaf.shape) * (scale if scale > 0 else 1.0)
