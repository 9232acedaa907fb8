"""Additive Gaussian noise (Sietsma and Dow, 1991, "Creating artificial neural networks that generalize")."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Layer, check_floating, is_traced, non_negative, on_any_mesh, require_key, stateless


def gaussian_noise(stddev: Any) -> Layer:
    """In training, add to each element normal noise of standard deviation ``stddev``: ``[...]``, shape kept.

    The identity in evaluation and at 0, where no key is needed. Pointwise, so it keeps a mask.

    Args:
        stddev: standard deviation, in units of the input; may be traced.

    Raises:
        TypeError, ValueError: a concrete ``stddev`` is no finite number of at least 0; at use, the input is
            not floating point or, in training, the key is missing or not typed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxnn as nn
        >>> y, _ = nn.gaussian_noise(0.1).apply({}, {}, jnp.ones(1000), key=jax.random.key(0), train=True)
        >>> bool(abs(y.std() - 0.1) < 0.01)
        True
    """
    non_negative("gaussian_noise", "stddev", stddev)

    def apply(params: Any, x: Any, *, key: Any, train: bool) -> Any:
        del params
        check_floating("gaussian_noise", x)
        if not train or (not is_traced(stddev) and stddev == 0):
            return x
        noise = jax.random.normal(require_key("gaussian_noise", key), x.shape, x.dtype)
        return x + jnp.asarray(stddev, x.dtype) * noise

    return on_any_mesh(stateless("gaussian_noise", None, apply, masked="pointwise"))
