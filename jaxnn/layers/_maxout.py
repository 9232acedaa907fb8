"""Maxout (Goodfellow et al., 2013, arXiv:1302.4389)."""

from typing import Any

import jax.numpy as jnp

from jaxnn.core import Layer, check_floating, check_min_rank, describe, on_any_mesh, positive_int, stateless


def maxout(pieces: int = 2) -> Layer:
    """Largest of every ``pieces`` neighbouring features: ``[..., features * pieces] -> [..., features]``.

    A maxout layer of 64 units with two linear pieces is ``nn.chain(nn.dense(128), nn.maxout(2))``, and
    likewise after a convolution. Equal largest values share the gradient equally. Pointwise, so it keeps a
    mask.

    Args:
        pieces: how many features compete for each output.

    Raises:
        TypeError, ValueError: ``pieces`` is not a positive int; at use, it does not divide the features.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxnn as nn
        >>> nn.maxout(2).apply({}, {}, jnp.array([1.0, 3.0, -2.0, -5.0]))[0].tolist()
        [3.0, -2.0]
    """
    pieces = positive_int("maxout", "pieces", pieces)

    def apply(params: Any, x: Any) -> Any:
        del params
        check_floating("maxout", x)
        check_min_rank("maxout", x, 1, "[..., features]")
        if x.shape[-1] % pieces:
            raise ValueError(
                f"maxout: pieces must divide the features, got pieces={pieces} and {describe(x)}"
            )
        return jnp.max(x.reshape(*x.shape[:-1], x.shape[-1] // pieces, pieces), -1)

    return on_any_mesh(stateless("maxout", None, apply, masked="pointwise"))
