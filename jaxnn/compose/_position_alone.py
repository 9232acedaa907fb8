"""Whether code acts on each position of a sequence alone, by value: all positions at once against one by one.

Shapes don't tell: a shift, a sum over time or a table of positions keep them. What a function is given here
is random; where its children are called it is given random answers, so that its own code is judged by itself,
and what it gives them is compared too.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import PyTree, is_traced, spec_of

_MOST_POSITIONS = 32
_MOST_NUMBERS = 1 << 21
_ELEMENTWISE = frozenset(
    " ".join(
        (
            "abs add add_any and asin asinh atan atan2 atanh acos acosh cbrt ceil clamp",
            "convert_element_type copy cos cosh div eq erf erf_inv erfc exp exp2 expm1 floor ge gt",
            "integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or",
            "pow reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic",
            "shift_right_logical sign sin sinh sqrt square stop_gradient sub tan tanh xor",
        )
    ).split()
)
_CALLS = frozenset(
    {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint"}
)

# ``(inputs, key) -> outputs``; both are trees.
Run = Callable[[PyTree, Any], PyTree]


class Moving(NamedTuple):
    """How an array changes with the length of the sequence: its specs for one position and for two."""

    one: Any
    two: Any

    @property
    def axis(self) -> int | None:
        """The axis of the positions, ``None`` if there is none, -1 if it can't be told."""
        if self.one.shape == self.two.shape:
            return None
        if len(self.one.shape) != len(self.two.shape):
            return -1
        differ = [i for i, (a, b) in enumerate(zip(self.one.shape, self.two.shape, strict=True)) if a != b]
        whole = len(differ) == 1 and (self.one.shape[differ[0]], self.two.shape[differ[0]]) == (1, 2)
        return differ[0] if whole else -1

    def drawn(self, rng: np.random.Generator, length: int, kind: str) -> Any:
        """Values for ``length`` positions, or, where they have no axis, for each of them by itself."""
        shape = list(self.one.shape)
        if self.axis == -1:
            return _random(rng, self.two.shape, self.two.dtype, kind)
        if self.axis is not None:
            shape[self.axis] = length
        return _random(rng, shape, self.one.dtype, kind)


