"""A NaN planted anywhere is found where it was planted."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import jaxnn as nn
from jaxnn import inspect, losses, optim, train

DEPTH = 20
KEY = jax.random.key(0)


@jax.custom_vjp
def spoiled(h, flag):
    """The identity, the gradient of which is NaN where ``flag`` is set."""
    return h


spoiled.defvjp(
    lambda h, flag: (h, flag),
    lambda flag, g: (jnp.where(flag > 0, jnp.nan, g), jnp.zeros_like(flag)),
)


def mined():
    """A dense layer with two mines in its parameters, so that one compilation serves all that go off."""
    dense = nn.dense(4)

    def init(key, x):
        return {**dense.init(key, x)[0], "forward": jnp.zeros(()), "backward": jnp.zeros(())}

    def apply(params, x):
        y, _ = dense.apply({name: params[name] for name in ("kernel", "bias")}, {}, x)
        return spoiled(jnp.where(params["forward"] > 0, jnp.nan, y), params["backward"])

    return nn.stateless("mined", init, apply)


RULE = optim.sgd(0.01)
BATCH = (jax.random.normal(KEY, (3, 4)), jnp.ones((3, 4)))


@pytest.fixture(scope="module")
def deep():
    """20 layers in chains of 5: the objective and a state of its run."""
    model = nn.chain(*[nn.chain(*[part for _ in range(5) for part in (mined(), jnp.tanh)]) for _ in range(4)])
    task = train.supervised(model, losses.squared_error)
    return task, train.TrainState.create(task, RULE, KEY, BATCH)


def planted(state, chain, layer, mine):
    params = jax.tree.map(lambda a: a, state.params)
    params[f"chain_{chain}"][f"mined_{layer}"][mine] = jnp.ones(())
    return state._replace(params=params)


# The first and last of a chain, the last of all; the others take a minute together.
SOME = (0, 4, 10, DEPTH - 1)


@pytest.mark.parametrize("mine", ["forward", "backward"])
@pytest.mark.parametrize(
    "layer",
    [layer if layer in SOME else pytest.param(layer, marks=pytest.mark.slow) for layer in range(DEPTH)],
)
def test_planted_in_any_of_twenty_layers(deep, layer, mine):
    task, state = deep
    found = inspect.locate_nonfinite(task, RULE, planted(state, *divmod(layer, 5), mine), [BATCH])
    assert found == inspect.NonFinite(0, mine, f"chain_{layer // 5}.mined_{layer % 5}")


def test_nothing_is_found_where_all_is_finite(deep):
    task, state = deep
    assert inspect.locate_nonfinite(task, RULE, state, [BATCH] * 3) is None


@pytest.fixture(scope="module")
def repeated():
    model = nn.chain(nn.dense(4), nn.repeat(nn.residual(nn.chain(mined(), jnp.tanh)), 6), nn.dense(4))
    task = train.supervised(model, losses.squared_error)
    return task, train.TrainState.create(task, RULE, KEY, BATCH)


@pytest.mark.parametrize("mine", ["forward", "backward"])
@pytest.mark.parametrize("copy", [0, 3, 5])
def test_planted_in_one_copy_of_a_repeated_layer(repeated, copy, mine):
    task, state = repeated
    params = jax.tree.map(lambda a: a, state.params)
    own = params["repeat_0"]["body"]["mined_0"]
    own[mine] = own[mine].at[copy].set(1)
    found = inspect.locate_nonfinite(task, RULE, state._replace(params=params), [BATCH])
    assert found == inspect.NonFinite(0, mine, "repeat_0.body.mined_0", (copy,))


def run(model, batches, loss=losses.squared_error, rule=RULE, change=lambda params: params):
    task = train.supervised(model, loss)
    state = train.TrainState.create(task, rule, KEY, batches[0])
    return inspect.locate_nonfinite(task, rule, state._replace(params=change(state.params)), batches)


def test_the_step_is_counted():
    model = nn.chain(nn.dense(4), nn.dropout(0.5), jnp.log1p, nn.dense(1))
    good, bad = (jnp.zeros((2, 3)), jnp.ones((2, 1))), (jnp.full((2, 3), -1e9), jnp.ones((2, 1)))
    found = run(model, [good, good, bad, good], change=lambda p: jax.tree.map(jnp.ones_like, p))
    assert (found.step, found.during, found.path) == (2, "forward", "log1p_0")
    assert str(found) == "step 2, forward: first not finite is the output of log1p_0"


def test_an_objective_without_a_hash():
    @dataclasses.dataclass
    class Evaluate:
        inner: Callable[..., Any]

        def __call__(self, *args, **kwargs):
            return self.inner(*args, **kwargs)

    task = train.supervised(nn.chain(jnp.log, nn.dense(1)), losses.squared_error)
    bare = dataclasses.replace(task, evaluate=Evaluate(task.evaluate))
    batch = jnp.zeros((2, 3)), jnp.ones((2, 1))
    found = inspect.locate_nonfinite(bare, RULE, train.TrainState.create(bare, RULE, KEY, batch), [batch])
    assert found == inspect.NonFinite(0, "forward", "log_0")


def test_a_gradient_that_is_born_at_a_kink():
    """sqrt at 0 has a finite value and an infinite slope, in the second of two calls."""

    @nn.model(root=jnp.sqrt, dense=nn.dense(2))
    def model(m, x):
        return m.dense(m.root(jnp.zeros_like(x) * jnp.sum(x)) + m.root(x))

    @nn.model(first=nn.dense(2), rest=model)
    def whole(m, x):
        return m.rest(m.first(x) ** 2 + 1)

    found = run(whole, [(jnp.ones((2, 2)), jnp.ones((2, 2)))])
    assert (found.during, found.path) == ("backward", "rest.root[0]")


def test_a_models_own_code():
    @nn.model(first=nn.dense(2), second=nn.dense(2))
    def own(m, x):
        return m.second(m.first(x) / jnp.zeros_like(x))

    batch = (jnp.ones((2, 2)), jnp.ones((2, 2)))
    assert run(own, [batch]).path == "model"
    assert run(nn.chain(own), [batch]).path == "own_0"


@pytest.mark.parametrize(
    ("loss", "during"),
    [
        (lambda y, t: jnp.sum(jnp.log(y * 0), -1), "forward"),
        (lambda y, t: jnp.sum(jnp.sqrt(y * 0), -1), "backward"),
    ],
)
def test_the_loss(loss, during):
    found = run(nn.chain(nn.dense(2)), [(jnp.ones((2, 2)), jnp.ones((2, 2)))], loss)
    assert (found.during, found.path) == (during, "loss")


def test_input_start_and_update():
    model, batch = nn.chain(nn.dense(2)), (jnp.ones((2, 2)), jnp.ones((2, 2)))
    found = run(model, [batch, (batch[0].at[0, 1].set(jnp.inf), batch[1])])
    assert (found.step, found.during, found.path) == (1, "input", "batch.0")
    found = run(model, [batch], change=lambda p: jax.tree.map(lambda a: a * jnp.nan, p))
    assert (found.during, found.path) == ("start", "params.dense_0.bias")
    found = run(model, [batch], rule=optax.scale(jnp.inf))
    assert (found.step, found.during, found.path) == (0, "update", "params.dense_0.bias")


def test_padding_is_not_counted():
    value = jnp.ones((2, 3, 2)).at[0, 2].set(jnp.nan)
    x = nn.Masked(value, jnp.array([[True, True, False], [True, True, True]]))
    assert run(nn.chain(nn.dense(2), jnp.tanh), [(x, jnp.ones((2, 3, 2)))]) is None


def test_overflow_of_a_squared_error():
    model = nn.chain(nn.embedding(5, 3), nn.lstm(4), head=nn.dense(1))
    batch = (jnp.array([[0, 1, 2]] * 2), jnp.zeros((2, 3, 1)))
    found = run(model, [batch], change=lambda p: {**p, "head": jax.tree.map(lambda a: a + 1e25, p["head"])})
    assert (found.during, found.path) == ("forward", "loss")


def test_wrong_arguments():
    with pytest.raises(TypeError, match="expected an Objective"):
        inspect.locate_nonfinite(nn.dense(2), RULE, None, [])
    with pytest.raises(TypeError, match="train_state must be a TrainState"):
        inspect.locate_nonfinite(train.supervised(nn.dense(2), losses.squared_error), RULE, {}, [])
