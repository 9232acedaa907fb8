"""Whether a state to go on from is one of this objective and this optimizer."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnn.core import describe, spec_of
from jaxnn.train._objective import Objective
from jaxnn.train._state import TrainState


def check_train_state(
    objective: Objective, optimizer: optax.GradientTransformation, train_state: TrainState, batch: Any
) -> None:
    """Raise unless every array of ``train_state`` has the place and shape that ``create`` would give it.

    Dtypes are left to the caller: parameters may have been cast to another precision.

    Raises:
        TypeError: an entry is no array.
        ValueError: an entry is missing, too much, or of another shape.
    """
    _check_step_and_key(train_state)
    key = jax.eval_shape(jax.random.key, 0)
    try:
        params, state = jax.eval_shape(objective.init, key, spec_of(batch))
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        # An init that looks at numbers needs some.
        params, state = objective.init(jax.random.key(0), batch)
    _compare("params", params, train_state.params, "the objective")
    _compare("state", state, train_state.state, "the objective")
    if train_state.ema is not None:
        _compare("ema", params, train_state.ema, "the objective")
    rule = jax.eval_shape(optimizer.init, train_state.params)
    _compare("opt_state", rule, train_state.opt_state, "the optimizer")


_REMEDY = "pass the train_state of a run of this model and optimizer, or leave it out to start anew"


def _check_step_and_key(train_state: TrainState) -> None:
    step, key = train_state.step, train_state.key
    if jnp.shape(step) or not jnp.issubdtype(jnp.result_type(step), jnp.integer):
        raise ValueError(f"fit: expected one integer as step in train_state, got {describe(step)}; {_REMEDY}")
    if jnp.shape(key):
        raise ValueError(f"fit: expected one key in train_state, got {describe(key)}; {_REMEDY}")


def _compare(name: str, expected: Any, found: Any, owner: str) -> None:
    wanted, given = _by_path(expected), _by_path(found)
    for path in [*wanted, *given]:
        place = f"{name}{path}"
        if path not in given:
            raise ValueError(
                f"fit: {owner} expects {place} {_written(wanted[path])} in train_state, got none; {_REMEDY}"
            )
        if path not in wanted:
            raise ValueError(
                f"fit: {owner} expects no {place} in train_state, got {describe(given[path])}; {_REMEDY}"
            )
        if not hasattr(given[path], "shape") and not isinstance(given[path], bool | int | float):
            raise TypeError(
                f"fit: {owner} expects {place} as an array in train_state, got {describe(given[path])}; "
                f"{_REMEDY}"
            )
        if jnp.shape(wanted[path]) != jnp.shape(given[path]):
            raise ValueError(
                f"fit: {owner} expects {place} {_written(wanted[path])} in train_state, got "
                f"{describe(given[path])}; {_REMEDY}"
            )
    if jax.tree.structure(expected) != jax.tree.structure(found):
        raise ValueError(
            f"fit: {owner} expects {name} in train_state as {type(expected).__name__}, got "
            f"{type(found).__name__} of the same arrays; {_REMEDY}"
        )


def _by_path(tree: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _written(leaf: Any) -> str:
    return str(list(jnp.shape(leaf)))
