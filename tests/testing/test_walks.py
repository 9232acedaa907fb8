"""What walks through programs enters every kind of control flow, as each version of JAX writes it down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn.inspect._flops import count_flops
from jaxnn.testing._linear import has_custom_rule, has_custom_vjp
from jaxnn.testing._twin import evaluate, undecorated


@jax.custom_vjp
def ruled(x):
    return jnp.sin(x)


ruled.defvjp(lambda x: (ruled(x), x), lambda x, dy: (1.5 * jnp.cos(x) * dy,))

# How a program calls a function of three numbers, and how many times in one run.
FLOWS = {
    "plain": (lambda f, x: f(x), 1),
    "jit": (lambda f, x: jax.jit(f)(x), 1),
    "remat": (lambda f, x: jax.checkpoint(f)(x), 1),
    "scan": (lambda f, x: jax.lax.scan(lambda c, _: (f(c), c), x, length=4)[0], 4),
    "scan of rows": (lambda f, x: jax.lax.scan(lambda c, r: (c, f(r)), 0, jnp.stack([x, x]), reverse=True)[1], 2),
    "map in vmap": (lambda f, x: jax.vmap(lambda x: jax.lax.map(f, x[None]))(x[None]), 1),
    "scan in scan": (
        lambda f, x: jax.lax.fori_loop(0, 2, lambda _, c: jax.lax.scan(lambda c, _: (f(c), None), c, length=3)[0], x),
        6,
    ),
    "cond": (lambda f, x: jax.lax.cond(x[0] > 0, f, lambda x: x, x), 1),
    "while": (lambda f, x: jax.lax.while_loop(lambda c: c.sum() > 9, f, x), 1),
}  # fmt: skip


@pytest.mark.parametrize("flow", FLOWS)
def test_rules_and_operations_are_found_inside(flow: str) -> None:
    wrap, times = FLOWS[flow]
    x = jnp.arange(1.0, 4.0)
    closed = jax.make_jaxpr(lambda x: wrap(ruled, x))(x)
    assert has_custom_vjp(closed.jaxpr)
    plain = undecorated(closed)
    assert not has_custom_rule(plain.jaxpr)
    jax.tree.map(np.testing.assert_array_equal, evaluate(plain.jaxpr, plain.consts, [x]), [wrap(ruled, x)])
    none = sum(count_flops(jax.make_jaxpr(lambda x: wrap(lambda x: x, x))(x)).values())
    assert sum(count_flops(closed).values()) - none == 3 * times
    assert not has_custom_rule(jax.make_jaxpr(lambda x: wrap(jnp.sin, x))(x).jaxpr)


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if flow != "while"])
def test_the_twin_has_the_true_derivative(flow: str) -> None:
    wrap, _ = FLOWS[flow]
    x = jnp.arange(1.0, 4.0)
    closed = jax.make_jaxpr(lambda x: wrap(ruled, x))(x)
    got = jax.grad(lambda x: evaluate(closed.jaxpr, closed.consts, [x])[0].sum())(x)
    np.testing.assert_allclose(got, jax.grad(lambda x: wrap(jnp.sin, x).sum())(x), rtol=1e-5)
