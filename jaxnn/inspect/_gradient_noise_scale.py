"""The gradient noise scale ``tr(Sigma) / |G|^2``.

McCandlish et al. (2018), "An empirical model of large-batch training".
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.core import is_traced, positive_int, wide_dtype
from jaxnn.inspect._per_example_gradients import example_gradient, numbered


class NoiseScale(NamedTuple):
    """What ``gradient_noise_scale`` returns.

    Attributes:
        scale: ``noise / signal``, in examples: about the batch size beyond which larger ones stop to pay;
            ``inf`` where no signal stands out of the noise.
        noise: ``tr(Sigma)``, the variance of one example's gradient, summed over parameters; unbiased.
        signal: ``|G|^2``, the squared norm of the gradient of the loss over all data; unbiased, so that it
            can be negative where it is small.
    """

    scale: Any
    noise: Any
    signal: Any


def gradient_noise_scale(
    objective: Any,
    params: Any,
    batch: Any,
    *,
    state: Any = None,
    key: Any = None,
    train: bool = False,
    chunk: int = 32,
) -> NoiseScale:
    """Return the simple noise scale ``B = tr(Sigma) / |G|^2`` of the gradient at ``params``.

    ``Sigma`` is the covariance of the examples' gradients and ``G`` their expectation. From ``n`` examples,
    with ``m = mean |g_i|^2`` and ``g`` their mean gradient, ``tr(Sigma) = (m - |g|^2) n / (n - 1)`` and
    ``|G|^2 = |g|^2 - tr(Sigma) / n``: appendix A.1 of the paper with batches of 1 and ``n``. Sums alone are
    kept, in float32 at least, so memory is that of ``chunk`` gradients.

    Args:
        objective: an ``Objective``, or a function ``(params, batch) -> scalar``.
        params: where the gradients are taken.
        batch: a pytree of arrays with a common first axis of at least 2; examples of weight 0 do not count,
            others count alike. Where fewer than 2 traced ones count, all three numbers are NaN.
        state: state of an objective that has one.
        key: random key; example ``i`` draws from ``fold_in(key, i)``.
        train: whether an objective runs as in training.
        chunk: how many examples are differentiated at a time.

    Raises:
        TypeError: the loss is not a scalar.
        ValueError: ``chunk`` is not a positive int, or there are fewer than 2 examples, or, outside of
            ``jit``, fewer than 2 of weight above 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxnn import inspect
        >>> def loss(params, batch):
        ...     return jnp.mean(params * batch)
        >>> found = inspect.gradient_noise_scale(loss, jnp.array(1.0), jnp.array([1.0, 3.0]))
        >>> [float(x) for x in (found.noise, found.signal)]
        [2.0, 3.0]
    """
    chunk = positive_int("gradient_noise_scale", "chunk", chunk)
    each = example_gradient("gradient_noise_scale", objective, state, key, train)
    indices, batch = numbered("gradient_noise_scale", batch)
    n = indices.size
    if n < 2:
        raise ValueError(f"gradient_noise_scale: a variance needs at least 2 examples, got {n}; pass a batch")
    chunk = min(chunk, n)

    def sums(indexed: tuple[Any, Any]) -> Any:
        gradients, weights = jax.vmap(each, (None, 0, 0))(params, *indexed)
        used = weights > 0
        total = jax.tree.map(lambda g: jnp.sum(_kept(g, used), 0), gradients)
        square: Any = sum(jnp.sum(_kept(g, used) ** 2) for g in jax.tree.leaves(gradients))
        return total, square, jnp.sum(used).astype(jnp.float32)

    whole = n // chunk * chunk
    parts = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, chunk, *leaf.shape[1:]), (indices, batch))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(sums, _first(parts)))
    found, _ = jax.lax.scan(lambda old, part: (jax.tree.map(jnp.add, old, sums(part)), None), zero, parts)
    if whole < n:
        rest = sums(jax.tree.map(lambda leaf: leaf[whole:], (indices, batch)))
        found = jax.tree.map(jnp.add, found, rest)
    total, square, count = found
    if not is_traced(count) and count < 2:
        raise ValueError(
            f"gradient_noise_scale: a variance needs at least 2 examples of weight above 0, got {int(count)} "
            f"among {n}; pass a batch with more of them"
        )
    # One example or none has no variance; what rounding makes of 0 / 0 must not pass for a number.
    count = jnp.where(count < 2, jnp.nan, count).astype(square.dtype)
    mean_square: Any = sum(jnp.sum((leaf / count.astype(leaf.dtype)) ** 2) for leaf in jax.tree.leaves(total))
    noise = (square / count - mean_square) * count / (count - 1)
    signal = mean_square - noise / count
    scale = jnp.where(signal <= 0, jnp.inf, noise / jnp.where(signal <= 0, 1, signal))
    return NoiseScale(scale, noise, signal)


def _first(parts: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], parts)


def _kept(gradient: Any, used: Any) -> Any:
    """Gradients in a wide dtype, 0 for examples that do not count."""
    wide = gradient.astype(wide_dtype(gradient.dtype))
    return jnp.where(used.reshape(-1, *[1] * (wide.ndim - 1)), wide, 0)
