"""Kullback-Leibler divergences: ``sum_k p_k log(p_k / q_k)``, in nats."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.core import wide_dtype
from jaxnn.losses._exact import exactly, exponential_rest, minus_log_softmax
from jaxnn.losses._labels import as_targets, check_probabilities, check_same_shape


def kl_divergence(logits: Any, targets: Any) -> Any:
    """Divergence of a softmax from target probabilities, ``KL(p || q)``: ``[..., classes] -> [...]``, nats.

    ``p`` are the targets and ``q = softmax(logits)``; logarithms of probabilities are logits too. It is
    ``cross_entropy(logits, p)`` less the entropy of ``p``, so its least value is 0. A class of probability 0
    contributes 0 (``0 log 0 = 0``), even where its logit is ``-inf``; a class with ``p > 0`` there costs
    ``+inf``. Near its least value it keeps digits and is never below 0; the rounding of the sum of ``p`` to
    the dtype does not count. The gradient is ``q * sum(p) - p``. Kullback and Leibler (1951), "On
    information and sufficiency". Half precision is taken to float32.

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
    costs = minus_log_softmax(logits.astype(wide))
    ratio = jnp.log(jnp.where(absent, 1, p)) + jnp.where(absent, 0, costs)
    plain = jnp.sum(jnp.where(absent, 0, p * ratio), -1)
    return exactly(_sum_of_parts(p, ratio, jnp.exp(-costs)), plain)


def _sum_of_parts(p: Any, ratio: Any, q: Any) -> Any:
    """Return the divergence as ``sum(p log(p / q) - p + q) + sum(p) - 1``, whose parts are 0 or more each.

    Plain terms cancel to no digit where ``p`` is near ``q``. A sum of ``p`` that is 1 but for its rounding is
    taken as 1.
    """
    p, ratio, q = jax.lax.stop_gradient((p, ratio, q))
    near = jnp.abs(ratio) < 1
    parts = jnp.where(near, p * exponential_rest(-jnp.where(near, ratio, 0)), p * ratio - p + q)
    excess = jnp.sum(p, -1) - 1
    rounding = jnp.finfo(p.dtype).eps * (8 + p.shape[-1] ** 0.5)
    excess = jnp.where(jnp.abs(excess) <= rounding, 0, excess)
    return jnp.sum(jnp.where(p == 0, q, parts), -1) + excess


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
    return jnp.sum(jnp.square(mean.astype(wide)) + exponential_rest(log_var), -1) / 2
