"""The state that ``fit`` starts from, made by one executable."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.core import kept
from jaxnn.train._objective import Objective
from jaxnn.train._state import TrainState


def created(
    objective: Objective, optimizer: optax.GradientTransformation, key: Any, batch: Any, ema: bool
) -> TrainState:
    """Return ``TrainState.create`` of the arguments, compiled as a whole.

    The numbers agree but for the last digit. Called by itself ``create`` compiles some forty small programs,
    which takes longer than the loop of a small network. An init that looks at numbers, which a compiled one
    cannot, runs as it is, and so does one that brings weights along or places them on devices: compiled they
    would be those of the first run, and stand wherever the compiler puts them.
    """
    # It runs once, so that on a CPU the compiler's last refinements cost more than they save.
    hurried = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    create = kept(objective, _create, optimizer, ema, most=8, compiler_options=hurried)
    try:
        free = _is_free(create.trace(key, batch).jaxpr)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        free = False
    if free:
        return create(key, batch)
    return TrainState.create(objective, optimizer, key, batch, ema=ema)


def _is_free(program: Any) -> bool:
    """Whether a traced program reads no arrays but its arguments, hashes of names aside, and places none."""
    consts = getattr(program, "consts", ())
    if any(isinstance(const, jax.Array) or jnp.issubdtype(const.dtype, jnp.inexact) for const in consts):
        return False
    for equation in getattr(program, "jaxpr", program).eqns:
        if equation.primitive.name in ("device_put", "sharding_constraint"):
            return False
        inner = jax.tree.leaves(list(equation.params.values()))
        if not all(_is_free(part) for part in inner if hasattr(part, "eqns")):
            return False
    return True


def _create(
    objective: Objective, optimizer: optax.GradientTransformation, ema: bool
) -> Callable[[Any, Any], TrainState]:
    def create(key: Any, batch: Any) -> TrainState:
        return TrainState.create(objective, optimizer, key, batch, ema=ema)

    return create
