"""Floating-point operations counted from a jaxpr, through scans, branches and calls."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.inspect._graph_trace import operation_of

_MOVES = (
    "broadcast_in_dim reshape transpose squeeze expand_dims slice dynamic_slice dynamic_update_slice "
    "concatenate pad rev gather iota convert_element_type bitcast_convert_type copy stop_gradient "
    "select_n split"
)
_RANDOM = "random_bits random_seed random_wrap random_unwrap random_fold_in random_split threefry2x32"
_FREE = frozenset(f"{_MOVES} {_RANDOM}".split())
_COMPARISONS = frozenset(("ge", "gt", "le", "lt"))
_REDUCTIONS = frozenset(
    ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "argmax", "argmin", "cumsum", "cumprod")
)


def count_flops(closed: Any) -> Counter[tuple[str, ...]]:
    """Count operations by the path of named scopes in which they stand.

    A product of matrices and a convolution count 2 for each multiply-add, elementwise arithmetic,
    comparisons and reductions 1 for each element; moving data is free. A ``scan`` counts its body once
    for each turn, a ``cond`` its most expensive branch, a ``while`` loop, whose turns are not known, one
    turn. What is counted is what runs: a convolution counts the padding that its formulation adds on
    a CPU, too.

    Args:
        closed: what ``jax.make_jaxpr`` returns.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for path, count in _walk(closed.jaxpr, (), 1):
        found[path] += count
    return found


def _walk(jaxpr: Any, outer: tuple[str, ...], times: int) -> Iterator[tuple[tuple[str, ...], int]]:
    platform_indices = {
        id(var) for eqn in jaxpr.eqns if eqn.primitive.name == "platform_index" for var in eqn.outvars
    }
    for eqn in jaxpr.eqns:
        scopes = str(eqn.source_info.name_stack)
        path = (*outer, *_names(scopes)) if scopes else outer
        name = eqn.primitive.name
        if name == "cond":
            branches = eqn.params["branches"]
            if id(eqn.invars[0]) in platform_indices:
                chosen = branches[-1]
            else:
                chosen = max(branches, key=lambda branch: sum(count_flops(branch).values()))
            yield from _walk(chosen.jaxpr, path, times)
        elif inner := list(_inner(eqn)):
            turns = eqn.params["length"] if name == "scan" else 1
            for sub in inner:
                yield from _walk(sub, path, times * turns)
            if operation_of(eqn) == "small_product":
                # Written out, a product has one addition less for each number than is counted for others.
                yield path, times * eqn.outvars[0].aval.size
        else:
            yield path, times * _operations(name, eqn)


def _names(scopes: str) -> list[str]:
    """Return the names of a stack of scopes, without the transformations around them (``vmap(name)``)."""
    names = [re.sub(r"^(?:\w+\()+|\)+$", "", scope) for scope in scopes.split("/")]
    return [name for name in names if name]


def _inner(eqn: Any) -> Iterator[Any]:
    """Yield the jaxprs that an equation runs; of a custom rule, the function itself alone."""
    if eqn.primitive.name == "while":
        yield eqn.params["body_jaxpr"].jaxpr
        return
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        sub = eqn.params.get(key)
        if sub is not None:
            yield getattr(sub, "jaxpr", sub)
            return


def _operations(name: str, eqn: Any) -> int:
    out = eqn.outvars[0].aval if eqn.outvars else None
    if out is None or name in _FREE or not hasattr(out, "shape"):
        return 0
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2 * out.size * math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, numbers = eqn.invars[1].aval, eqn.params["dimension_numbers"]
        return 2 * out.size * kernel.size // kernel.shape[numbers.rhs_spec[0]]
    if name in _REDUCTIONS or name.startswith("reduce_window"):
        size = eqn.invars[0].aval.size
        window = math.prod(eqn.params.get("window_dimensions", ()))
        return out.size * window if "window_dimensions" in eqn.params else size
    counted = eqn.invars[0].aval if name in _COMPARISONS else out
    return out.size if jnp.issubdtype(counted.dtype, jnp.inexact) else 0


def flops_of(function: Any, *specs: Any) -> Counter[tuple[str, ...]]:
    """Count the operations of ``function`` on specs, without running it."""
    return count_flops(jax.make_jaxpr(function)(*specs))
