"""Run in a process of its own: layers on a mesh with explicit axes beside the same layers without a mesh.

``python explicit_mesh.py quick|whole NAME ...`` prints a line of what differs for each entry of the conformance
table; ``whole`` differentiates outside of jit too, and takes masked inputs.
"""

import sys

import conftest  # noqa: F401
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conformance_table import TABLE, Entry
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxnn as nn
from jaxnn import losses, optim, train

MESH = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
BATCH = 8
KEY = jax.random.key(1)


def drawn(entry: Entry) -> object:
    rng = np.random.default_rng(0)

    def one(spec):
        if isinstance(spec, np.ndarray):
            return np.concatenate([spec] * BATCH)[:BATCH]
        return rng.standard_normal((BATCH, *spec.shape[1:])).astype(spec.dtype)

    return jax.tree.map(one, entry.x)


def placed(x):
    return jax.tree.map(lambda leaf: jax.device_put(leaf, NamedSharding(MESH, PartitionSpec("data"))), x)


def floating(tree) -> list:
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


def differentiated(layer: nn.Layer, train: bool, over_x: bool):
    def loss(params, state, x):
        y, state = layer.apply(params, state, x, key=KEY, train=train)
        return sum(jnp.sum(jnp.sin(leaf.astype(jnp.float32)) ** 2) for leaf in floating(y)), (y, state)

    return jax.value_and_grad(loss, (0, 2) if over_x else 0, has_aux=True)


def agree(found, expected, tolerance: float = 2e-4) -> None:
    def one(a, b):
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 10)

    jax.tree.map(one, found, expected)


def check(entry: Entry, x, whole: bool) -> None:
    layer, train = nn.chain(entry.make()), entry.options.get("train", True)
    # bfloat16 is rounded at other places within jit than outside.
    tolerance = 0.1 if entry.name == "cast" else 2e-4
    over_x = len(floating(x)) == len(jax.tree.leaves(x))
    params, state = layer.init(KEY, x)
    expected = jax.jit(differentiated(layer, train, over_x))(params, state, jax.tree.map(jnp.asarray, x))
    with jax.set_mesh(MESH):
        sharded = placed(x)
        trees = layer.init(KEY, sharded)
        agree(trees, (params, state))
        y, _ = layer.apply(*trees, sharded, key=KEY, train=train)
        for leaf in jax.tree.leaves(y):
            assert jax.typeof(leaf).sharding.spec[0] == "data", jax.typeof(leaf)
        agree(y, expected[0][1][0], tolerance)
        function = differentiated(layer, train, over_x)
        found = [run(*trees, sharded) for run in (jax.jit(function), function)[: 1 + whole]]
    for result in found:
        agree(result, expected, tolerance)


def check_entry(entry: Entry, whole: bool) -> None:
    x = drawn(entry)
    check(entry, x, whole)
    mask = entry.options.get("mask")
    if whole and isinstance(mask, np.ndarray) and not isinstance(x, tuple):
        check(entry, nn.Masked(x, np.concatenate([mask] * BATCH)[:BATCH]), whole)


def check_fit() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 3)).astype(np.float32)
    data = x, x[:, :1] * 2
    model = nn.chain(nn.dense(8, use_bias=False), nn.batch_norm(), jax.nn.relu, nn.dense(1))
    task = train.supervised(model, losses.squared_error)

    def fitted(data, **options):
        return train.fit(task, optim.adam(1e-2), data, epochs=2, key=KEY, progress=False, **options)

    expected = fitted([data, data])
    with jax.set_mesh(MESH):
        sharded = placed(data)
        found = fitted([sharded, sharded])
        agree((found.params, found.state), (expected.params, expected.state))
        agree(fitted(data, batch_size=16).params, fitted(data, batch_size=16).params)
        outputs = train.predict(model, found.params, found.state, sharded[0])
        scores = train.evaluate(task, found.params, found.state, sharded)
        for refused in (
            lambda: fitted(sharded, batch_size=8),
            lambda: train.evaluate(task, found.params, found.state, sharded, batch_size=8),
            lambda: train.predict(model, found.params, found.state, sharded[0], batch_size=8),
        ):
            with pytest.raises(ValueError, match="can't be sliced"):
                refused()
    agree(outputs, train.predict(model, expected.params, expected.state, x))
    agree(scores["loss"], train.evaluate(task, expected.params, expected.state, data)["loss"])


def check_users_function() -> None:
    """A function of the user's own sees the explicit axes, also between layers of ours."""
    seen = []

    def reads(x):
        seen.append(jax.typeof(x).sharding.spec[0])
        return x

    model = nn.chain(nn.layer_norm(), reads, nn.conv(2, (2,)), reads)
    x = np.ones((BATCH, 3, 2), np.float32)
    params, state = model.init(KEY, x)
    seen.clear()
    with jax.set_mesh(MESH):
        model.apply(params, state, placed(x))
    assert seen == ["data", "data"], seen


def check_without_context() -> None:
    """The mesh of the inputs counts where none is set."""
    layer = nn.lstm(3)
    x = np.random.default_rng(0).standard_normal((BATCH, 4, 2)).astype(np.float32)
    params, state = layer.init(KEY, x)
    agree(layer.apply(params, state, placed(x))[0], layer.apply(params, state, x)[0])


def check_vmap() -> None:
    """Lanes of parameters, each on the whole sharded batch."""
    layer = nn.conv(2, (2,))
    x = np.random.default_rng(0).standard_normal((BATCH, 4, 2)).astype(np.float32)
    params, _ = jax.vmap(lambda key: layer.init(key, x))(jax.random.split(KEY, 2))

    def loss(params, x):
        return jnp.sum(layer.apply(params, {}, x)[0] ** 2)

    run = jax.jit(jax.vmap(jax.grad(loss), (0, None)))
    with jax.set_mesh(MESH):
        found = run(params, placed(x))
    agree(found, run(params, x))


OTHERS = {
    "fit": check_fit,
    "a user's function": check_users_function,
    "no context": check_without_context,
    "vmap": check_vmap,
}

if __name__ == "__main__":
    entries = {entry.name: entry for entry in TABLE}
    for name in sys.argv[2:]:
        try:
            if name in OTHERS:
                OTHERS[name]()
            else:
                check_entry(entries[name], sys.argv[1] == "whole")
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:400]}")
