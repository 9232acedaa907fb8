"""What every layer of a model gives, by its path."""

from typing import Any

from jaxnn.core import (
    PROBE,
    Layer,
    Params,
    Probe,
    PyTree,
    State,
    apply_child,
    check_key,
    check_train,
    lift,
    split_records,
)
from jaxnn.inspect._calls import named_calls


def intermediates(
    model: Layer, params: Params, state: State, x: PyTree, *, key: Any = None, train: bool = False
) -> dict[str, PyTree]:
    """Return the output of every layer inside ``model``, by path, in the order in which they end.

    The model is not changed, nor what it computes; Flax's ``sow`` and Haiku's hidden states ask for it to be
    written for this. It is a pure function of arrays: under ``jit`` only what is used is computed, ``vmap``
    gives the outputs of every member, and ``grad`` differentiates a loss on what happens inside.

    Paths are those of the parameters, joined with dots: composites have an entry beside their children, as
    in ``"body"`` and ``"body.dense_0"``. A layer that is called more than once has an entry for each call,
    ``"encoder[0]"``, ``"encoder[1]"``. The outputs of copies under ``repeat`` are stacked on a leading axis.
    A model without children has one entry under its own name. What a ``model`` calls inside its author's own
    ``scan``, ``vmap``, ``cond`` or ``grad`` is not seen, nor are the steps of recurrent cells.

    Args:
        model: a layer or callable.
        params: its parameters.
        state: its state.
        x: its input.
        key: random key, for layers that draw.
        train: whether the model runs as in training.

    Raises:
        TypeError: ``model`` is no layer or callable, ``key`` is no typed key, or ``train`` is no bool.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import inspect
        >>> model = nn.chain(nn.dense(3), jax.nn.relu, nn.residual(nn.dense(3)))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 2)))
        >>> found = inspect.intermediates(model, params, state, jnp.ones((4, 2)))
        >>> {path: y.shape for path, y in found.items() if "shortcut" not in path}
        {'dense_0': (4, 3), 'relu_0': (4, 3), 'residual_0.body': (4, 3), 'residual_0': (4, 3)}
    """
    check_train("intermediates", train)
    if key is not None:
        check_key("intermediates", key)
    model = lift(model)
    root = model.name
    trees = {root: state, PROBE: Probe(lambda _, y: y)}
    _, found = apply_child(root, model, {root: params}, trees, x, key=key, train=train)
    _, records = split_records({root: found})
    calls = named_calls(records, outer=1) or named_calls(records)
    return {path: call.found for path, call in calls}
