"""What layers with a kernel share: parameters made and checked, dtypes promoted."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import Axes, check_params, common_dtype, describe, fold_name

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
    params = {"kernel": _made("kernel_init", kernel_init, key, kernel_shape, dtype)}
    if bias_init is not None:
        # The kernel's numbers do not depend on the bias, and a bias of zeros costs no hash of a key.
        bias_key = key if bias_init is zeros else fold_name(key, "init", "bias")
        params["bias"] = _made("bias_init", bias_init, bias_key, (features,), dtype)
    return params


def drawn(initializer: Initializer, key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return what ``initializer`` makes, or an empty array, of which some divide by the number of inputs."""
    return jnp.zeros(shape, dtype) if 0 in shape else initializer(key, shape, dtype)


def _made(argument: str, initializer: Initializer, key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    made = drawn(initializer, key, shape, dtype)
    if getattr(made, "shape", None) != shape:
        raise ValueError(
            f"{argument} must return an array {list(shape)}, got {describe(made)}; pass an initializer "
            "(key, shape, dtype), as jax.nn.initializers.he_normal() makes (mind the parentheses)"
        )
    return made


def check_initializers(owner: str, **initializers: Any) -> None:
    """Raise unless every initializer is callable."""
    for argument, initializer in initializers.items():
        if not callable(initializer):
            raise TypeError(
                f"{owner}: {argument} must be a function (key, shape, dtype), got {describe(initializer)}; "
                "as jax.nn.initializers.he_normal() makes"
            )


def promoted(owner: str, params: Any, kernel: Axes, use_bias: bool, x: Any) -> tuple[Any, ...]:
    """Return ``x``, the kernel, and the bias if there is one, in their common dtype, chosen explicitly.

    Args:
        owner: the layer's name.
        params: ``kernel`` and, where it is used, ``bias`` ``(features,)``, and nothing else.
        kernel: the axes that the layer declares; the last is ``features``.
        use_bias: whether there is a bias.
        x: the input.
    """
    shapes: dict[str, Axes] = {"kernel": kernel} | ({"bias": kernel[-1:]} if use_bias else {})
    check_params(owner, params, shapes)
    dtype = common_dtype(x.dtype, *(params[name].dtype for name in shapes))
    return (x.astype(dtype), *(params[name].astype(dtype) for name in shapes))


def check_dtype(owner: str, dtype: Any) -> Any:
    """Return ``dtype`` if parameters can have it, else raise ``TypeError``."""
    try:
        known = jnp.dtype(dtype)
    except TypeError:
        known = None
    if known is None or not jnp.issubdtype(known, jnp.inexact):
        raise TypeError(
            f"{owner}: param_dtype must be a floating-point dtype, got {dtype!r}; use jnp.float32"
        )
    return known
