"""How each primitive moves the axes that hold positions, one rule for each."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

# The axes of an array that hold the axes of positions, in their order; None where the input does not reach.
Places = tuple[int, ...] | None


_ELEMENTWISE = """
abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz complex
conj convert_element_type copy copy_p cos cosh digamma div eq eq_to erf erf_inv erfc exp exp2 expm1 floor ge
gt igamma igamma_grad_a igammac imag integer_pow is_finite le le_to lgamma log log1p logistic lt lt_to max
mesh_cast min mul name ne neg nextafter not optimization_barrier or polygamma population_count pow pvary
random_gamma_grad real reduce_precision regularized_incomplete_beta rem reshard round rsqrt select_n
sharding_constraint shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square
stop_gradient sub tan tanh xor zeta
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())


class MixedPositionsError(Exception):
    """A primitive brings positions together, or is one of which this is not known."""


def agreed(given: Sequence[Places]) -> Places:
    """The places that all have, of those that the input reaches."""
    known = {places for places in given if places is not None}
    if len(known) != 1:
        raise MixedPositionsError
    return known.pop()


def untouched(places: Places, touched: Sequence[int]) -> tuple[int, ...]:
    """The places, none of which may be among the ``touched`` axes."""
    if places is None or set(places) & set(touched):
        raise MixedPositionsError
    return places


def _reduced(equation: Any, given: list[Places]) -> Places:
    axes = equation.params["axes"]
    places = untouched(agreed(given), axes)
    return tuple(place - sum(axis < place for axis in axes) for place in places)


def _along(parameter: str) -> Callable[[Any, list[Places]], Places]:
    """The rule of what acts along one axis, or some, and leaves all others where they are."""

    def rule(equation: Any, given: list[Places]) -> Places:
        axes = equation.params[parameter]
        return untouched(agreed(given), axes if isinstance(axes, tuple) else (axes,))

    return rule


def _broadcast(equation: Any, given: list[Places]) -> Places:
    places = _only(given, 0)
    to, shape = equation.params["broadcast_dimensions"], equation.params["shape"]
    if any(shape[to[place]] != equation.invars[0].aval.shape[place] for place in places):
        raise MixedPositionsError
    return tuple(to[place] for place in places)


def _only(given: list[Places], argument: int) -> tuple[int, ...]:
    """The places of an argument, the only one that the input reaches."""
    places = given[argument]
    if places is None or any(other is not None for i, other in enumerate(given) if i != argument):
        raise MixedPositionsError
    return places


def _transposed(equation: Any, given: list[Places]) -> Places:
    return tuple(equation.params["permutation"].index(place) for place in _only(given, 0))


def _squeezed(equation: Any, given: list[Places]) -> Places:
    axes = equation.params["dimensions"]
    return tuple(place - sum(axis < place for axis in axes) for place in untouched(_only(given, 0), axes))


def _reshaped(equation: Any, given: list[Places]) -> Places:
    """An axis stays one if as many elements stand before it as before, and it has as many of its own.

    Axes of positions in front may also become one, which is then the place of each of them, and later several
    again. Even where those have other sizes the order of elements is the same, so that nothing is mixed
    unless such an axis is touched.
    """
    if equation.params.get("dimensions") is not None:
        raise MixedPositionsError
    old, new = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    places = _only(given, 0)
    if len(places) > len(set(places)):
        return _split(places, old, new)
    found: list[int] = []
    for place in places:
        start = found[-1] + 1 if found else 0
        fits = (
            axis
            for axis in range(start, len(new))
            if new[axis] == old[place] and prod(new[:axis]) == prod(old[:place])
        )
        axis = next(fits, None)
        if axis is None:
            return _merged(places, old, new)
        found.append(axis)
    return tuple(found)


