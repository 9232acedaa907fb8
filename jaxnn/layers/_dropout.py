"""Dropout (Srivastava et al., 2014, "Dropout: a simple way to prevent neural networks from overfitting")."""

from typing import Any

from jaxnn import ops
from jaxnn.core import Layer, check_floating, on_any_mesh, probability, require_key, stateless


def dropout(rate: Any) -> Layer:
    """In training, zero each element with probability ``rate`` and scale the rest by ``1 / (1 - rate)``.

    The identity in evaluation and at rate 0, where no key is needed. Keys go by the layer's name, so a
    dropout added elsewhere leaves these masks as they are; in Flax it shifts the stream of all that
    follow.

    Args:
        rate: probability that an element is *dropped*, in [0, 1); may be traced.

    Raises:
        TypeError, ValueError: a concrete ``rate`` is no number in [0, 1); at use in training, the key is
            missing or not typed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> y, _ = nn.dropout(0.5).apply({}, {}, jnp.ones(1000), key=jax.random.key(0), train=True)
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """
    rate = probability("dropout", "rate", rate)

    def apply(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        del params
        check_floating("dropout", x)
        if not train or (isinstance(rate, int | float) and rate == 0):
            return x
        return ops.dropout(require_key("dropout", key), x, rate)

    return on_any_mesh(stateless("dropout", None, apply, masked="pointwise"))
