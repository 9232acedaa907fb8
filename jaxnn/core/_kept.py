"""Compiled functions of a layer, a cell or an objective, which live and die with it.

``jax.jit`` with a layer as a static argument would keep every layer that it was ever called with, its
programs and all that it closes over, in caches that belong to the process. Here each object has its own,
which go when it does, and hold a bounded number of programs while it lives.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

_KEPT = "_kept"
# Sets of arguments for which an owner keeps one kind of function.
_VARIANTS = 8
_lock = threading.Lock()


class _Program(NamedTuple):
    """A compiled function and the number of its traces, each of which makes a program."""

    compiled: Callable[..., Any]
    traces: list[None]


def kept(
    owner: Any, build: Callable[..., Callable[..., Any]], *arguments: Any, most: int = 16, **options: Any
) -> Any:
    """Return ``jax.jit(build(owner, *arguments), **options)``, at the next call the same function.

    It is kept with ``owner``, by identity, and is let go when there are more than ``most`` programs in it
    (one for each shape of its arguments), or eight others that were used later; callers take it anew for
    each use. An ``owner`` or ``arguments`` without a hash, as any plain dataclass is, may change between two
    calls, and the function is built for each.

    Args:
        owner: a ``Layer``, ``Cell`` or other object with attributes.
        build: a function of a module: ``(owner, *arguments) -> function``.
        arguments: what else the function depends on.
        most: programs after which to begin anew.
        options: of ``jax.jit``.
    """
    if not _is_hashable(owner, *arguments):
        return jax.jit(build(owner, *arguments), **options)
    with _lock:
        kinds = vars(owner).get(_KEPT)
        if kinds is None:
            kinds = {}
            # Owners are frozen; this is no part of what they are and how they compare.
            object.__setattr__(owner, _KEPT, kinds)
        variants = kinds.setdefault(build, OrderedDict())
        program = variants.pop(arguments, None)
        if program is None or len(program.traces) > most:
            program = _compiled(build(without_kept(owner), *arguments), options)
        variants[arguments] = program
        if len(variants) > _VARIANTS:
            variants.popitem(last=False)
        return program.compiled


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> _Program:
    traces: list[None] = []

    @functools.wraps(function)
    def counted(*arguments: Any) -> Any:
        traces.append(None)
        return function(*arguments)

    return _Program(jax.jit(counted, **options), traces)


def without_kept(owner: Any) -> Any:
    """Return an equal object that keeps no functions, for them to hold; ``owner`` would be in a cycle."""
    twin = object.__new__(type(owner))
    vars(twin).update((name, value) for name, value in vars(owner).items() if name != _KEPT)
    return twin


def _is_hashable(*values: Any) -> bool:
    """Whether all ``values`` can be keys; a frozen dataclass or a tuple can be only if what it holds can."""
    try:
        hash(values)
    except TypeError:
        return False
    return True
