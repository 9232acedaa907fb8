"""Hyper-parameters of the update rules: their checks, the learning rate at a step, and bias correction.

A hyper-parameter is a Python float once it has been checked, or the tracer it came as. Floats stay Python floats all the
way into a rule, so that ``1 - b2`` is formed in double precision whatever the precision of the parameters.
"""

import difflib
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

Scalar = float | jax.Array
ScalarLike = float | np.ndarray | jax.Array
Schedule = Callable[[jax.Array], ScalarLike]
LearningRate = ScalarLike | Schedule


def scalar(rule: str, name: str, value: ScalarLike) -> Scalar:
    """Return ``value`` as a Python float if it is concrete, and as the tracer it is otherwise.

    Args:
      rule: the update rule that the message names.
      name: the argument that the message names.
      value: a number, or an array of shape ``[]``.

    Raises:
      TypeError: ``value`` is not a real number.
      ValueError: ``value`` is an array with more than one element, infinite or not a number.
    """
    if isinstance(value, jax.core.Tracer):
        if value.shape != ():
            raise ValueError(f"{rule}: {name} must be a scalar, got shape {value.shape}; use vmap to sweep over it")
        return value
    if isinstance(value, (bool, str)) or value is None:
        raise TypeError(f"{rule}: {name} must be a number, got {value!r}")
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{rule}: {name} must be a number, got {value!r}") from error
    if array.shape != ():
        raise ValueError(f"{rule}: {name} must be a scalar, got shape {array.shape}; use vmap to sweep over it")
    number = float(array)
    if not math.isfinite(number):
        raise ValueError(f"{rule}: {name} must be finite, got {number}")
    return number


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


def rate(rule: str, value: LearningRate, name: str = "learning_rate") -> Scalar | Schedule:
    """Check a learning rate: a float, a schedule (a callable of the step), or a traced value."""
    if callable(value):
        return value
    if value is None or isinstance(value, (bool, str)):
        raise TypeError(f"{rule}: {name} must be a number or a schedule (a callable of the step), got {value!r}")
    return non_negative(rule, name, value)


def at_step(value: Scalar | Schedule, count: jax.Array) -> Scalar:
    """Return the learning rate at ``count``, the number of updates made before this one."""
    if callable(value):
        found = value(count)
        return found if isinstance(found, float) else jnp.asarray(found)
    return value


def choice(rule: str, name: str, value: str, choices: Sequence[str]) -> str:
    """Check that ``value`` is one of ``choices``; the message suggests the nearest."""
    if value in choices:
        return value
    near = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{rule}: unknown {name} {value!r}, expected one of {', '.join(map(repr, choices))}{hint}")


def increment(count: jax.Array) -> jax.Array:
    """Add one to the step counter, which stays at its largest value rather than wrap."""
    return count + (count < jnp.iinfo(count.dtype).max).astype(count.dtype)


def log_of(decay: Scalar) -> Scalar:
    """Return ``log(decay)``, in double precision where ``decay`` is concrete."""
    if isinstance(decay, float):
        return math.log(decay) if decay > 0.0 else -math.inf
    return jnp.log(decay)


def bias_correction(decay: Scalar, step: jax.Array) -> jax.Array:
    """Return ``1 - decay**step`` without cancellation, for a step counted from one.

    In float32 ``1 - 0.999**step`` loses up to five digits at the first steps; ``-expm1(step * log(decay))`` loses none.
    """
    exponent = log_of(decay)
    dtype = jnp.result_type(float) if isinstance(exponent, float) else exponent.dtype
    return -jnp.expm1(step.astype(dtype) * exponent)
