"""Muon, momentum orthogonalised by Newton-Schulz iterations (Jordan et al. 2024; https://kellerjordan.github.io/posts/muon).

For each matrix, with the mean gradient looking ahead as in :func:`jaxnn.optim.nadam`::

    mu <- beta * mu + (1 - beta) * g
    x  <- beta * mu / (1 - beta**(t+1)) + (1 - beta) * g / (1 - beta**t)
    x  <- x / (norm(x) + eps)
    x  <- a * x + (b * x x' + c * (x x')**2) x,    ns_steps times
    p  <- p - rate * (sqrt(max(1, columns / rows)) * x + weight_decay * p)

The iteration drives the singular values of ``x`` to somewhere between 0.7 and 1.2, fast rather than exactly.
Leaves that are no matrices take the step of Nadam with the second decay ``adam_weight_decay``, as in optax.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves, _trees
from jaxnn.optim._nadam import look_ahead


class MuonState(NamedTuple):
    """``step``, ``[]`` int32, the mean gradients, and the second moments, ``None`` for matrices."""

    step: jax.Array
    mu: optax.Updates
    nu: optax.Updates


def muon(
    learning_rate: _hyper.ScalarOrSchedule,
    ns_coeffs: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    ns_steps: int | None = None,
    beta: _hyper.ScalarLike = 0.95,
    eps: _hyper.ScalarLike = 1e-8,
    weight_decay: _hyper.ScalarOrSchedule = 0.0,
    weight_decay_mask: _trees.Mask = None,
    *,
    nesterov: bool = True,
    adam_b1: _hyper.ScalarLike = 0.9,
    adam_b2: _hyper.ScalarLike = 0.999,
    adam_eps_root: _hyper.ScalarLike = 0.0,
    adam_weight_decay: _hyper.ScalarOrSchedule = 0.0,
    adam_learning_rate: _hyper.ScalarOrSchedule | None = None,
    consistent_rms: _hyper.ScalarLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Muon for matrices and Nadam for the other leaves. ``update`` needs the parameters.

    The rule looks at the shapes of leaves, and so does not go with ``optax.flatten``.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      ns_coeffs: ``a``, ``b`` and ``c`` of the iteration.
      ns_steps: the number of iterations, one or more; ``None`` for 5.
      beta: decay of the mean gradient of a matrix, in ``[0, 1)``.
      eps: added to the norm of a matrix and to the root of the other leaves.
      weight_decay: the share of a matrix that a step at rate one takes away; a float, a schedule or a traced
        value.
      weight_decay_mask: a tree of bools, a prefix of one, or a function that makes one from the parameters:
        which matrices decay.
      nesterov: look ahead; ``False`` leaves the mean gradient and Adam.
      adam_b1: decay of the mean of gradients of the other leaves, in ``[0, 1)``.
      adam_b2: decay of the mean of squared gradients of the other leaves, in ``[0, 1)``.
      adam_eps_root: added under the root of the other leaves.
      adam_weight_decay: the share of the other leaves that a step at rate one takes away.
      adam_learning_rate: the rate of the other leaves, or ``None`` for ``learning_rate``.
      consistent_rms: with a number, matrices step by ``sqrt(max(rows, columns)) * consistent_rms * x``
        instead; 0.2 makes their steps as long as Adam's (Liu et al. 2025; https://arxiv.org/abs/2502.16982).

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, trees differ, or ``update`` is not given the
        parameters.

    Example:
      >>> import jax.numpy as jnp
      >>> rule, p = muon(1.0), jnp.zeros((2, 2))
      >>> step, _ = rule.update(jnp.diag(jnp.asarray([100.0, 1.0])), rule.init(p), p)
      >>> bool(abs(step[1, 1]) > 0.1)  # the small direction moves too
      True
    """
    rate = _hyper.rate("muon", learning_rate)
    adam_rate = (
        rate if adam_learning_rate is None else _hyper.rate("muon", adam_learning_rate, "adam_learning_rate")
    )
    coefficients = tuple(_hyper.scalar("muon", "ns_coeffs", c) for c in ns_coeffs)
    if len(coefficients) != 3:
        raise ValueError(f"muon: ns_coeffs must be three numbers, got {len(coefficients)}")
    steps = 5 if ns_steps is None else _hyper.count("muon", "ns_steps", ns_steps, 1)
    beta, eps = _hyper.fraction("muon", "beta", beta), _hyper.non_negative("muon", "eps", eps)
    decay = _hyper.rate("muon", weight_decay, "weight_decay")
    b1, b2 = _hyper.fraction("muon", "adam_b1", adam_b1), _hyper.fraction("muon", "adam_b2", adam_b2)
    eps_root = _hyper.non_negative("muon", "adam_eps_root", adam_eps_root)
    adam_decay = _hyper.rate("muon", adam_weight_decay, "adam_weight_decay")
    rms = None if consistent_rms is None else _hyper.non_negative("muon", "consistent_rms", consistent_rms)

    def init(params: optax.Params) -> MuonState:
        mu = _leaves.zeros("muon", params)
        # Zeros of their own: a donated buffer may not appear twice.
        nu = jax.tree.map(lambda m: None if m.ndim == 2 else jnp.zeros_like(m), mu)
        return MuonState(_leaves.zero_step(), mu, nu)

    def update(
        updates: optax.Updates, state: MuonState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, MuonState]:
        params = _trees.need_params("muon", params)
        leaves = _trees.matching("muon", "params", updates, params)
        masked = _trees.masked("muon", params, weight_decay_mask, "weight_decay_mask")
        decayed = [kept if jnp.ndim(p) == 2 else p for p, kept in zip(leaves, masked, strict=True)]
        _trees.check_slots("muon", updates, state[1:], lambda g: (g, None if g.ndim == 2 else g))
        step = _hyper.increment(state.step)
        f_beta, f1, f2 = _hyper.bias_factors(step, beta, b1, b2)
        weights = look_ahead if nesterov else _mean_only
        matrix = (
            _hyper.at_step(rate, state.step),
            _hyper.at_step(decay, state.step),
            beta,
            *weights(beta, f_beta),
        )
        others = (_hyper.at_step(adam_rate, state.step), _hyper.at_step(adam_decay, state.step))
        other = (*others, b1, *weights(b1, f1), b2, eps_root, f2)
        scalars = (eps, steps, *coefficients, rms, *matrix, *other)
        slots = (state.mu, state.nu)
        updates, mu, nu = _leaves.map_leaves(
            "muon", _leaf, scalars, updates, slots, params, [decayed], same_shape=False
        )
        return updates, MuonState(step, mu, nu)

    return _leaves.transformation(init, update)


def _mean_only(_decay, factor):
    """Return the weights of the mean gradient and of the gradient where nothing looks ahead."""
    return factor, 0.0


def _leaf(g, mu, nu, p, eps, steps, a, b, c, rms, *scalars):
    rate, decay, mean_decay, ahead, here = scalars[:5] if nu is None else scalars[5:10]
    mu = mean_decay * mu + (1 - mean_decay) * g
    mean = ahead * mu + here * g
    if nu is None:
        rows, columns = g.shape
        scale = (
            math.sqrt(max(1, columns / max(1, rows))) if rms is None else math.sqrt(max(rows, columns)) * rms
        )
        step = scale * _orthogonalize(mean, eps, steps, a, b, c)
    else:
        b2, eps_root, factor = scalars[10:]
        nu = b2 * nu + (1 - b2) * (g * g)
        step = _leaves.divide(mean, jnp.sqrt(nu * factor + eps_root) + eps, eps)
    return -rate * (step if p is None else step + decay * p), mu, nu


def _orthogonalize(x, eps, steps, a, b, c):
    """Drive the singular values of a matrix to about one; the Gram matrix is that of the shorter side."""
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = _leaves.divide(x, jnp.sqrt(jnp.sum(x * x)) + eps, eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
