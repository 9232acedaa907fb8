"""Adagrad (Duchi, Hazan and Singer 2011, figure 1 with diagonal matrices; JMLR 12, 2121-2159).

::

    s <- s + g**2
    p <- p - rate * g / root(s)

Libraries disagree about where the sum starts and where ``eps`` stands. Starting at 0.1 instead of 0, a first
gradient of 0.01 takes a step thirty times shorter:

=====  =================  =====  =====
form   root(s)            start  eps
=====  =================  =====  =====
optax  ``sqrt(s + eps)``  0.1    1e-7
keras  ``sqrt(s + eps)``  0.1    1e-7
torch  ``sqrt(s) + eps``  0      1e-10
paper  ``sqrt(s) + eps``  0      0
=====  =================  =====  =====

(The paper's ``delta``, here ``eps``, may be any number that is zero or more.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxnn.optim import _hyper, _leaves

# form: start, eps
FORMS = {"optax": (0.1, 1e-7), "paper": (0.0, 0.0), "torch": (0.0, 1e-10), "keras": (0.1, 1e-7)}


class AdagradState(NamedTuple):
    """``step``, the updates made, ``[]`` int32 or ``None``, and the sum of squared gradients."""

    step: jax.Array | None
    sum_of_squares: optax.Updates


def adagrad(
    learning_rate: _hyper.ScalarOrSchedule,
    initial_accumulator_value: _hyper.ScalarLike | None = None,
    eps: _hyper.ScalarLike | None = None,
    *,
    form: str = "optax",
) -> optax.GradientTransformationExtraArgs:
    """Adagrad.

    Args:
      learning_rate: a float, a schedule (a callable of the step), or a traced value.
      initial_accumulator_value: where the sum starts, zero or more, or ``None`` for the form's own.
      eps: added under or to the root, or ``None`` for the form's own.
      form: ``"optax"``, ``"paper"``, ``"torch"`` or ``"keras"``, the table above.

    Raises:
      TypeError: an argument is not a number, or a leaf is not real floating point.
      ValueError: a concrete argument is out of range, ``form`` is unknown, or trees differ.

    Example:
      >>> import jax.numpy as jnp
      >>> rule = adagrad(0.5, form="paper")
      >>> rule.update(jnp.asarray([3.0, -2.0]), rule.init(jnp.ones(2)))[0]
      Array([-0.5,  0.5], dtype=float32)
    """
    default_start, default_eps = FORMS[_hyper.choice("adagrad", "form", form, FORMS)]
    rate = _hyper.rate("adagrad", learning_rate)
    given_start = default_start if initial_accumulator_value is None else initial_accumulator_value
    start = _hyper.non_negative("adagrad", "initial_accumulator_value", given_start)
    eps = _hyper.non_negative("adagrad", "eps", default_eps if eps is None else eps)
    eps_under_root = form in ("optax", "keras")

    def init(params: optax.Params) -> AdagradState:
        return AdagradState(_hyper.counter(rate), _leaves.zeros("adagrad", params, start))

    def update(
        updates: optax.Updates, state: AdagradState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AdagradState]:
        scalars = (_hyper.at_step(rate, state.step), eps, eps_under_root)
        updates, total = _leaves.map_leaves(
            "adagrad", _leaf, scalars, updates, (state.sum_of_squares,), params
        )
        return updates, AdagradState(_hyper.increment_if_any(state.step), total)

    return _leaves.transformation(init, update)


def _leaf(g, total, rate, eps, eps_under_root):
    total = total + g * g
    root = jnp.sqrt(total + eps) if eps_under_root else jnp.sqrt(total) + eps
    return -rate * _leaves.divide(g, root, eps), total