def _merged(places: tuple[int, ...], old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    size = prod(old[place] for place in places)
    if places != tuple(sorted(places)) or prod(old[: places[-1] + 1]) != size or new[:1] != (size,):
        raise MixedPositionsError
    return (0,) * len(places)


def _split(places: tuple[int, ...], old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    """The places of axes that had become the first one."""
    if new[:1] == old[:1]:
        return places
    ends = (end for end in range(1, len(new) + 1) if prod(new[:end]) == old[0])
    found = tuple(axis for axis in range(next(ends, 0)) if new[axis] > 1)
    if len(found) != len(places):
        raise MixedPositionsError
    return found


def _sliced(equation: Any, given: list[Places]) -> Places:
    shape = equation.invars[0].aval.shape
    steps = equation.params["strides"] or (1,) * len(shape)
    whole = zip(equation.params["start_indices"], equation.params["limit_indices"], steps, shape, strict=True)
    cut = [
        axis for axis, (start, stop, step, size) in enumerate(whole) if (start, stop, step) != (0, size, 1)
    ]
    return untouched(_only(given, 0), cut)


def _sliced_somewhere(equation: Any, given: list[Places]) -> Places:
    shape, sizes = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return untouched(_only(given, 0), [axis for axis, size in enumerate(sizes) if size != shape[axis]])


def _updated_somewhere(equation: Any, given: list[Places]) -> Places:
    shape, sizes = equation.invars[0].aval.shape, equation.invars[1].aval.shape
    cut = [axis for axis, size in enumerate(sizes) if size != shape[axis]]
    if any(places is not None for places in given[2:]):
        raise MixedPositionsError
    return untouched(agreed(given[:2]), cut)


def _padded(equation: Any, given: list[Places]) -> Places:
    config = equation.params["padding_config"]
    return untouched(_only(given, 0), [axis for axis, pads in enumerate(config) if tuple(pads) != (0, 0, 0)])


def _multiplied(equation: Any, given: list[Places]) -> Places:
    """A product keeps the axes that it shares and, after them, the free ones of the left and of the right."""
    contracted, shared = equation.params["dimension_numbers"]
    ranks = [len(atom.aval.shape) for atom in equation.invars]
    found: list[Places] = []
    for side, places in enumerate(given):
        if places is None:
            continue
        untouched(places, contracted[side])
        free = [axis for axis in range(ranks[side]) if axis not in (*contracted[side], *shared[side])]
        before = len(shared[side])
        if side == 1:
            before += ranks[0] - len(contracted[0]) - len(shared[0])
        order = {axis: i for i, axis in enumerate(shared[side])} | {
            axis: before + i for i, axis in enumerate(free)
        }
        found.append(tuple(order[place] for place in places))
    if len(found) == 2 and any(place >= len(shared[0]) for places in found for place in places or ()):
        # Every pair of a free axis on the left with one on the right is formed.
        raise MixedPositionsError
    return agreed(found)


def _scattered(equation: Any, given: list[Places]) -> Places:
    numbers = equation.params["dimension_numbers"]
    shape, sizes = equation.invars[0].aval.shape, equation.invars[2].aval.shape
    outside = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    inside = [axis for axis in range(len(shape)) if axis not in outside]
    to = dict(zip(numbers.update_window_dims, inside, strict=True))
    cut = [axis for place, axis in to.items() if sizes[place] != shape[axis]]
    touched = [*outside, *cut, *numbers.scatter_dims_to_operand_dims]
    operand, indices, updates = given
    if indices is not None or (updates is not None and any(place not in to for place in updates)):
        raise MixedPositionsError
    moved = None if updates is None else tuple(to[place] for place in updates)
    return untouched(agreed([operand, moved]), touched)


def _transformed(equation: Any, given: list[Places]) -> Places:
    rank = len(equation.invars[0].aval.shape)
    return untouched(_only(given, 0), range(rank - len(equation.params["fft_lengths"]), rank))


def _ranked(equation: Any, given: list[Places]) -> Places:
    rank = len(equation.invars[0].aval.shape)
    return untouched(_only(given, 0), [equation.params.get("axis", rank - 1)])


def _stacked(equation: Any, given: list[Places]) -> Places:
    axis = equation.params["axis"]
    return tuple(place + (place >= axis) for place in untouched(agreed(given), []))


def _unstacked(equation: Any, given: list[Places]) -> Places:
    axis = equation.params["axis"]
    return tuple(place - (place > axis) for place in untouched(_only(given, 0), [axis]))


def _gathered(equation: Any, given: list[Places]) -> Places:
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    shape = equation.invars[0].aval.shape
    out = len(equation.outvars[0].aval.shape)
    found: list[Places] = []
    if given[0] is not None:
        kept = [
            axis
            for axis in range(len(shape))
            if axis not in numbers.collapsed_slice_dims and axis not in numbers.operand_batching_dims
        ]
        to = dict(zip(kept, numbers.offset_dims, strict=True))
        indexed = [axis for axis in kept if sizes[axis] != shape[axis] or axis in numbers.start_index_map]
        pairs = dict(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True))
        places = untouched(given[0], [*indexed, *numbers.collapsed_slice_dims])
        if given[1] is not None and any(place not in pairs for place in places):
            raise MixedPositionsError
        batch = [axis for axis in range(out) if axis not in numbers.offset_dims]
        found.append(tuple(batch[pairs[place]] if place in pairs else to[place] for place in places))
    if given[1] is not None:
        rank = len(equation.invars[1].aval.shape)
        batch = [axis for axis in range(out) if axis not in numbers.offset_dims]
        found.append(tuple(batch[place] for place in untouched(given[1], [rank - 1])))
    return agreed(found)


RULES: dict[str, Callable[[Any, list[Places]], Places]] = {
    **dict.fromkeys(("argmax", "argmin"), _reduced),
    **dict.fromkeys(
        [f"reduce_{name}" for name in ("sum", "max", "min", "prod", "and", "or", "xor")], _reduced
    ),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), _along("axis")),
    "sort": _along("dimension"),
    "concatenate": _along("dimension"),
    "split": _along("axis"),
    "rev": _along("dimensions"),
    "broadcast_in_dim": _broadcast,
    "transpose": _transposed,
    "squeeze": _squeezed,
    "reshape": _reshaped,
    "slice": _sliced,
    "dynamic_slice": _sliced_somewhere,
    "dynamic_update_slice": _updated_somewhere,
    "pad": _padded,
    "dot_general": _multiplied,
    "gather": _gathered,
    "fft": _transformed,
    "stack": _stacked,
    "top_k": _ranked,
    "unstack": _unstacked,
    **dict.fromkeys(("scatter", "scatter-add", "scatter_add", "scatter_mul"), _scattered),
}
