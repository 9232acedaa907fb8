"""Every formulation of the convolution equals lax's in value and in every derivative."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops

CASES = {
    "tall 3x3": dict(x=(2, 9, 8, 5), kernel=(3, 3, 5, 20)),
    "one channel": dict(x=(2, 7, 8, 1), kernel=(3, 2, 1, 18)),
    "few features": dict(x=(2, 7, 8, 3), kernel=(3, 3, 3, 4)),
    "same, even kernel": dict(x=(2, 8, 7, 17), kernel=(4, 2, 17, 3), padding="SAME"),
    "strides": dict(x=(2, 9, 8, 5), kernel=(3, 3, 5, 18), strides=(2, 3)),
    "strides, same": dict(x=(1, 7, 8, 18), kernel=(3, 5, 18, 2), strides=2, padding="SAME"),
    "dilation": dict(x=(2, 9, 10, 5), kernel=(3, 2, 5, 18), dilation=(2, 3)),
    "pairs": dict(x=(2, 6, 5, 18), kernel=(3, 3, 18, 2), padding=((0, 3), (2, 1))),
    "many channels": dict(x=(1, 5, 6, 100), kernel=(2, 2, 100, 3)),
    "pointwise": dict(x=(2, 4, 5, 6), kernel=(1, 1, 6, 7)),
    "pointwise, strides": dict(x=(2, 4, 5, 6), kernel=(1, 1, 6, 7), strides=2),
    "whole input": dict(x=(2, 4, 3, 17), kernel=(4, 3, 17, 2)),
    "causal": dict(x=(2, 9, 5), kernel=(3, 5, 4), padding="CAUSAL", dilation=2),
    "1-D": dict(x=(2, 9, 5), kernel=(4, 5, 20), strides=2, padding="SAME"),
    "3-D": dict(x=(2, 5, 4, 6, 3), kernel=(2, 3, 2, 3, 18), strides=(1, 1, 2), padding="SAME"),
    "no leading axis": dict(x=(7, 8, 5), kernel=(3, 3, 5, 18)),
    "two leading axes": dict(x=(2, 3, 7, 8, 5), kernel=(3, 3, 5, 18)),
}


def _draw(case, dtype, copies=1):
    case = dict(case)
    rng = np.random.default_rng(7)
    shapes = case.pop("x"), case.pop("kernel")
    arrays = [jnp.asarray(rng.normal(size=(copies, *shape)), dtype) for shape in shapes for _ in range(1)]
    return [a if copies > 1 else a[0] for a in arrays], case


def _everything(x, kernel, dx, dkernel, *, conv):
    """Value, both gradients, the forward-mode derivative and a second derivative, in one compilation."""

    def value(x, kernel):
        y = conv(x, kernel)
        return jnp.sum(jnp.sin(y)), y

    gradient = jax.grad(value, argnums=(0, 1), has_aux=True)
    (grads, y), (second, dy) = jax.jvp(gradient, (x, kernel), (dx, dkernel))
    return y, grads, dy, second


@pytest.mark.parametrize("name", CASES)
def test_rows_equals_lax(name):
    with jax.enable_x64(True):
        (x, kernel), arguments = _draw(CASES[name], jnp.float64)
        (dx, dkernel), _ = _draw(CASES[name], jnp.float64)
        results = [
            jax.jit(partial(_everything, conv=partial(ops.conv, formulation=formulation, **arguments)))(
                x, kernel, jnp.cos(dx), jnp.cos(dkernel)
            )
            for formulation in ("rows", "lax")
        ]
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-11), *results)
