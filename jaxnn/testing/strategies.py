"""Hypothesis strategies for JAX: shapes, dtypes, arrays with hard points, masks, parameter trees, layers.

Shapes come from a short fixed list, so that one compilation serves many examples; arrays are drawn as a seed,
a scale and a kind of point, which is what shrinks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax.typing import DTypeLike

from jaxnn.core import Layer

KINDS = ("gaussian", "zeros", "negative zeros", "ties", "constant rows", "large", "tiny", "one-hot rows")


def seeds() -> st.SearchStrategy[int]:
    """Seeds of ``numpy.random.default_rng`` and ``jax.random.key``."""
    return st.integers(0, 2**31 - 1)


def keys() -> st.SearchStrategy[jax.Array]:
    """Typed PRNG keys."""
    return seeds().map(jax.random.key)


def shapes(rank: int = 2, *, empty: bool = False) -> st.SearchStrategy[tuple[int, ...]]:
    """One of four shapes of a rank, the simplest first.

    Args:
        rank: number of axes.
        empty: whether the first axis may have no entries.
    """
    options = [
        (1,) * rank,
        (2,) * rank,
        tuple(range(2, rank + 2)),
        tuple(5 - axis % 3 for axis in range(rank)),
    ]
    return st.sampled_from([*options, (0, *options[2][1:])] if empty and rank else options)


def dtypes(*, half: bool = True, double: bool = False) -> st.SearchStrategy[np.dtype]:
    """Floating dtypes; ``float64`` needs ``jax.enable_x64``."""
    names: list[Any] = [jnp.float32]
    names += [jnp.bfloat16, jnp.float16] if half else []
    names += [jnp.float64] if double else []
    return st.sampled_from([jnp.dtype(name) for name in names])


def make_array(shape: Sequence[int], kind: str, seed: int, log2_scale: int = 0) -> np.ndarray:
    """The float64 array that a draw of :func:`arrays` stands for.

    Args:
        shape: its shape.
        kind: one of ``KINDS``.
        seed: of its random numbers.
        log2_scale: its scale is two to this power; hard points that have a scale of their own ignore it.

    Raises:
        ValueError: an unknown kind.

    Example:
        >>> make_array((2, 2), "constant rows", seed=0).tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
    """
    rng, shape = np.random.default_rng(seed), tuple(shape)
    scale = 2.0**log2_scale
    if kind == "gaussian":
        return scale * rng.standard_normal(shape)
    if kind == "zeros":
        return np.zeros(shape)
    if kind == "negative zeros":
        return np.full(shape, -0.0)
    if kind == "ties":
        return scale * rng.integers(0, 2, shape)
    if kind == "constant rows":
        rows = shape[0] if shape else 1
        return np.broadcast_to(
            np.linspace(-scale, scale, rows).reshape((-1,) + (1,) * (len(shape) - 1)), shape
        ).copy()
    if kind == "large":
        return 1e4 * rng.choice([-1.0, 1.0], shape)
    if kind == "tiny":
        return 2.0**-20 * rng.standard_normal(shape)
    if kind == "one-hot rows":
        width = shape[-1] if shape else 1
        return np.eye(max(width, 1))[rng.integers(0, max(width, 1), shape[:-1])].reshape(shape)
    raise ValueError(f"make_array: expected one of {', '.join(KINDS)}, got {kind!r}")


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: st.SearchStrategy[tuple[int, ...]] | tuple[int, ...] | None = None,
    dtype: DTypeLike = np.float32,
    kinds: Sequence[str] = KINDS,
) -> np.ndarray:
    """Floating arrays, hard points among them.

    Args:
        draw: given by hypothesis.
        shape: a shape or a strategy for one; by default ``shapes()``.
        dtype: of the array.
        kinds: kinds of points, of ``KINDS``; the first is what failures shrink to.
    """
    size = draw(shapes() if shape is None else shape) if not isinstance(shape, tuple) else shape
    kind, seed = draw(st.sampled_from(list(kinds))), draw(seeds())
    log2_scale = draw(st.integers(-3, 3)) if kind in ("gaussian", "ties", "constant rows") else 0
    return make_array(size, kind, seed, log2_scale).astype(jnp.dtype(dtype))


@st.composite
def labels(draw: st.DrawFn, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """Integer labels below ``classes``, int32."""
    return np.random.default_rng(draw(seeds())).integers(0, classes, shape).astype(np.int32)


@st.composite
def masks(
    draw: st.DrawFn, shape: tuple[int, ...], *, padding: bool = True, all_masked: bool = False
) -> np.ndarray:
    """Boolean masks.

    Args:
        draw: given by hypothesis.
        shape: of the mask; its last axis is time where ``padding``.
        padding: whether each row is a run of real entries followed by padding.
        all_masked: whether rows without a real entry may occur.
    """
    rng, length = np.random.default_rng(draw(seeds())), shape[-1]
    if padding:
        lengths = rng.integers(0 if all_masked else 1, length + 1, shape[:-1])
        return np.arange(length) < lengths[..., None]
    mask = rng.random(shape) < 0.6
    if not all_masked:
        mask[..., 0] = True
    return mask


@st.composite
def parameter_trees(
    draw: st.DrawFn, dtype: DTypeLike = np.float32, *, odd_leaves: bool = False, max_layers: int = 3
) -> dict[str, Any]:
    """Nested dicts as layers make them.

    Args:
        draw: given by hypothesis.
        dtype: of every leaf.
        odd_leaves: whether scalars, empty arrays and ``None`` may occur.
        max_layers: how many children there are at most.
    """
    rng, tree = np.random.default_rng(draw(seeds())), {}
    for index in range(draw(st.integers(1, max_layers))):
        rows, columns = draw(st.sampled_from([(1, 1), (2, 3), (3, 2), (4, 4)]))
        kernel, bias = rng.standard_normal((rows, columns)), rng.standard_normal(columns)
        tree[f"dense_{index}"] = {
            "kernel": kernel.astype(jnp.dtype(dtype)),
            "bias": bias.astype(jnp.dtype(dtype)),
        }
    for odd in draw(st.sets(st.sampled_from(["scalar", "empty", "none"]))) if odd_leaves else ():
        leaf = {"scalar": np.asarray(rng.standard_normal()), "empty": np.zeros((0, 3)), "none": None}[odd]
        tree[odd] = None if leaf is None else leaf.astype(jnp.dtype(dtype))
    return tree


@st.composite
def layers(
    draw: st.DrawFn,
    factories: Sequence[Callable[[], Layer | Callable[..., Any]]],
    combine: Any,
    max_depth: int = 3,
) -> Any:
    """Compositions of layers.

    Args:
        draw: given by hypothesis.
        factories: functions without arguments, each making one layer.
        combine: what joins them, such as ``nn.chain``.
        max_depth: how many are joined at most.
    """
    chosen = draw(st.lists(st.sampled_from(list(factories)), min_size=1, max_size=max_depth))
    return combine(*(factory() for factory in chosen))
