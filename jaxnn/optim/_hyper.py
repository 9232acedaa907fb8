"""Hyper-parameters of the update rules: their checks, their value at a step, and bias correction.

A hyper-parameter is a Python float once it has been checked, or the tracer it came as. Floats stay Python
floats all the way into a rule, so that ``1 - b2`` is formed in double precision whatever the precision of
the parameters.
"""

import difflib
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

Scalar = float | jax.Array
ScalarLike = float | np.number | np.ndarray | jax.Array
# As optax types its schedules: what is given is an array, and what comes back may be anything array-like.
Schedule = Callable[[jax.Array], ArrayLike]
ScalarOrSchedule = ScalarLike | Schedule


def scalar(rule: str, name: str, value: ScalarLike) -> Scalar:
    """Return ``value`` as a Python float if it is concrete, and as the tracer it is otherwise.

    Args:
      rule: the update rule that messages name.
      name: the argument that messages name.
      value: a number, or an array of shape ``[]``.

    Raises:
      TypeError: ``value`` is not a real number.
      ValueError: ``value`` has more than one element, is infinite, or is not a number.
    """
    if isinstance(value, (bool, str)) or value is None:
        raise TypeError(f"{rule}: {name} must be a number, got {value!r}")
    if isinstance(value, jax.Array) and isinstance(value, Tracer):
        _check_shape(rule, name, value.shape)
        return value
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{rule}: {name} must be a number, got {value!r}") from error
    _check_shape(rule, name, array.shape)
    number = float(array)
    if not math.isfinite(number):
        raise ValueError(f"{rule}: {name} must be finite, got {number}")
    return number


def _check_shape(rule: str, name: str, shape: tuple[int, ...]) -> None:
    if shape != ():
        raise ValueError(f"{rule}: {name} must be a scalar, got shape {shape}; sweep over it with vmap")


def fraction(rule: str, name: str, value: ScalarLike) -> Scalar:
    """Check a decay rate: in ``[0, 1)`` where it is concrete."""
    number = scalar(rule, name, value)
    if isinstance(number, float) and not 0.0 <= number < 1.0:
        raise ValueError(f"{rule}: {name} must be in [0, 1), got {number}")
    return number


def non_negative(rule: str, name: str, value: ScalarLike) -> Scalar:
    """Check a term such as ``eps``: zero or more where it is concrete."""
    number = scalar(rule, name, value)
    if isinstance(number, float) and number < 0.0:
        raise ValueError(f"{rule}: {name} must be zero or more, got {number}")
    return number


def positive(rule: str, name: str, value: ScalarLike) -> Scalar:
    """Check a term that must be above zero where it is concrete."""
    number = scalar(rule, name, value)
    if isinstance(number, float) and number <= 0.0:
        raise ValueError(f"{rule}: {name} must be above zero, got {number}")
    return number


def count(rule: str, name: str, value: int, at_least: int) -> int:
    """Check a static count, such as a number of iterations."""
    if isinstance(value, Tracer):
        raise TypeError(
            f"{rule}: {name} decides shapes or loops and cannot be traced; "
            "with optax.inject_hyperparams, name it in static_args"
        )
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{rule}: {name} must be an integer, got {value!r}")
    number = operator.index(value)
    if number < at_least:
        raise ValueError(f"{rule}: {name} must be at least {at_least}, got {number}")
    return number


@dataclass(frozen=True)
class Scheduled:
    """A schedule, with the rule and the argument that messages name."""

    rule: str
    name: str
    schedule: Schedule

    def at(self, step: jax.Array) -> jax.Array:
        """Return the rate of a step, ``[]``.

        The schedule is called under JAX's standard promotion, since most of optax's mix an integer step with
        floats, which strict promotion forbids.
        """
        with jax.numpy_dtype_promotion("standard"):
            # Of an int32 step optax makes a float32 rate, even where float64 is enabled.
            now = self.schedule(step.astype(jnp.result_type(int)))
        if jnp.shape(now) != ():
            raise ValueError(
                f"{self.rule}: {self.name} is a schedule and must return a scalar, got shape "
                f"{jnp.shape(now)}; sweep over rates with vmap"
            )
        return jnp.asarray(now, dtype=jnp.result_type(float))


def rate(rule: str, value: ScalarOrSchedule, name: str = "learning_rate") -> Scalar | Scheduled:
    """Check a rate: a number that is zero or more, a schedule (a callable of the step), or a traced value."""
    if callable(value):
        return Scheduled(rule, name, value)
    if isinstance(value, (bool, str)) or value is None:
        raise TypeError(
            f"{rule}: {name} must be a number or a schedule (a callable of the step), got {value!r}"
        )
    return non_negative(rule, name, value)


def counter(*rates: Scalar | Scheduled) -> jax.Array | None:
    """Return the step counter of a new state, or ``None`` where no rate is a schedule that asks for it."""
    return jnp.zeros((), jnp.int32) if any(isinstance(value, Scheduled) for value in rates) else None


def at_step(value: Scalar | Scheduled, step: jax.Array | None) -> jax.Array:
    """Return a rate as an array of shape ``[]`` after ``step`` updates.

    An array even where it is constant, so that eager use does not compile anew for every learning rate.

    Raises:
      ValueError: the rate is a schedule, and the state counts no steps or its value is no scalar.
    """
    if not isinstance(value, Scheduled):
        return jnp.asarray(value, dtype=jnp.result_type(float))
    if step is None:
        raise ValueError(
            f"{value.rule}: {value.name} is a schedule, and the state counts no steps; make the state by "
            "init of this rule, and not by that of one with a constant rate"
        )
    return value.at(step)


def choice(rule: str, name: str, value: str, choices: Iterable[str]) -> str:
    """Check that ``value`` is one of ``choices``; the message suggests the nearest."""
    known = tuple(choices)
    if value in known:
        return value
    near = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{rule}: unknown {name} {value!r}, expected one of {', '.join(map(repr, known))}{hint}")


def increment(step: jax.Array) -> jax.Array:
    """Add one to a step counter, which stays at its largest value rather than wrap."""
    return step + (step < jnp.iinfo(step.dtype).max).astype(step.dtype)


def increment_if_any(step: jax.Array | None) -> jax.Array | None:
    """Add one to a step counter, if there is one."""
    return None if step is None else increment(step)


def log(decay: Scalar) -> Scalar:
    """Return the logarithm, in double precision where ``decay`` is concrete."""
    if isinstance(decay, float):
        return math.log(decay) if decay > 0.0 else -math.inf
    return jnp.log(decay)


def bias_factors(step: jax.Array, *decays: Scalar) -> tuple[jax.Array, ...]:
    """Return ``1 / (1 - decay**step)`` for each decay without cancellation, for a step counted from one.

    In float32 ``1 - 0.999**step`` loses up to five digits at the first steps; ``-expm1(step * log(decay))``
    loses none. All are formed at once, and inverted at once: every small operation of its own costs
    milliseconds of compilation.
    """
    dtype = jnp.result_type(float)
    logs = [log(decay) for decay in decays]
    concrete = all(isinstance(each, float) for each in logs)
    exponents = (
        np.asarray(logs, dtype) if concrete else jnp.stack([jnp.asarray(each, dtype) for each in logs])
    )
    factors = -1 / jnp.expm1(step.astype(dtype) * exponents)
    return tuple(jax.lax.index_in_dim(factors, i, keepdims=False) for i in range(len(decays)))
