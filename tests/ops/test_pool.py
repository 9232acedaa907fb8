"""Every formulation of pooling equals lax's in value and gradient, ties, padding and low precision included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops

CASES = {
    "2x2": dict(shape=(2, 6, 7, 3), window=(2, 2)),
    "3x3 in steps of 2": dict(shape=(2, 9, 8, 3), window=(3, 3), strides=2),
    "same": dict(shape=(2, 7, 9, 2), window=(3, 2), strides=(2, 1), padding="SAME"),
    "pairs": dict(shape=(2, 6, 5, 2), window=(3, 3), strides=(2, 3), padding=((2, 0), (1, 2))),
    "gaps": dict(shape=(1, 9, 9, 2), window=(2, 2), strides=3),
    "1-D": dict(shape=(2, 11, 3), window=(4,), strides=3),
    "1-D, causal": dict(shape=(2, 8, 3), window=(3,), strides=1, padding="CAUSAL"),
    "3-D": dict(shape=(1, 4, 5, 4, 2), window=(2, 3, 2), padding="SAME"),
    "no leading axis": dict(shape=(6, 7, 3), window=(2, 2)),
    "two leading axes": dict(shape=(2, 3, 4, 4, 2), window=(2, 2)),
}


def _value_and_gradient(x, *, pool):
    y, back = jax.vjp(pool, x)
    return y, back(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]


@pytest.mark.parametrize("pool", [ops.max_pool, ops.avg_pool], ids=["max", "avg"])
@pytest.mark.parametrize("name", CASES)
def test_slices_equal_lax(name, pool):
    case = dict(CASES[name])
    draw = np.random.default_rng(3).integers(-3, 3, size=case.pop("shape"))  # many ties
    with jax.enable_x64(True):
        x = jnp.asarray(draw, jnp.float64)
        results = [
            jax.jit(partial(_value_and_gradient, pool=partial(pool, formulation=formulation, **case)))(x)
            for formulation in ("slices", "lax")
        ]
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), *results)
