"""Nothing of a model outlives it: programs, what it closes over, threads and files; and what is reused is."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import inspect, losses, optim, train
from jaxnn.core import as_array, kept
from jaxnn.train._data import placed, split_validation

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 80, dtype=np.float32).reshape(20, 4)
Y = (np.arange(20) % 3).astype(np.int32)
RULE = optim.sgd(1e-2)
STATE = train.TrainState({}, {}, (), KEY, jnp.int32(0))


def programs() -> int:
    """Programs alive, garbage collected."""
    gc.collect()
    return len(jax.devices()[0].client.live_executables())


def model(brought: Any) -> nn.Layer:
    """A layer whose closure holds an array."""
    return nn.chain(nn.dense(3), lambda v: v + 0 * jnp.sum(brought))


def task(brought: Any) -> train.Objective:
    return train.supervised(model(brought), losses.cross_entropy)


def fit(objective: train.Objective, data: Any = (X, Y), **options: Any) -> train.Result:
    chosen = {"epochs": 1, "batch_size": 8, "progress": False, "key": KEY, **options}
    return train.fit(objective, RULE, data, **chosen)


def decoder(brought: Any) -> Any:
    body = nn.chain(nn.embedding(7, 4), lambda v: v + 0 * jnp.sum(brought), nn.dense(7))
    cell = nn.decoding_cell(body, 12)
    return cell, cell.init(KEY, jnp.ones(2, jnp.int32))


def generate(brought: Any, length: int = 2, **options: Any) -> None:
    cell, params = decoder(brought)
    nn.generate(cell, params, jnp.ones((2, length), jnp.int32), 2, **options)


def predict(brought: Any) -> None:
    layer = model(brought)
    params, state = layer.init(KEY, X)
    train.predict(layer, params, state, X, batch_size=8)


def evaluate(brought: Any) -> None:
    objective = task(brought)
    params, state = objective.init(KEY, (X, Y))
    train.evaluate(objective, params, state, (X, Y), batch_size=8)
    train.evaluate(objective, params, state, [(X, Y)])


def order_of(n: int) -> None:
    train.epoch_order(STATE, n)


def fit_many(brought: Any) -> None:
    objective = task(brought)
    step = train.make_step(objective, RULE)

    def run(key: Any, _: Any) -> Any:
        state = train.TrainState.create(objective, RULE, key, (X, Y))
        return step(state, (jnp.asarray(X), jnp.asarray(Y)))[1]["loss"].compute()

    train.fit_many(run, jax.random.split(KEY, 2))


def stability_limit(brought: Any) -> None:
    objective = task(brought)
    params, state = objective.init(KEY, (X, Y))
    inspect.stability_limit(objective, params, (X, Y), state=state, iterations=2, tolerance=10.0)


def intermediates(brought: Any) -> None:
    layer = model(brought)
    params, state = layer.init(KEY, X)
    inspect.intermediates(layer, params, state, X)


USES: dict[str, Callable[[Any], Any]] = {
    "fit on arrays": lambda brought: fit(task(brought), validation=(X, Y)),
    "fit on batches": lambda brought: fit(task(brought), [(X, Y)], validation=[(X, Y)]),
    "fit going on": lambda brought: fit(task(brought), train_state=fit(task(brought)).train_state),
    "stopped early": lambda brought: fit(
        task(brought), validation=(X, Y), early_stopping=train.early_stopping(), callbacks=[lambda r, s: None]
    ),
    "predict": predict,
    "evaluate": evaluate,
    "generate": generate,
    "draw": lambda brought: generate(brought, key=KEY, temperature=1.0),
    "beam search": lambda brought: generate(brought, beams=2),
    "fit_many": fit_many,
    "lr_range": lambda brought: inspect.lr_range(
        task(brought), optim.sgd, (X, Y), key=KEY, steps=3, batch_size=8
    ),
    "stability_limit": stability_limit,
    "summary": lambda brought: inspect.summary(model(brought), X),
    "intermediates": intermediates,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_model_dies_with_its_programs_and_all_that_it_closes_over(use) -> None:
    def once() -> Any:
        brought = jnp.ones(100)
        use(brought)
        return weakref.ref(brought)

    once()
    before = programs()
    found = once()
    # Programs of earlier tests may go in between.
    assert programs() <= before
    assert found() is None


def test_arrays_of_numpy_are_placed_without_a_program_for_each_shape() -> None:
    before = programs()
    for n in range(31, 36):
        placed((np.ones((n, 3)), np.ones(n, np.int64), np.ones(n, bool)))
        known = jax.jit(lambda x, n=n: x + as_array(np.full(n, 2, np.int32)).sum()).trace(1)
        assert known.jaxpr.eqns, "an array of NumPy can be placed while a program is traced"
    assert programs() <= before


@pytest.mark.parametrize(
    "helper", [lambda n: split_validation((X[:1].repeat(n, 0),), 0.3), order_of], ids=["split", "order"]
)
def test_helpers_of_one_size_are_few(helper) -> None:
    counts = []
    for sizes in (range(10, 20), range(20, 30)):
        for n in sizes:
            helper(n)
        counts.append(programs())
    assert counts[1] <= counts[0]


@pytest.mark.slow
def test_ever_new_sizes_of_data_leave_a_bounded_number_of_programs() -> None:
    layer, rule = nn.chain(nn.dense(3)), optim.sgd(0.1)
    objective = train.supervised(layer, losses.cross_entropy)
    counts = []
    for n in range(9, 30):
        data = X[:1].repeat(n, 0), Y[:1].repeat(n, 0)
        made = train.fit(
            objective, rule, data, epochs=1, batch_size=8, key=KEY, validation=data, progress=False
        )
        train.predict(layer, made.params, made.state, data[0], batch_size=8)
        counts.append(programs())
    assert counts[-1] <= max(counts[:18])


def test_what_is_used_again_is_compiled_once_and_at_most_a_bound_is_kept() -> None:
    built = []

    def build(owner: nn.Layer, factor: int) -> Callable[[Any], Any]:
        built.append(factor)
        return lambda x: factor * x

    layer, other = nn.dense(3), nn.dense(3)
    first = kept(layer, build, 2, most=3)
    assert kept(layer, build, 2, most=3) is first
    assert kept(layer, build, 3, most=3)(1) == 3
    assert kept(other, build, 2, most=3) is not first
    assert built == [2, 3, 2]
    for size in range(1, 5):
        assert kept(layer, build, 2, most=3) is first
        first(np.ones(size))
    assert kept(layer, build, 2, most=3) is not first
    for factor in range(20):
        kept(layer, build, factor)
    assert sum(map(len, vars(layer)["_kept"].values())) == 8


def test_equal_layers_do_not_share_and_one_that_has_no_hash_is_built_anew() -> None:
    def build(owner: Any) -> Callable[[Any], Any]:
        return lambda x: x

    layer = nn.Layer("same", lambda key, x: ({}, {}), lambda params, state, x: (x, state))
    twin = nn.Layer("same", layer.init, layer.apply)
    assert layer == twin
    assert kept(layer, build) is not kept(twin, build)
    assert layer == twin
    assert hash(layer) == hash(twin)
    bare = nn.Layer("bare", layer.init, Unhashable())
    assert kept(bare, build) is not kept(bare, build)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, params: Any, state: Any, x: Any) -> Any:
        return x, state
