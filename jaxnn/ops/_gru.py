"""The gated recurrent unit over a whole sequence (Cho et al., 2014, arXiv:1406.1078), in both of its forms.

``r = sigmoid(x @ W_r + h @ U_r + b_r)``, ``u = sigmoid(x @ W_u + h @ U_u + b_u)``, ``h' = u * h + (1 - u) *
n``, with ``n = tanh(x @ W_n + (r * h) @ U_n + b_n)`` in the form ``"original"``, and ``n = tanh(x @ W_n + b_n
+ r * (h @ U_n + recurrent_bias))`` in the form ``"reset_after"``.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.ops._dispatch import recurrent_formulation
from jaxnn.ops._gru_forms import FORMS
from jaxnn.ops._recurrent import check_recurrent, instantiate, masked_scan, previous, project


def gru(
    x: jax.Array,
    input_kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    recurrent_bias: jax.Array | None = None,
    carry: jax.Array | None = None,
    *,
    form: str = "reset_after",
    mask: jax.Array | None = None,
    reverse: bool = False,
    recurrent_scale: jax.Array | None = None,
    formulation: str | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Run a GRU over time.

    All inputs are projected by one product, and in the backward pass the gradients of all parameters are one
    product each over all steps. Every transformation applies, forward mode and higher derivatives included.

    Args:
      x: ``[..., time, in]``.
      input_kernel: ``[in, 3 * features]``, gates in the order reset, update, candidate.
      recurrent_kernel: ``[features, 3 * features]``.
      bias: ``[3 * features]``.
      recurrent_bias: ``[features]``, of the candidate, inside the reset; for ``"reset_after"`` alone.
      carry: ``h`` ``[..., features]``; zeros by default.
      form: ``"reset_after"`` applies the reset gate after the recurrent product, as cuDNN, PyTorch, Flax and
        Keras 3 do; ``"original"`` before it, as in the paper.
      mask: boolean ``[..., time]``; where it is false the carry stays and the output repeats. What ``x``
        holds there reaches neither output nor gradient.
      reverse: run from the last step to the first; outputs stay at the positions of their inputs.
      recurrent_scale: ``[..., features]``, multiplied with ``h`` in the recurrent products at every step: a
        dropout mask that holds for the sequence.
      formulation: ``None`` or ``"deferred"`` is the rule above; ``"lax"`` is plain autodiff of ``lax.scan``.

    Returns:
      The last carry ``h``, and the outputs ``[..., time, features]``.

    Raises:
      ValueError: shapes do not fit together, ``form`` or the formulation is unknown, or ``"original"`` is
        given a ``recurrent_bias``.
      TypeError: dtypes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> h, y = gru(jnp.ones((2, 5, 3)), jnp.ones((3, 12)), jnp.ones((4, 12)), form="original")
      >>> y.shape, bool((h == y[:, -1]).all())
      ((2, 5, 4), True)
    """
    if form not in FORMS:
        raise ValueError(f"gru: unknown form {form!r}; choose from {', '.join(map(repr, FORMS))}")
    if form == "original" and recurrent_bias is not None:
        raise ValueError("gru: form='original' has no recurrent_bias; pass None, or use form='reset_after'")
    width = recurrent_kernel.shape[-1]
    features = check_recurrent(
        "gru",
        x,
        input_kernel,
        recurrent_kernel,
        3,
        mask,
        {
            "bias": (bias, (width,)),
            "recurrent_bias": (recurrent_bias, (width // 3,)),
            "carry": (carry, None),
            "recurrent_scale": (recurrent_scale, None),
        },
    )
    h = jnp.zeros((*x.shape[:-2], features), x.dtype) if carry is None else carry
    p, real = project(x, input_kernel, bias, mask)
    run = _plain if recurrent_formulation("gru", formulation) == "lax" else _deferred
    last, ys = run(p, recurrent_kernel, recurrent_bias, h, real, recurrent_scale, form, reverse)
    return last, jnp.moveaxis(ys, 0, -2)


def _plain(
    p: jax.Array, kernel: jax.Array, bias: Any, h: jax.Array, mask: Any, scale: Any, form: str, reverse: bool
) -> tuple[jax.Array, jax.Array]:
    def step(carry: Any, p: jax.Array) -> tuple[Any, None]:
        return (FORMS[form].step(p, kernel, bias, carry[0], scale),), None

    (last,), (ys, _) = masked_scan(step, (h,), p, mask, reverse)
    return last, ys


@partial(jax.custom_jvp, nondiff_argnums=(6, 7))
def _deferred(
    p: jax.Array, kernel: jax.Array, bias: Any, h: jax.Array, mask: Any, scale: Any, form: str, reverse: bool
) -> tuple[jax.Array, jax.Array]:
    def step(carry: Any, p: jax.Array) -> tuple[Any, None]:
        h, _ = FORMS[form].fast_step(p, kernel, bias, carry[0], scale)
        return (h,), None

    (last,), (ys, _) = masked_scan(step, (h,), p, mask, reverse)
    return last, ys


def _tangent(form: str, reverse: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    p, kernel, bias, h, mask, scale = primals

    def step(carry: Any, p: jax.Array) -> tuple[Any, Any]:
        h, slopes = FORMS[form].fast_step(p, kernel, bias, carry[0], scale)
        return (h,), slopes

    (last,), (hs, slopes) = masked_scan(step, (h,), p, mask, reverse)
    e = FORMS[form].perturbation(previous(hs, h, reverse), slopes, primals, tangents)
    mirrored = kernel.T

    def along(carry: Any, x: Any) -> tuple[Any, None]:
        # Mirrored twice, so that the transpose of its products reads the kernel in standard layout.
        return (FORMS[form].along(carry[0], *x, mirrored.T, scale),), None

    (dlast,), (dys, _) = masked_scan(along, (instantiate(tangents[3]),), (e, slopes), mask, reverse)
    return (last, hs), (dlast, dys)


_deferred.defjvp(_tangent, symbolic_zeros=True)
