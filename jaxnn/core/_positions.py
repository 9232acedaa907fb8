"""Whether a program acts on each position alone: found by following positions through its jaxpr.

An array's shape does not tell: ``v - v.mean()`` keeps it and mixes every position into every other. So the
axes that hold positions are followed from the input to the outputs, through each primitive by a rule of its
own; where there is none, or a position meets another one, the program is taken to mix.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxnn.core._position_rules import ELEMENTWISE, RULES, MixedPositionsError, Places, agreed, untouched

_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2")
_CALLS += ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")


def acts_by_position(program: Callable[[Any], Any], value: Any, axes: int) -> bool:
    """Whether outputs of ``program(value)`` are ``[positions, ...]``, each from the same one of ``value``.

    Args:
        program: function of one array, to any pytree.
        value: array or spec whose first ``axes`` axes are positions.
        axes: how many.
    """
    jaxpr: Any = jax.make_jaxpr(program)(value).jaxpr
    if any(out.aval.shape[:axes] != value.shape[:axes] for out in jaxpr.outvars):
        return False
    # A single position has no other one to meet.
    first = tuple(axis for axis in range(axes) if value.shape[axis] > 1)
    try:
        # Without positions, or without any number, there is nothing to mix.
        return 0 in value.shape or not first or set(_through(jaxpr, [first])) <= {None, first}
    except MixedPositionsError:
        return False


def _through(jaxpr: Any, inputs: Sequence[Places]) -> list[Places]:
    """Where the outputs of a jaxpr hold positions, given where its inputs do."""
    places: dict[Any, Places] = dict(zip(jaxpr.invars, inputs, strict=True))

    def at(atom: Any) -> Places:
        return None if hasattr(atom, "val") else places.get(atom)

    for equation in jaxpr.eqns:
        given = [at(atom) for atom in equation.invars]
        found = [None] * len(equation.outvars) if not any(given) else _equation(equation, given)
        places.update(zip(equation.outvars, found, strict=True))
    return [at(atom) for atom in jaxpr.outvars]


def _equation(equation: Any, given: list[Places]) -> list[Places]:
    name = equation.primitive.name
    if name in ELEMENTWISE:
        found = agreed(given)
    elif name in RULES:
        found = RULES[name](equation, given)
    elif name in _LOOPS:
        return _LOOPS[name](equation, given)
    elif name in _CALLS:
        inner = next(
            equation.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in equation.params
        )
        return _through(getattr(inner, "jaxpr", inner), given)
    else:
        raise MixedPositionsError
    return [found] * len(equation.outvars)


def _chosen(equation: Any, given: list[Places]) -> list[Places]:
    index, *operands = given
    if index is not None:
        raise MixedPositionsError
    branches = [_through(branch.jaxpr, operands) for branch in equation.params["branches"]]
    return [_joined(outputs) for outputs in zip(*branches, strict=True)]


def _joined(given: Sequence[Places]) -> Places:
    """The places of one of several values; where the input does not reach, they are wherever they must be."""
    return None if all(places is None for places in given) else agreed(given)


def _settled(body: Callable[[list[Places]], list[Places]], carry: list[Places]) -> list[Places]:
    """The places in a loop's carry, which what goes round may reach only after some turns."""
    while True:
        after = [_joined(pair) for pair in zip(carry, body(carry), strict=True)]
        if after == carry:
            return carry
        carry = after


def _scanned(equation: Any, given: list[Places]) -> list[Places]:
    jaxpr = equation.params["jaxpr"].jaxpr
    # What is scanned or stacked has an axis more outside of the loop than inside; constants come first.
    carries = sum(_as_wide(*pair) for pair in zip(equation.outvars, jaxpr.outvars, strict=True))
    consts = sum(_as_wide(*pair) for pair in zip(equation.invars, jaxpr.invars, strict=True)) - carries
    rest = given[consts + carries :]
    # The axis that is scanned is the first.
    slices = [None if places is None else tuple(i - 1 for i in untouched(places, [0])) for places in rest]

    def body(carry: list[Places]) -> list[Places]:
        return _through(jaxpr, [*given[:consts], *carry, *slices])

    carry = _settled(lambda carry: body(carry)[:carries], given[consts : consts + carries])
    stacked = [None if places is None else tuple(i + 1 for i in places) for places in body(carry)[carries:]]
    return [*carry, *stacked]


def _as_wide(outer: Any, inner: Any) -> bool:
    return len(outer.aval.shape) == len(inner.aval.shape)


def _looped(equation: Any, given: list[Places]) -> list[Places]:
    tests, consts = equation.params["cond_nconsts"], equation.params["body_nconsts"]
    body = equation.params["body_jaxpr"].jaxpr
    inner = given[tests : tests + consts]
    carry = _settled(lambda carry: _through(body, [*inner, *carry]), given[tests + consts :])
    if _through(equation.params["cond_jaxpr"].jaxpr, [*given[:tests], *carry]) != [None]:
        raise MixedPositionsError
    return carry


_LOOPS: dict[str, Callable[[Any, list[Places]], list[Places]]] = {
    "cond": _chosen,
    "scan": _scanned,
    "while": _looped,
}
