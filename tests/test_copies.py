"""Copies and pickles of layers, cells, objectives, and of what training carries and returns."""

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conformance_table import TABLE, Entry

import jaxnn as nn
from jaxnn import losses, optim, train

KEY = jax.random.key(0)
DATA = jnp.ones((4, 3)), jnp.ones((4, 1))
LAYERS = [entry for entry in TABLE if isinstance(entry.make(), nn.Layer)]
CELLS = {
    "lstm_cell": nn.lstm_cell(2),
    "gru_cell": nn.gru_cell(2),
    "simple_rnn_cell": nn.simple_rnn_cell(2),
    "decoding_cell": nn.decoding_cell(nn.chain(nn.embedding(5, 2), nn.gru(2), nn.dense(5)), 4),
}
RULES = {
    name: getattr(optim, name)(0.1)
    for name in (
        *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "rprop", "adam", "nadam"),
        *("amsgrad", "adamw", "lion", "lars", "adafactor", "muon"),
    )
}


def plain(x: Any) -> Any:
    return x


def named_init(key: Any, x: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"scale": jnp.ones(())}, {}


def named_apply(params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
    return params["scale"] * x, state


def says_how(value: Any) -> None:
    assert copy.copy(value) is value
    assert copy.deepcopy({"model": value})["model"] is value
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=r"make it anew.*save_safetensors") as found:
            pickle.dumps({"model": value}, protocol)
        assert "\n" not in str(found.value)


@pytest.mark.parametrize("entry", LAYERS, ids=lambda entry: entry.name)
def test_a_layer_is_its_own_copy_and_a_pickle_of_it_says_how(entry: Entry) -> None:
    says_how(entry.make())


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_so_is_a_cell(cell: nn.Cell) -> None:
    says_how(cell)


def test_so_is_an_objective() -> None:
    says_how(train.supervised(nn.dense(1), losses.squared_error))


def test_a_copy_of_a_model_in_use_is_the_model() -> None:
    model = nn.chain(nn.dense(2), jax.nn.relu)
    params, state = model.init(KEY, DATA[0])
    before = train.predict(model, params, state, DATA[0])
    np.testing.assert_array_equal(train.predict(copy.deepcopy(model), params, state, DATA[0]), before)
    says_how(model)


def test_a_layer_of_functions_of_a_module_is_pickled_also_after_it_was_used() -> None:
    layer = nn.Layer("named", named_init, named_apply)
    params, state = layer.init(KEY, DATA[0])
    before = train.predict(layer, params, state, DATA[0])
    other = pickle.loads(pickle.dumps(layer))
    assert other == layer
    assert other is not layer
    np.testing.assert_array_equal(train.predict(other, params, state, DATA[0]), before)


def test_a_pickler_that_takes_closures_takes_layers() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    model = nn.chain(
        nn.dense(2), nn.residual(nn.chain(nn.dense(2), jax.nn.tanh)), nn.lstm(2, return_sequences=False)
    )
    x = jnp.ones((2, 3, 4))
    params, state = model.init(KEY, x)
    other = pickle.loads(cloudpickle.dumps(model))
    np.testing.assert_array_equal(other.apply(params, state, x)[0], model.apply(params, state, x)[0])
    says_how(model)


def equal(ours: Any, theirs: Any) -> None:
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy, copy.copy])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_state_of_training_is_copied_and_pickled(rule, again) -> None:
    task = train.supervised(nn.dense(1), losses.squared_error)
    state = train.TrainState.create(task, rule, KEY, DATA, ema=True)
    equal(again(state), state)
    assert type(again(state)) is train.TrainState


@pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy, copy.copy])
def test_what_fit_takes_and_returns_is_copied_and_pickled(again) -> None:
    task = train.supervised(nn.dense(1), losses.squared_error)
    policy = again(train.early_stopping(patience=1))
    made = train.fit(
        task, RULES["adam"], DATA, epochs=3, batch_size=2, key=KEY, progress=False, validation=DATA,
        early_stopping=policy,
    )  # fmt: skip
    other = again(made)
    equal((other.params, other.state, other.train_state), (made.params, made.state, made.train_state))
    assert other.history.records == made.history.records
    assert list(other.history) == list(made.history)
    assert (other.stopped, other.best_epoch) == (made.stopped, made.best_epoch)


@pytest.mark.parametrize("again", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy, copy.copy])
def test_trees_with_masks_and_keys_are_copied_and_pickled(again) -> None:
    tree = {"x": nn.Masked(jnp.ones((2, 3)), jnp.ones((2, 3), bool)), "keys": jax.random.split(KEY, 3)}
    equal(again(tree), tree)
