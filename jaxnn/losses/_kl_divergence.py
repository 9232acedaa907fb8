"""Kullback-Leibler divergences: ``sum_k p_k log(p_k / q_k)``, in nats."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._labels import as_targets, check_probabilities, check_same_shape


def kl_divergence(logits: Any, targets: Any) -> Any:
    """Divergence of a softmax from target probabilities, ``KL(p || q)``: ``[..., classes] -> [...]``, nats.

    ``p`` are the targets and ``q = softmax(logits)``; logarithms of probabilities are logits too. It is
    ``cross_entropy(logits, p)`` less the entropy of ``p``, so its least value is 0. A class of probability 0
    contributes 0 (``0 log 0 = 0``), even where its logit is ``-inf``; a class with ``p > 0`` there costs
    ``+inf``. The gradient is ``q * sum(p) - p``. Kullback and Leibler (1951), "On information and
    sufficiency". Half precision is taken to float32.

    Args:
        logits: ``[..., classes]``, floating point.
        targets: probabilities of the same shape.

    Raises:
        TypeError: ``logits`` are not floating point.
        ValueError: the shapes differ, or concrete targets lie outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{kl_divergence(jnp.zeros(2), jnp.array([1.0, 0.0])):.4f}")
        0.6931
    """
    targets = as_targets(targets)
    check_same_shape("kl_divergence", logits, targets)
    check_probabilities("kl_divergence", targets)
    wide = wide_dtype(logits.dtype)
    p = jnp.asarray(targets).astype(wide)
    absent = p == 0
    log_q = jax.nn.log_softmax(logits.astype(wide), -1)
    log_p = jnp.log(jnp.where(absent, 1, p))
    return jnp.sum(jnp.where(absent, 0, p * (log_p - jnp.where(absent, 0, log_q))), -1)


def kl_standard_normal(mean: Any, log_var: Any) -> Any:
    """Divergence of ``N(mean, exp(log_var))`` from the standard normal: ``[..., features] -> [...]``.

    ``KL = sum(mean^2 + exp(log_var) - 1 - log_var) / 2`` over independent features: the regulariser of a
    variational auto-encoder (Kingma and Welling, 2014, arXiv:1312.6114, appendix B). Its gradients are
    ``mean`` and ``(exp(log_var) - 1) / 2``. Half precision is taken to float32.

    Args:
        mean: ``[..., features]``, floating point.
        log_var: logarithm of the variance, of the same shape.

    Raises:
        TypeError: ``mean`` is not floating point.
        ValueError: the shapes differ.

    Example:
        >>> import jax.numpy as jnp
        >>> kl_standard_normal(jnp.array([1.0, 2.0]), jnp.zeros(2)).item()
        2.5
    """
    log_var = jnp.asarray(log_var)
    check_same_shape("kl_standard_normal", mean, log_var)
    wide = wide_dtype(mean.dtype)
    log_var = log_var.astype(wide)
    return jnp.sum(jnp.square(mean.astype(wide)) + (jnp.expm1(log_var) - log_var), -1) / 2
