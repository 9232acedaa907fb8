"""The step function of the perceptron (Rosenblatt, 1958), with a gradient of the user's choice.

Its own derivative is 0 almost everywhere, so nothing learns through it; a surrogate takes its place in the
backward pass (Bengio et al., 2013, arXiv:1308.3432; Neftci et al., 2019, arXiv:1901.09948).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Layer, check_floating, non_negative, on_any_mesh, one_of, stateless

_SURROGATES: dict[str, Callable[[Any, Any], Any]] = {
    "zero": lambda x, _: jnp.zeros_like(x),
    "straight_through": lambda x, _: jnp.ones_like(x),
    "clipped": lambda x, slope: jnp.where(jnp.abs(slope * x) <= 1, slope, 0),
    "triangle": lambda x, slope: slope * jnp.maximum(1 - jnp.abs(slope * x), 0),
    "sigmoid": lambda x, slope: slope * jax.nn.sigmoid(slope * x) * jax.nn.sigmoid(-slope * x),
    "fast_sigmoid": lambda x, slope: slope / jnp.square(1 + jnp.abs(slope * x)),
}


def step(surrogate: str | Callable[[Any], Any] = "straight_through", *, slope: Any = 1.0) -> Layer:
    """1 where ``x >= 0`` and 0 elsewhere, elementwise; in the backward pass the derivative of a surrogate.

    Where Flax and Keras leave a ``custom_vjp`` to the user, the surrogate is an argument, and forward mode
    works too. With ``b = slope`` the derivative is: ``"zero"`` 0; ``"straight_through"`` 1; ``"clipped"``
    ``b`` where ``|b x| <= 1`` (Hubara et al., 2016); ``"triangle"`` ``b max(0, 1 - |b x|)``; ``"sigmoid"``
    that of ``sigmoid(b x)``; ``"fast_sigmoid"`` ``b / (1 + |b x|)^2`` (Zenke and Ganguli, 2018). Pointwise,
    so it keeps a mask.

    Args:
        surrogate: one of these names, or a function from ``x`` to the derivative.
        slope: steepness of the named surrogates; above 0, may be traced.

    Raises:
        TypeError, ValueError: a bad argument; at use, an input that is not floating point.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> x = jnp.array([-0.5, 0.0, 2.0])
        >>> layer = nn.step("triangle")
        >>> layer.apply({}, {}, x)[0].tolist()
        [0.0, 1.0, 1.0]
        >>> jax.grad(lambda x: layer.apply({}, {}, x)[0].sum())(x).tolist()
        [0.5, 1.0, 0.0]
    """
    non_negative("step", "slope", slope, positive=True)
    if not callable(surrogate):
        one_of("step", "surrogate", surrogate, tuple(_SURROGATES))

    def derivative(x: Any) -> Any:
        if callable(surrogate):
            return surrogate(x)
        return _SURROGATES[surrogate](x, jnp.asarray(slope, x.dtype))

    heaviside = jax.custom_jvp(lambda x: jnp.where(x >= 0, jnp.ones_like(x), 0))

    def tangent(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
        (x,), (dx,) = primals, tangents
        return heaviside(x), jnp.asarray(derivative(x), x.dtype) * dx

    heaviside.defjvp(tangent)

    def apply(params: Any, x: Any) -> Any:
        del params
        check_floating("step", x)
        return heaviside(x)

    return on_any_mesh(stateless("step", None, apply, masked="pointwise"))
