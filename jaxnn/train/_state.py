"""Everything that training carries, in one pytree."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.core import check_key, fold_name, wide_dtype
from jaxnn.train._objective import Objective


class TrainState(NamedTuple):
    """The whole of a run between two steps; saving it is saving the run.

    Attributes:
        params: what is differentiated.
        state: what is carried beside (running statistics).
        opt_state: the optimizer's.
        key: the run's key; step ``t`` uses ``fold_in(key, t)``, so any step can be replayed.
        step: number of steps taken, int32.
        ema: exponential moving average of ``params``, in float32 at least, or ``None``.
    """

    params: Any
    state: Any
    opt_state: Any
    key: Any
    step: Any
    ema: Any = None

    @classmethod
    def create(
        cls,
        objective: Objective,
        optimizer: optax.GradientTransformation,
        key: Any,
        batch: Any,
        *,
        ema: bool = False,
    ) -> "TrainState":
        """Initialise a run from a key and one batch, or its spec.

        Raises:
            TypeError: ``key`` is not a typed key.

        Example:
            >>> import jax, jax.numpy as jnp
            >>> import jaxnn as nn
            >>> from jaxnn import losses, optim, train
            >>> task = train.supervised(nn.dense(1), losses.squared_error)
            >>> batch = jnp.ones((4, 2)), jnp.ones((4, 1))
            >>> state = train.TrainState.create(task, optim.sgd(0.1), jax.random.key(0), batch)
            >>> int(state.step), state.params["kernel"].shape
            (0, (2, 1))
        """
        check_key("TrainState.create", key)
        # Compiled loops consume their state, and what init returns may be the caller's own arrays.
        made = objective.init(fold_name(key, "init", "model"), batch)
        params, state = jax.tree.map(_owned, made)
        average = None
        if ema:
            average = jax.tree.map(lambda p: jnp.array(p, wide_dtype(p.dtype)), params)
        run_key = fold_name(key, "apply", "model")
        return cls(params, state, optimizer.init(params), run_key, jnp.zeros((), jnp.int32), average)


def _owned(leaf: Any) -> Any:
    """Return a copy without weak type, which would change after the first step and compile it again."""
    if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key):
        return jnp.copy(leaf)
    return jnp.array(leaf, jnp.result_type(leaf))
