"""Recurrent cores: the rule with deferred weight gradients equals plain autodiff of a scan, in every mode."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnn import ops
from jaxnn.testing._keys import scan_operands

BATCH, TIME, INPUTS, FEATURES = 3, 5, 3, 4
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
CORES: dict[str, tuple[Callable[..., Any], int]] = {
    "lstm": (lambda p, **options: ops.lstm(p["x"], *p["w"], p["b"], (p["h"], p["c"]), **options), 4),
    "gru": (lambda p, **options: ops.gru(p["x"], *p["w"], p["b"], p["rb"], p["h"], **options), 3),
    "gru original": (
        lambda p, **options: ops.gru(p["x"], *p["w"], p["b"], None, p["h"], form="original", **options),
        3,
    ),
    "simple_rnn": (lambda p, **options: ops.simple_rnn(p["x"], *p["w"], p["b"], p["h"], **options), 1),
    "simple_rnn softplus": (
        lambda p, **options: ops.simple_rnn(
            p["x"], *p["w"], p["b"], p["h"], activation=jax.nn.softplus, **options
        ),
        1,
    ),
}


def arguments(gates: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    return {
        "x": draw(BATCH, TIME, INPUTS),
        "w": (draw(INPUTS, gates * FEATURES), draw(FEATURES, gates * FEATURES)),
        "b": draw(gates * FEATURES),
        "rb": draw(FEATURES),
        "h": draw(BATCH, FEATURES),
        "c": draw(BATCH, FEATURES),
        "scale": rng.integers(0, 2, (BATCH, FEATURES)) * 2.0,
    }


def close(left: Any, right: Any) -> None:
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("reverse", "masked"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", CORES)
def test_deferred_equals_autodiff_in_value_and_in_both_modes(name: str, reverse: bool, masked: bool) -> None:
    core, gates = CORES[name]
    with jax.enable_x64(True):
        primals, tangents = arguments(gates), arguments(gates, 1)
        options = {"reverse": reverse, "mask": MASK if masked else None}

        def run(formulation: str) -> Any:
            def function(p: Any) -> Any:
                return core(
                    p, formulation=formulation, recurrent_scale=p["scale"] if masked else None, **options
                )

            def both(p: Any, dp: Any) -> Any:
                forward = jax.jvp(function, (p,), (dp,))
                y, pull = jax.vjp(function, p)
                return forward, pull(jax.tree.map(jnp.cos, y))

            return jax.jit(both)(primals, tangents)

        close(run("deferred"), run("lax"))


@pytest.mark.parametrize("name", ["lstm", "gru original"])
def test_second_derivatives_and_vmap(name: str) -> None:
    core, gates = CORES[name]
    with jax.enable_x64(True):
        primals = arguments(gates)
        many = jax.tree.map(lambda a: np.stack([a, 0.5 * a]), primals)

        def run(formulation: str) -> Any:
            def loss(p: Any) -> Any:
                last, y = core(p, formulation=formulation, mask=MASK)
                return sum(jnp.sum(jnp.sin(leaf)) for leaf in (*jax.tree.leaves(last), y))

            def curvature(p: Any) -> Any:
                return jax.grad(lambda q: sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(q))))(p)

            return jax.jit(jax.vmap(curvature))(many)

        close(run("deferred"), run("lax"))


def test_weights_that_need_no_gradient_cost_none() -> None:
    core, gates = CORES["lstm"]
    primals = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), arguments(gates))

    def loss(x: Any) -> Any:
        return jnp.sum(core({**primals, "x": x})[1])

    jaxpr = jax.make_jaxpr(jax.grad(loss))(primals["x"])
    products = [e.outvars[0].aval.shape for e in jaxpr.eqns if e.primitive.name == "dot_general"]
    assert len(products) == 2
    assert (FEATURES, gates * FEATURES) not in products


def test_the_loop_backwards_adds_to_no_weight_gradient() -> None:
    """What a step of the backward loop carries is the size of the carry, not of a kernel."""
    core, gates = CORES["lstm"]
    primals = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), arguments(gates))
    jaxpr = jax.make_jaxpr(jax.grad(lambda p: jnp.sum(core(p)[1])))(primals)
    loops = [equation for equation in jaxpr.eqns if equation.primitive.name == "scan"]
    assert len(loops) == 2
    for loop in loops:
        consts, carries = scan_operands(loop)
        assert carries >= 2
        carried = [v.aval.shape for v in loop.invars[consts : consts + carries]]
        assert set(carried) <= {(BATCH, FEATURES), ()}


ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "rank": (
        lambda: ops.lstm(jnp.ones(3), jnp.ones((3, 8)), jnp.ones((2, 8))),
        r"lstm: x must be \[\.\.\., time, in\]",
    ),
    "kernel": (
        lambda: ops.lstm(jnp.ones((4, 3)), jnp.ones((3, 6)), jnp.ones((2, 6))),
        r"lstm: recurrent_kernel must",
    ),
    "inputs": (
        lambda: ops.gru(jnp.ones((4, 3)), jnp.ones((2, 6)), jnp.ones((2, 6))),
        r"gru: expected input_kernel of",
    ),
    "bias": (
        lambda: ops.gru(jnp.ones((4, 3)), jnp.ones((3, 6)), jnp.ones((2, 6)), jnp.ones(4)),
        r"gru: bias must have shape \(6,\), got \(4,\)",
    ),
    "form": (
        lambda: ops.gru(jnp.ones((4, 3)), jnp.ones((3, 6)), jnp.ones((2, 6)), form="cudnn"),
        r"unknown form 'cudnn'",
    ),
    "recurrent bias": (
        lambda: ops.gru(
            jnp.ones((4, 3)), jnp.ones((3, 6)), jnp.ones((2, 6)), None, jnp.ones(2), form="original"
        ),
        r"form='original' has no recurrent_bias",
    ),
    "mask": (
        lambda: ops.simple_rnn(jnp.ones((4, 3)), jnp.ones((3, 2)), jnp.ones((2, 2)), mask=jnp.ones(4)),
        r"simple_rnn: mask must be boolean of shape \(4,\)",
    ),
    "dtype": (
        lambda: ops.simple_rnn(jnp.ones((4, 3)), jnp.ones((3, 2)), jnp.ones((2, 2), jnp.bfloat16)),
        r"simple_rnn: x is float32 and recurrent_kernel is bfloat16",
    ),
    "formulation": (
        lambda: ops.simple_rnn(jnp.ones((4, 3)), jnp.ones((3, 2)), jnp.ones((2, 2)), formulation="cudnn"),
        r"simple_rnn: unknown formulation 'cudnn'; .*'lax', 'deferred'",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, pattern = ERRORS[name]
    with pytest.raises((TypeError, ValueError), match=pattern):
        call()


def test_half_a_carry_is_kept() -> None:
    x, w, u, h = jnp.ones((2, 5, 3)), jnp.ones((3, 16)), jnp.ones((4, 16)), jnp.full((2, 4), 0.5)
    half = ops.lstm(x, w, u, carry=(h, None))[1]  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(half, ops.lstm(x, w, u, carry=(h, jnp.zeros((2, 4))))[1])
