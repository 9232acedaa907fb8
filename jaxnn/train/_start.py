"""The state that ``fit`` starts from, made by one executable."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax

from jaxnn.train._objective import Objective
from jaxnn.train._reuse import reused
from jaxnn.train._state import TrainState


def created(
    objective: Objective, optimizer: optax.GradientTransformation, key: Any, batch: Any, ema: bool
) -> TrainState:
    """Return ``TrainState.create`` of the arguments, compiled as a whole.

    The numbers agree but for the last digit. Called by itself ``create`` compiles some forty small programs,
    which takes longer than the loop of a small network. An init that looks at numbers, which a compiled one
    cannot, runs as it is.
    """
    try:
        return reused(_compiled, objective, optimizer, ema)(key, batch)
    except jax.errors.JAXTypeError:
        return TrainState.create(objective, optimizer, key, batch, ema=ema)


@functools.lru_cache(maxsize=16)
def _compiled(
    objective: Objective, optimizer: optax.GradientTransformation, ema: bool
) -> Callable[[Any, Any], TrainState]:
    def create(key: Any, batch: Any) -> TrainState:
        return TrainState.create(objective, optimizer, key, batch, ema=ema)

    # It runs once, so that on a CPU the compiler's last refinements cost more than they save.
    hurried = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(create, compiler_options=hurried)
