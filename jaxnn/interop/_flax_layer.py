"""A module of linen or nnx as one of our layers."""

from typing import Any

from jaxnn.core import Layer, describe
from jaxnn.interop._flax_trees import is_flax, is_nnx
from jaxnn.interop._linen_layer import linen_layer
from jaxnn.interop._nnx_layer import nnx_layer


def flax_layer(module: Any, *, rngs: tuple[str, ...] = ("dropout",)) -> Layer:
    """Use a module of linen or nnx as a layer, anywhere in a model of ours.

    Parameters are the module's own; its other collections (linen) or variables (nnx), as running statistics,
    are the state; random streams are made from ``key`` by their names at every call and are no part of the
    state. ``train`` reaches the argument of ``__call__`` that is named ``train``, ``training`` or
    ``is_training``, or negated ``deterministic`` or ``use_running_average``; for nnx also
    ``module.train()`` and ``module.eval()``.

    Args:
        module: a module of linen; what makes one of nnx, ``lambda rngs: Net(rngs=rngs)``; or an nnx module,
            with whose weights the layer then starts, whatever the key.
        rngs: names of linen's random streams besides ``params``. nnx has its own.

    Returns:
        A layer named after the module's class.

    Raises:
        TypeError: ``module`` is none of these. At use, a key is missing where the module draws.

    Example:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> from jaxnn import interop
        >>> model = nn.chain(nn.dense(8), interop.flax_layer(linen.Dense(4)), jax.nn.relu, nn.dense(1))
        >>> params, state = model.init(jax.random.key(0), jnp.ones((1, 3)))
        >>> sorted(params), model.apply(params, state, jnp.ones((2, 3)))[0].shape
        (['dense_0', 'dense_1', 'linen_dense_0'], (2, 1))
    """
    if is_flax(module, "linen"):
        return linen_layer(module, rngs)
    if is_nnx(module) or callable(module):
        return nnx_layer(module)
    raise TypeError(
        "flax_layer: expected a linen module, an nnx module, or a function rngs -> nnx module, got "
        f"{describe(module)}"
    )