def moving(one: PyTree, two: PyTree) -> list[Moving]:
    """The leaves of two trees of specs, for one position and for two."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    return [Moving(spec_of(a), spec_of(b)) for a, b in pairs]


def outputs_that_differ(
    run: Run, inputs: tuple[PyTree, PyTree], outputs: tuple[PyTree, PyTree], draws: bool, length: int
) -> list[int]:
    """Which leaves of what ``run`` gives are not made of each position alone.

    Args:
        run: the function.
        inputs: specs of its input for one position and for two.
        outputs: specs of its output for one position and for two.
        draws: whether it uses its key, so that one position can't be compared with many; that no position
            depends on another is seen all the same.
        length: positions that it will be used for at most.
    """
    given, found = moving(*inputs), moving(*outputs)
    structure = jax.tree.structure(inputs[0])

    def flat(leaves: Sequence[Any], key: Any) -> list[Any]:
        return jax.tree.leaves(run(jax.tree.unflatten(structure, leaves), key))

    key = jax.random.key(0)
    if all(leaf.axis == 1 for leaf in given if leaf.axis is not None) and not draws:
        program = jax.make_jaxpr(lambda *leaves: flat(leaves, key))
        one, two = (program(*leaves) for leaves in zip(*given, strict=True))
        # Constants may hold positions or depend on how many there are.
        outline = None if one.consts or two.consts else elementwise(one.jaxpr)
        if outline is not None and outline == elementwise(two.jaxpr):
            return []
    compare = jax.jit(lambda *leaves: (_apart if draws else _alone)(flat, given, found, leaves))
    size = sum(int(np.prod(leaf.one.shape)) for leaf in (*given, *found))
    positions = max(2, min(length, _MOST_POSITIONS, _MOST_NUMBERS // max(size, 1)))
    try:
        bad = [_differ(compare, given, positions, draws, kind) for kind in ("normal", "between")]
    except (TypeError, ValueError, IndexError):
        # A table of the author's may be shorter than the cell.
        bad = [_differ(compare, given, 2, draws, kind) for kind in ("normal", "between")]
    return [place for place, differs in enumerate(zip(*bad, strict=True)) if any(differs)]


def _differ(
    compare: Callable[..., Any], given: list[Moving], length: int, draws: bool, kind: str
) -> list[bool]:
    rng = np.random.default_rng(0)
    leaves = [(leaf.drawn(rng, length, kind), _other(leaf, rng, length, draws, kind)) for leaf in given]
    with jax.ensure_compile_time_eval():
        flags = compare(*leaves)
    # Code that closes over traced arrays can't be run before they are known.
    return [not is_traced(flag) and bool(flag) for flag in flags]


def _other(leaf: Moving, rng: np.random.Generator, length: int, draws: bool, kind: str) -> Any:
    """Other values of all positions, or those of an array whose positions have no axis."""
    if draws:
        return leaf.drawn(rng, length, kind)
    shape = (length, *leaf.one.shape) if leaf.axis == -1 else ()
    return _random(rng, shape, leaf.one.dtype, kind)


def _alone(flat: Any, given: list[Moving], found: list[Moving], leaves: Any) -> list[Any]:
    """Compare all positions at once with each of them by itself."""
    key = jax.random.key(1)
    whole = flat([leaf for leaf, _ in leaves], key)
    axes = [{-1: 0}.get(leaf.axis, leaf.axis) for leaf in given]  # type: ignore[arg-type]
    each = [other if leaf.axis == -1 else value for leaf, (value, other) in zip(given, leaves, strict=True)]

    def one(parts: list[Any]) -> list[Any]:
        placed = [
            part if leaf.axis in (None, -1) else jnp.expand_dims(part, leaf.axis)
            for leaf, part in zip(given, parts, strict=True)
        ]
        return flat(placed, key)

    alone = jax.vmap(one, in_axes=(axes,))(each)
    flags = []
    for leaf, a, b in zip(found, whole, alone, strict=True):
        if leaf.axis == -1:
            flags.append(jnp.zeros((), bool))
        elif leaf.axis is None:
            flags.append(_unequal(jnp.broadcast_to(a, b.shape), b))
        else:
            flags.append(_unequal(jnp.moveaxis(a, leaf.axis, 0), jnp.squeeze(b, leaf.axis + 1)))
    return flags


def _apart(flat: Any, given: list[Moving], found: list[Moving], leaves: Any) -> list[Any]:
    """Compare all positions with all of them where half have other inputs."""
    key = jax.random.key(1)
    whole = flat([leaf for leaf, _ in leaves], key)
    flags = [jnp.zeros((), bool)] * len(found)
    for late in (False, True):
        changed = []
        for leaf, (value, other) in zip(given, leaves, strict=True):
            if leaf.axis in (None, -1):
                changed.append(value)
                continue
            places = jax.lax.broadcasted_iota(jnp.int32, value.shape, leaf.axis)
            changed.append(jnp.where((places < value.shape[leaf.axis] // 2) == late, other, value))
        for place, (leaf, a, b) in enumerate(zip(found, whole, flat(changed, key), strict=True)):
            if leaf.axis == -1:
                continue
            if leaf.axis is not None:
                middle = a.shape[leaf.axis] // 2
                kept = slice(middle, None) if late else slice(None, middle)
                a, b = (jnp.moveaxis(v, leaf.axis, 0)[kept] for v in (a, b))
            flags[place] |= _unequal(a, b)
    return flags


def _unequal(a: Any, b: Any) -> Any:
    """Whether values differ by more than another order of sums can explain."""
    if not jnp.issubdtype(a.dtype, jnp.inexact):
        return jnp.any(a != b)
    tolerance = 2e-3
    if jnp.finfo(a.dtype).bits < 32:
        tolerance, a, b = 5e-2, a.astype(jnp.float32), b.astype(jnp.float32)
    scale = jnp.max(jnp.where(jnp.isfinite(a), jnp.abs(a), 0), initial=0)
    same = (a == b) | (jnp.isnan(a) & jnp.isnan(b)) | (jnp.abs(a - b) <= tolerance * scale)
    return ~jnp.all(same)


def _random(rng: np.random.Generator, shape: Sequence[int], dtype: Any, kind: str) -> Any:
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), shape)
    if not jnp.issubdtype(dtype, jnp.inexact):
        # Ids of any table, and both values of a bool.
        return np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    drawn = rng.normal(size=shape) if kind == "normal" else rng.uniform(0.2, 0.8, shape)
    return np.asarray(drawn).astype(dtype)


def elementwise(jaxpr: Any) -> list[Any] | None:
    """The operations of a program of numbers at the same place alone, with their constants; else ``None``."""
    found: list[Any] = [[v.val if hasattr(v, "val") else None for v in jaxpr.outvars]]
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in _CALLS:
            bodies = [getattr(v, "jaxpr", v) for v in equation.params.values() if hasattr(v, "eqns")]
            inner = [elementwise(body) for body in bodies]
            if not inner or None in inner:
                return None
            found.append(inner)
            continue
        shapes = {v.aval.shape for v in equation.invars if not hasattr(v, "val") and v.aval.shape}
        if shapes and (name not in _ELEMENTWISE or shapes != {equation.outvars[0].aval.shape}):
            return None
        if name not in _ELEMENTWISE and name != "broadcast_in_dim":
            return None
        constants = [v.val for v in equation.invars if hasattr(v, "val")]
        numbers = [v for v in equation.params.values() if isinstance(v, int | float)]
        found.append((name, constants, numbers))
    return found
