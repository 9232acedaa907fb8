"""The compiled beginning of a run: TrainState.create's numbers, and inits that cannot be compiled."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train
from jaxnn.train._start import created

X = jnp.ones((1, 8, 8, 3))
DATA = jnp.ones((4, 3)), jnp.ones((4, 1))


def linear(name: str, init: Callable[..., Any]) -> nn.Layer:
    """A product with a kernel that ``init`` makes."""
    return nn.stateless(name, init, lambda params, x: x @ params["kernel"])


@pytest.mark.parametrize("ema", [False, True])
def test_it_has_the_numbers_of_create_in_one_program(ema, caplog) -> None:
    model = nn.chain(
        nn.embedding(11, 3), nn.conv(5, (3, 3)), nn.batch_norm(), jax.nn.relu, nn.flatten(), nn.dropout(0.1),
        nn.dense(300, kernel_init=jax.nn.initializers.glorot_uniform()), nn.layer_norm(),
        nn.dense(4, kernel_init=jax.nn.initializers.orthogonal()),
    )  # fmt: skip
    task, rule, key = train.supervised(model, losses.squared_error), optim.adam(1e-3), jax.random.key(3)
    batch = jnp.ones((1, 8, 8), jnp.int32), jnp.ones((1, 4))
    caplog.clear()
    with jax.log_compiles():
        ours = created(task, rule, key, batch, ema)
    compiled = [entry for entry in caplog.records if "Finished XLA compilation" in entry.getMessage()]
    assert len(compiled) == 1
    plain = train.TrainState.create(task, rule, key, batch, ema=ema)
    assert jax.tree.structure(ours) == jax.tree.structure(plain)
    for mine, other in zip(*map(jax.tree.leaves, (ours._replace(key=0), plain._replace(key=0))), strict=True):
        np.testing.assert_allclose(mine, other, rtol=3e-7)
    assert (jax.random.key_data(ours.key) == jax.random.key_data(plain.key)).all()
    again = created(task, rule, key, batch, ema)
    for mine, other in zip(jax.tree.leaves(ours.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert all(not leaf.weak_type for leaf in jax.tree.leaves(ours.params))


def test_an_init_that_looks_at_numbers_runs_as_it_is() -> None:
    def init(key, spec):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        return {"kernel": jnp.asarray(rng.standard_normal((spec.shape[-1], 2)), jnp.float32)}

    layer = nn.stateless("drawn_by_numpy", init, lambda params, x: x @ params["kernel"])
    task = train.supervised(layer, losses.squared_error)
    data = jnp.ones((4, 3)), jnp.ones((4, 2))
    result = train.fit(
        task, optim.sgd(0.1), data, epochs=1, batch_size=2, key=jax.random.key(0), progress=False
    )
    assert result.params["kernel"].shape == (3, 2)


def test_an_init_that_chooses_by_numbers_runs_as_it_is() -> None:
    def init(key, spec):
        drawn = jax.random.normal(key, (20,))
        return {"kernel": drawn[jnp.abs(drawn) < 9][:3, None]}

    task = train.supervised(linear("chosen", init), losses.squared_error)
    assert created(task, optim.sgd(0.1), jax.random.key(0), DATA, False).params["kernel"].shape == (3, 1)


@pytest.mark.parametrize(
    "read", [lambda a: a, np.asarray, lambda a: jax.jit(lambda: 1 * a)()], ids=["jax", "numpy", "inner jit"]
)
def test_weights_that_an_init_brings_along_are_those_of_each_run(read) -> None:
    loaded = [jnp.ones((3, 1))]
    task = train.supervised(
        linear("loaded", lambda key, spec: {"kernel": jnp.asarray(read(loaded[-1]))}), losses.squared_error
    )
    rule = optim.sgd(0.1)
    for value in (1.0, 2.0):
        loaded.append(jnp.full((3, 1), value))
        state = created(task, rule, jax.random.key(0), DATA, False)
        np.testing.assert_array_equal(state.params["kernel"], loaded[-1])


@pytest.mark.parametrize("brought", [True, False])
def test_weights_stay_on_the_devices_where_an_init_puts_them(brought) -> None:
    device = jax.devices()[0]
    placed = jax.device_put(jnp.ones((3, 1)), device)

    def init(key, spec):
        return {"kernel": placed if brought else jax.device_put(jax.random.normal(key, (3, 1)), device)}

    task = train.supervised(linear("placed", init), losses.squared_error)
    assert created(task, optim.adam(0.1), jax.random.key(0), DATA, False).params["kernel"].committed


def test_a_mistake_in_an_init_is_told_as_it_is() -> None:
    def init(key, spec):
        raise ValueError("no kernel for this input")

    task = train.supervised(nn.stateless("broken", init, lambda params, x: x), losses.squared_error)
    with pytest.raises(ValueError, match="no kernel for this input"):
        train.fit(task, optim.sgd(0.1), (X, X), epochs=1, batch_size=1, key=jax.random.key(0), progress=False)


@dataclasses.dataclass
class Unhashable:
    """A function that is no key of a cache."""

    function: Callable[..., Any]

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


@pytest.mark.parametrize("part", ["objective", "rule"])
def test_a_part_without_a_hash_trains_as_one_with(part) -> None:
    task, rule = train.supervised(nn.dense(1), losses.squared_error), optim.adam(0.1)
    data = jnp.arange(6.0)[:, None], jnp.ones((6, 1))
    if part == "objective":
        bare, given, validation = (
            (dataclasses.replace(task, evaluate=Unhashable(task.evaluate)), rule),
            data,
            data,
        )
    else:
        unhashable = optax.GradientTransformation(Unhashable(rule.init), Unhashable(rule.update))
        bare, given, validation = (task, unhashable), [data], None

    def run(task, rule):
        return train.fit(
            task,
            rule,
            given,
            epochs=2,
            batch_size=4,
            validation=validation,
            key=jax.random.key(0),
            progress=False,
        )

    ours, plain = run(*bare), run(task, rule)
    np.testing.assert_array_equal(ours.params["kernel"], plain.params["kernel"])
    assert train.evaluate(bare[0], ours.params, {}, [data]) == train.evaluate(task, ours.params, {}, [data])
    if validation is not None:
        assert ours.history.last["val_loss"] == plain.history.last["val_loss"]


def test_a_model_without_a_hash_predicts() -> None:
    model, x = nn.dense(2), jnp.ones((3, 4))
    params, state = model.init(jax.random.key(0), x)
    bare = dataclasses.replace(model, apply=Unhashable(model.apply))
    np.testing.assert_array_equal(train.predict(bare, params, state, x), model.apply(params, state, x)[0])
