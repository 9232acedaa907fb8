"""The Gaussian error linear unit in any precision."""

from typing import Any

import jax
import jax.numpy as jnp


def gelu(x: Any, approximate: bool = True) -> Any:
    """``x * Phi(x)`` (Hendrycks and Gimpel, 2016, arXiv:1606.08415), elementwise, in the dtype of ``x``.

    float32 and float64 are ``jax.nn.gelu``. float16 and bfloat16 are computed in float32: in float16 the
    cubic term of the tanh form overflows, so that ``jax.nn.gelu`` has the gradient NaN from 150 on.

    Args:
        x: floating point.
        approximate: whether to take the tanh form, as ``jax.nn.gelu`` does.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.array([-200.0, 0.0, 200.0], jnp.float16)
        >>> jax.vmap(jax.grad(gelu))(x).tolist()
        [0.0, 0.5, 1.0]
    """
    half = x.dtype in (jnp.float16, jnp.bfloat16)
    return jax.nn.gelu(x.astype(jnp.float32) if half else x, approximate=approximate).astype(x.dtype)
