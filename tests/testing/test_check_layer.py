"""``check_layer`` on layers of the package and of a user, with every declaration it takes."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import testing


def f32(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def failed(report):
    return [verdict.check for verdict in report.failures]


def test_a_dense_layer_passes_with_its_oracle():
    report = testing.check_layer(
        nn.dense(3), f32(2, 4), oracle=lambda p, x: x @ p["kernel"] + p["bias"], bad_inputs=[f32(2, 5)]
    )
    assert "oracle" in [verdict.check for verdict in report.verdicts]
    assert report.notes == ["train=True traces to the same program as train=False"]
    assert "PASS" in report.table()


def test_an_oracle_can_follow_the_state():
    def oracle(params, state, x, train):
        mean, var = (x.mean(0), x.var(0)) if train else (state["mean"], state["var"])
        y = (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]
        new = {k: 0.99 * state[k] + 0.01 * v for k, v in (("mean", mean), ("var", var))}
        return y, new if train else state

    report = testing.check_layer(
        nn.batch_norm(), f32(5, 3), oracle=oracle, cross_batch=True, lanes=["values", "rows", "state"]
    )
    assert {verdict.mode for verdict in report.verdicts} == {"train=False", "train=True"}


def test_a_bare_function_is_a_layer():
    testing.check_layer(jax.nn.relu, f32(3, 4), lanes=["values", "gradients", "points"])


def test_cross_batch_must_be_true_when_declared():
    report = testing.check_layer(
        nn.dense(2), f32(3, 4), cross_batch=True, train=True, lanes=["rows"], raises=False
    )
    assert failed(report) == ["rows mix"]


def test_a_dependency_mask_is_checked_both_ways():
    causal = np.tril(np.ones((4, 4), bool))

    def cumulative(x):
        return jnp.cumsum(x, axis=1)

    testing.check_layer(cumulative, f32(2, 4, 3), depends=causal, lanes=["rows"])
    for wrong in (np.tril(causal, -1), np.tril(np.ones((4, 4), bool), 1)):
        report = testing.check_layer(cumulative, f32(2, 4, 3), depends=wrong, lanes=["rows"], raises=False)
        assert failed(report) == ["dependency mask"]


def test_facts_see_the_call():
    facts = {"rows sum to one": lambda call: np.abs(call.y.sum(-1) - 1) < 1e-12}
    testing.check_layer(lambda x: jax.nn.softmax(x), f32(3, 4), facts=facts, lanes=["values"])
    report = testing.check_layer(jnp.tanh, f32(3, 4), facts=facts, lanes=["values"], raises=False)
    assert failed(report) == ["fact: rows sum to one"]


def test_masks():
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool)
    testing.check_layer(nn.dense(3), f32(2, 4, 3), mask=mask, lanes=["masks"])
    testing.check_layer(nn.flatten(), f32(2, 4, 3), mask="raises", lanes=["masks"])
    report = testing.check_layer(nn.dense(3), f32(2, 4, 3), mask="raises", lanes=["masks"], raises=False)
    assert failed(report) == ["refuses a mask"]


def test_an_exception_of_the_layer_is_a_finding():
    def broken(x):
        raise RuntimeError("no luck")

    report = testing.check_layer(broken, f32(2, 3), raises=False)
    assert failed(report) == ["init and trace"]
    assert "RuntimeError: no luck" in str(report)


def test_the_replay_repeats_the_verdict():
    bent = nn.stateless("bent", None, lambda p, x: jax.lax.stop_gradient(x) + 0.5 * x)
    first = testing.check_layer(bent, f32(2, 3), seed=4, raises=False)
    assert first.replay == "check_layer(bent, x, seed=4, lanes=['gradients', 'points'])"
    again = testing.check_layer(bent, f32(2, 3), seed=4, lanes=["gradients", "points"], raises=False)
    assert str(again).splitlines()[1:] == str(first).splitlines()[1:]


def test_an_unknown_lane_is_refused():
    with pytest.raises(ValueError, match="unknown lanes"):
        testing.check_layer(nn.dense(2), f32(2, 3), lanes=["gradient"])


def test_second_derivatives_are_checked_where_they_are_asked_for():
    report = testing.check_layer(nn.chain(nn.dense(3), jnp.tanh), f32(2, 4), lanes=["second order"])
    assert [verdict.check for verdict in report.verdicts] == ["symmetric Hessian", "second difference"]

    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (x**3, x), lambda x, g: (jax.lax.stop_gradient(3 * x**2) * g,))
    lanes = ["gradients", "second order"]
    report = testing.check_function(cube, jnp.array([1.5, -2.0]), lanes=lanes, raises=False)
    assert [verdict.check for verdict in report.failures] == ["second difference"]


def test_padding_of_integers_is_checked():
    ids, mask = np.arange(15, dtype=np.int32).reshape(3, 5) % 7, np.arange(5) < np.array([[5], [3], [2]])
    testing.check_layer(nn.embedding(7, 3), ids, mask=mask, lanes=["masks"])

    def apply(params, state, x, *, key=None, train=False):
        rows = params["table"][x.value if isinstance(x, nn.Masked) else x]
        centred = rows - jnp.mean(rows, axis=1, keepdims=True)
        return (nn.Masked(centred, x.mask) if isinstance(x, nn.Masked) else centred), state

    layer = nn.Layer("centred", lambda key, x: ({"table": jax.random.normal(key, (7, 3))}, {}), apply)
    report = testing.check_layer(layer, ids, mask=mask, lanes=["masks"], raises=False)
    assert "padding does not count" in failed(report)


def test_the_sharding_lane_asks_for_devices_and_has_them_from_the_command():
    report = testing.check_layer(nn.dense(3), f32(2, 4), lanes=["sharding"], raises=False)
    assert "jax_num_cpu_devices" in str(report)
    command = "jaxnn:layer_norm --shape 2,4 --lanes sharding --devices 4"
    done = subprocess.run(
        [sys.executable, "-m", "jaxnn.testing", *command.split()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sharded = unsharded" in done.stdout


def test_a_leaked_tracer_is_found():
    kept = []

    def leaky(x):
        kept.append(2 * x)
        return 3 * x

    report = testing.check_function(leaky, jnp.ones(3), lanes=["transforms"], raises=False)
    assert [verdict.check for verdict in report.failures] == ["no leaked tracers"]
