"""``cast`` in training: bfloat16 as it is, float16 with a loss scale that counts its skipped steps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parity import assert_close

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (64, 4))
Y = (X[:, 0] * X[:, 1] > 0).astype(jnp.int32)


def network(dtype: Any) -> nn.Layer:
    body = nn.chain(nn.dense(32), nn.layer_norm(), jnp.tanh, nn.dense(2))
    return body if dtype is None else nn.cast(body, dtype)


def classifier(dtype: Any) -> train.Objective:
    return train.supervised(network(dtype), losses.cross_entropy, metrics=(metrics.accuracy,))


def faint(dtype: Any) -> train.Objective:
    """A loss whose cotangents, some 1e-9, are 0 in float16."""

    def loss(outputs: Any, targets: Any) -> Any:
        return 1e-7 * losses.cross_entropy(outputs, targets)

    return train.supervised(network(dtype), loss)


def fit(task: train.Objective, rule: Any, **options: Any) -> train.Result:
    settings: dict[str, Any] = {"epochs": 30, "batch_size": 16, "key": KEY, "progress": False}
    return train.fit(task, rule, (X, Y), **(settings | options))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_low_precision_learns_as_float32_does(dtype: Any) -> None:
    rule = optim.adam(1e-2)
    full = fit(classifier(None), rule).history
    low = fit(classifier(dtype), optim.dynamic_loss_scale(rule) if dtype == jnp.float16 else rule)
    np.testing.assert_allclose(low.history["loss"], full["loss"], atol=0.03)
    assert low.history.last["loss"] < 0.5 * low.history["loss"][0]
    carried = jax.tree.leaves((low.params, low.train_state.opt_state))
    assert {leaf.dtype for leaf in carried} == {jnp.dtype("float32"), jnp.dtype("int32")}


def one_step(task: train.Objective, rule: Any) -> tuple[Any, Any]:
    state = train.TrainState.create(task, rule, KEY, (X, Y))
    after, record = train.make_step(task, rule)(state, (X, Y))
    return jax.tree.map(jnp.subtract, after.params, state.params), record


def test_scaling_saves_gradients_that_float16_cannot_hold() -> None:
    expected, _ = one_step(faint(None), optim.sgd(1e7))
    lost, _ = one_step(faint(jnp.float16), optim.sgd(1e7))
    assert not lost["dense_0"]["kernel"].any()
    kept, record = one_step(faint(jnp.float16), optim.dynamic_loss_scale(optim.sgd(1e7), initial=2.0**24))
    assert_close(kept, expected, 1e-2)
    assert record["skipped_steps"] == 0


def test_the_scale_falls_until_steps_fit_and_skipped_ones_are_counted() -> None:
    rule = optim.dynamic_loss_scale(optim.adam(1e-2), initial=2.0**20)
    task = classifier(jnp.float16)
    state = train.TrainState.create(task, rule, KEY, (X[:1], Y[:1]))
    step = train.make_step(task, rule)
    skipped = 0
    for _ in range(12):
        before = state
        state, record = step(state, (X[:1], Y[:1]))
        if record["skipped_steps"]:
            skipped += 1
            assert state.opt_state.loss_scale == before.opt_state.loss_scale / 2
            jax.tree.map(np.testing.assert_array_equal, state.params, before.params)
            jax.tree.map(np.testing.assert_array_equal, state.opt_state.inner, before.opt_state.inner)
        else:
            assert state.opt_state.loss_scale == before.opt_state.loss_scale
            assert not jnp.array_equal(state.params["dense_1"]["kernel"], before.params["dense_1"]["kernel"])
        assert jnp.isfinite(record["loss"].compute())
    assert 3 <= skipped <= 6
    assert state.opt_state.skipped == skipped


def test_fit_reports_skipped_steps_of_each_epoch() -> None:
    rule = optim.dynamic_loss_scale(optim.adam(1e-2), initial=2.0**26, growth_interval=1000)
    result = fit(classifier(jnp.float16), rule, epochs=4)
    counts = result.history["skipped_steps"]
    assert counts[0] >= 3
    assert counts[-1] == 0
    assert int(sum(counts)) == result.train_state.opt_state.skipped
    more = fit(classifier(jnp.float16), rule, epochs=1, train_state=result.train_state)
    assert more.train_state.opt_state.skipped == int(sum(counts) + more.history["skipped_steps"][0])
    assert "skipped_steps" not in fit(classifier(None), optim.adam(1e-2), epochs=1).history


def test_the_scale_grows_after_the_interval_and_never_to_infinity() -> None:
    rule = optim.dynamic_loss_scale(optim.sgd(0.1), initial=4.0, growth_interval=3)
    state = rule.init(jnp.ones(2))
    update = jax.jit(rule.update)
    scales = []
    for t in range(8):
        _, state = update(jnp.full(2, jnp.inf if t == 1 else 1.0), state)
        scales.append(float(state.loss_scale))
    assert scales == [4, 2, 2, 2, 4, 4, 4, 8]
    top = optim.dynamic_loss_scale(optim.sgd(0.1), initial=2.0**127, growth_interval=1)
    _, state = top.update(jnp.zeros(2), top.init(jnp.ones(2)))
    assert state.loss_scale == 2.0**127
    low = optim.dynamic_loss_scale(optim.sgd(0.1), initial=1.0)
    _, state = low.update(jnp.full(2, jnp.nan), low.init(jnp.ones(2)))
    assert (state.loss_scale, state.skipped) == (1, 1)


def test_in_float32_nothing_changes() -> None:
    clipped = optax.chain(optax.clip_by_global_norm(0.5), optim.momentum(0.1))
    plain, scaled = (
        fit(classifier(None), rule, epochs=3).params for rule in (clipped, optim.dynamic_loss_scale(clipped))
    )
    assert_close(scaled, plain, 1e-6)


def test_lanes_of_a_scan_under_vmap_have_scales_of_their_own() -> None:
    task = classifier(jnp.float16)

    def run(initial: Any) -> tuple[Any, Any]:
        rule = optim.dynamic_loss_scale(optim.adam(1e-2), initial=initial, growth_interval=4)
        state = train.TrainState.create(task, rule, KEY, (X, Y))
        step = train.make_step(task, rule)
        state, records = jax.lax.scan(lambda s, _: step(s, (X, Y)), state, None, length=8)
        return state.opt_state.loss_scale, records["skipped_steps"].sum()

    initial = jnp.array([2.0**8, 2.0**30])
    scales, skipped = jax.jit(jax.vmap(run))(initial)
    for lane in range(2):
        scale, count = jax.jit(run)(initial[lane])
        assert (scales[lane], skipped[lane]) == (scale, count)
    assert skipped[0] == 0
    assert skipped[1] > 3


def test_the_value_and_gradient_given_to_a_rule_are_unscaled() -> None:
    def update(updates: Any, state: Any, params: Any = None, *, value: Any, grad: Any, **_: Any) -> Any:
        return updates, (value, grad["bias"])

    inner = optax.GradientTransformationExtraArgs(
        lambda p: (jnp.zeros(()), jnp.zeros_like(p["bias"])), update
    )
    task = train.supervised(nn.dense(2), losses.cross_entropy)
    found = []
    for rule in (inner, optim.dynamic_loss_scale(inner)):
        state = train.TrainState.create(task, rule, KEY, (X, Y))
        state, _ = train.make_step(task, rule)(state, (X, Y))
        found.append(getattr(state.opt_state, "inner", state.opt_state))
    jax.tree.map(np.testing.assert_array_equal, *found)


def test_a_scale_inside_another_rule_is_refused() -> None:
    inside = optax.chain(optax.clip_by_global_norm(1.0), optim.dynamic_loss_scale(optim.sgd(0.1)))
    with pytest.raises(ValueError, match=r"make_step: a rule with a loss scale .*make it the outermost"):
        fit(classifier(None), inside, epochs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 0}, "initial must be above zero, got 0"),
        ({"factor": 1}, "factor must be above 1, got 1"),
        ({"growth_interval": 0}, "growth_interval must be at least 1, got 0"),
    ],
)
def test_message(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"dynamic_loss_scale: {message}"):
        optim.dynamic_loss_scale(optim.sgd(0.1), **options)
    with pytest.raises(TypeError, match="dynamic_loss_scale: inner must be"):
        optim.dynamic_loss_scale(optim.sgd)  # type: ignore[arg-type]
