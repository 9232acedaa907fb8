"""Empty batches and empty axes: an output of that shape, or one line that names the layer and the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conformance_table import TABLE, Entry

import jaxnn as nn
from jaxnn import losses, optim, train

KEY = jax.random.key(0)
# Statistics of a batch are those of its examples.
NEEDS_EXAMPLES = "batch_norm: training needs at least 2 positions"


def emptied(entry: Entry, axis: int) -> object:
    def one(spec):
        shape = tuple(0 if i == axis else size for i, size in enumerate(spec.shape))
        return jnp.zeros(shape, spec.dtype)

    return jax.tree.map(one, entry.x)


def inputs(entry: Entry, axis: int) -> list:
    x = emptied(entry, axis)
    masked = isinstance(entry.options.get("mask"), np.ndarray) and not isinstance(x, tuple)
    return [x, nn.Masked(x, jnp.ones(x.shape[:2], bool))] if masked else [x]


def modes(entry: Entry) -> list[bool]:
    return [False, True] if entry.options.get("train", True) else [False]


def used(layer: nn.Layer, params, state, x, train: bool):
    """Apply a layer; the gradient of its parameters must be finite."""

    def loss(params):
        y, _ = layer.apply(params, state, x, key=KEY, train=train)
        return sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(y)), y

    slopes, y = jax.grad(loss, has_aux=True)(params)
    assert all(np.isfinite(np.asarray(leaf, np.float32)).all() for leaf in jax.tree.leaves(slopes))
    return y


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_an_empty_batch_goes_through(entry: Entry) -> None:
    layer = nn.chain(entry.make())
    params, state = layer.init(KEY, entry.x)
    for x in inputs(entry, 0):
        for mode in modes(entry):
            if entry.name.startswith("batch_norm") and mode:
                with pytest.raises(ValueError, match=NEEDS_EXAMPLES):
                    used(layer, params, state, x, mode)
                continue
            leaves = jax.tree.leaves(used(layer, params, state, x, mode))
            assert leaves
            assert all(leaf.shape[0] == 0 for leaf in leaves)


@pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)
def test_an_empty_axis_has_a_shape_or_a_line(entry: Entry) -> None:
    for axis in range(1, max(leaf.ndim for leaf in jax.tree.leaves(emptied(entry, 0)))):
        for x in inputs(entry, axis):
            for mode in modes(entry):
                layer = nn.chain(entry.make())
                try:
                    params, state = layer.init(KEY, x)
                    used(layer, params, state, x, mode)
                except ValueError as error:
                    message = str(error)
                else:
                    continue
                owner, _, rest = message.partition(": ")
                assert owner.isidentifier(), message
                assert ";" in rest or "," in rest, message


def test_no_examples_are_named_before_the_first_step() -> None:
    model = nn.chain(nn.dense(2), nn.batch_norm(), nn.dense(1))
    task = train.supervised(model, losses.squared_error)
    data = jnp.ones((4, 3)), jnp.ones((4, 1))
    none = jnp.ones((0, 3)), jnp.ones((0, 1))
    params, state = task.init(KEY, data)
    called = []

    def fitted(data, **options):
        options = {"epochs": 1, "key": KEY, "progress": False, "callbacks": [called.append]} | options
        return train.fit(task, optim.sgd(0.1), data, **options)

    for refused in (
        lambda: fitted(none, batch_size=2),
        lambda: fitted([none]),
        lambda: fitted(data, batch_size=2, validation=none),
        lambda: train.evaluate(task, params, state, none),
        lambda: train.evaluate(task, params, state, [none, none]),
        lambda: train.predict(model, params, state, none[0]),
    ):
        with pytest.raises(ValueError, match="there are no examples"):
            refused()
    assert not called
