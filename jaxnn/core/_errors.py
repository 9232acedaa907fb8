"""What every layer checks and how it says so: name, argument, expected, got, remedy.

Checks read shapes, dtypes and Python numbers only, so that they cost nothing once a function is
compiled, and skip traced values, so that ``vmap`` over a rate or a learning rate works.
"""

import contextlib
import math
import operator
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core._spec import describe, is_traced

_NOTE = "in layer: "


@contextlib.contextmanager
def child_scope(name: str) -> Iterator[None]:
    """Name what runs inside: a path in error notes, and a scope in profiles and jaxprs.

    An exception keeps its type and traceback and gains one note, ``in layer: stem.dense_0``,
    which grows by a name at every level that it passes through.
    """
    try:
        with jax.named_scope(name):
            yield
    except Exception as error:
        # JAX adds notes of its own after ours.
        notes = getattr(error, "__notes__", [])
        ours = next((place for place, note in enumerate(notes) if note.startswith(_NOTE)), None)
        if ours is None:
            error.add_note(f"{_NOTE}{name}")
        else:
            notes[ours] = f"{_NOTE}{name}.{notes[ours][len(_NOTE) :]}"
        raise


def positive_int(owner: str, argument: str, value: Any) -> int:
    """Return ``value`` as an int of at least 1, or raise naming ``owner`` and ``argument``."""
    number = _integer(owner, argument, value, "a positive int")
    if number < 1:
        raise ValueError(f"{owner}: {argument} must be a positive int, got {number}; use 1 or more")
    return number


def _integer(owner: str, argument: str, value: Any, expected: str) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{owner}: {argument} must be {expected}, got bool {value}; write a number")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{owner}: {argument} must be {expected}, got {describe(value)}; pass a whole number"
        ) from None


def positive_ints(owner: str, argument: str, value: Any, rank: int | None = None) -> tuple[int, ...]:
    """Return ``value`` as a tuple of positive ints; an int stands for ``rank`` equal ones."""
    if rank is not None and not isinstance(value, tuple | list):
        return (positive_int(owner, argument, value),) * rank
    if not isinstance(value, tuple | list) or not value:
        raise TypeError(
            f"{owner}: {argument} must be a tuple of positive ints, got {describe(value)}; "
            "its length is the number of spatial axes, as in (3, 3)"
        )
    if rank is not None and len(value) != rank:
        raise ValueError(f"{owner}: {argument} must have {rank} entries, got {len(value)}: {tuple(value)}")
    return tuple(positive_int(owner, argument, v) for v in value)


def probability(owner: str, argument: str, value: Any) -> Any:
    """Return ``value`` if it is traced or lies in [0, 1), else raise."""
    if is_traced(value):
        return value
    number = _real(owner, argument, value)
    if not 0.0 <= number < 1.0:
        raise ValueError(
            f"{owner}: {argument} is the probability of dropping and must be in [0, 1), got {number}"
        )
    return value


def non_negative(owner: str, argument: str, value: Any, positive: bool = False) -> Any:
    """Return ``value`` if it is traced, or finite and at least 0 (above 0 if ``positive``)."""
    if is_traced(value):
        return value
    number = _real(owner, argument, value)
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        bound = "positive" if positive else "non-negative"
        raise ValueError(f"{owner}: {argument} must be a finite {bound} number, got {number}")
    return value


def _real(owner: str, argument: str, value: Any) -> float:
    if isinstance(value, bool | str) or (hasattr(value, "shape") and value.shape != ()):
        raise TypeError(f"{owner}: {argument} must be a number, got {describe(value)}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}: {argument} must be a number, got {describe(value)}") from None


def one_of(owner: str, argument: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return ``value`` if it is among ``choices``, else raise with the nearest choice."""
    if value not in choices:
        import difflib

        near = difflib.get_close_matches(str(value), [str(c) for c in choices], 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{owner}: {argument} must be one of {listed}, got {value!r}{hint}")
    return value


def check_train(owner: str, train: Any) -> None:
    """Raise unless ``train`` is a Python bool."""
    if not isinstance(train, bool):
        raise TypeError(
            f"{owner}: train must be a Python bool, got {describe(train)}; it is static: bind it with "
            "nn.mode(model, train=True) or functools.partial before jit, vmap or checkpoint"
        )


def check_floating(owner: str, x: Any) -> None:
    """Raise unless ``x`` is one floating-point array."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(f"{owner}: expected one array as input, got {describe(x)}")
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(
            f"{owner}: expected a floating-point input, got {describe(x)}; "
            "convert it first, as in x.astype(jnp.float32)"
        )


def check_min_rank(owner: str, x: Any, rank: int, axes: str) -> None:
    """Raise unless ``x`` is one array with at least ``rank`` axes; ``axes`` names them in the message."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(f"{owner}: expected one array as input, got {describe(x)}")
    if len(x.shape) < rank:
        raise ValueError(f"{owner}: expected input {axes} with at least {rank} axes, got {describe(x)}")
