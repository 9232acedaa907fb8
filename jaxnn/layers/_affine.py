"""What layers with a kernel share: parameters made and checked, dtypes promoted."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import check_params, common_dtype

Initializer = Callable[..., Any]


def lecun_normal(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw a kernel of variance 1/fan_in (LeCun et al., 1998, "Efficient BackProp")."""
    return jax.nn.initializers.lecun_normal()(key, shape, dtype)


def zeros(key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return zeros; the key is not used."""
    return jax.nn.initializers.zeros(key, shape, dtype)


def affine_params(
    key: Any,
    kernel_shape: tuple[int, ...],
    features: int,
    kernel_init: Initializer,
    bias_init: Initializer | None,
    dtype: Any,
) -> dict[str, Any]:
    """Make ``kernel`` and, unless ``bias_init`` is ``None``, ``bias`` ``(features,)``."""
    if bias_init is None or bias_init is zeros:
        # Each hash of a key costs compilation, so a bias of zeros does not ask for one.
        kernel_key = bias_key = key
    else:
        kernel_key, bias_key = jax.random.split(key)
    params = {"kernel": kernel_init(kernel_key, kernel_shape, dtype)}
    if bias_init is not None:
        params["bias"] = bias_init(bias_key, (features,), dtype)
    return params


def promoted(owner: str, params: dict[str, Any], names: tuple[str, ...], x: Any) -> tuple[Any, ...]:
    """Return ``x`` and the named parameters in their common dtype, chosen explicitly."""
    check_params(owner, params, names)
    dtype = common_dtype(x.dtype, *(params[name].dtype for name in names))
    return (x.astype(dtype), *(params[name].astype(dtype) for name in names))


def check_dtype(owner: str, dtype: Any) -> Any:
    """Return ``dtype`` if parameters can have it, else raise ``TypeError``."""
    if not jnp.issubdtype(jnp.dtype(dtype), jnp.inexact):
        raise TypeError(f"{owner}: param_dtype must be a floating-point dtype, got {jnp.dtype(dtype)}")
    return jnp.dtype(dtype)
