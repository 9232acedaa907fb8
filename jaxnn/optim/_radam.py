"""RAdam, rectified Adam (Liu et al. 2020, algorithm 2; https://arxiv.org/abs/1908.03265).

Over the first steps the variance of Adam's second moment is too large to divide by. The length of the moving
average, ``r``, tells when it is not::

    r_inf = 2 / (1 - b2) - 1
    r     = r_inf - 2 * t * b2**t / (1 - b2**t)
    rect  = sqrt((r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r))

    p <- p - rate * mu_hat                                    while r < threshold
    p <- p - rate * rect * mu_hat / (sqrt(nu_hat) + eps)      from then on

with ``mu_hat`` and ``nu_hat`` of :mod:`jaxnn.optim._adam`. Libraries disagree about the threshold and about
``eps``, which PyTorch adds before the correction; with gradients near ``eps`` that is another step. With
``c2 = 1 - b2**t``:

=====  =========  ====================================================  ====
form   threshold  instead of ``mu_hat / (sqrt(nu_hat) + eps)``          eps
=====  =========  ====================================================  ====
optax  5                                                                1e-8
torch  5          ``mu_hat * sqrt(c2) / (sqrt(nu) + eps)``              1e-8
paper  4                                                                0
=====  =========  ====================================================  ====
"""

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves
from jaxnn.optim._adam import AdamState

# form: threshold, eps
FORMS = {"optax": (5.0, 1e-8), "paper": (4.0, 0.0), "torch": (5.0, 1e-8)}


def radam(
    learning_rate: _hyper.ScalarOrSchedule,
    b1: _hyper.ScalarLike = 0.9,
    b2: _hyper.ScalarLike = 0.999,
    eps: _hyper.ScalarLike | None = None,
    eps_root: _hyper.ScalarLike = 0.0,
    threshold: _hyper.ScalarLike | None = None,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """RAdam, rectified without the cancellation by which float32 loses the length of a young average.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      b1: decay of the mean of gradients, in ``[0, 1)``.
      b2: decay of the mean of squared gradients, in ``[0, 1)``.
      eps: added to the root, or ``None`` for the form's own.
      eps_root: added under the root.
      threshold: the length from which the average is divided by, 4 or more, or ``None`` for the form's own.
      form: ``"optax"``, ``"paper"`` or ``"torch"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = radam(0.5)
      >>> step, _ = rule.update(jnp.asarray([3.0, -2.0]), rule.init(jnp.ones(2)))
      >>> print(f"{step[0]:.3f} {step[1]:.3f}")
      -1.500 1.000
    """
    default_threshold, default_eps = FORMS[_hyper.choice("radam", "form", form, FORMS)]
    rate = _hyper.rate("radam", learning_rate)
    b1, b2 = _hyper.fraction("radam", "b1", b1), _hyper.fraction("radam", "b2", b2)
    eps = _hyper.non_negative("radam", "eps", default_eps if eps is None else eps)
    eps_root = _hyper.non_negative("radam", "eps_root", eps_root)
    limit = _hyper.scalar("radam", "threshold", default_threshold if threshold is None else threshold)
    if isinstance(limit, float) and limit < 4.0:
        raise ValueError(f"radam: threshold must be at least 4, where the rectification begins, got {limit}")

    def init(params: optax.Params) -> AdamState:
        return AdamState(_leaves.zero_step(), _leaves.zeros("radam", params), _leaves.zeros("radam", params))

    def update(
        updates: optax.Updates, state: AdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdamState]:
        step = _hyper.increment(state.step)
        factor1, factor2 = _hyper.bias_factors(step, b1, b2)
        r, r_inf = _length(b2, step), 2 / (1 - b2) - 1
        rectification = jnp.sqrt(
            jnp.maximum(r - 4, 0) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * jnp.maximum(r, 1))
        )
        if form == "torch":
            rectification, factor2 = rectification / jnp.sqrt(factor2), 1.0
        scalars = (
            _hyper.at_step(rate, state.step),
            b1,
            b2,
            eps,
            eps_root,
            factor1,
            factor2,
            rectification,
            r >= limit,
        )
        updates, mu, nu = _leaves.map_leaves("radam", _leaf, scalars, updates, (state.mu, state.nu), params)
        return updates, AdamState(step, mu, nu)

    return _leaves.transformation(init, update)


def _length(b2: _hyper.Scalar, step: jax.Array) -> jax.Array:
    """Return the length of the moving average of squares after ``step`` steps.

    With ``k = -log(b2)`` and ``x = k * t`` it is ``r_inf - 2 * t / expm1(x)``, the difference of two numbers
    near 2000 that is near ``t``. Written as ``(r_inf - 2 / k) + t - 2 / k * (x / expm1(x) - 1 + x / 2)``,
    with the last factor as its series, no digits are lost while ``x < 1``.
    """
    t = step.astype(jnp.result_type(float))
    k, r_inf = -_hyper.log(b2), 2 / (1 - b2) - 1
    x = jnp.asarray(k, t.dtype) * t
    direct = r_inf - 2 * t / jnp.expm1(x)
    if t.dtype == jnp.float64:
        return direct
    squared = x * x
    series = squared / 12 * (1 - squared / 60 * (1 - squared / 42 * (1 - squared / 40)))
    return jnp.where(x < 1, (r_inf - 2 / k) + t - 2 / k * series, direct)


def _leaf(g, mu, nu, rate, b1, b2, eps, eps_root, factor1, factor2, rectification, long_enough):
    mu = b1 * mu + (1 - b1) * g
    nu = b2 * nu + (1 - b2) * (g * g)
    mean = mu * factor1
    divided = rectification * _leaves.divide(mean, jnp.sqrt(nu * factor2 + eps_root) + eps, eps)
    return -rate * jnp.where(long_enough, divided, mean), mu, nu
