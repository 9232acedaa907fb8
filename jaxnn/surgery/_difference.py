"""How two trees of weights differ: which leaf, in what, how far."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import describe, printable
from jaxnn.surgery._paths import paths_of


class LeafDifference(NamedTuple):
    """What one path holds in two trees.

    Attributes:
        path: names joined with dots.
        kind: ``"equal"`` bit for bit (NaN equals NaN), ``"dtype"`` equal numbers in two dtypes, ``"values"``,
            ``"shape"``, ``"only in a"`` or ``"only in b"``.
        a: dtype and shape in the first tree, or ``""``.
        b: dtype and shape in the second tree, or ``""``.
        max_abs: largest absolute difference; inf or NaN where values that differ are not finite; NaN where
            shapes differ, or the leaf holds random keys, between which there is no distance.
        relative: norm of the difference over the norm of ``a`` (of ``b`` where ``a`` is zero).
        cosine: of the angle between both, NaN where one is zero.
    """

    path: str
    kind: str
    a: str
    b: str
    max_abs: float = float("nan")
    relative: float = float("nan")
    cosine: float = float("nan")


class Difference(NamedTuple):
    """All leaves of two trees, and a table of those that differ as text.

    Attributes:
        leaves: one entry for each path of either tree, sorted by path.
    """

    leaves: tuple[LeafDifference, ...]

    @property
    def equal(self) -> bool:
        """Whether both trees have equal paths, shapes, dtypes and values."""
        return all(leaf.kind == "equal" for leaf in self.leaves)

    def __str__(self) -> str:
        different = [leaf for leaf in self.leaves if leaf.kind != "equal"]
        rows = [("path", "differs in", "a", "b", "max abs", "relative", "cosine")]
        rows += [
            (*leaf[:4], *("" if np.isnan(n) and not _measured(leaf) else f"{n:.4g}" for n in leaf[4:]))
            for leaf in different
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        same = len(self.leaves) - len(different)
        total = f"{len(different)} of {len(self.leaves)} leaves differ, {same} are equal"
        return printable("\n".join([*(lines if different else ()), total]))


def difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> Difference:
    """Compare two trees of arrays leaf by leaf; numbers exactly, their distances in float64.

    Trees that were trained from one start, or converted from one source, are compared by meaning, not by
    bytes: a leaf that moved by rounding shows as such, beside one that was never loaded. From a shell:
    ``python -m jaxnn.interop diff a.safetensors b.safetensors``.

    Args:
        a: nested dicts of arrays.
        b: nested dicts of arrays.

    Raises:
        TypeError: an argument is not a dict.

    Example:
        >>> import numpy as np
        >>> from jaxnn import surgery
        >>> a = {"dense_0": {"kernel": np.array([3.0, 4.0]), "bias": np.zeros(1)}}
        >>> b = {"dense_0": {"kernel": np.array([3.0, 4.5])}, "head": {"kernel": np.ones(2)}}
        >>> print(surgery.difference(a, b))
        path            differs in  a           b           max abs  relative  cosine
        dense_0.bias    only in a   float64[1]
        dense_0.kernel  values      float64[2]  float64[2]  0.5      0.1       0.9985
        head.kernel     only in b               float64[2]
        3 of 3 leaves differ, 0 are equal
    """
    for tree in (a, b):
        if not isinstance(tree, Mapping):
            raise TypeError(f"difference: expected nested dicts of arrays, got {describe(tree)}")
    left, right = paths_of(a), paths_of(b)
    return Difference(tuple(_compare(path, left, right) for path in sorted({*left, *right})))


def _measured(leaf: LeafDifference) -> bool:
    return leaf.kind in ("values", "dtype")


def _compare(path: str, left: dict[str, Any], right: dict[str, Any]) -> LeafDifference:
    if path not in right:
        return LeafDifference(path, "only in a", describe(left[path]), "")
    if path not in left:
        return LeafDifference(path, "only in b", "", describe(right[path]))
    x, y, names = left[path], right[path], (describe(left[path]), describe(right[path]))
    if np.shape(x) != np.shape(y):
        return LeafDifference(path, "shape", *names)
    if _is_key(x) or _is_key(y):
        same = _is_key(x) and _is_key(y) and x.dtype == y.dtype
        if same and np.array_equal(jax.random.key_data(x), jax.random.key_data(y)):
            return LeafDifference(path, "equal", *names, 0.0, 0.0, 1.0)
        return LeafDifference(path, "values", *names)
    x, y = np.asarray(x), np.asarray(y)
    wide = np.complex128 if "complex" in f"{x.dtype}{y.dtype}" else np.float64
    a, b = x.astype(wide), y.astype(wide)
    if {x.dtype.name, y.dtype.name} & {"int64", "uint64"}:
        # Float64 holds integers to 2**53; Python's own are compared and subtracted without rounding.
        exact = [(n if n.dtype.kind in "iu" else w).astype(object) for n, w in ((x, a), (y, b))]
    else:
        exact = [a, b]
    with np.errstate(invalid="ignore", over="ignore"):
        # Infinities of one sign and NaN beside NaN are no distance.
        same = np.asarray(exact[0] == exact[1], bool) | (np.isnan(a) & np.isnan(b))
        if same.all():
            kind = "equal" if x.dtype == y.dtype else "dtype"
            return LeafDifference(path, kind, *names, 0.0, 0.0, 1.0)
        # Python makes a number of two arrays without axes, of which NumPy would make an int64.
        gap = np.where(same, 0, np.asarray(exact[0] - exact[1], exact[0].dtype)).astype(wide)
        norms = np.linalg.norm(a), np.linalg.norm(b)
        relative = np.linalg.norm(gap) / (norms[0] or norms[1])
        cosine = np.vdot(a, b).real / (norms[0] * norms[1]) if norms[0] and norms[1] else np.nan
        return LeafDifference(
            path, "values", *names, float(np.max(np.abs(gap))), float(relative), float(cosine)
        )


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
