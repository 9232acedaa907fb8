"""Penalties of parameters, chosen by their paths: the sum of magnitudes, and of squares."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxnn.core import Where, chooser, named_leaves, non_negative, wide_dtype


def l1(rate: Any, where: Where = "*") -> Callable[[Any], Any]:
    """Return the penalty ``params -> rate * sum(|w|)``, which drives parameters to 0 (Tibshirani, 1996).

    Its gradient is ``rate * sign(w)``, 0 at 0. Use it as ``train.supervised(..., penalty=l1(1e-4))``;
    penalties of several parts add as functions do.

    Args:
        rate: weight of the penalty, 0 or more; may be traced.
        where: which parameters: a pattern of dotted paths such as ``"*kernel"``, several, or a function of
            the path (and the leaf).

    Raises:
        TypeError: ``where`` is none of these; at use, ``params`` are not nested dicts.
        ValueError: ``rate`` is negative; at use, ``where`` chooses none of the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"head": {"kernel": jnp.array([[1.0], [-3.0]]), "bias": jnp.ones(1)}}
        >>> l1(0.5, where="*.kernel")(params).item()
        2.0
    """
    return _penalty("l1", rate, where, lambda w: w * jnp.sign(w))


def l2(rate: Any, where: Where = "*") -> Callable[[Any], Any]:
    """Return the penalty ``params -> rate * sum(w^2)``, which draws parameters towards 0 (ridge regression).

    Its gradient is ``2 * rate * w``; weight decay by ``optim.adamw`` or ``optax.add_decayed_weights`` acts
    beside the gradient instead, which is not the same under adaptive rules (Loshchilov and Hutter, 2019,
    arXiv:1711.05101). Use it as ``train.supervised(..., penalty=l2(1e-4, where="*kernel"))``.

    Args:
        rate: weight of the penalty, 0 or more; may be traced.
        where: which parameters: a pattern of dotted paths such as ``"*kernel"``, several, or a function of
            the path (and the leaf).

    Raises:
        TypeError: ``where`` is none of these; at use, ``params`` are not nested dicts.
        ValueError: ``rate`` is negative; at use, ``where`` chooses none of the parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"head": {"kernel": jnp.array([[1.0], [-3.0]]), "bias": jnp.ones(1)}}
        >>> l2(0.5, where=lambda path, leaf: leaf.ndim > 1)(params).item()
        5.0
    """
    return _penalty("l2", rate, where, jnp.square)


def _penalty(owner: str, rate: Any, where: Where, cost: Callable[[Any], Any]) -> Callable[[Any], Any]:
    non_negative(owner, "rate", rate)
    chosen = chooser(owner, where)

    def penalty(params: Any) -> Any:
        leaves = list(named_leaves(owner, params))
        sums = [
            jnp.sum(cost(leaf.astype(wide_dtype(leaf.dtype)))) for path, leaf in leaves if chosen(path, leaf)
        ]
        if not sums:
            listed = ", ".join(path for path, _ in leaves) or "nothing"
            raise ValueError(
                f"{owner}: where={where!r} chose none of the parameters, which are {listed}; "
                "a pattern matches whole paths, so begin it with '*'"
            )
        total = sums[0]
        for other in sums[1:]:
            total = total + other.astype(total.dtype)
        return total * jnp.asarray(rate, total.dtype)

    return penalty
