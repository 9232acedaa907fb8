"""Why a loss is not finite, from what can be seen when training has stopped."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnn.core import Masked, filled
from jaxnn.train._objective import Objective, checked_terms
from jaxnn.train._state import TrainState

_LOCATE = "inspect.locate_nonfinite finds the layer"


class Suspect(NamedTuple):
    """A batch by which the loss may have been lost.

    Attributes:
        batch: its arrays.
        name: what an example is called, by its number in the batch.
    """

    batch: Any
    name: Callable[[int], str]


def cause(objective: Objective, start: TrainState, suspects: Iterable[Suspect], updated: bool) -> str:
    """Return the likely cause of a loss that is not finite, and what to do.

    Whatever the parameters of the start make of the same data, no learning rate has done.

    Args:
        objective: what was minimised.
        start: the state in which training began.
        suspects: the batches since the loss was seen to be finite.
        updated: whether the parameters had been updated before.
    """
    try:
        found = _found(objective, start, suspects)
    except Exception:
        # A diagnosis that fails must not cost the run its results.
        found = None
    if found is not None:
        return found
    if updated:
        return f"try a smaller learning rate ({_LOCATE})"
    return f"it was so at the first step, before any update, whatever the learning rate ({_LOCATE})"


def _found(objective: Objective, start: TrainState, suspects: Iterable[Suspect]) -> str | None:
    path = _first_nonfinite((start.params, start.state), ("params", "state"), None)
    if path is not None:
        return f"{path[0]} of the start is not finite; look at the initializer, or at the train_state given"

    def lost(params: Any, state: Any, batch: Any, key: Any) -> Any:
        terms = checked_terms(objective.evaluate(params, state, batch, key=key)[0])
        if terms.weights is None:
            return jnp.where(jnp.isfinite(terms.values), 0, terms.values)
        weighted = jnp.where(terms.weights == 0, 0, terms.values * terms.weights.astype(terms.values.dtype))
        return jnp.where(jnp.isfinite(weighted), 0, weighted)

    compiled = jax.jit(lost)
    for batch, name in suspects:
        values = np.asarray(compiled(start.params, start.state, batch, start.key))
        if np.all(values == 0):
            continue
        told = _of_the_batch(objective, start, batch, name)
        if told is not None:
            return told
        place = np.argwhere(values != 0)[0]
        where = name(int(place[0])) if len(place) else "the batch"
        value = values[tuple(place)]
        hint = "its target may be impossible for the model, such as labels too long for CTC to align, or "
        return (
            f"with the parameters of the start the loss of {where} is {value} already, so that no learning "
            f"rate is to blame: {hint if np.isposinf(value) else ''}a log of 0, a division by 0 or an "
            f"overflow stand in the model or the loss ({_LOCATE})"
        )
    return None


def _of_the_batch(
    objective: Objective, start: TrainState, batch: Any, name: Callable[[int], str]
) -> str | None:
    """What is wrong with the data themselves."""
    parts = isinstance(batch, tuple | list) and len(batch) in (2, 3)
    weights = batch[2] if parts and len(batch) == 3 and hasattr(batch[2], "shape") else None
    # A named tuple has no numbers for keys.
    named = (tuple(batch), ("inputs", "targets", "weights")) if parts else (batch, None)
    found = _first_nonfinite(*named, weights)
    if found is not None:
        path, value, number = found
        where = name(number) if number is not None else "the batch"
        return f"the {path} of {where} hold {value}; replace such values, or give the examples weight 0"
    if objective.check is not None:
        try:
            objective.check(start.params, start.state, batch)
        except (TypeError, ValueError) as error:
            return str(error)
    try:
        # Outside of a compiled program losses see the numbers, and refuse what they have no value for.
        objective.evaluate(start.params, start.state, batch, key=start.key)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def _first_nonfinite(
    tree: Any, names: tuple[str, ...] | None, weights: Any
) -> tuple[str, float, int | None] | None:
    """Path, value and number of the example of the first value that counts and is not finite."""
    for keys, leaf in jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda x: isinstance(x, Masked)):
        value = filled(leaf) if isinstance(leaf, Masked) else leaf
        if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
            continue
        wrong = ~np.isfinite(np.asarray(value).astype(np.complex128))
        if weights is not None and wrong.shape[: weights.ndim] == weights.shape:
            wrong &= np.asarray(weights != 0).reshape(*weights.shape, *[1] * (wrong.ndim - weights.ndim))
        if not wrong.any():
            continue
        place = tuple(np.argwhere(wrong)[0])
        first = keys if names is None else keys[1:]
        rest = jax.tree_util.keystr(first, simple=True, separator=".")
        head = "data" if names is None else names[keys[0].idx]
        path = f"{head}.{rest}" if rest else head
        return path, np.asarray(value)[place].item(), int(place[0]) if place else None
    return None
